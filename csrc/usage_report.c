/* Disk usage: the sums at the end, and what is asked about them. */
#include "usage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Returns the directory, among those that it lies in, that this one is as well, or NULL. */
static struct fo_usage_node *same_above(const struct fo_usage_node *node) {
    struct fo_usage_node *above = node->again ? node->parent : NULL;
    while (above != NULL && (above->ino != node->ino || above->dev != node->dev)) {
        above = above->parent;
    }
    return above;
}

/* Marks the directories that are one of those that they lie in, bind mounts, and what is below: it counts where it
 * is seen first. A directory is found after the one that it lies in. */
static void mark_loops(struct fo_usage_tree *usage) {
    for (size_t i = 1; i < usage->nodes; i++) {
        struct fo_usage_node *node = usage->node[i];
        node->loop = node->parent->loop || same_above(node) != NULL;
    }
}

/* Returns where a directory in a loop stands outside of it, itself if it is in none, or NULL when out of memory. */
static struct fo_usage_node *outside_loops(struct fo_usage_tree *usage, struct fo_usage_node *node) {
    while (node != NULL && node->loop) {
        const struct fo_usage_node *entry = node;
        while (entry->parent->loop) {
            entry = entry->parent;
        }
        int64_t kept = fo_usage_path(usage, same_above(entry), NULL), skipped = fo_usage_path(usage, entry, NULL);
        int64_t length = fo_usage_path(usage, node, NULL);
        if (kept < 0 || skipped < 0 || length < 0) {
            return NULL;
        }
        skipped += kept == 0 && skipped < length; /* below the root no slash stands in front */
        memmove(usage->path + kept, usage->path + skipped, (size_t)(length - skipped));
        node = fo_usage_at(usage, usage->path, (size_t)(kept + length - skipped));
    }
    return node;
}

/* Takes the files in loops off the largest, which are sorted. */
static void drop_looped_files(struct fo_usage_heap *heap) {
    int kept = 0;
    for (int i = 0; i < heap->count; i++) {
        if (heap->file[i].node->loop) {
            free(heap->file[i].name);
        } else {
            heap->file[kept++] = heap->file[i];
        }
    }
    heap->count = kept;
}

/* Notes in each directory what went wrong with it. */
static void mark_failures(struct fo_usage_tree *usage) {
    for (size_t i = 0; i < usage->failures; i++) {
        const char *path = usage->failure[i].path;
        struct fo_usage_node *node = fo_usage_find(usage, path, strlen(path));
        if (node != NULL) {
            node->error = usage->failure[i].error;
        }
    }
}

/* Gives each linked file to the directory that it counts for. */
static int attribute_links(struct fo_usage_tree *usage) {
    int result = 0;
    for (size_t i = 0; i < usage->links.size; i++) {
        struct fo_usage_link *link = &usage->links.slot[i];
        if (link->node == NULL) {
            continue;
        }
        link->node = outside_loops(usage, link->node);
        if (link->node == NULL) {
            return -ENOMEM;
        }
        link->node->own_allocated += link->allocated;
        link->node->own_apparent += link->apparent;
        result |= fo_usage_heap_offer(&usage->heap, link->node, link->name, link->allocated, link->apparent);
    }
    return result;
}

/* A directory is found after the one that it lies in: backwards, each is complete when its turn comes. */
static void add_up(struct fo_usage_tree *usage) {
    for (size_t i = usage->nodes; i-- > 0;) {
        struct fo_usage_node *node = usage->node[i];
        node->allocated += node->own_allocated;
        node->apparent += node->own_apparent;
        node->files += node->own_files;
        if (node->parent != NULL && !node->loop) {
            node->parent->allocated += node->allocated;
            node->parent->apparent += node->apparent;
            node->parent->files += node->files;
            node->parent->directories += node->directories + 1;
        }
    }
}

/* The directories in each directory, one after another. */
static int list_children(struct fo_usage_tree *usage) {
    usage->first_child = calloc(usage->nodes + 2, sizeof(int64_t));
    usage->children = calloc(usage->nodes + 1, sizeof(int64_t));
    if (usage->first_child == NULL || usage->children == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 1; i < usage->nodes; i++) {
        usage->first_child[usage->node[i]->parent->index + 2] += !usage->node[i]->loop;
    }
    for (size_t i = 2; i < usage->nodes + 2; i++) {
        usage->first_child[i] += usage->first_child[i - 1];
    }
    for (size_t i = 1; i < usage->nodes; i++) {
        if (usage->node[i]->loop) {
            continue;
        }
        usage->children[usage->first_child[usage->node[i]->parent->index + 1]++] = (int64_t)i;
    }
    return 0;
}

