/* What the files of disk usage share: usage.c (threads), usage_read.c (one directory), usage_links.c, usage_report.c. */
#ifndef FASTOS_USAGE_H
#define FASTOS_USAGE_H

#include <pthread.h>
#include <stdatomic.h>

#include "api.h"

/* One directory. */
struct fo_usage_node {
    struct fo_usage_node *parent;
    struct fo_usage_node *pending; /* the next one that is to be read */
    int64_t index;
    uint64_t dev, ino;
    int64_t own_allocated, own_apparent, own_files;
    int64_t allocated, apparent, files, directories; /* with all below, known at the end */
    int32_t depth, error;
    char name[];
};

/* One file that may be among the largest. */
struct fo_usage_file {
    const struct fo_usage_node *node;
    char *name;
    int64_t allocated, apparent;
};

/* The largest files: a heap whose top is the one to go next. */
struct fo_usage_heap {
    struct fo_usage_file *file;
    int count, capacity, apparent;
};

/* One file with several names, and the directory that it counts for. */
struct fo_usage_link {
    uint64_t dev, ino;
    struct fo_usage_node *node;
    char *name;
    int64_t allocated, apparent;
};

struct fo_usage_links {
    pthread_mutex_t lock;
    struct fo_usage_link *slot;
    size_t size, used;
};

struct fo_usage_failure {
    const struct fo_usage_node *node;
    char *name; /* NULL: the directory itself */
    int32_t error;
};

struct fo_usage_tree {
    int root_fd, flags, threads, largest, finished, out_of_memory;
    uint64_t root_dev;
    pthread_t thread[64];
    pthread_mutex_t lock; /* for what follows */
    pthread_cond_t work, done;
    struct fo_usage_node *pending, **node;
    size_t nodes, node_capacity;
    int active, running;
    struct fo_usage_failure *failure;
    size_t failures, failure_capacity;
    struct fo_usage_heap heap;
    /* and what has its own */
    struct fo_usage_links links;
    atomic_int cancelled;
    atomic_llong files, allocated, apparent, directories, errors;
    /* at the end */
    int64_t *first_child, *children;
    char *path;
    size_t path_capacity;
};

/* What one thread has: buffers, and what it found in the directory it is at. */
struct fo_usage_worker {
    struct fo_usage_tree *usage;
    void *buffer;
    char *path;
    size_t path_capacity;
    struct fo_usage_node *found; /* directories in it */
    struct fo_usage_heap heap;
};

/* Reads one directory: adds up its files, and chains the directories in it to worker->found. */
void fo_usage_read(struct fo_usage_worker *worker, struct fo_usage_node *node);

/* Makes a directory's node from its metadata. Returns it, or NULL. */
struct fo_usage_node *fo_usage_node_new(struct fo_usage_node *parent, const char *name, const struct fo_stat *status);

/* Notes what could not be read; name is NULL for the directory itself. */
void fo_usage_fail(struct fo_usage_tree *usage, struct fo_usage_node *node, const char *name, int error);

/* Notes a file with several links. Returns 1 if it is new, 0 if it is known, -ENOMEM. */
int fo_usage_links_add(struct fo_usage_links *links, struct fo_usage_node *node, const char *name,
                       const struct fo_stat *status);

/* Compares where two directories stand, component by component. */
int fo_usage_node_compare(const struct fo_usage_node *left, const struct fo_usage_node *right);

/* Offers a file to the largest. Returns 0 or -ENOMEM. */
int fo_usage_heap_offer(struct fo_usage_heap *heap, const struct fo_usage_node *node, const char *name,
                        int64_t allocated, int64_t apparent);

/* Sorts the heap, largest first; it is no heap afterwards. */
void fo_usage_heap_sort(struct fo_usage_heap *heap);
void fo_usage_heap_clear(struct fo_usage_heap *heap);

/* Writes the path of a directory below the root, and of a name in it if not NULL, growing the buffer.
 * Returns its length or -ENOMEM. */
int64_t fo_usage_path(const struct fo_usage_node *node, const char *name, char **buffer, size_t *capacity);

/* After the last thread: attributes the links, adds up the tree, orders the children. Returns 0 or -ENOMEM. */
int fo_usage_finish(struct fo_usage_tree *usage);

#endif
