#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api.h"
#include "check.h"
#include "spawned.h"

enum { THREADS = 8, ROUNDS = 40 };

/* Starts a shell that ends with code 4 once its standard input is closed. */
static void start(struct fo_spawn_child *child, uint32_t flags) {
    struct fo_spawn_request request;
    ask_for(&request, "sh\0-c\0read line; exit 4", 3, "/bin/sh");
    request.streams[0] = FO_STREAM_PIPE;
    request.flags |= flags;
    CHECK(fo_spawn_into(&request, child) > 0);
}

static void let_it_end(struct fo_spawn_child *child) {
    close(child->spawned.pipes[0]);
    child->spawned.pipes[0] = -1;
}

static void *wait_for_ever(void *child) {
    int state;
    while ((state = fo_spawn_wait(child, -1)) == -EINTR) {
    }
    CHECK_EQ(state, 1);
    CHECK_EQ(((struct fo_spawn_child *)child)->waited.code, 4);
    return NULL;
}

static void *wait_for_moments(void *child) {
    int state;
    while ((state = fo_spawn_wait(child, 300000)) == 0 || state == -EINTR) {
    }
    CHECK_EQ(state, 1);
    CHECK_EQ(((struct fo_spawn_child *)child)->waited.code, 4);
    return NULL;
}

static void many_wait(uint32_t flags, int rounds) {
    int before = open_descriptors();
    for (int round = 0; round < rounds; round++) {
        struct fo_spawn_child child = {.parent = 0};
        pthread_t threads[THREADS];
        start(&child, flags);
        CHECK_EQ(fo_spawn_wait(&child, 0), 0);
        for (int i = 0; i < THREADS; i++) {
            CHECK_EQ(pthread_create(&threads[i], NULL, i % 2 ? wait_for_ever : wait_for_moments, &child), 0);
        }
        CHECK_EQ(fo_spawn_signal(&child, 0), 0);
        let_it_end(&child);
        for (int i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
        }
        CHECK_EQ(child.spawned.pidfd, -1);
        CHECK_EQ(fo_spawn_wait(&child, 0), 1);
        CHECK_EQ(fo_spawn_signal(&child, SIGKILL), -ESRCH);
    }
    CHECK_EQ(open_descriptors(), before);
}

TEST(many_threads_wait) {
    many_wait(0, ROUNDS);
}

TEST(many_threads_wait_without_a_pidfd) {
    many_wait(FO_SPAWN_NO_PIDFD, 4);
}

TEST(asking_does_not_wait_for_the_thread_that_waits) {
    struct fo_spawn_child child = {.parent = 0};
    pthread_t thread;
    start(&child, 0);
    CHECK_EQ(pthread_create(&thread, NULL, wait_for_ever, &child), 0);
    while (__atomic_load_n(&child.taking, __ATOMIC_ACQUIRE) == 0) {
        sched_yield();
    }
    CHECK_EQ(fo_spawn_wait(&child, 0), 0);
    CHECK_EQ(fo_spawn_wait(&child, 1000000), 0);
    let_it_end(&child);
    pthread_join(thread, NULL);
}

TEST(a_forked_copy_does_not_wait_for_a_thread_that_it_has_not) {
    struct fo_spawn_child child = {.parent = 0};
    pthread_t thread;
    int status;
    start(&child, 0);
    CHECK_EQ(pthread_create(&thread, NULL, wait_for_ever, &child), 0);
    while (__atomic_load_n(&child.taking, __ATOMIC_ACQUIRE) == 0) {
        sched_yield();
    }
    pid_t copy = fork();
    if (copy == 0) {
        _exit(fo_spawn_wait(&child, -1) == -ECHILD ? 0 : 1);
    }
    CHECK_EQ(waitpid(copy, &status, 0), copy);
    CHECK_EQ(status, 0);
    let_it_end(&child);
    pthread_join(thread, NULL);
}

TEST(a_stolen_status_is_lost) {
    struct fo_spawn_child child = {.parent = 0};
    start(&child, 0);
    let_it_end(&child);
    CHECK_EQ(waitpid(child.spawned.pid, NULL, 0), child.spawned.pid);
    CHECK_EQ(fo_spawn_wait(&child, -1), 1);
    CHECK_EQ(child.waited.state, FO_WAIT_LOST);
    CHECK_EQ(child.spawned.pidfd, -1);
}

MAIN(RUN(many_threads_wait), RUN(many_threads_wait_without_a_pidfd),
     RUN(asking_does_not_wait_for_the_thread_that_waits),
     RUN(a_forked_copy_does_not_wait_for_a_thread_that_it_has_not), RUN(a_stolen_status_is_lost))