int fo_usage_finish(struct fo_usage_tree *usage) {
    mark_loops(usage);
    int result = attribute_links(usage);
    mark_failures(usage);
    add_up(usage);
    free(usage->slot);
    free(usage->seen.slots);
    usage->slot = NULL;
    usage->seen.slots = NULL;
    usage->slots = usage->seen.capacity = usage->seen.count = 0;
    fo_usage_heap_sort(&usage->heap);
    drop_looped_files(&usage->heap);
    return result ? result : list_children(usage);
}

int64_t fo_usage_directories(struct fo_usage_tree *usage) {
    return (int64_t)usage->nodes;
}

int fo_usage_directory(const struct fo_usage_tree *usage, int64_t index, struct fo_usage_directory *out) {
    if (index < 0 || (size_t)index >= usage->nodes) {
        return -EINVAL;
    }
    const struct fo_usage_node *node = usage->node[index];
    *out = (struct fo_usage_directory){.name = node->name,
                                       .parent = node->parent ? node->parent->index : -1,
                                       .allocated = node->allocated,
                                       .apparent = node->apparent,
                                       .files = node->files,
                                       .directories = node->directories,
                                       .own_allocated = node->own_allocated,
                                       .own_apparent = node->own_apparent,
                                       .depth = node->depth,
                                       .error = node->error};
    return 0;
}

int64_t fo_usage_children(const struct fo_usage_tree *usage, int64_t index, int64_t *out, size_t count) {
    if (index < 0 || (size_t)index >= usage->nodes) {
        return -EINVAL;
    }
    int64_t first = usage->first_child[index], all = usage->first_child[index + 1] - first;
    for (size_t i = 0; i < count && (int64_t)i < all; i++) {
        out[i] = usage->children[first + (int64_t)i];
    }
    return all;
}

static int compare_nodes(const struct fo_usage_node *a, const struct fo_usage_node *b, int64_t left, int64_t right) {
    return left != right ? (left > right ? -1 : 1) : fo_usage_node_compare(a, b);
}

static int by_allocated(const void *left, const void *right) {
    const struct fo_usage_node *a = *(struct fo_usage_node *const *)left, *b = *(struct fo_usage_node *const *)right;
    return compare_nodes(a, b, a->allocated, b->allocated);
}

static int by_apparent(const void *left, const void *right) {
    const struct fo_usage_node *a = *(struct fo_usage_node *const *)left, *b = *(struct fo_usage_node *const *)right;
    return compare_nodes(a, b, a->apparent, b->apparent);
}

int64_t fo_usage_top(const struct fo_usage_tree *usage, int apparent, int max_depth, int64_t *out, size_t count) {
    struct fo_usage_node **sorted = malloc((usage->nodes + 1) * sizeof(*sorted));
    if (sorted == NULL) {
        return -ENOMEM;
    }
    size_t kept = 0;
    for (size_t i = 1; i < usage->nodes; i++) {
        if (!usage->node[i]->loop && (max_depth < 0 || usage->node[i]->depth <= max_depth)) {
            sorted[kept++] = usage->node[i];
        }
    }
    qsort(sorted, kept, sizeof(*sorted), apparent ? by_apparent : by_allocated);
    size_t written = kept < count ? kept : count;
    for (size_t i = 0; i < written; i++) {
        out[i] = sorted[i]->index;
    }
    free(sorted);
    return (int64_t)written;
}

/* The path is valid until the next call. */
int fo_usage_file(struct fo_usage_tree *usage, size_t index, struct fo_usage_item *out) {
    if (index >= (size_t)usage->heap.count) {
        return 0;
    }
    const struct fo_usage_file *file = &usage->heap.file[index];
    *out = (struct fo_usage_item){.allocated = file->allocated, .apparent = file->apparent};
    int64_t length = fo_usage_path(usage, file->node, *file->name ? file->name : NULL);
    out->path = usage->path;
    return length < 0 ? (int)length : 1;
}

int fo_usage_error(const struct fo_usage_tree *usage, size_t index, struct fo_usage_item *out) {
    if (index >= usage->failures) {
        return 0;
    }
    *out = (struct fo_usage_item){.path = usage->failure[index].path, .error = usage->failure[index].error};
    return 1;
}
