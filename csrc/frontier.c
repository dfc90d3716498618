/* What is still to be read: a stack of work that all workers share. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "scan.h"

struct fo_directory *fo_directory_new(struct fo_directory *parent, const char *name, size_t length, int32_t depth) {
    struct fo_directory *directory = malloc(sizeof *directory + length + 1);
    if (directory == NULL) {
        return NULL;
    }
    *directory = (struct fo_directory){
        .work.kind = FO_WORK_DIRECTORY, .parent = parent, .fd = -1, .depth = depth, .name_length = (uint32_t)length};
    atomic_init(&directory->references, 1);
    memcpy(directory->name, name, length);
    directory->name[length] = '\0';
    if (parent != NULL) {
        atomic_fetch_add_explicit(&parent->references, 1, memory_order_relaxed);
    }
    return directory;
}

void fo_directory_release(struct fo_directory *directory) {
    while (directory != NULL && atomic_fetch_sub_explicit(&directory->references, 1, memory_order_acq_rel) == 1) {
        struct fo_directory *parent = directory->parent;
        fo_ignore_release(directory->ignore);
        free(directory);
        directory = parent;
    }
}

/* The depth that a path below the root has: its components. */
static int32_t components(const char *path) {
    int32_t count = *path != '\0';
    for (; *path != '\0'; path++) {
        count += *path == '/';
    }
    return count;
}

static void stack_directory(struct fo_scan *scan, struct fo_directory *directory) {
    directory->work.next = scan->frontier.stack;
    scan->frontier.stack = &directory->work;
    scan->frontier.pending++;
}

int fo_frontier_fill(struct fo_scan *scan) {
    const char *path = scan->options.frontier, *end = path + scan->options.frontier_size;
    if (path == NULL) {
        atomic_fetch_add(&scan->top->references, 1);
        stack_directory(scan, scan->top);
        return 0;
    }
    for (; path < end; path += strlen(path) + 1) {
        if (*path == '\0') {
            atomic_fetch_add(&scan->top->references, 1);
            stack_directory(scan, scan->top);
            continue;
        }
        struct fo_directory *directory = fo_directory_new(scan->top, path, strlen(path), components(path));
        if (directory == NULL) {
            return -ENOMEM;
        }
        directory->text = scan->top->text && fo_utf8_valid(path, strlen(path));
        directory->follow = scan->options.flags & FO_SCAN_FOLLOW_SYMLINKS;
        stack_directory(scan, directory);
        scan->top->unopened++;
    }
    return 0;
}

/* Wakes as many waiting workers as there is new work for. */
static void wake(struct fo_frontier *frontier, int64_t count) {
    int idle = atomic_load_explicit(&frontier->idle, memory_order_relaxed);
    if (idle == 0) {
        return;
    }
    if (count >= idle) {
        pthread_cond_broadcast(&frontier->wake);
        return;
    }
    while (count-- > 0) {
        pthread_cond_signal(&frontier->wake);
    }
}

void fo_frontier_push(struct fo_scan *scan, struct fo_work *first, struct fo_work *last, int64_t count) {
    struct fo_frontier *frontier = &scan->frontier;
    fo_scan_lock(&frontier->lock);
    last->next = frontier->stack;
    frontier->stack = first;
    frontier->pending += count;
    wake(frontier, count);
    pthread_mutex_unlock(&frontier->lock);
}

void fo_frontier_defer(struct fo_scan *scan, struct fo_work *work) {
    struct fo_frontier *frontier = &scan->frontier;
    fo_scan_lock(&frontier->lock);
    work->next = frontier->deferred;
    frontier->deferred = work;
    frontier->pending++;
    pthread_mutex_unlock(&frontier->lock);
}

static struct fo_work *pop(struct fo_frontier *frontier) {
    struct fo_work **list = frontier->stack != NULL ? &frontier->stack : &frontier->deferred;
    /* What is deferred waits until nobody can find anything else any more. */
    if (list == &frontier->deferred && frontier->active > 0) {
        return NULL;
    }
    struct fo_work *work = *list;
    if (work != NULL) {
        *list = work->next;
        frontier->pending--;
    }
    return work;
}

/* The next work. Once the budget is used up, directories not yet begun stay where they are. */
static struct fo_work *next_work(struct fo_scan *scan) {
    struct fo_frontier *frontier = &scan->frontier;
    struct fo_work *work;
    while ((work = pop(frontier)) != NULL) {
        if (work->kind != FO_WORK_DIRECTORY || !atomic_load_explicit(&scan->exhausted, memory_order_relaxed)) {
            return work;
        }
        work->next = frontier->untouched;
        frontier->untouched = work;
    }
    return NULL;
}

/* Whether the worker is one too many. It is off the count at once, lest more go than are too many, and passes on the
 * wake-up that may have been for it: else work could lie there while all those that are left sleep. */
