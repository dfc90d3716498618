/* The stack of work under workers that come and go: none may sleep while work lies there. A test that hangs is ended. */
#include <fcntl.h>
#include <pthread.h>

#include "check.h"
#include "scan.h"

enum { HANGS_S = 20 };

static struct fo_scan *scan_with_workers(int live, int target) {
    struct fo_scan *scan;
    struct fo_scan_options options = {.root = "/", .dir_fd = AT_FDCWD, .max_depth = -1};
    alarm(HANGS_S);
    CHECK_EQ(fo_scan_open(&options, &scan), 0);
    scan->concurrency.live = live;
    scan->concurrency.target = target;
    return scan;
}

static void *take(void *worker) {
    return fo_frontier_take(worker);
}

static void until_idle(struct fo_scan *scan, int count) {
    while (atomic_load(&scan->frontier.idle) != count) {
        usleep(100);
    }
}

/* Two of three workers wait, the third pushes one piece of work. Now one is enough: two leave, one goes on. */
TEST(leaving_workers_leave_one_that_works) {
    struct fo_scan *scan = scan_with_workers(3, 3);
    struct fo_worker workers[3] = {{.scan = scan}, {.scan = scan}, {.scan = scan}};
    pthread_t threads[2];
    void *taken[3];
    struct fo_work *work = fo_frontier_take(&workers[0]);
    CHECK(work != NULL);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, take, &workers[1 + i]), 0);
    }
    until_idle(scan, 2);
    pthread_mutex_lock(&scan->frontier.lock);
    scan->concurrency.target = 1;
    pthread_mutex_unlock(&scan->frontier.lock);
    fo_frontier_push(scan, work, work, 1);
    while (atomic_load(&scan->frontier.idle) == 2) {
        usleep(100);
    }
    taken[0] = fo_frontier_take(&workers[0]);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], &taken[1 + i]);
    }
    int got = 0;
    for (int i = 0; i < 3; i++) {
        got += taken[i] == work;
        CHECK(taken[i] == work || taken[i] == NULL);
    }
    CHECK_EQ(got, 1);
    CHECK_EQ(scan->concurrency.live, 1);
    fo_frontier_push(scan, work, work, 1);
    fo_scan_free(scan);
}

MAIN(RUN(leaving_workers_leave_one_that_works))
