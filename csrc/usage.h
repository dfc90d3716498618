/* What the files of disk usage share: usage.c (its life), usage_fold.c (batches), usage_tree.c (directories),
 * usage_links.c, usage_report.c. One thread at a time uses it: the scan's workers know nothing of it. */
#ifndef FASTOS_USAGE_H
#define FASTOS_USAGE_H

#include "scan.h"

/* One directory. */
struct fo_usage_node {
    struct fo_usage_node *parent;
    int64_t index;
    uint64_t hash; /* of its path below the root */
    uint64_t dev, ino; /* ino 0 as long as only what it holds was seen */
    int64_t own_allocated, own_apparent, own_files;
    int64_t allocated, apparent, files, directories; /* with all below, known at the end */
    int32_t depth, error;
    bool again; /* the same directory stands elsewhere as well: a bind mount */
    bool loop;  /* and it is one of those that this one lies in, or lies in such a one: it counts for nothing */
    uint32_t name_length;
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
    struct fo_usage_link *slot;
    size_t size, used;
};

struct fo_usage_failure {
    char *path; /* below the root */
    int32_t error;
};

struct fo_usage_tree {
    struct fo_scan *scan; /* NULL once it has ended, or if the root is no directory that can be read */
    const struct fo_usage_tree *earlier; /* what was measured before: its links do not count again */
    int flags, finished, out_of_memory;
    size_t root_length;
    uint64_t root_dev;
    struct fo_usage_node **node;
    size_t nodes, node_capacity;
    struct fo_usage_node **slot; /* by path, open addressing */
    size_t slots;
    struct fo_visited seen; /* directories by (dev, ino) */
    struct fo_usage_failure *failure;
    size_t failures, failure_capacity;
    struct fo_usage_heap heap;
    struct fo_usage_links links;
    struct fo_usage_progress progress;
    /* at the end */
    int64_t *first_child, *children;
    char *path; /* scratch: a path, or a name with its NUL */
    size_t path_capacity;
};

/* -- usage_tree.c ---------------------------------------------------------------------------------------------- */

/* Makes the root. Returns it, or NULL when out of memory. */
struct fo_usage_node *fo_usage_root(struct fo_usage_tree *usage);

/* Finds a directory in another, or makes it. Returns it, or NULL when out of memory. */
struct fo_usage_node *fo_usage_child(struct fo_usage_tree *usage, struct fo_usage_node *parent, const char *name,
                                     size_t length);

/* Finds a directory by its path below the root, or makes it and those above it. Returns it, or NULL. */
struct fo_usage_node *fo_usage_at(struct fo_usage_tree *usage, const char *path, size_t length);

/* Finds a directory by its path below the root. Returns it, or NULL. */
struct fo_usage_node *fo_usage_find(const struct fo_usage_tree *usage, const char *path, size_t length);

/* Compares where two directories stand, component by component. */
int fo_usage_node_compare(const struct fo_usage_node *left, const struct fo_usage_node *right);

/* Writes the path of a directory below the root, and of a name in it if not NULL, to usage->path.
 * Returns its length or -ENOMEM. */
int64_t fo_usage_path(struct fo_usage_tree *usage, const struct fo_usage_node *node, const char *name);

/* Makes room in usage->path. Returns 0 or -ENOMEM. */
int fo_usage_reserve_path(struct fo_usage_tree *usage, size_t size);

/* -- usage_fold.c ---------------------------------------------------------------------------------------------- */

/* Adds what is in a batch. Returns 0 or -ENOMEM. */
int fo_usage_fold(struct fo_usage_tree *usage, const struct fo_batch *batch);

/* Notes what could not be read, by its path below the root. Returns 0 or -ENOMEM. */
int fo_usage_fail(struct fo_usage_tree *usage, const char *path, int error);

/* -- usage_links.c --------------------------------------------------------------------------------------------- */

/* Notes a file with several links. Returns 1 if it is new, 0 if it is known, -ENOMEM. */
int fo_usage_links_add(struct fo_usage_links *links, struct fo_usage_node *node, const char *name,
                       const struct fo_stat *status);

/* Returns 1 if the file is known. */
int fo_usage_links_has(const struct fo_usage_links *links, const struct fo_stat *status);

/* Makes an empty heap for so many files. Returns 0 or -ENOMEM. */
int fo_usage_heap_init(struct fo_usage_heap *heap, int capacity, int apparent);

/* Whether a file of that size may belong to the largest. */
int fo_usage_heap_may_take(const struct fo_usage_heap *heap, int64_t allocated, int64_t apparent);

/* Offers a file to the largest. Returns 0 or -ENOMEM. */
int fo_usage_heap_offer(struct fo_usage_heap *heap, const struct fo_usage_node *node, const char *name,
                        int64_t allocated, int64_t apparent);

/* Sorts the heap, largest first; it is no heap afterwards. */
void fo_usage_heap_sort(struct fo_usage_heap *heap);
void fo_usage_heap_clear(struct fo_usage_heap *heap);

/* -- usage_report.c -------------------------------------------------------------------------------------------- */

/* After the last batch: attributes the links, adds up the tree, orders the children. Returns 0 or -ENOMEM. */
int fo_usage_finish(struct fo_usage_tree *usage);

#endif
