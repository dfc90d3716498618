/* The read-ahead threads: one pool a process, shared by all walks, there only while a walk has work for it.
 *
 * It starts with one thread, since the walk's own thread reads too. A thread that finds that it waited for the
 * directory rather than worked on it (a disk, a network) calls in another, up to a limit. */
#include "walk.h"

#include <stdlib.h>
#include <sys/resource.h>

#include "clock.h"
#include "thread.h"

enum {
    MOST_THREADS = 32,
    MOST_CLAIMED = 8, /* directories one thread takes at a time */
    SLOW_READ_NS = 300 * 1000, /* a read shorter than this never calls in another thread */
    ENOUGH_EVIDENCE = 4,       /* once or twice it may have been for a lock */
    IDLE_NS = 100 * 1000 * 1000,
    WAIT_NS = 50 * 1000 * 1000,
    STACK_BYTES = 256 * 1024
};

pthread_mutex_t fo_pool_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work, done; /* made with the first call for threads */
static struct fo_walk *walks; /* those that want reading ahead; the one to serve next is first */
static int threads, idle;
static int evidence; /* of late: how often a thread has waited for what it read */
static unsigned generation = 1;
static pthread_once_t registered = PTHREAD_ONCE_INIT;

static void make_conditions(void) {
    fo_clock_condition(&work);
    fo_clock_condition(&done);
}

/* In a forked child there are no threads, and the lock may be held by one that is not there. */
static void forget_everything(void) {
    pthread_mutex_init(&fo_pool_lock, NULL);
    make_conditions();
    walks = NULL;
    threads = idle = evidence = 0;
    generation++;
}

static void get_ready(void) {
    make_conditions();
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

/* The next walk that wants directories read; walks are served in turn. */
static struct fo_walk *next_walk(void) {
    struct fo_walk **link = &walks, *walk;
    while (*link != NULL && !fo_walk_wants(*link)) {
        link = &(*link)->next;
    }
    walk = *link;
    if (walk != NULL && walk->next != NULL) { /* to the end of the list */
        *link = walk->next;
        walk->next = NULL;
        while (*link != NULL) {
            link = &(*link)->next;
        }
        *link = walk;
    }
    return walk;
}

static void start_thread(void);

/* One thread. slow: its last reading took long. */
struct worker {
    struct fo_reader reader;
    int slow;
};

/* How often this thread has waited so far: blocked, not merely without a processor. */
static long waits_of_thread(void) {
#ifdef RUSAGE_THREAD
    struct rusage usage;
    return getrusage(RUSAGE_THREAD, &usage) == 0 ? usage.ru_nvcsw : 0;
#else
    static _Thread_local long calls; /* not told: a slow reading is taken for a wait */
    return calls++;
#endif
}

/* Reads a few directories of a walk without the lock: the fewer the less there is to do, one where each takes long. */
static void work_on(struct worker *worker, struct fo_walk *walk) {
    struct fo_node *nodes[MOST_CLAIMED], *chains[MOST_CLAIMED];
    struct fo_listing *listings[MOST_CLAIMED];
    size_t count = 0, most = worker->slow ? 1 : 1 + walk->queued / 8;
    while (count < most && count < MOST_CLAIMED && (nodes[count] = fo_order_claim(walk)) != NULL) {
        count++;
    }
    walk->references++;
    pthread_mutex_unlock(&fo_pool_lock);
    long waits = waits_of_thread();
    int waited = 0;
    int64_t began = fo_clock_now();
    for (size_t i = 0; i < count; i++) {
        atomic_store_explicit(&nodes[i]->being_read, true, memory_order_relaxed);
        listings[i] = fo_reader_read(&worker->reader, nodes[i]->path, 0);
        atomic_store_explicit(&nodes[i]->being_read, false, memory_order_relaxed);
        chains[i] = fo_node_children(nodes[i], listings[i], nodes[i]->inherits);
        int64_t now = fo_clock_now();
        worker->slow = now - began > SLOW_READ_NS;
        waited |= worker->slow;
        began = now;
    }
    waited = waited && waits_of_thread() > waits;
    pthread_mutex_lock(&fo_pool_lock);
    for (size_t i = 0; i < count; i++) {
        fo_order_settle(walk, nodes[i], listings[i], chains[i]);
    }
    if (walk->waiting) {
        pthread_cond_broadcast(&done);
    }
    evidence = waited ? evidence + 1 : evidence / 2;
    if (evidence >= ENOUGH_EVIDENCE && idle == 0 && fo_walk_wants(walk)) {
        evidence = 0;
        start_thread();
    }
    fo_walk_release(walk);
}

static void *read_ahead(void *unused) {
    (void)unused;
    struct worker worker = {0};
    pthread_mutex_lock(&fo_pool_lock);
    while (walks != NULL) {
        struct fo_walk *walk = next_walk();
        if (walk != NULL) {
            work_on(&worker, walk);
            continue;
        }
        idle++;
        bool late = !fo_clock_wait_until(&work, &fo_pool_lock, fo_clock_now() + IDLE_NS);
        idle--;
        if (late && threads > 1) {
            break;
        }
    }
    threads--;
    pthread_mutex_unlock(&fo_pool_lock);
    fo_reader_clear(&worker.reader);
    return NULL;
}

/* Starts a thread; failing to is no error, the walks read for themselves. */
static void start_thread(void) {
    if (threads >= MOST_THREADS) {
        return;
    }
    threads += fo_thread_start(read_ahead, NULL, STACK_BYTES) == 0;
}

void fo_pool_wake(struct fo_walk *walk) {
    pthread_once(&registered, get_ready);
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
    fo_clock_wait_until(&done, &fo_pool_lock, fo_clock_now() + WAIT_NS);
    walk->waiting = 0;
}
