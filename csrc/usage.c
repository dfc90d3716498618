/* Disk usage: the threads that read the tree, newest directory first. */
#include "usage.h"

#include "dents.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { STACK_BYTES = 256 * 1024 };

void fo_usage_fail(struct fo_usage_tree *usage, struct fo_usage_node *node, const char *name, int error) {
    struct fo_usage_failure failure = {.node = node, .name = name ? strdup(name) : NULL, .error = error};
    atomic_fetch_add(&usage->errors, 1);
    pthread_mutex_lock(&usage->lock);
    if (name == NULL) {
        node->error = error;
    }
    if (usage->failures == usage->failure_capacity) {
        size_t capacity = usage->failure_capacity ? usage->failure_capacity * 2 : 16;
        struct fo_usage_failure *grown = realloc(usage->failure, capacity * sizeof(*grown));
        usage->out_of_memory |= grown == NULL;
        usage->failure = grown ? grown : usage->failure;
        usage->failure_capacity = grown ? capacity : usage->failure_capacity;
    }
    if (usage->failures < usage->failure_capacity) {
        usage->failure[usage->failures++] = failure;
    } else {
        free(failure.name);
    }
    pthread_mutex_unlock(&usage->lock);
}

/* Puts a directory in the list of all, and among those to be read. The lock is held. */
static void accept(struct fo_usage_tree *usage, struct fo_usage_node *node) {
    if (usage->nodes == usage->node_capacity) {
        size_t capacity = usage->node_capacity ? usage->node_capacity * 2 : 256;
        struct fo_usage_node **grown = realloc(usage->node, capacity * sizeof(*grown));
        if (grown == NULL) {
            usage->out_of_memory = 1;
            free(node);
            return;
        }
        usage->node = grown;
        usage->node_capacity = capacity;
    }
    node->index = (int64_t)usage->nodes;
    usage->node[usage->nodes++] = node;
    node->pending = usage->pending;
    usage->pending = node;
}

/* Reads one directory, without the lock, and hands on what is in it. */
static void process(struct fo_usage_worker *worker, struct fo_usage_node *node) {
    struct fo_usage_tree *usage = worker->usage;
    int64_t allocated = node->own_allocated, apparent = node->own_apparent;
    pthread_mutex_unlock(&usage->lock);
    fo_usage_read(worker, node);
    atomic_fetch_add(&usage->files, node->own_files);
    atomic_fetch_add(&usage->allocated, node->own_allocated - allocated);
    atomic_fetch_add(&usage->apparent, node->own_apparent - apparent);
    int64_t directories = 0;
    for (struct fo_usage_node *child = worker->found; child != NULL; child = child->pending) {
        atomic_fetch_add(&usage->allocated, child->own_allocated);
        atomic_fetch_add(&usage->apparent, child->own_apparent);
        directories++;
    }
    atomic_fetch_add(&usage->directories, directories);
    pthread_mutex_lock(&usage->lock);
    while (worker->found != NULL) {
        struct fo_usage_node *child = worker->found;
        worker->found = child->pending;
        accept(usage, child);
    }
    if (directories > 1) {
        pthread_cond_broadcast(&usage->work);
    }
}

/* Gives the thread's largest files to the whole. The lock is held. */
static void merge_heap(struct fo_usage_tree *usage, struct fo_usage_heap *heap) {
    for (int i = 0; i < heap->count; i++) {
        const struct fo_usage_file *file = &heap->file[i];
        usage->out_of_memory |=
            fo_usage_heap_offer(&usage->heap, file->node, file->name, file->allocated, file->apparent) != 0;
    }
    fo_usage_heap_clear(heap);
}

static int heap_init(struct fo_usage_heap *heap, const struct fo_usage_tree *usage) {
    heap->capacity = usage->largest;
    heap->apparent = usage->flags & FO_USAGE_APPARENT;
    heap->file = usage->largest ? malloc((size_t)usage->largest * sizeof(*heap->file)) : NULL;
    if (usage->largest && heap->file == NULL) {
        heap->capacity = 0;
        return -ENOMEM;
    }
    return 0;
}

static void *run(void *argument) {
    struct fo_usage_tree *usage = argument;
    struct fo_usage_worker worker = {.usage = usage, .buffer = malloc(FO_DENTS_BUFFER)};
    int failed = heap_init(&worker.heap, usage) != 0 || worker.buffer == NULL;
    pthread_mutex_lock(&usage->lock);
    usage->out_of_memory |= failed;
    while (!failed && !atomic_load(&usage->cancelled) && (usage->pending != NULL || usage->active > 0)) {
        struct fo_usage_node *node = usage->pending;
        if (node == NULL) {
            pthread_cond_wait(&usage->work, &usage->lock);
            continue;
        }
        usage->pending = node->pending;
        usage->active++;
        process(&worker, node);
        usage->active--;
    }
    merge_heap(usage, &worker.heap);
    if (--usage->running == 0) {
        pthread_cond_broadcast(&usage->done);
    }
    pthread_cond_broadcast(&usage->work); /* nothing is left: let the others see it */
    pthread_mutex_unlock(&usage->lock);
    free(worker.buffer);
    free(worker.path);
    return NULL;
}

