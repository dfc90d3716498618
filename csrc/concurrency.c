/* How many workers: one a core while they compute, more while they wait for the disk or the network.
 *
 * A worker's wall time less its time on the processor less the time it was ready to run but did not get one is the
 * time it was blocked. While those that run are mostly blocked and none is idle, their number doubles; when they are
 * not, it goes back to the number of cores. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "scan.h"

enum {
    PERIOD_NS = 2000000,
    /* Who waits for a file system waits again and again; once or twice may have been for a lock. */
    LEAST_WAITS = 8,
    WINDOW_NS = 50000000, /* in which they have to be seen */
    HANGS_NS = 200000000 /* at one thing for longer: others are wanted meanwhile */
};

/* What this thread has waited for locks since its last sample. */
static _Thread_local int64_t lock_waited_ns, lock_waits;

/* What the kernel has counted for this thread. */
struct usage {
    int64_t cpu_ns, waits;
};

static int cores(void) {
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        return CPU_COUNT(&set);
    }
#endif
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (int)count : 1;
}

void fo_concurrency_start(struct fo_scan *scan) {
    struct fo_concurrency *concurrency = &scan->concurrency;
    int threads = scan->options.threads;
    if (concurrency->cores > 0) {
        return;
    }
    concurrency->cores = cores();
    if (concurrency->cores > FO_SCAN_MOST_THREADS) {
        concurrency->cores = FO_SCAN_MOST_THREADS;
    }
    concurrency->most = threads > 0 ? threads : FO_SCAN_MOST_THREADS;
    concurrency->target = threads > 0 ? threads : concurrency->cores;
}

static struct usage usage_of_thread(void) {
#ifdef RUSAGE_THREAD
    struct rusage raw;
    getrusage(RUSAGE_THREAD, &raw);
    int64_t microseconds = (raw.ru_utime.tv_sec + raw.ru_stime.tv_sec) * INT64_C(1000000) + raw.ru_utime.tv_usec +
                           raw.ru_stime.tv_usec;
    return (struct usage){microseconds * 1000, raw.ru_nvcsw};
#else
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (struct usage){time.tv_sec * INT64_C(1000000000) + time.tv_nsec, INT64_MAX / 2};
#endif
}

/* How long this thread was ready to run without running, so far; -1 where the kernel does not say. */
static int64_t run_delay(void) {
#ifdef __linux__
    char text[96];
    int fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length > 0) {
        char *end;
        text[length] = '\0';
        strtoll(text, &end, 10);
        return strtoll(end, NULL, 10);
    }
#endif
    return -1;
}

void fo_scan_lock(pthread_mutex_t *lock) {
    if (pthread_mutex_trylock(lock) != 0) {
        int64_t began = fo_clock_now();
        pthread_mutex_lock(lock);
        lock_waited_ns += fo_clock_now() - began;
        lock_waits++;
    }
}

void fo_concurrency_begin(struct fo_worker *worker) {
    worker->sampled_ns = fo_clock_now();
    struct usage usage = usage_of_thread();
    worker->sampled_cpu_ns = usage.cpu_ns;
    worker->sampled_waits = usage.waits;
    worker->sampled_delay_ns = run_delay();
    worker->waited_ns = 0;
}

/* The workers that have been at one thing for longer than the given time. The frontier's lock is held. */
static int stuck(struct fo_scan *scan, int64_t nanoseconds) {
    int64_t now = fo_clock_now();
    int count = 0;
    for (int i = 0; i < FO_SCAN_MOST_THREADS; i++) {
        struct fo_worker *worker = atomic_load(&scan->workers[i]);
        int64_t since = worker != NULL ? atomic_load(&worker->since_ns) : 0;
        count += since != 0 && now - since > nanoseconds;
    }
    return count;
}

/* Called with the frontier's lock held. */
static void adapt(struct fo_scan *scan, int64_t now) {
    struct fo_concurrency *concurrency = &scan->concurrency;
    int64_t busy = concurrency->busy_ns, blocked = concurrency->blocked_ns;
    int64_t waits = concurrency->waits;
    if (now - concurrency->changed_ns < PERIOD_NS || busy < PERIOD_NS) {
        return;
    }
    if (blocked * 2 > busy && waits < LEAST_WAITS && now - concurrency->changed_ns < WINDOW_NS) {
        return;
    }
    concurrency->busy_ns = concurrency->blocked_ns = concurrency->waits = 0;
    concurrency->changed_ns = now;
    if (blocked * 2 > busy) {
        if (waits >= LEAST_WAITS && atomic_load(&scan->frontier.idle) == 0 &&
            concurrency->live >= concurrency->target) {
            int doubled = concurrency->target * 2;
            concurrency->target = doubled < concurrency->most ? doubled : concurrency->most;
        }
    } else if (blocked * 5 < busy && concurrency->target > concurrency->cores) {
        int halved = concurrency->target / 2, least = concurrency->cores + stuck(scan, HANGS_NS);
        least = least < concurrency->target ? least : concurrency->target;
        concurrency->target = halved > least ? halved : least;
    }
}

