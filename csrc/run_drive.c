/* A child driven by the thread that waits for it: what to poll for, and what to do with what is ready. run_group.c
 * does this in the caller's thread, run_loop.c in its own where there is a thread for each child. */
#include <errno.h>
#include <time.h>

#include "run.h"

void run_drive_nothing(struct pollfd ready[RUN_WAITED]) {
    for (int kind = 0; kind < RUN_WAITED; kind++) {
        ready[kind] = (struct pollfd){.fd = -1};
    }
}

int64_t run_drive_prepare(const struct run_child *child, struct pollfd ready[RUN_WAITED]) {
    run_drive_nothing(ready);
    if (run_child_ending(child)) {
        ready[RUN_EXIT] = (struct pollfd){.fd = child->pidfd, .events = POLLIN};
        return child->deadline < child->probe ? child->deadline : child->probe;
    }
    for (int kind = RUN_STDIN; kind <= RUN_STDERR; kind++) {
        ready[kind].fd = child->streams[kind].fd;
        ready[kind].events = kind == RUN_STDIN ? POLLOUT : POLLIN;
    }
    return child->deadline;
}

int run_drive_wait(struct pollfd *ready, nfds_t count, int64_t until) {
    struct timespec left = {0}, *timeout = NULL;
    if (until != RUN_NEVER) {
        int64_t nanoseconds = until - fo_clock_now();
        nanoseconds = nanoseconds > 0 ? nanoseconds : 0;
        left = (struct timespec){.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
        timeout = &left;
    }
#ifdef __APPLE__
    int64_t milliseconds = left.tv_sec * 1000 + (left.tv_nsec + 999999) / 1000000;
    int most = timeout == NULL ? -1 : milliseconds < 1 << 30 ? (int)milliseconds : 1 << 30;
    return poll(ready, count, most) < 0 ? -errno : 0;
#else
    return ppoll(ready, count, timeout, NULL) < 0 ? -errno : 0;
#endif
}

bool run_drive_advance(struct run_child *child, const struct pollfd ready[RUN_WAITED], char *scratch) {
    if (ready[RUN_STDIN].fd >= 0 && ready[RUN_STDIN].revents) {
        run_child_feed(child);
    }
    for (enum run_kind kind = RUN_STDOUT; kind <= RUN_STDERR; kind++) {
        if (ready[kind].fd < 0 || !ready[kind].revents || child->killed) {
            continue;
        }
        if (ready[kind].revents == POLLHUP) {
            run_stream_close(&child->streams[kind]); /* nothing to read, and nobody who writes */
        } else {
            run_child_read(child, kind, scratch);
        }
    }
    if (child->deadline != RUN_NEVER && child->deadline <= fo_clock_now()) {
        run_child_reap(child, 0);
        run_child_kill(child, FO_RUN_TIMED_OUT);
    }
    /* One with a pidfd is asked when that says so: just after its streams ended it seldom has ended as well. */
    bool ask = child->pidfd < 0 || !child->alive || ready[RUN_EXIT].revents;
    return ask && run_child_ending(child) && run_child_reap(child, 0) == 1;
}

void run_drive_to_end(struct run_child *child, int stop, char *scratch) {
    struct pollfd ready[RUN_WAITED + 1];
    ready[RUN_WAITED] = (struct pollfd){.fd = stop, .events = POLLIN};
    for (bool ended = false; !ended;) {
        int64_t until = run_drive_prepare(child, ready);
        if (run_drive_wait(ready, RUN_WAITED + 1, until) < 0) {
            continue;
        }
        if (ready[RUN_WAITED].revents) {
            ready[RUN_WAITED].fd = -1;
            if (!child->killed) {
                run_child_kill(child, FO_RUN_CANCELLED);
            }
        }
        ended = run_drive_advance(child, ready, scratch);
    }
}
