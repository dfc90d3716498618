/* A scan as its consumer sees it: opened, asked for batches, closed. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scan.h"

/* How long closing waits for workers: those that compute are gone by then, those that hang are left behind. */
enum { CLOSE_NS = 20000000, FEW_DESCRIPTORS = 4 };

/* Which process this is: a number that a fork changes. getpid(2) is a system call, and the calls are many. */
static atomic_int process = 1;

static void forked(void) {
    atomic_fetch_add_explicit(&process, 1, memory_order_relaxed);
}

static void watch_forks(void) {
    pthread_atfork(NULL, NULL, forked);
}

int fo_scan_process(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    return atomic_load_explicit(&process, memory_order_relaxed);
}

static void init_locks(struct fo_scan *scan) {
    pthread_mutex_init(&scan->frontier.lock, NULL);
    pthread_mutex_init(&scan->descriptors.lock, NULL);
    pthread_mutex_init(&scan->queue.lock, NULL);
    pthread_mutex_init(&scan->visited.lock, NULL);
    fo_clock_condition(&scan->frontier.wake);
    fo_clock_condition(&scan->queue.filled);
    fo_clock_condition(&scan->queue.drained);
}

static void destroy_locks(struct fo_scan *scan) {
    pthread_mutex_destroy(&scan->frontier.lock);
    pthread_mutex_destroy(&scan->descriptors.lock);
    pthread_mutex_destroy(&scan->queue.lock);
    pthread_mutex_destroy(&scan->visited.lock);
    pthread_cond_destroy(&scan->frontier.wake);
    pthread_cond_destroy(&scan->queue.filled);
    pthread_cond_destroy(&scan->queue.drained);
}

static void free_batches(struct fo_batch *batch) {
    while (batch != NULL) {
        struct fo_batch *next = batch->next;
        fo_batch_free(batch);
        batch = next;
    }
}

static void clear(struct fo_scan *scan) {
    fo_frontier_clear(scan);
    fo_scan_order_clear(scan);
    free_batches(scan->queue.first);
    free_batches(scan->queue.pool);
    if (scan->top != NULL) {
        if (scan->top->fd >= 0) {
            close(scan->top->fd);
        }
        fo_directory_release(scan->top);
    }
    fo_predicate_free(scan->options.where);
    fo_predicate_free(scan->options.prune);
    fo_ignore_release(scan->options.ignore);
    free((char *)scan->options.frontier);
    free(scan->visited.slots);
    free(scan->root);
    destroy_locks(scan);
}

/* The struct itself stays while the handle or the contents do: a late call on the handle finds it closed. */
static void shell_drop(struct fo_scan *scan) {
    if (atomic_fetch_sub_explicit(&scan->shells, 1, memory_order_acq_rel) == 1) {
        free(scan);
    }
}

void fo_scan_drop(struct fo_scan *scan) {
    if (atomic_fetch_sub_explicit(&scan->references, 1, memory_order_acq_rel) == 1) {
        clear(scan);
        shell_drop(scan);
    }
}

int fo_scan_hold(struct fo_scan *scan) {
    if (scan->process != fo_scan_process()) {
        return -ECHILD;
    }
    int references = atomic_load(&scan->references);
    while (references > 0) {
        if (atomic_compare_exchange_weak(&scan->references, &references, references + 1)) {
            return 0;
        }
    }
    return -EBADF;
}

/* Makes everybody end, those who wait included. */
static void cancel(struct fo_scan *scan) {
    atomic_store(&scan->cancelled, true);
    pthread_mutex_lock(&scan->frontier.lock);
    pthread_cond_broadcast(&scan->frontier.wake);
    pthread_mutex_unlock(&scan->frontier.lock);
    pthread_mutex_lock(&scan->queue.lock);
    pthread_cond_broadcast(&scan->queue.drained);
    pthread_cond_broadcast(&scan->queue.filled);
    pthread_mutex_unlock(&scan->queue.lock);
}

void fo_scan_fail(struct fo_scan *scan) {
    atomic_store(&scan->out_of_memory, true);
    cancel(scan);
}

int fo_scan_outcome(const struct fo_scan *scan) {
    return atomic_load(&scan->out_of_memory) ? -ENOMEM : 2;
}