/* The share of a worker's busy time since the last sample in which it was blocked. */
static int64_t blocked_since(struct fo_worker *worker, int64_t busy, int64_t cpu) {
    int64_t blocked = busy - (cpu - worker->sampled_cpu_ns);
    if (blocked * 2 <= busy) {
        return blocked > 0 ? blocked : 0;
    }
    /* It looks blocked; it may only have been waiting for a processor. */
    int64_t delay = run_delay();
    if (delay >= 0 && worker->sampled_delay_ns >= 0) {
        blocked -= delay - worker->sampled_delay_ns;
    }
    worker->sampled_delay_ns = delay;
    return blocked > 0 ? blocked : 0;
}

void fo_concurrency_sample(struct fo_worker *worker, int64_t now) {
    struct fo_scan *scan = worker->scan;
    if (worker->inlined || scan->options.threads > 0 || now - worker->sampled_ns < PERIOD_NS) {
        return;
    }
    struct usage usage = usage_of_thread();
    int64_t busy = now - worker->sampled_ns - worker->waited_ns - lock_waited_ns;
    int64_t blocked = busy > 0 ? blocked_since(worker, busy, usage.cpu_ns) : 0;
    worker->sampled_ns = now;
    worker->sampled_cpu_ns = usage.cpu_ns;
    int64_t waits = usage.waits - worker->sampled_waits - worker->own_waits - lock_waits;
    worker->sampled_waits = usage.waits;
    worker->waited_ns = worker->own_waits = 0;
    lock_waited_ns = lock_waits = 0;
    pthread_mutex_lock(&scan->frontier.lock);
    struct fo_concurrency *concurrency = &scan->concurrency;
    concurrency->busy_ns += busy > 0 ? busy : 0;
    concurrency->blocked_ns += blocked;
    concurrency->waits += waits > 0 ? waits : 0;
    adapt(scan, now);
    bool wanting = concurrency->live < concurrency->target && !scan->frontier.finished;
    pthread_mutex_unlock(&scan->frontier.lock);
    if (wanting) {
        fo_worker_start(scan);
    }
}

/* Delivers what workers that hang have found before. The frontier's lock is held: they do not end meanwhile. */
static void deliver_parked(struct fo_scan *scan) {
    int64_t now = fo_clock_now();
    for (int i = 0; i < FO_SCAN_MOST_THREADS; i++) {
        struct fo_worker *worker = atomic_load(&scan->workers[i]);
        int64_t since = worker != NULL ? atomic_load(&worker->since_ns) : 0;
        if (since == 0 || now - since < HANGS_NS) {
            continue;
        }
        struct fo_batch *batch = atomic_exchange(&worker->parked, NULL);
        if (batch != NULL && !fo_batch_empty(batch)) {
            fo_queue_rescue(scan, batch);
        } else {
            fo_batch_free(batch);
        }
    }
}

void fo_concurrency_rescue(struct fo_scan *scan) {
    pthread_mutex_lock(&scan->frontier.lock);
    deliver_parked(scan);
    struct fo_concurrency *concurrency = &scan->concurrency;
    bool starved = scan->frontier.pending > 0 && atomic_load(&scan->frontier.idle) == 0;
    if (starved && stuck(scan, HANGS_NS) >= concurrency->live && concurrency->target < FO_SCAN_MOST_THREADS) {
        concurrency->target = concurrency->live + 1;
    }
    bool wanting = concurrency->live < concurrency->target && !scan->frontier.finished;
    pthread_mutex_unlock(&scan->frontier.lock);
    if (wanting) {
        fo_worker_start(scan);
    }
}

bool fo_concurrency_retreat(struct fo_scan *scan) {
    pthread_mutex_lock(&scan->frontier.lock);
    struct fo_concurrency *concurrency = &scan->concurrency;
    bool others = concurrency->live > 1;
    int fewer = others ? concurrency->live - 1 : 1;
    concurrency->most = concurrency->most < fewer ? concurrency->most : fewer;
    concurrency->target = concurrency->target < concurrency->most ? concurrency->target : concurrency->most;
    pthread_mutex_unlock(&scan->frontier.lock);
    return others;
}
