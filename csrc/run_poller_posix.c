/* poll(2), with a pipe to wake the one thread that polls; the others queue for its place. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "run.h"

struct poll_poller {
    struct run_poller base;
    pthread_mutex_t leader; /* held by the thread that polls */
    pthread_mutex_t lock;   /* the rest of this record */
    struct pollfd *descriptors; /* 0: the wake pipe */
    uint64_t *data;
    size_t count;
    size_t capacity;
    struct pollfd *polled; /* the leader's copy */
    uint64_t *polled_data;
    size_t polled_capacity;
    int64_t timer;
    int wake[2];
    unsigned wakes;
    bool polling;
};

static void poll_close(struct run_poller *base) {
    struct poll_poller *poller = (struct poll_poller *)base;
    for (int i = 0; i < 2; i++) {
        if (poller->wake[i] >= 0) {
            close(poller->wake[i]);
        }
    }
    pthread_mutex_destroy(&poller->leader);
    pthread_mutex_destroy(&poller->lock);
    free(poller->descriptors);
    free(poller->data);
    free(poller->polled);
    free(poller->polled_data);
    free(poller);
}

static bool reserve(struct poll_poller *poller) {
    if (poller->count < poller->capacity) {
        return true;
    }
    size_t capacity = poller->capacity ? poller->capacity * 2 : 16;
    struct pollfd *descriptors = realloc(poller->descriptors, capacity * sizeof *descriptors);
    poller->descriptors = descriptors != NULL ? descriptors : poller->descriptors;
    uint64_t *data = realloc(poller->data, capacity * sizeof *data);
    poller->data = data != NULL ? data : poller->data;
    if (descriptors == NULL || data == NULL) {
        return false;
    }
    poller->capacity = capacity;
    return true;
}

static int poll_open(struct run_poller **base) {
    struct poll_poller *poller = calloc(1, sizeof *poller);
    if (poller == NULL) {
        return -ENOMEM;
    }
    poller->base.way = &run_poller_poll;
    poller->wake[0] = poller->wake[1] = -1;
    poller->timer = RUN_NEVER;
    pthread_mutex_init(&poller->leader, NULL);
    pthread_mutex_init(&poller->lock, NULL);
    if (!reserve(poller) || pipe(poller->wake) < 0) {
        poll_close(&poller->base);
        return -ENOMEM;
    }
    for (int i = 0; i < 2; i++) {
        fcntl(poller->wake[i], F_SETFD, FD_CLOEXEC);
        fcntl(poller->wake[i], F_SETFL, O_NONBLOCK);
    }
    poller->descriptors[0] = (struct pollfd){.fd = poller->wake[0], .events = POLLIN};
    poller->data[0] = RUN_EVENT_WAKE;
    poller->count = 1;
    *base = &poller->base;
    return 0;
}

/* Makes the leader look again at what it waits for. Call with the lock held. */
static void nudge(struct poll_poller *poller) {
    if (poller->polling) {
        char byte = 0;
        while (write(poller->wake[1], &byte, 1) < 0 && errno == EINTR) {
        }
    }
}

static int poll_arm(struct run_poller *base, int fd, enum run_interest interest, uint64_t data, bool first) {
    struct poll_poller *poller = (struct poll_poller *)base;
    (void)first; /* what fired is not in the list any more */
    pthread_mutex_lock(&poller->lock);
    bool room = reserve(poller);
    if (room) {
        poller->descriptors[poller->count] =
            (struct pollfd){.fd = fd, .events = interest == RUN_READABLE ? POLLIN : POLLOUT};
        poller->data[poller->count++] = data;
        nudge(poller);
    }
    pthread_mutex_unlock(&poller->lock);
    return room ? 0 : -ENOMEM;
}

static void take_out(struct poll_poller *poller, size_t index) {
    poller->count--;
    poller->descriptors[index] = poller->descriptors[poller->count];
    poller->data[index] = poller->data[poller->count];
}

