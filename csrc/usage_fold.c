/* Disk usage: what a scan's batch adds. */
#include "usage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int fo_usage_fail(struct fo_usage_tree *usage, const char *path, int error) {
    if (usage->failures == usage->failure_capacity) {
        size_t capacity = usage->failure_capacity ? usage->failure_capacity * 2 : 16;
        struct fo_usage_failure *grown = realloc(usage->failure, capacity * sizeof(*grown));
        if (grown == NULL) {
            return -ENOMEM;
        }
        usage->failure = grown;
        usage->failure_capacity = capacity;
    }
    char *copy = strdup(path);
    if (copy == NULL) {
        return -ENOMEM;
    }
    usage->failure[usage->failures++] = (struct fo_usage_failure){copy, error};
    usage->progress.errors++;
    return 0;
}

/* Skips the root in a path of the scan; *length becomes that of what is below it. */
static const char *below_root(const struct fo_usage_tree *usage, const char *path, size_t *length) {
    size_t skip = *length < usage->root_length ? *length : usage->root_length;
    skip += skip < *length && path[skip] == '/';
    *length -= skip;
    return path + skip;
}

static void count(struct fo_usage_tree *usage, const struct fo_stat *status) {
    usage->progress.allocated += status->blocks * 512;
    usage->progress.apparent += status->size;
}

static int add_directory(struct fo_usage_tree *usage, struct fo_usage_node *parent, const char *name, size_t length,
                         const struct fo_stat *status) {
    struct fo_usage_node *node = fo_usage_child(usage, parent, name, length);
    int new = node == NULL ? -ENOMEM : fo_visited_add(&usage->seen, status->dev, status->ino);
    if (new < 0) {
        return new;
    }
    node->again = new == 0;
    node->dev = status->dev;
    node->ino = status->ino;
    node->own_allocated += status->blocks * 512;
    node->own_apparent += status->size;
    usage->progress.directories++;
    count(usage, status);
    return 0;
}

/* The name with a NUL, in usage->path, or NULL. */
static const char *terminated(struct fo_usage_tree *usage, const char *name, size_t length) {
    if (fo_usage_reserve_path(usage, length + 1) != 0) {
        return NULL;
    }
    memcpy(usage->path, name, length);
    usage->path[length] = '\0';
    return usage->path;
}

/* A file with several names counts when the first of them is met, and is given to a directory at the end. */
static int add_linked(struct fo_usage_tree *usage, struct fo_usage_node *node, const char *name,
                      const struct fo_stat *status) {
    for (const struct fo_usage_tree *earlier = usage->earlier; earlier != NULL; earlier = earlier->earlier) {
        if (fo_usage_links_has(&earlier->links, status)) {
            return 0;
        }
    }
    int new = fo_usage_links_add(&usage->links, node, name, status);
    if (new == 1) {
        count(usage, status);
    }
    return new < 0 ? new : 0;
}

static int add_file(struct fo_usage_tree *usage, struct fo_usage_node *node, const char *name, size_t length,
                    const struct fo_stat *status) {
    int64_t allocated = status->blocks * 512;
    node->own_files++;
    usage->progress.files++;
    if (status->nlink > 1) {
        const char *text = terminated(usage, name, length);
        return text == NULL ? -ENOMEM : add_linked(usage, node, text, status);
    }
    node->own_allocated += allocated;
    node->own_apparent += status->size;
    count(usage, status);
    if (!fo_usage_heap_may_take(&usage->heap, allocated, status->size)) {
        return 0;
    }
    const char *text = terminated(usage, name, length);
    return text == NULL ? -ENOMEM : fo_usage_heap_offer(&usage->heap, node, text, allocated, status->size);
}

static int add_errors(struct fo_usage_tree *usage, const struct fo_batch *batch) {
    const char *path = batch->error_paths;
    int result = 0;
    for (int32_t i = 0; i < batch->error_count && result == 0; i++) {
        size_t whole = strlen(path), length = whole;
        result = fo_usage_fail(usage, below_root(usage, path, &length), batch->error_numbers[i]);
        path += whole + 1;
    }
    return result;
}

static struct fo_usage_node *node_of(struct fo_usage_tree *usage, const struct fo_batch *batch, int32_t directory) {
    const char *path = batch->directories + batch->directory_offsets[directory];
    size_t length = (size_t)(batch->directory_offsets[directory + 1] - batch->directory_offsets[directory]);
    path = below_root(usage, path, &length);
    return fo_usage_at(usage, path, length);
}

int fo_usage_fold(struct fo_usage_tree *usage, const struct fo_batch *batch) {
    struct fo_usage_node *node = NULL;
    int32_t directory = -1;
    int result = add_errors(usage, batch);
    for (int32_t i = 0; i < batch->count && result == 0; i++) {
        if (batch->directory[i] != directory) {
            directory = batch->directory[i];
            node = node_of(usage, batch, directory);
            if (node == NULL) {
                return -ENOMEM;
            }
        }
        struct fo_stat status = {0};
        fo_batch_row(batch, i, &status);
        if ((usage->flags & FO_USAGE_ONE_FILESYSTEM) && status.dev != usage->root_dev) {
            continue;
        }
        const char *name = batch->names + batch->name_offsets[i];
        size_t length = (size_t)(batch->name_offsets[i + 1] - batch->name_offsets[i]);
        result = batch->type[i] == FO_TYPE_DIRECTORY ? add_directory(usage, node, name, length, &status)
                                                     : add_file(usage, node, name, length, &status);
    }
    return result;
}
