/* Disk usage: a scan whose batches are added up as they come. */
#include "usage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { FIELDS = FO_STAT_NLINK | FO_STAT_INO | FO_STAT_DEV | FO_STAT_SIZE | FO_STAT_BLOCKS };

/* Begins the scan. A root that cannot be opened is an error in the tree. Returns 0 or -ENOMEM. */
static int begin(struct fo_usage_tree *usage, const char *root, int threads) {
    struct fo_scan_options options = {
        .root = root,
        .dir_fd = AT_FDCWD,
        .flags = usage->flags & FO_USAGE_ONE_FILESYSTEM ? FO_SCAN_SAME_FILESYSTEM : 0,
        .fields = FIELDS,
        .min_depth = 1,
        .max_depth = -1,
        .threads = threads,
    };
    int result = fo_scan_open(&options, &usage->scan);
    if (result < 0) {
        usage->scan = NULL;
        result = result == -ENOMEM ? result : fo_usage_fail(usage, "", -result);
    }
    return result;
}

/* Puts the root in. A root that is no directory is all there is. Returns 0 or -ENOMEM. */
static int add_root(struct fo_usage_tree *usage, const char *root, const struct fo_stat *status, int threads) {
    struct fo_usage_node *node = fo_usage_root(usage);
    if (node == NULL || fo_visited_add(&usage->seen, status->dev, status->ino) < 0) {
        return -ENOMEM;
    }
    usage->root_length = strlen(root);
    usage->root_dev = node->dev = status->dev;
    node->ino = status->ino;
    node->own_allocated = usage->progress.allocated = status->blocks * 512;
    node->own_apparent = usage->progress.apparent = status->size;
    if (fo_stat_type(status->mode) != FO_TYPE_DIRECTORY) {
        node->own_files = usage->progress.files = 1;
        return fo_usage_heap_offer(&usage->heap, node, "", node->own_allocated, node->own_apparent);
    }
    usage->progress.directories = 1;
    return begin(usage, root, threads);
}

int fo_usage_start(const char *root, int flags, int threads, int largest, const struct fo_usage_tree *earlier,
                   struct fo_usage_tree **out) {
    struct fo_stat status;
    int result = fo_stat_at(AT_FDCWD, root, AT_SYMLINK_NOFOLLOW, FO_STAT_BASIC | FO_STAT_DEV, &status);
    if (result < 0) {
        return result;
    }
    struct fo_usage_tree *usage = calloc(1, sizeof(*usage));
    if (usage == NULL) {
        return -ENOMEM;
    }
    usage->flags = flags;
    usage->earlier = earlier;
    pthread_mutex_init(&usage->seen.lock, NULL);
    result = fo_usage_heap_init(&usage->heap, largest, flags & FO_USAGE_APPARENT);
    result = result ? result : add_root(usage, root, &status, threads);
    if (result < 0) {
        fo_usage_free(usage);
        return result;
    }
    *out = usage;
    return 0;
}

static void end_scan(struct fo_usage_tree *usage) {
    if (usage->scan != NULL) {
        fo_scan_free(usage->scan);
        usage->scan = NULL;
    }
}

/* Adds up batches until the deadline. Returns 1 at the end, 0 before it, or -errno. */
static int add_batches(struct fo_usage_tree *usage, int64_t deadline) {
    while (usage->scan != NULL) {
        int64_t left = (deadline - fo_clock_now() + 999999) / 1000000;
        struct fo_batch *batch;
        int result = fo_scan_next(usage->scan, left > 0 ? (int)left : 0, &batch);
        if (result == 1) {
            result = fo_usage_fold(usage, batch);
            fo_batch_release(batch);
        } else if (result == 2) {
            end_scan(usage);
        }
        if (result < 0 || (usage->scan != NULL && fo_clock_now() >= deadline)) {
            return result < 0 ? result : 0;
        }
    }
    return 1;
}

int fo_usage_wait(struct fo_usage_tree *usage, int milliseconds, struct fo_usage_progress *out) {
    int result = add_batches(usage, fo_clock_now() + (int64_t)milliseconds * 1000000);
    *out = usage->progress;
    if (result == 1 && !usage->finished) {
        usage->finished = 1;
        int failed = fo_usage_finish(usage);
        result = failed ? failed : result;
        *out = usage->progress;
    }
    return result;
}

void fo_usage_free(struct fo_usage_tree *usage) {
    end_scan(usage);
    for (size_t i = 0; i < usage->nodes; i++) {
        free(usage->node[i]);
    }
    for (size_t i = 0; i < usage->failures; i++) {
        free(usage->failure[i].path);
    }
    for (size_t i = 0; i < usage->links.size; i++) {
        free(usage->links.slot[i].name);
    }
    fo_usage_heap_clear(&usage->heap);
    pthread_mutex_destroy(&usage->seen.lock);
    free(usage->seen.slots);
    free(usage->links.slot);
    free(usage->failure);
    free(usage->node);
    free(usage->slot);
    free(usage->first_child);
    free(usage->children);
    free(usage->path);
    free(usage);
}
