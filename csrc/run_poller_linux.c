/* epoll, with an eventfd to wake a thread and a timerfd for the deadlines: all that wait sleep in the kernel. */
#ifdef __linux__
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "run.h"

struct epoll_poller {
    struct run_poller base;
    int epoll;
    int wake;
    int timer;
};

static int watch(struct epoll_poller *poller, int fd, uint64_t data) {
    /* Edge-triggered and never read: each write, each expiry, wakes one thread. */
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = data};
    return epoll_ctl(poller->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static void epoll_close(struct run_poller *base) {
    struct epoll_poller *poller = (struct epoll_poller *)base;
    int all[] = {poller->epoll, poller->wake, poller->timer};
    for (int i = 0; i < 3; i++) {
        if (all[i] >= 0) {
            close(all[i]);
        }
    }
    free(poller);
}

static int epoll_open(struct run_poller **base) {
    struct epoll_poller *poller = calloc(1, sizeof *poller);
    if (poller == NULL) {
        return -ENOMEM;
    }
    poller->base.way = &run_poller_epoll;
    poller->epoll = epoll_create1(EPOLL_CLOEXEC);
    poller->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    poller->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    int failed = -errno;
    if (poller->epoll >= 0 && poller->wake >= 0 && poller->timer >= 0) {
        failed = watch(poller, poller->wake, RUN_EVENT_WAKE);
        failed = failed < 0 ? failed : watch(poller, poller->timer, RUN_EVENT_TIMER);
    }
    if (failed < 0) {
        epoll_close(&poller->base);
        return failed;
    }
    *base = &poller->base;
    return 0;
}

static int epoll_arm(struct run_poller *base, int fd, enum run_interest interest, uint64_t data, bool first) {
    struct epoll_poller *poller = (struct epoll_poller *)base;
    struct epoll_event event = {.data.u64 = data};
    event.events = EPOLLONESHOT | (interest == RUN_READABLE ? EPOLLIN : EPOLLOUT);
    return epoll_ctl(poller->epoll, first ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event) < 0 ? -errno : 0;
}

static void epoll_forget(struct run_poller *base, int fd) {
    epoll_ctl(((struct epoll_poller *)base)->epoll, EPOLL_CTL_DEL, fd, NULL);
}

static uint64_t epoll_next(struct run_poller *base) {
    struct epoll_event event;
    while (epoll_wait(((struct epoll_poller *)base)->epoll, &event, 1, -1) != 1) {
    }
    return event.data.u64;
}

static void epoll_wake(struct run_poller *base) {
    uint64_t one = 1;
    while (write(((struct epoll_poller *)base)->wake, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

static void epoll_timer(struct run_poller *base, int64_t when) {
    struct itimerspec at = {0}; /* zero disarms */
    if (when != RUN_NEVER) {
        when = when > 0 ? when : 1;
        at.it_value.tv_sec = when / 1000000000;
        at.it_value.tv_nsec = when % 1000000000;
    }
    timerfd_settime(((struct epoll_poller *)base)->timer, TFD_TIMER_ABSTIME, &at, NULL);
}

const struct run_poller_way run_poller_epoll = {epoll_open, epoll_arm,   epoll_forget, epoll_next,
                                                epoll_wake, epoll_timer, epoll_close};
#endif