static bool leave(struct fo_worker *worker) {
    struct fo_concurrency *concurrency = &worker->scan->concurrency;
    if (worker->inlined || concurrency->live <= concurrency->target) {
        return false;
    }
    concurrency->live--;
    worker->left = true;
    if (worker->scan->frontier.stack != NULL) {
        pthread_cond_signal(&worker->scan->frontier.wake);
    }
    return true;
}

static void finish(struct fo_scan *scan) {
    scan->frontier.finished = true;
    scan->finished_ns = fo_clock_now();
    pthread_cond_broadcast(&scan->frontier.wake);
}

/* Waits for work, the lock held. */
static void wait_for_work(struct fo_worker *worker) {
    struct fo_frontier *frontier = &worker->scan->frontier;
    int64_t began = fo_clock_now();
    atomic_fetch_add_explicit(&frontier->idle, 1, memory_order_relaxed);
    pthread_cond_wait(&frontier->wake, &frontier->lock);
    atomic_fetch_sub_explicit(&frontier->idle, 1, memory_order_relaxed);
    worker->waited_ns += fo_clock_now() - began;
    worker->own_waits += 2; /* for the condition, and for its lock */
}

/* Hands on what the worker has found, and gives up what it holds, before it waits. Returns whether there was any. */
static bool hand_over(struct fo_worker *worker) {
    bool found = worker->batch != NULL && !fo_batch_empty(worker->batch) && !worker->inlined;
    if (!found && worker->held == NULL) {
        return false;
    }
    pthread_mutex_unlock(&worker->scan->frontier.lock);
    fo_descent_let_go(worker);
    if (found) {
        fo_queue_put(worker, worker->batch);
        worker->batch = NULL;
    }
    fo_scan_lock(&worker->scan->frontier.lock);
    return true;
}

/* The work taken before is done; those who wait have to see that it was the last. */
static void put_down(struct fo_worker *worker) {
    struct fo_frontier *frontier = &worker->scan->frontier;
    if (worker->working) {
        worker->working = false;
        frontier->active--;
        if (frontier->active == 0 && frontier->stack == NULL) {
            pthread_cond_broadcast(&frontier->wake);
        }
    }
}

/* Whether the next work may hang in the kernel, as what is below a mount point of a dead server does. Threads that can
 * be left behind do that, not the consumer's own, unless none can be had. */
static bool needs_thread(const struct fo_worker *worker) {
    const struct fo_scan *scan = worker->scan;
    const struct fo_frontier *frontier = &scan->frontier;
    const struct fo_work *work = frontier->stack != NULL ? frontier->stack : frontier->deferred;
    if (!worker->inlined || work == NULL || atomic_load(&scan->alone) || atomic_load(&scan->exhausted)) {
        return false;
    }
    return work->kind == FO_WORK_STAT ||
           (work->kind == FO_WORK_DIRECTORY && ((const struct fo_directory *)work)->parent != NULL);
}

struct fo_work *fo_frontier_take(struct fo_worker *worker) {
    struct fo_scan *scan = worker->scan;
    struct fo_frontier *frontier = &scan->frontier;
    struct fo_work *work = NULL;
    fo_scan_lock(&frontier->lock);
    put_down(worker);
    while (!atomic_load(&scan->cancelled) && !frontier->finished && !needs_thread(worker) && !leave(worker)) {
        if ((work = next_work(scan)) != NULL) {
            frontier->active++;
            worker->working = true;
            break;
        }
        if (frontier->active == 0) {
            finish(scan);
        } else if (!hand_over(worker)) {
            wait_for_work(worker);
        }
    }
    pthread_mutex_unlock(&frontier->lock);
    return work;
}

static void discard(struct fo_scan *scan, struct fo_work *work) {
    struct fo_directory *directory = NULL;
    if (work->kind == FO_WORK_DIRECTORY) {
        directory = (struct fo_directory *)work;
        if (directory->parent != NULL) {
            fo_descent_forget_child(scan, directory->parent);
        }
        fo_directory_release(directory);
        return;
    }
    if (work->kind == FO_WORK_READ) {
        fo_dents_stop(&((struct fo_read *)work)->dents);
        directory = ((struct fo_read *)work)->directory;
    } else {
        directory = ((struct fo_chunk *)work)->directory;
    }
    fo_descent_release(scan, directory, 0);
    fo_directory_release(directory);
    free(work);
}

void fo_frontier_clear(struct fo_scan *scan) {
    struct fo_work **lists[] = {&scan->frontier.stack, &scan->frontier.deferred, &scan->frontier.untouched};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        while (*lists[i] != NULL) {
            struct fo_work *work = *lists[i];
            *lists[i] = work->next;
            discard(scan, work);
        }
    }
}
