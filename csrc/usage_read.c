/* Disk usage: one directory, read relative to the root and checked to be the one that was found. */
#include "dents.h"
#include "usage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LONGEST_PATH = 4000, MOST_RETRIES = 2000 };
enum { FIELDS = FO_STAT_TYPE | FO_STAT_NLINK | FO_STAT_INO | FO_STAT_DEV | FO_STAT_SIZE | FO_STAT_BLOCKS };

struct fo_usage_node *fo_usage_node_new(struct fo_usage_node *parent, const char *name, const struct fo_stat *status) {
    size_t length = strlen(name) + 1;
    struct fo_usage_node *node = calloc(1, sizeof(*node) + length);
    if (node != NULL) {
        node->parent = parent;
        node->depth = parent ? parent->depth + 1 : 0;
        node->dev = status->dev;
        node->ino = status->ino;
        node->own_allocated = status->blocks * 512;
        node->own_apparent = status->size;
        memcpy(node->name, name, length);
    }
    return node;
}

/* Opens a directory below another; waits for other threads to give descriptors back when there are none. */
static int open_below(int base, const char *path) {
    for (int i = 0;; i++) {
        int fd = openat(base, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd >= 0 || (errno != EMFILE && errno != ENFILE) || i == MOST_RETRIES) {
            return fd >= 0 ? fd : -errno;
        }
        nanosleep(&(struct timespec){.tv_nsec = 1000 * 1000}, NULL);
    }
}

/* Opens a path of any length, in pieces. Returns a descriptor or -errno. */
static int open_long(int root_fd, char *path, size_t length) {
    int base = root_fd;
    while (length > LONGEST_PATH) {
        char *cut = path + LONGEST_PATH;
        while (*cut != '/') {
            cut--;
        }
        *cut = '\0';
        int next = open_below(base, path);
        *cut = '/';
        if (base != root_fd) {
            close(base);
        }
        if (next < 0) {
            return next;
        }
        base = next;
        length -= (size_t)(cut + 1 - path);
        path = cut + 1;
    }
    int fd = open_below(base, path);
    if (base != root_fd) {
        close(base);
    }
    return fd;
}

/* Opens a node's directory. Returns a descriptor, or -errno: -ESTALE if another one stands in its place by now. */
static int open_node(struct fo_usage_worker *worker, const struct fo_usage_node *node) {
    int64_t length = fo_usage_path(node, NULL, &worker->path, &worker->path_capacity);
    if (length < 0) {
        return (int)length;
    }
    int fd = open_long(worker->usage->root_fd, length ? worker->path : (char *)".", (size_t)length);
    struct fo_stat status;
    if (fd >= 0) {
        int result = fo_stat_at(fd, "", AT_EMPTY_PATH, FO_STAT_INO | FO_STAT_DEV, &status);
        if (result == 0 && (status.dev != node->dev || status.ino != node->ino)) {
            result = -ESTALE;
        }
        if (result < 0) {
            close(fd);
            return result;
        }
    }
    return fd;
}

/* Whether a directory is one of those that it lies in: a bind mount can make it so. */
static int is_loop(const struct fo_usage_node *above, const struct fo_stat *status) {
    for (; above != NULL; above = above->parent) {
        if (above->ino == status->ino && above->dev == status->dev) {
            return 1;
        }
    }
    return 0;
}

static int add_directory(struct fo_usage_worker *worker, struct fo_usage_node *node, const char *name,
                         const struct fo_stat *status) {
    if (is_loop(node, status)) {
        fo_usage_fail(worker->usage, node, name, ELOOP);
        return 0;
    }
    struct fo_usage_node *child = fo_usage_node_new(node, name, status);
    if (child == NULL) {
        return -ENOMEM;
    }
    child->pending = worker->found;
    worker->found = child;
    return 0;
}

static int add_file(struct fo_usage_worker *worker, struct fo_usage_node *node, const char *name,
                    const struct fo_stat *status) {
    node->own_files++;
    if (status->nlink > 1) {
        int known = fo_usage_links_add(&worker->usage->links, node, name, status);
        if (known == 1) {
            atomic_fetch_add(&worker->usage->allocated, status->blocks * 512);
            atomic_fetch_add(&worker->usage->apparent, status->size);
        }
        return known < 0 ? known : 0;
    }
    node->own_allocated += status->blocks * 512;
    node->own_apparent += status->size;
    return fo_usage_heap_offer(&worker->heap, node, name, status->blocks * 512, status->size);
}

static int add_entry(struct fo_usage_worker *worker, struct fo_usage_node *node, int fd, const char *name) {
    struct fo_stat status;
    int result = fo_stat_at(fd, name, AT_SYMLINK_NOFOLLOW, FIELDS, &status);
    if (result < 0) {
        fo_usage_fail(worker->usage, node, name, -result);
        return 0;
    }
    if ((worker->usage->flags & FO_USAGE_ONE_FILESYSTEM) && status.dev != worker->usage->root_dev) {
        return 0;
    }
    int directory = fo_stat_type(status.mode) == FO_TYPE_DIRECTORY;
    return directory ? add_directory(worker, node, name, &status) : add_file(worker, node, name, &status);
}

void fo_usage_read(struct fo_usage_worker *worker, struct fo_usage_node *node) {
    int fd = open_node(worker, node);
    if (fd < 0) {
        fo_usage_fail(worker->usage, node, NULL, -fd);
        return;
    }
    struct fo_dents dents;
    struct fo_dent dent;
    int result = fo_dents_start(&dents, fd, worker->buffer, FO_DENTS_BUFFER);
    while (result >= 0 && !atomic_load_explicit(&worker->usage->cancelled, memory_order_relaxed) &&
           (result = fo_dents_next(&dents, &dent)) > 0) {
        result = add_entry(worker, node, fd, dent.name);
    }
    fo_dents_stop(&dents);
    close(fd);
    if (result == -ENOMEM) {
        worker->usage->out_of_memory = 1;
    } else if (result < 0) {
        fo_usage_fail(worker->usage, node, NULL, -result);
    }
}
