/* The bounded queue between the workers and the consumer, and the pool that batches come from. */
#include <stdlib.h>

#include "scan.h"

static void append(struct fo_queue *queue, struct fo_batch *batch) {
    batch->next = NULL;
    if (queue->last == NULL) {
        queue->first = batch;
    } else {
        queue->last->next = batch;
    }
    queue->last = batch;
    queue->length++;
}

/* Waits until there is room, or nobody wants the batch any more. The time is not the worker's fault. */
static void wait_for_room(struct fo_worker *worker) {
    struct fo_scan *scan = worker->scan;
    int64_t began = 0, since = atomic_load(&worker->since_ns);
    while (scan->queue.length >= FO_SCAN_QUEUE && !atomic_load(&scan->cancelled)) {
        if (began == 0) {
            began = fo_clock_now();
            atomic_store(&worker->since_ns, 0);
        }
        pthread_cond_wait(&scan->queue.drained, &scan->queue.lock);
    }
    if (began != 0) {
        int64_t now = fo_clock_now();
        worker->waited_ns += now - began;
        worker->own_waits += 2; /* for the condition, and for its lock */
        atomic_store(&worker->since_ns, since == 0 ? 0 : now);
    }
}

/* Makes a batch ready to be handed on, and counts what is in it. */
static void complete(struct fo_scan *scan, struct fo_batch *batch) {
    fo_batch_finish(batch);
    atomic_fetch_add_explicit(&scan->entries, (uint64_t)batch->count, memory_order_relaxed);
    atomic_fetch_add_explicit(&scan->errors, (uint64_t)batch->error_count, memory_order_relaxed);
}

void fo_queue_put(struct fo_worker *worker, struct fo_batch *batch) {
    struct fo_scan *scan = worker->scan;
    complete(scan, batch);
    fo_scan_lock(&scan->queue.lock);
    if (!worker->inlined && !(scan->options.flags & FO_SCAN_SORT)) {
        wait_for_room(worker);
    }
    append(&scan->queue, batch);
    pthread_cond_signal(&scan->queue.filled);
    pthread_mutex_unlock(&scan->queue.lock);
}

void fo_queue_rescue(struct fo_scan *scan, struct fo_batch *batch) {
    complete(scan, batch);
    fo_scan_lock(&scan->queue.lock);
    append(&scan->queue, batch);
    pthread_cond_signal(&scan->queue.filled);
    pthread_mutex_unlock(&scan->queue.lock);
}

static struct fo_batch *shift(struct fo_queue *queue) {
    struct fo_batch *batch = queue->first;
    if (batch != NULL) {
        queue->first = batch->next;
        queue->last = queue->first == NULL ? NULL : queue->last;
        queue->length--;
        pthread_cond_signal(&queue->drained);
    }
    return batch;
}

int fo_queue_get(struct fo_scan *scan, int64_t deadline_ns, struct fo_batch **out) {
    struct fo_queue *queue = &scan->queue;
    int result = 0;
    fo_scan_lock(&queue->lock);
    for (;;) {
        if ((*out = shift(queue)) != NULL) {
            result = 1;
            break;
        }
        if (queue->live == 0) {
            result = scan->frontier.finished || atomic_load(&scan->cancelled) ? fo_scan_outcome(scan) : 0;
            break;
        }
        atomic_store_explicit(&queue->starving, true, memory_order_relaxed);
        bool waited = fo_clock_wait_until(&queue->filled, &queue->lock, deadline_ns);
        atomic_store_explicit(&queue->starving, false, memory_order_relaxed);
        if ((!waited && queue->first == NULL && queue->live > 0) || atomic_load(&scan->cancelled)) {
            break;
        }
    }
    pthread_mutex_unlock(&queue->lock);
    return result;
}

void fo_queue_recycle(struct fo_scan *scan, struct fo_batch *batch) {
    struct fo_queue *queue = &scan->queue;
    fo_scan_lock(&queue->lock);
    bool wanted = queue->pooled < FO_SCAN_QUEUE && !atomic_load(&scan->cancelled) &&
                  batch->names_capacity <= 4 * FO_SCAN_BATCH_BYTES;
    if (wanted) {
        batch->next = queue->pool;
        queue->pool = batch;
        queue->pooled++;
    }
    pthread_mutex_unlock(&queue->lock);
    if (!wanted) {
        fo_batch_free(batch);
    }
}
