/* Workers: threads that take work from the frontier until there is none. */
#include <errno.h>
#include <stdlib.h>

#include "scan.h"
#include "thread.h"

enum {
    STACK_BYTES = 256 << 10,
    INLINE_NS = 400000,   /* the consumer's own thread: longer than that, and threads are worth their start */
    PATIENCE_NS = 5000000 /* how long entries wait in a batch while the consumer waits for them */
};

static void flush(struct fo_worker *worker) {
    if (worker->batch != NULL && !fo_batch_empty(worker->batch)) {
        fo_queue_put(worker, worker->batch);
        worker->batch = NULL;
    }
}

static void spend_budget(struct fo_scan *scan, const struct fo_worker *worker, int64_t now) {
    const struct fo_scan_options *options = &scan->options;
    uint64_t found = atomic_load_explicit(&scan->entries, memory_order_relaxed);
    found += worker->batch != NULL ? (uint64_t)worker->batch->count : 0;
    if ((options->max_entries > 0 && found >= options->max_entries) ||
        (options->max_nanoseconds > 0 && now - scan->started_ns >= options->max_nanoseconds)) {
        atomic_store(&scan->exhausted, true);
    }
}

void fo_worker_pulse(struct fo_worker *worker) {
    struct fo_scan *scan = worker->scan;
    int64_t now = fo_clock_now();
    atomic_store_explicit(&worker->since_ns, now, memory_order_relaxed);
    spend_budget(scan, worker, now);
    if (worker->inlined) {
        return;
    }
    struct fo_batch *batch = worker->batch;
    if (batch != NULL && !fo_batch_empty(batch)) {
        if (batch->born_ns == 0) {
            batch->born_ns = now;
        } else if (now - batch->born_ns > PATIENCE_NS &&
                   atomic_load_explicit(&scan->queue.starving, memory_order_relaxed)) {
            worker->hasty = true;
        }
    }
    fo_concurrency_sample(worker, now);
}

/* Works until there is nothing left, or the worker is one too many. */
static void work(struct fo_worker *worker) {
    struct fo_work *next;
    while ((next = fo_frontier_take(worker)) != NULL) {
        /* It may hang at once, in the opening of the directory. */
        atomic_store_explicit(&worker->since_ns, fo_clock_now(), memory_order_relaxed);
        fo_scan_work(worker, next);
        if (worker->hasty) {
            worker->hasty = false;
            flush(worker);
        }
        atomic_store_explicit(&worker->since_ns, 0, memory_order_relaxed);
        if (worker->inlined && fo_clock_now() > worker->deadline_ns) {
            break;
        }
    }
}

static struct fo_worker *worker_new(struct fo_scan *scan) {
    struct fo_worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL) {
        return NULL;
    }
    worker->scan = scan;
    worker->slot = -1;
    worker->records = malloc(FO_DENTS_BUFFER);
    pthread_mutex_init(&worker->lock, NULL);
    if (worker->records == NULL) {
        free(worker);
        return NULL;
    }
    return worker;
}

static void worker_free(struct fo_worker *worker) {
    fo_descent_let_go(worker);
    fo_batch_free(worker->batch);
    free(worker->records);
    free(worker->prefix);
    pthread_mutex_destroy(&worker->lock);
    free(worker);
}

void fo_worker_inline(struct fo_scan *scan) {
    struct fo_worker *worker = worker_new(scan);
    if (worker == NULL) {
        fo_scan_fail(scan);
        return;
    }
    worker->inlined = true;
    worker->deadline_ns = fo_clock_now() + INLINE_NS;
    work(worker);
    /* What was taken last has to be put down even if nothing more is taken. */
    pthread_mutex_lock(&scan->frontier.lock);
    scan->frontier.active -= worker->working;
    pthread_mutex_unlock(&scan->frontier.lock);
    flush(worker);
    worker_free(worker);
}

/* The worker's end: what it found is handed on, and whoever waits for it is told. */
static void retire(struct fo_worker *worker) {
    struct fo_scan *scan = worker->scan;
    fo_descent_let_go(worker); /* not held while the queue is full: others may be short of descriptors */
    flush(worker);
    pthread_mutex_lock(&scan->frontier.lock);
    atomic_store(&scan->workers[worker->slot], NULL);
    scan->concurrency.live -= !worker->left;
    pthread_mutex_unlock(&scan->frontier.lock);
    worker_free(worker);
    pthread_mutex_lock(&scan->queue.lock);
    scan->queue.live--;
    pthread_cond_broadcast(&scan->queue.filled);
    pthread_mutex_unlock(&scan->queue.lock);
    fo_scan_drop(scan);
}

static void *run(void *argument) {
    struct fo_worker *worker = argument;
    fo_concurrency_begin(worker);
    work(worker);
    retire(worker);
    return NULL;
}

/* Registers a worker in a free slot, if one more is wanted. (It would end at once where the scan is cancelled, and so
 * would the next, without end.) */
static bool enlist(struct fo_scan *scan, struct fo_worker *worker) {
    bool wanted = false;
    pthread_mutex_lock(&scan->frontier.lock);
    if (scan->concurrency.live < scan->concurrency.target && !scan->frontier.finished &&
        !atomic_load(&scan->cancelled)) {
        for (int i = 0; i < FO_SCAN_MOST_THREADS && !wanted; i++) {
            if (atomic_load(&scan->workers[i]) == NULL) {
                atomic_store(&scan->workers[i], worker);
                worker->slot = i;
                wanted = true;
            }
        }
    }
    if (wanted) {
        int live = ++scan->concurrency.live;
        if (live > atomic_load(&scan->threads_peak)) {
            atomic_store(&scan->threads_peak, live);
        }
        atomic_fetch_add(&scan->references, 1);
    }
    pthread_mutex_unlock(&scan->frontier.lock);
    if (wanted) {
        pthread_mutex_lock(&scan->queue.lock);
        scan->queue.live++;
        pthread_mutex_unlock(&scan->queue.lock);
    }
    return wanted;
}

int fo_worker_start(struct fo_scan *scan) {
    for (int started = 0;; started++) {
        struct fo_worker *worker = worker_new(scan);
        if (worker == NULL) {
            atomic_store(&scan->alone, started == 0);
            return started > 0 ? started : -ENOMEM;
        }
        if (!enlist(scan, worker)) {
            worker_free(worker);
            return started;
        }
        int result = fo_thread_start(run, worker, STACK_BYTES);
        if (result < 0) {
            /* No more threads are to be had: those that there are do it. */
            pthread_mutex_lock(&scan->frontier.lock);
            int others = scan->concurrency.live - 1;
            scan->concurrency.most = scan->concurrency.target = others > 0 ? others : 1;
            pthread_mutex_unlock(&scan->frontier.lock);
            atomic_store(&scan->alone, others == 0);
            retire(worker);
            return started > 0 ? started : result;
        }
    }
}
