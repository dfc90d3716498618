#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "api.h"
#include "check.h"

static char root[] = "/tmp/fastos-rmtree-XXXXXX";

/* A tree of `levels` levels, each with a file beside the next one. */
static void make_tree(int levels) {
    CHECK(mkdtemp(root));
    int fd = open(root, O_RDONLY | O_DIRECTORY);
    CHECK(fd >= 0);
    for (int level = 0; level < levels; level++) {
        int file = openat(fd, "file", O_CREAT | O_WRONLY, 0600);
        CHECK(file >= 0);
        close(file);
        CHECK_EQ(mkdirat(fd, "directory", 0700), 0);
        int next = openat(fd, "directory", O_RDONLY | O_DIRECTORY);
        close(fd);
        fd = next;
    }
    close(fd);
}

static int remove_by(int step) {
    struct fo_rmtree *tree;
    int result = fo_rmtree_open(AT_FDCWD, root, &tree);
    while (result >= 0 && (result = fo_rmtree_step(tree, step)) > 0) {
    }
    fo_rmtree_close(tree);
    return result;
}

TEST(removes_more_levels_than_are_kept_open) {
    make_tree(200);
    CHECK_EQ(remove_by(1000), 0);
    CHECK_EQ(access(root, F_OK), -1);
}

TEST(can_be_interrupted_at_every_entry) {
    make_tree(50);
    CHECK_EQ(remove_by(1), 0);
    CHECK_EQ(access(root, F_OK), -1);
}

TEST(an_abandoned_removal_leaves_the_rest) {
    make_tree(50);
    struct fo_rmtree *tree;
    CHECK_EQ(fo_rmtree_open(AT_FDCWD, root, &tree), 0);
    CHECK_EQ(fo_rmtree_step(tree, 10), 1);
    fo_rmtree_close(tree);
    CHECK_EQ(access(root, F_OK), 0);
    CHECK_EQ(remove_by(64), 0);
}

TEST(a_link_is_refused) {
    CHECK(mkdtemp(root));
    char link[64];
    snprintf(link, sizeof link, "%s/link", root);
    CHECK_EQ(symlink("/", link), 0);
    struct fo_rmtree *tree;
    int result = fo_rmtree_open(AT_FDCWD, link, &tree);
    CHECK(result == -ENOTDIR || result == -ELOOP);
    CHECK(tree == NULL);
    CHECK_EQ(remove_by(8), 0);
}

MAIN(RUN(removes_more_levels_than_are_kept_open), RUN(can_be_interrupted_at_every_entry),
     RUN(an_abandoned_removal_leaves_the_rest), RUN(a_link_is_refused))
