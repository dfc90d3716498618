/* The read-ahead threads: one pool a process, shared by all walks, there only while a walk has work for it.
 *
 * It starts with one thread, since the walk's own thread reads too. A thread that finds that it waited for the
 * directory rather than worked on it (a disk, a network) calls in another, up to a limit. */
#include "walk.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>

enum {
    MOST_THREADS = 32,
    SLOW_READ_NS = 300 * 1000, /* a read shorter than this never calls in another thread */
    IDLE_NS = 100 * 1000 * 1000,
    WAIT_NS = 50 * 1000 * 1000,
    STACK_BYTES = 256 * 1024
};

pthread_mutex_t fo_pool_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER, done = PTHREAD_COND_INITIALIZER;
static struct fo_walk *walks; /* those that want reading ahead; the one to serve next is first */
static int threads, idle;
static unsigned generation = 1;
static pthread_once_t registered = PTHREAD_ONCE_INIT;

/* In a forked child there are no threads, and the lock may be held by one that is not there. */
static void forget_everything(void) {
    pthread_mutex_init(&fo_pool_lock, NULL);
    pthread_cond_init(&work, NULL);
    pthread_cond_init(&done, NULL);
    walks = NULL;
    threads = idle = 0;
    generation++;
}

static void watch_forks(void) {
    pthread_atfork(NULL, NULL, forget_everything);
}

unsigned fo_pool_generation(void) {
    return generation;
}

int fo_walk_threads(void) {
    pthread_mutex_lock(&fo_pool_lock);
    int count = threads;
    pthread_mutex_unlock(&fo_pool_lock);
    return count;
}

static int64_t clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Waits for a condition for so long. Returns 0 or ETIMEDOUT. */
static int wait_for(pthread_cond_t *condition, int64_t nanoseconds) {
    int64_t until = clock_ns(CLOCK_REALTIME) + nanoseconds;
    struct timespec deadline = {.tv_sec = until / 1000000000, .tv_nsec = until % 1000000000};
    return pthread_cond_timedwait(condition, &fo_pool_lock, &deadline);
}

/* The next unread directory of the next walk that wants one; walks are served in turn. */
static struct fo_node *next_work(struct fo_walk **out) {
    for (struct fo_walk **link = &walks; *link != NULL; link = &(*link)->next) {
        struct fo_walk *walk = *link;
        if (!fo_walk_wants(walk)) {
            continue;
        }
        struct fo_walk **last = link;
        while (*last != NULL) {
            last = &(*last)->next;
        }
        if (walk->next != NULL) { /* to the end of the list */
            *last = walk;
            *link = walk->next;
            walk->next = NULL;
        }
        *out = walk;
        return fo_walk_claim(walk);
    }
    return NULL;
}

static void start_thread(void);

/* Reads one directory without the lock. */
static void work_on(struct fo_reader *reader, struct fo_walk *walk, struct fo_node *node) {
    walk->references++;
    pthread_mutex_unlock(&fo_pool_lock);
    int64_t began = clock_ns(CLOCK_MONOTONIC), cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    struct fo_listing *listing = fo_reader_read(reader, node->path, 0);
    int64_t wall = clock_ns(CLOCK_MONOTONIC) - began;
    int waited = wall > SLOW_READ_NS && clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu < wall / 4;
    pthread_mutex_lock(&fo_pool_lock);
    fo_walk_settle(walk, node, listing);
    if (walk->waiting) {
        pthread_cond_broadcast(&done);
    }
    if (waited && idle == 0 && fo_walk_wants(walk)) {
        start_thread();
    }
    fo_walk_release(walk);
}

static void *read_ahead(void *unused) {
    (void)unused;
    struct fo_reader reader = {0};
    pthread_mutex_lock(&fo_pool_lock);
    while (walks != NULL) {
        struct fo_walk *walk = NULL;
        struct fo_node *node = next_work(&walk);
        if (node != NULL) {
            work_on(&reader, walk, node);
            continue;
        }
        idle++;
        int late = wait_for(&work, IDLE_NS);
        idle--;
        if (late && threads > 1) {
            break;
        }
    }
    threads--;
    pthread_mutex_unlock(&fo_pool_lock);
    fo_reader_clear(&reader);
    return NULL;
}

/* Starts a detached thread with every signal blocked; failing to is no error, the walks read for themselves. */
static void start_thread(void) {
    if (threads >= MOST_THREADS) {
        return;
    }
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    threads += pthread_create(&thread, &attributes, read_ahead, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

void fo_pool_wake(struct fo_walk *walk) {
    pthread_once(&registered, watch_forks);
    if (!walk->registered) {
        walk->registered = 1;
        walk->next = walks;
        walks = walk;
    }
    if (threads == 0) {
        start_thread();
    } else if (idle > 0) {
        pthread_cond_signal(&work);
    }
}

void fo_pool_forget(struct fo_walk *walk) {
    for (struct fo_walk **link = &walks; *link != NULL; link = &(*link)->next) {
        if (*link == walk) {
            *link = walk->next;
            walk->registered = 0;
            break;
        }
    }
    if (walks == NULL && idle > 0) {
        pthread_cond_broadcast(&work);
    }
}

void fo_pool_wait(struct fo_walk *walk) {
    walk->waiting = 1;
    wait_for(&done, WAIT_NS);
    walk->waiting = 0;
}
