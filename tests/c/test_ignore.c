#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "ignore.h"

static char root[] = "/tmp/fastos-ignore-XXXXXX";

static void write_file(const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

static void make_directory(const char *name) {
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    CHECK(mkdir(path, 0755) == 0);
}

static void remove_tree(void) {
    char command[256];
    snprintf(command, sizeof(command), "rm -rf %s", root);
    CHECK(system(command) == 0);
}

static void make_repository(void) {
    CHECK(mkdtemp(root));
    static const char *const directories[] = {".git", ".git/objects", ".git/refs", ".git/info", "a", "a/b"};
    for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++)
        make_directory(directories[i]);
    write_file(".git/HEAD", "ref: refs/heads/main\n");
    write_file(".git/info/exclude", "*.log\n");
    write_file(".gitignore", "*.o\n/a/b/x\n");
    write_file("a/.gitignore", "!keep.o\n");
}

static struct fo_ignore *enter(struct fo_ignore *parent, const char *path) {
    int root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = openat(root_fd, path, O_RDONLY | O_CLOEXEC);
    struct fo_ignore *context;
    CHECK_EQ(fo_ignore_enter(parent, fd, path, strlen(path), FO_IGNORE_HAS_FILE | FO_IGNORE_HAS_GIT, &context), 0);
    close(fd);
    close(root_fd);
    return context;
}

static void check_answers(struct fo_ignore *context, const char *directory) {
    CHECK_EQ(fo_ignore_match(context, directory, strlen(directory), "z.o", 3, 0), 1);
    CHECK_EQ(fo_ignore_match(context, directory, strlen(directory), "keep.o", 6, 0), 0);
    CHECK_EQ(fo_ignore_match(context, directory, strlen(directory), "z.log", 5, 0), 1);
    CHECK_EQ(fo_ignore_match(context, directory, strlen(directory), "x", 1, 0), strcmp(directory, "a/b") == 0);
}

TEST(contexts) {
    make_repository();
    struct fo_ignore *top, *a, *b;
    CHECK_EQ(fo_ignore_new(&(struct fo_ignore_request){.git = 1, .root = root}, &top), 0);
    CHECK_EQ(fo_ignore_match(top, "", 0, ".git", 4, 1), 1);
    CHECK_EQ(fo_ignore_match(top, "", 0, "keep.o", 6, 0), 1);
    a = enter(top, "a");
    CHECK(a != top);
    b = enter(a, "a/b");
    CHECK(b == a); /* nothing of its own */
    /* A child keeps what it needs of its parents. */
    fo_ignore_release(top);
    check_answers(a, "a");
    fo_ignore_release(a);
    check_answers(b, "a/b");
    fo_ignore_release(b);
    remove_tree();
}

static void *work(void *parent) {
    for (int i = 0; i < 200; i++) {
        struct fo_ignore *a = enter(parent, "a"), *b = enter(a, "a/b");
        fo_ignore_release(a);
        check_answers(b, "a/b");
        fo_ignore_release(b);
    }
    return NULL;
}

TEST(threads) {
    make_repository();
    struct fo_ignore *top;
    CHECK_EQ(fo_ignore_new(&(struct fo_ignore_request){.git = 1, .root = root}, &top), 0);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, work, top) == 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    fo_ignore_release(top);
    remove_tree();
}

TEST(patterns_alone) {
    struct fo_ignore *context;
    CHECK_EQ(fo_ignore_new(&(struct fo_ignore_request){.patterns = "*.o\n/x/**/y\n", .ignore_case = 1}, &context), 0);
    CHECK_EQ(fo_ignore_match(context, "a", 1, "B.O", 3, 0), 1);
    CHECK_EQ(fo_ignore_match(context, "x/b", 3, "Y", 1, 0), 1);
    CHECK_EQ(fo_ignore_match(context, "a/x/b", 5, "y", 1, 0), 0);
    fo_ignore_release(context);
    CHECK_EQ(fo_ignore_match(NULL, "", 0, "x", 1, 0), 0);
}

TEST(damaged_index) {
    struct fo_index index = {0};
    CHECK_EQ(fo_index_parse(&index, (const uint8_t *)"DIRC", 4, 20, -1), -EINVAL);
    static const uint8_t unknown[40] = "DIRC\0\0\0\5\0\0\0\0";
    CHECK_EQ(fo_index_parse(&index, unknown, sizeof(unknown), 20, -1), -ENOTSUP);
    static const uint8_t greedy[40] = "DIRC\0\0\0\2\377\377\377\377";
    CHECK_EQ(fo_index_parse(&index, greedy, sizeof(greedy), 20, -1), -EINVAL);
    fo_index_clear(&index);
}

MAIN(RUN(contexts), RUN(threads), RUN(patterns_alone), RUN(damaged_index))
