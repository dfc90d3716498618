#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "api.h"
#include "check.h"

static char root[] = "/tmp/fastos-walk-XXXXXX";

static void make_tree(int groups) {
    char path[256];
    CHECK(mkdtemp(root) != NULL);
    for (int i = 0; i < groups; i++) {
        snprintf(path, sizeof(path), "%s/d%d", root, i);
        CHECK_EQ(mkdir(path, 0755), 0);
        snprintf(path, sizeof(path), "%s/d%d/file", root, i);
        close(open(path, O_CREAT | O_WRONLY, 0644));
    }
    usleep(100 * 1000); /* older than the clock tick in which a change could hide */
}

static void remove_tree(void) {
    char command[256];
    snprintf(command, sizeof(command), "rm -rf %s", root);
    CHECK_EQ(system(command), 0);
}

/* Visits all; returns how many directories were seen. */
static int visit(struct fo_walk *walk) {
    struct fo_walk_batch batch;
    struct fo_walk_children children;
    int64_t top = fo_walk_push(walk, root, strlen(root), FO_WALK_FOLLOW);
    CHECK(top > 0);
    CHECK_EQ(fo_walk_take(walk, top, &batch), 1);
    int seen = 1, count = fo_walk_descend(walk, top, &children);
    CHECK(count >= 0);
    static char ready[4096];
    memset(ready, 0, sizeof(ready));
    for (int i = 0; i < count; i++) {
        int64_t id = children.first + i;
        if (!ready[i] || !fo_walk_confirm(walk, id)) {
            int items;
            while ((items = fo_walk_take(walk, id, &batch)) == -EAGAIN) {
            }
            CHECK(items >= 1);
            CHECK_EQ(batch.meta[0], id);
            CHECK_EQ(batch.meta[1], 0);
            CHECK_EQ(batch.meta[3], 1);
            CHECK(strcmp(batch.names, "file") == 0);
            for (int k = 1; k < items; k++) {
                ready[batch.meta[4 * k] - children.first] = 1;
            }
        }
        seen++;
    }
    return seen;
}

TEST(every_directory_once) {
    make_tree(2000);
    struct fo_walk *walk = fo_walk_open(0);
    CHECK_EQ(visit(walk), 2001);
    CHECK_EQ(fo_walk_close(walk), 0);
    remove_tree();
}

TEST(portable_engine_too) {
    CHECK_EQ(fo_platform_use(FO_ENGINE_POSIX), 0);
    make_tree(100);
    struct fo_walk *walk = fo_walk_open(0);
    CHECK_EQ(visit(walk), 101);
    fo_walk_close(walk);
    remove_tree();
}

TEST(closed_in_the_middle) {
    make_tree(1000);
    struct fo_walk_batch batch;
    struct fo_walk_children children;
    for (int i = 0; i < 20; i++) {
        struct fo_walk *walk = fo_walk_open(0);
        int64_t top = fo_walk_push(walk, root, strlen(root), FO_WALK_FOLLOW);
        fo_walk_take(walk, top, &batch);
        fo_walk_descend(walk, top, &children);
        for (int k = 0; k < 10 * i; k++) {
            fo_walk_take(walk, children.first + k, &batch);
        }
        fo_walk_discard(walk, children.first + 500);
        fo_walk_close(walk);
    }
    while (fo_walk_threads() > 0) {
        usleep(1000);
    }
    remove_tree();
}

TEST(unknown_and_missing) {
    struct fo_walk *walk = fo_walk_open(0);
    struct fo_walk_batch batch;
    CHECK_EQ(fo_walk_take(walk, 7, &batch), -ENOENT);
    int64_t id = fo_walk_push(walk, "/missing", 8, FO_WALK_FOLLOW);
    CHECK_EQ(fo_walk_take(walk, id, &batch), 1);
    CHECK_EQ(batch.meta[1], ENOENT);
    CHECK_EQ(fo_walk_discard(walk, id), 0);
    fo_walk_close(walk);
}

TEST(usage_adds_up) {
    make_tree(300);
    struct fo_usage_tree *usage;
    struct fo_usage_progress progress;
    struct fo_usage_directory directory;
    struct fo_usage_item item;
    CHECK_EQ(fo_usage_start(root, 0, 4, 10, &usage), 0);
    while (fo_usage_wait(usage, 50, &progress) == 0) {
    }
    CHECK_EQ(fo_usage_directories(usage), 301);
    CHECK_EQ(fo_usage_directory(usage, 0, &directory), 0);
    CHECK_EQ(directory.files, 300);
    CHECK_EQ(directory.directories, 300);
    CHECK_EQ(fo_usage_directory(usage, 301, &directory), -EINVAL);
    CHECK_EQ(fo_usage_children(usage, 0, NULL, 0), 300);
    CHECK_EQ(fo_usage_file(usage, 9, &item), 1);
    CHECK_EQ(fo_usage_file(usage, 10, &item), 0);
    CHECK_EQ(fo_usage_error(usage, 0, &item), 0);
    fo_usage_free(usage);
    CHECK_EQ(fo_usage_start(root, 0, 4, 10, &usage), 0);
    fo_usage_free(usage); /* while it works */
    remove_tree();
}

MAIN(RUN(every_directory_once), RUN(portable_engine_too), RUN(closed_in_the_middle), RUN(unknown_and_missing),
     RUN(usage_adds_up))
