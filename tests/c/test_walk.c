#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "api.h"
#include "check.h"
#include "walk.h"

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

static struct fo_walk_batch batch;

/* Hands out a run at a path. */
static int next_at(struct fo_walk *walk, const char *path, int fresh) {
    int items;
    while ((items = fo_walk_next(walk, path, strlen(path), fresh, &batch)) == -EAGAIN) {
    }
    return items;
}

/* The name of a run with this number. */
static const char *name_of(int32_t index) {
    const char *name = batch.names;
    while (index-- > 0) {
        name += strlen(name) + 1;
    }
    return name;
}

/* Visits all below the root, which was handed out just now as one of so many; returns how many were seen. */
static int visit_rest(struct fo_walk *walk, int items) {
    static char dirs[2048][256];
    int seen = 1, count = batch.meta[1] - batch.meta[0], at = 0;
    for (int i = 0; i < count; i++) {
        snprintf(dirs[i], sizeof(dirs[i]), "%s/%s", root, name_of(batch.meta[0] + i));
    }
    for (int i = 0; i < count; i++) {
        if (++at >= items || !fo_walk_confirm(walk)) {
            items = next_at(walk, dirs[i], 0);
            CHECK(items >= 1);
            CHECK_EQ(batch.error, 0);
            at = 0;
        }
        CHECK(strcmp(name_of(batch.meta[3 * at] - 1), dirs[i]) == 0);
        CHECK(strcmp(name_of(batch.meta[3 * at + 1]), "file") == 0);
        seen++;
    }
    return seen;
}

