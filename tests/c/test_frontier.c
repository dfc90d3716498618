/* The stack of work under workers that come and go: none may sleep while work lies there; and how many are wanted. A test
 * that hangs is ended. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>

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

/* One of two workers hangs, on one core: the other computes, and is still wanted. */
TEST(hanging_workers_take_nobodys_place) {
    struct fo_scan *scan = scan_with_workers(2, 2);
    struct fo_worker hanging = {.scan = scan}, working = {.scan = scan, .slot = 1};
    scan->concurrency.cores = 1;
    scan->concurrency.most = FO_SCAN_MOST_THREADS;
    atomic_store(&hanging.since_ns, 1);
    atomic_store(&scan->workers[0], &hanging);
    atomic_store(&scan->workers[1], &working);
    for (int i = 0; i < 10; i++) {
        fo_concurrency_begin(&working);
        int64_t until = fo_clock_now() + 5000000;
        while (fo_clock_now() < until) {
        }
        fo_concurrency_sample(&working, fo_clock_now());
        CHECK_EQ(scan->concurrency.target, 2);
    }
    fo_scan_free(scan);
}

static void *nothing(void *argument) {
    (void)argument;
    return NULL;
}

/* Where another thread cannot be had, those that there are go on. */
TEST(a_thread_that_cannot_be_had_sends_nobody_away) {
    struct fo_scan *scan = scan_with_workers(3, 8);
    struct rlimit limit = {0, 0};
    pthread_t thread;
    CHECK(setrlimit(RLIMIT_NPROC, &limit) == 0);
    if (geteuid() == 0 && setuid(54321) != 0) {
        fo_scan_free(scan);
        return;
    }
    if (pthread_create(&thread, NULL, nothing, NULL) == 0) { /* the limit does not hold here */
        pthread_join(thread, NULL);
    } else {
        CHECK(fo_worker_start(scan) < 0);
        CHECK_EQ(scan->concurrency.live, 3);
        CHECK_EQ(scan->concurrency.target, 3);
        CHECK_EQ(atomic_load(&scan->alone), false);
    }
    fo_scan_free(scan);
    _exit(0); /* a search for leaks would want a thread */
}

TEST(a_cancelled_scan_wants_no_workers) {
    struct fo_scan *scan = scan_with_workers(0, 4);
    atomic_store(&scan->cancelled, true);
    CHECK_EQ(fo_worker_start(scan), 0);
    fo_scan_free(scan);
}

MAIN(RUN(leaving_workers_leave_one_that_works), RUN(hanging_workers_take_nobodys_place),
     RUN(a_thread_that_cannot_be_had_sends_nobody_away), RUN(a_cancelled_scan_wants_no_workers))