static void poll_forget(struct run_poller *base, int fd) {
    struct poll_poller *poller = (struct poll_poller *)base;
    pthread_mutex_lock(&poller->lock);
    for (size_t i = 1; i < poller->count; i++) {
        if (poller->descriptors[i].fd == fd) {
            take_out(poller, i);
            break;
        }
    }
    pthread_mutex_unlock(&poller->lock);
}

static int timeout_of(int64_t when) {
    int64_t left = when - fo_clock_now();
    if (when == RUN_NEVER) {
        return -1;
    }
    left = left > 0 ? (left + 999999) / 1000000 : 0; /* never early, and no busy loop */
    return left < 3600000 ? (int)left : 3600000;
}

/* Copies the list, so that others can change it while the leader polls. Returns how many, or 0 without memory. */
static size_t copy(struct poll_poller *poller) {
    if (poller->polled_capacity < poller->capacity) {
        struct pollfd *polled = realloc(poller->polled, poller->capacity * sizeof *polled);
        poller->polled = polled != NULL ? polled : poller->polled;
        uint64_t *data = realloc(poller->polled_data, poller->capacity * sizeof *data);
        poller->polled_data = data != NULL ? data : poller->polled_data;
        if (polled == NULL || data == NULL) {
            return 0;
        }
        poller->polled_capacity = poller->capacity;
    }
    for (size_t i = 0; i < poller->count; i++) {
        poller->polled[i] = poller->descriptors[i];
        poller->polled_data[i] = poller->data[i];
    }
    return poller->count;
}

/* Takes one event that is due. Returns whether there was one. Call with the lock held. */
static bool take_event(struct poll_poller *poller, size_t count, uint64_t *event) {
    if (poller->wakes > 0) {
        poller->wakes--;
        *event = RUN_EVENT_WAKE;
        return true;
    }
    if (poller->timer <= fo_clock_now()) {
        poller->timer = RUN_NEVER;
        *event = RUN_EVENT_TIMER;
        return true;
    }
    for (size_t i = 1; i < count && i < poller->count; i++) {
        /* The list may have changed meanwhile; the data tells one registration from every other. */
        if (poller->polled[i].revents && poller->polled_data[i] == poller->data[i]) {
            *event = poller->data[i];
            take_out(poller, i);
            return true;
        }
    }
    return false;
}

static void empty_pipe(struct poll_poller *poller) {
    char bytes[64];
    while (read(poller->wake[0], bytes, sizeof bytes) > 0) {
    }
}

static uint64_t poll_next(struct run_poller *base) {
    struct poll_poller *poller = (struct poll_poller *)base;
    uint64_t event = 0;
    pthread_mutex_lock(&poller->leader);
    pthread_mutex_lock(&poller->lock);
    while (!take_event(poller, 0, &event)) {
        size_t count = copy(poller);
        int timeout = count > 0 ? timeout_of(poller->timer) : 10;
        poller->polling = true;
        pthread_mutex_unlock(&poller->lock);
        int ready = poll(poller->polled, (nfds_t)count, timeout);
        pthread_mutex_lock(&poller->lock);
        poller->polling = false;
        empty_pipe(poller);
        if (ready > 0 && take_event(poller, count, &event)) {
            break;
        }
    }
    pthread_mutex_unlock(&poller->lock);
    pthread_mutex_unlock(&poller->leader);
    return event;
}

static void poll_wake(struct run_poller *base) {
    struct poll_poller *poller = (struct poll_poller *)base;
    pthread_mutex_lock(&poller->lock);
    poller->wakes++;
    nudge(poller);
    pthread_mutex_unlock(&poller->lock);
}

static void poll_timer(struct run_poller *base, int64_t when) {
    struct poll_poller *poller = (struct poll_poller *)base;
    pthread_mutex_lock(&poller->lock);
    poller->timer = when;
    nudge(poller);
    pthread_mutex_unlock(&poller->lock);
}

const struct run_poller_way run_poller_poll = {poll_open, poll_arm, poll_forget, poll_next, poll_wake, poll_timer,
                                               poll_close};