static int visit(struct fo_walk *walk) {
    return visit_rest(walk, next_at(walk, root, 1));
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

TEST(closed_or_begun_anew_in_the_middle) {
    make_tree(1000);
    char path[256];
    for (int i = 0; i < 20; i++) {
        struct fo_walk *walk = fo_walk_open(0);
        for (int again = 0; again < 3; again++) {
            CHECK(next_at(walk, root, 1) >= 1);
            for (int k = 0; k < 10 * i; k++) {
                if (!fo_walk_confirm(walk)) {
                    snprintf(path, sizeof(path), "%s/d%d", root, k);
                    CHECK_EQ(next_at(walk, path, 1), 1);
                    CHECK_EQ(next_at(walk, root, 1) >= 1, 1);
                }
            }
            int result = fo_walk_reset(walk, again);
            if (result == -EBUSY) { /* a thread is at it */
                CHECK_EQ(fo_walk_close(walk), 0);
                walk = fo_walk_open(again);
            } else {
                CHECK_EQ(result, 0);
            }
        }
        CHECK_EQ(visit(walk), 1001);
        fo_walk_close(walk);
    }
    while (fo_walk_threads() > 0) {
        usleep(1000);
    }
    remove_tree();
}

/* A thread has claimed two directories and hangs in the first: the other is not waited for. */
TEST(what_a_hanging_thread_only_claimed_is_read) {
    make_tree(2);
    char paths[2][256];
    alarm(20);
    struct fo_walk *walk = fo_walk_open(0);
    CHECK_EQ(next_at(walk, root, 1), 1);
    for (int i = 0; i < 2; i++) {
        snprintf(paths[i], sizeof(paths[i]), "%s/%s", root, name_of(batch.meta[0] + i));
    }
    pthread_mutex_lock(&fo_pool_lock);
    struct fo_node *first = fo_order_claim(walk), *second = fo_order_claim(walk);
    if (second == NULL) { /* a file system that nothing is read ahead of */
        exit(0);
    }
    atomic_store(&first->being_read, true);
    walk->references++;
    fo_pool_wake(walk);
    pthread_mutex_unlock(&fo_pool_lock);
    CHECK_EQ(fo_walk_choose(walk, paths[1], strlen(paths[1]) + 1), 0); /* the caller does not want the first */
    CHECK_EQ(next_at(walk, paths[1], 0), 1);
    CHECK_EQ(batch.error, 0);
    CHECK(strcmp(name_of(batch.meta[1]), "file") == 0);
    pthread_mutex_lock(&fo_pool_lock); /* now it goes on */
    fo_order_settle(walk, first, NULL, NULL);
    fo_order_settle(walk, second, NULL, NULL);
    fo_walk_release(walk);
    pthread_mutex_unlock(&fo_pool_lock);
    CHECK_EQ(fo_walk_close(walk), 0);
    remove_tree();
}

TEST(chosen_order) {
    make_tree(200);
    struct fo_walk *walk = fo_walk_open(0);
    static char paths[200 * 64];
    for (int round = 0; round < 3; round++) {
        size_t length = 0;
        CHECK(next_at(walk, root, 1) >= 1);
        for (int i = 199; i >= 0; i -= 2) { /* half of them, in another order, one twice, one that is not there */
            length += (size_t)sprintf(paths + length, "%s/d%d", root, i) + 1;
        }
        length += (size_t)sprintf(paths + length, "%s/d199", root) + 1;
        length += (size_t)sprintf(paths + length, "%s/missing", root) + 1;
        CHECK_EQ(fo_walk_choose(walk, paths, length), 0);
        int at = 0, items = 0;
        for (const char *path = paths; path < paths + length; path += strlen(path) + 1) {
            if (++at >= items || !fo_walk_confirm(walk)) {
                items = next_at(walk, path, 0);
                at = 0;
                CHECK(items >= 1);
                CHECK_EQ(batch.error, strstr(path, "missing") ? ENOENT : 0);
            }
            if (batch.error == 0) {
                CHECK(strcmp(name_of(batch.meta[3 * at] - 1), path) == 0);
            }
        }
        CHECK_EQ(next_at(walk, root, 0), 0);
    }
    fo_walk_close(walk);
    remove_tree();
}

TEST(a_change_is_seen) {
    make_tree(50);
    struct fo_walk *walk = fo_walk_open(0);
    char path[256];
    CHECK(next_at(walk, root, 1) >= 1);
    snprintf(path, sizeof(path), "%s/%s", root, name_of(batch.meta[0]));
    while (next_at(walk, root, 1) < 2) { /* until its time is old enough to be trusted */
        usleep(10 * 1000);
    }
    char below[512];
    snprintf(below, sizeof(below), "%s/more", path);
    CHECK_EQ(mkdir(below, 0755), 0);
    CHECK_EQ(fo_walk_confirm(walk), 0);
    CHECK_EQ(fo_walk_confirm(walk), 0);
    CHECK_EQ(next_at(walk, path, 0), 1);
    CHECK_EQ(batch.meta[1] - batch.meta[0], 1);
    CHECK_EQ(fo_walk_unchanged(walk), 0);
    fo_walk_close(walk);
    remove_tree();
}

TEST(missing_and_not_next) {
    struct fo_walk *walk = fo_walk_open(0);
    CHECK_EQ(fo_walk_confirm(walk), 0);
    CHECK_EQ(fo_walk_unchanged(walk), 0);
    CHECK_EQ(fo_walk_choose(walk, "", 0), 0);
    CHECK_EQ(next_at(walk, "/missing", 0), 0);
    CHECK_EQ(next_at(walk, "/missing", 1), 1);
    CHECK_EQ(batch.error, ENOENT);
    fo_walk_close(walk);
}

TEST(usage_adds_up) {
    make_tree(300);
    struct fo_usage_tree *usage;
    struct fo_usage_progress progress;
    struct fo_usage_directory directory;
    struct fo_usage_item item;
    CHECK_EQ(fo_usage_start(root, 0, 4, 10, NULL, &usage), 0);
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
    CHECK_EQ(fo_usage_start(root, 0, 4, 10, NULL, &usage), 0);
    fo_usage_free(usage); /* while it works */
    remove_tree();
}

MAIN(RUN(every_directory_once), RUN(portable_engine_too), RUN(closed_or_begun_anew_in_the_middle),
     RUN(what_a_hanging_thread_only_claimed_is_read),
     RUN(chosen_order), RUN(a_change_is_seen), RUN(missing_and_not_next), RUN(usage_adds_up))