/* Starts the threads with every signal blocked. Returns 0 or -errno if not even one could be started. */
static int start_threads(struct fo_usage_tree *usage, int threads) {
    pthread_attr_t attributes;
    sigset_t all, before;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = 0;
    pthread_mutex_lock(&usage->lock);
    while (error == 0 && usage->threads < threads && usage->threads < 64) {
        error = pthread_create(&usage->thread[usage->threads], &attributes, run, usage);
        usage->threads += error == 0;
    }
    usage->running = usage->threads;
    pthread_mutex_unlock(&usage->lock);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return usage->threads > 0 ? 0 : -error;
}

/* Puts the root in. A root that is no directory is all there is; one that cannot be opened is an error in the tree. */
static int add_root(struct fo_usage_tree *usage, const char *root, const struct fo_stat *status) {
    struct fo_usage_node *node = fo_usage_node_new(NULL, "", status);
    if (node == NULL) {
        return -ENOMEM;
    }
    usage->root_dev = status->dev;
    atomic_store(&usage->allocated, node->own_allocated);
    atomic_store(&usage->apparent, node->own_apparent);
    accept(usage, node);
    if (fo_stat_type(status->mode) != FO_TYPE_DIRECTORY) {
        usage->pending = NULL;
        node->own_files = 1;
        atomic_store(&usage->files, 1);
        return fo_usage_heap_offer(&usage->heap, node, "", node->own_allocated, node->own_apparent);
    }
    atomic_store(&usage->directories, 1);
    usage->root_fd = open(root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (usage->root_fd < 0) {
        usage->pending = NULL;
        fo_usage_fail(usage, node, NULL, errno);
    }
    return 0;
}

int fo_usage_start(const char *root, int flags, int threads, int largest, struct fo_usage_tree **out) {
    struct fo_stat status;
    int result = fo_stat_at(AT_FDCWD, root, AT_SYMLINK_NOFOLLOW, FO_STAT_BASIC | FO_STAT_DEV, &status);
    if (result < 0) {
        return result;
    }
    struct fo_usage_tree *usage = calloc(1, sizeof(*usage));
    if (usage == NULL) {
        return -ENOMEM;
    }
    usage->root_fd = -1;
    usage->flags = flags;
    usage->largest = largest;
    pthread_mutex_init(&usage->lock, NULL);
    pthread_mutex_init(&usage->links.lock, NULL);
    pthread_cond_init(&usage->work, NULL);
    pthread_cond_init(&usage->done, NULL);
    result = heap_init(&usage->heap, usage);
    result = result ? result : add_root(usage, root, &status);
    result = result ? result : start_threads(usage, threads < 1 ? 1 : threads);
    if (result < 0) {
        fo_usage_free(usage);
        return result;
    }
    *out = usage;
    return 0;
}

/* Joins the threads, once. */
static void join(struct fo_usage_tree *usage) {
    for (int i = 0; i < usage->threads; i++) {
        pthread_join(usage->thread[i], NULL);
    }
    usage->threads = 0;
    if (usage->root_fd >= 0) {
        close(usage->root_fd);
        usage->root_fd = -1;
    }
}

static void wait_for_end(struct fo_usage_tree *usage, int milliseconds) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    int64_t at = until.tv_nsec + (int64_t)milliseconds * 1000000;
    until.tv_sec += at / 1000000000;
    until.tv_nsec = at % 1000000000;
    while (usage->running > 0 && pthread_cond_timedwait(&usage->done, &usage->lock, &until) == 0) {
    }
}

int fo_usage_wait(struct fo_usage_tree *usage, int milliseconds, struct fo_usage_progress *out) {
    pthread_mutex_lock(&usage->lock);
    wait_for_end(usage, milliseconds);
    int ended = usage->running == 0;
    pthread_mutex_unlock(&usage->lock);
    *out = (struct fo_usage_progress){atomic_load(&usage->files), atomic_load(&usage->directories),
                                      atomic_load(&usage->errors), atomic_load(&usage->allocated),
                                      atomic_load(&usage->apparent)};
    if (ended && !usage->finished) {
        join(usage);
        usage->finished = 1;
        usage->out_of_memory |= fo_usage_finish(usage) != 0;
    }
    return ended && usage->out_of_memory ? -ENOMEM : ended;
}

void fo_usage_cancel(struct fo_usage_tree *usage) {
    atomic_store(&usage->cancelled, 1);
    pthread_mutex_lock(&usage->lock);
    pthread_cond_broadcast(&usage->work);
    pthread_mutex_unlock(&usage->lock);
}

void fo_usage_free(struct fo_usage_tree *usage) {
    fo_usage_cancel(usage);
    join(usage);
    for (size_t i = 0; i < usage->nodes; i++) {
        free(usage->node[i]);
    }
    for (size_t i = 0; i < usage->failures; i++) {
        free(usage->failure[i].name);
    }
    for (size_t i = 0; i < usage->links.size; i++) {
        free(usage->links.slot[i].name);
    }
    fo_usage_heap_clear(&usage->heap);
    free(usage->links.slot);
    free(usage->failure);
    free(usage->node);
    free(usage->first_child);
    free(usage->children);
    free(usage->path);
    free(usage);
}