/* Opens the root, a symbolic link to a directory included, as os.walk does. Returns a descriptor or -errno. */
static int open_root(const struct fo_scan_options *options) {
    int fd;
    do {
        fd = openat(options->dir_fd, options->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
    } while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

static int copy_options(struct fo_scan *scan, const struct fo_scan_options *options) {
    scan->options = *options;
    /* Owned only once all has gone well. */
    scan->options.where = scan->options.prune = NULL;
    scan->options.ignore = NULL;
    scan->options.frontier = NULL;
    scan->options.visited = NULL;
    scan->root_length = strlen(options->root);
    scan->root = strdup(options->root);
    bool slash = scan->root_length > 0 && options->root[scan->root_length - 1] == '/';
    scan->prefix_length = scan->root_length + !slash;
    scan->options.root = scan->root;
    if (scan->root == NULL) {
        return -ENOMEM;
    }
    if (options->frontier != NULL) {
        char *copy = malloc(options->frontier_size + 1);
        if (copy == NULL) {
            return -ENOMEM;
        }
        memcpy(copy, options->frontier, options->frontier_size);
        copy[options->frontier_size] = '\0';
        scan->options.frontier = copy;
    }
    for (uint64_t i = 0; i < options->visited_count; i++) {
        if (fo_visited_add(&scan->visited, options->visited[2 * i], options->visited[2 * i + 1]) < 0) {
            return -ENOMEM;
        }
    }
    return 0;
}

/* What the entries that are delivered need, and those that are tested: asked for at once. */
static uint32_t stat_mask(const struct fo_scan_options *options) {
    uint32_t mask = options->fields & ~(uint32_t)FO_STAT_TYPE;
    mask |= options->where != NULL ? fo_predicate_stat_mask(options->where) : 0;
    mask |= options->prune != NULL ? fo_predicate_stat_mask(options->prune) : 0;
    return mask;
}

static int make_top(struct fo_scan *scan, int fd) {
    struct fo_stat stat;
    scan->top = fo_directory_new(NULL, "", 0, 0);
    if (scan->top == NULL) {
        return -ENOMEM;
    }
    scan->top->text = fo_utf8_valid(scan->root, scan->root_length);
    if (scan->options.flags & FO_SCAN_SAME_FILESYSTEM) {
        int result = fo_stat_at(fd, "", AT_EMPTY_PATH, FO_STAT_INO, &stat);
        if (result < 0) {
            return result;
        }
        scan->top->dev = stat.dev;
    }
    scan->top->fd_users = 1;
    return fo_frontier_fill(scan);
}

int fo_scan_open(const struct fo_scan_options *options, struct fo_scan **out) {
    int fd = open_root(options);
    if (fd < 0) {
        return fd;
    }
    struct fo_scan *scan = calloc(1, sizeof *scan);
    if (scan == NULL) {
        close(fd);
        return -ENOMEM;
    }
    init_locks(scan);
    atomic_init(&scan->references, 1);
    atomic_init(&scan->shells, 2);
    scan->process = fo_scan_process();
    scan->descriptors.limit = FEW_DESCRIPTORS;
    int result = copy_options(scan, options);
    result = result == 0 ? make_top(scan, fd) : result;
    if (result < 0) {
        close(fd);
        clear(scan);
        free(scan);
        return result;
    }
    scan->top->fd = fd;
    scan->options.where = options->where;
    scan->options.prune = options->prune;
    scan->options.ignore = options->ignore;
    scan->stat_mask = stat_mask(&scan->options);
    *out = scan;
    return 0;
}

/* The root as an entry of its own. Returns 0 or -errno. */
static int deliver_root(struct fo_scan *scan) {
    struct fo_stat stat;
    struct fo_entry_view view = {.name = scan->root, .name_length = scan->root_length, .directory = "",
                                 .type = FO_TYPE_DIRECTORY, .stat = &stat};
    if (scan->options.min_depth > 0 || scan->options.frontier != NULL) {
        return 0;
    }
    int result = fo_stat_at(scan->top->fd, "", AT_EMPTY_PATH, scan->stat_mask, &stat);
    if (result < 0) {
        return result;
    }
    if (fo_predicate_test(scan->options.where, &view) != FO_PREDICATE_YES) {
        return 0;
    }
    struct fo_worker worker = {.scan = scan, .inlined = true, .batch = fo_batch_take(scan, 512)};
    if (worker.batch == NULL) {
        return -ENOMEM;
    }
    struct fo_batch_entry row = {.prefix = "", .name = scan->root, .name_length = scan->root_length,
                                 .text = fo_utf8_valid(scan->root, scan->root_length), .type = FO_TYPE_DIRECTORY,
                                 .stat = &stat};
    row.directory = fo_batch_directory(worker.batch, "", 0, 0);
    if (row.directory < 0 || fo_batch_append(worker.batch, &row) < 0) {
        fo_batch_free(worker.batch);
        return -ENOMEM;
    }
    fo_queue_put(&worker, worker.batch);
    return 0;
}

/* Begins: the root as an entry, if it is one. Returns 0 or -errno. */
static int start(struct fo_scan *scan) {
    const struct fo_scan_options *options = &scan->options;
    scan->plain = options->where == NULL && options->prune == NULL && options->ignore == NULL &&
                  options->fields == 0 && !(options->flags & FO_SCAN_FOLLOW_SYMLINKS);
    pthread_mutex_lock(&scan->frontier.lock); /* others may ask how far it is */
    scan->started = true;
    scan->started_ns = fo_clock_now();
    if (scan->options.max_depth == 0) {
        scan->frontier.finished = true;
        scan->finished_ns = scan->started_ns;
    }
    pthread_mutex_unlock(&scan->frontier.lock);
    return deliver_root(scan);
}

int fo_scan_lay_out(struct fo_scan *scan, uint32_t flags) {
    uint32_t layouts = FO_SCAN_PATHS | FO_SCAN_PICKLE | FO_SCAN_TEXT;
    if (scan->started) {
        return -EBUSY;
    }
    if (!(scan->options.flags & FO_SCAN_SORT)) {
        scan->options.flags = (scan->options.flags & ~layouts) | (flags & layouts);
    }
    return 0;
}

/* Sees to it that somebody works: first this thread, a little; then threads, if there is work for them. Where none can
 * be started, this thread goes on each time that it is called. */
static void keep_going(struct fo_scan *scan) {
    pthread_mutex_lock(&scan->frontier.lock);
    bool deserted = !scan->frontier.finished && scan->concurrency.live == 0;
    pthread_mutex_unlock(&scan->frontier.lock);
    if (deserted) {
        fo_worker_inline(scan);
        pthread_mutex_lock(&scan->frontier.lock);
        bool more = !scan->frontier.finished;
        if (more) {
            fo_concurrency_start(scan);
        }
        pthread_mutex_unlock(&scan->frontier.lock);
        if (more) {
            fo_worker_start(scan);
        }
    }
}

/* fo_scan_next on a scan that is held. */
static int next_batch(struct fo_scan *scan, int milliseconds, struct fo_batch **out) {
    int result = 0;
    if (atomic_load(&scan->cancelled)) {
        return fo_scan_outcome(scan);
    }
    if (!scan->started && (result = start(scan)) < 0) {
        return result;
    }
    keep_going(scan);
    int64_t deadline = fo_clock_now() + milliseconds * INT64_C(1000000);
    if (scan->options.flags & FO_SCAN_SORT) {
        result = fo_scan_ordered_next(scan, out, deadline);
    } else {
        result = fo_queue_get(scan, deadline, out);
    }
    if (result == 0) {
        fo_concurrency_rescue(scan);
    }
    if (result == 1) {
        atomic_fetch_add(&scan->references, 1);
    }
    return result;
}

int fo_scan_next(struct fo_scan *scan, int milliseconds, struct fo_batch **out) {
    int result = fo_scan_hold(scan);
    if (result < 0) {
        return result == -EBADF ? 2 : result;
    }
    result = next_batch(scan, milliseconds, out);
    fo_scan_drop(scan);
    return result;
}

int fo_batch_release(struct fo_batch *batch) {
    struct fo_scan *scan = batch->scan;
    if (scan->process != fo_scan_process()) {
        return -ECHILD;
    }
    fo_queue_recycle(scan, batch);
    fo_scan_drop(scan);
    return 0;
}

static void wait_for_workers(struct fo_scan *scan) {
    pthread_mutex_lock(&scan->queue.lock);
    int64_t deadline = fo_clock_now() + CLOSE_NS;
    while (scan->queue.live > 0 && fo_clock_wait_until(&scan->queue.filled, &scan->queue.lock, deadline)) {
    }
    pthread_mutex_unlock(&scan->queue.lock);
}

int fo_scan_close(struct fo_scan *scan) {
    /* A forked process has neither the threads nor, maybe, the locks. */
    if (scan->process == fo_scan_process() && !atomic_exchange(&scan->closed, true)) {
        cancel(scan);
        wait_for_workers(scan);
        fo_scan_drop(scan);
    }
    return 0;
}

int fo_scan_free(struct fo_scan *scan) {
    fo_scan_close(scan);
    if (scan->process == fo_scan_process()) {
        shell_drop(scan);
    }
    return 0;
}
