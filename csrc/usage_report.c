/* Disk usage: the sums at the end, and what is asked about them. */
#include "usage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int64_t fo_usage_path(const struct fo_usage_node *node, const char *name, char **buffer, size_t *capacity) {
    size_t length = name ? strlen(name) : 0;
    for (const struct fo_usage_node *at = node; at->parent != NULL; at = at->parent) {
        length += strlen(at->name) + (length > 0 || at != node);
    }
    if (*capacity < length + 1) {
        char *grown = realloc(*buffer, (length + 1) * 2);
        if (grown == NULL) {
            return -ENOMEM;
        }
        *buffer = grown;
        *capacity = (length + 1) * 2;
    }
    size_t end = length;
    (*buffer)[end] = '\0';
    if (name != NULL) {
        end -= strlen(name);
        memcpy(*buffer + end, name, strlen(name));
    }
    for (; node->parent != NULL; node = node->parent) {
        if (end < length) {
            (*buffer)[--end] = '/';
        }
        end -= strlen(node->name);
        memcpy(*buffer + end, node->name, strlen(node->name));
    }
    return (int64_t)length;
}

/* Gives each linked file to the directory that it counts for. */
static int attribute_links(struct fo_usage_tree *usage) {
    int result = 0;
    for (size_t i = 0; i < usage->links.size; i++) {
        const struct fo_usage_link *link = &usage->links.slot[i];
        if (link->node != NULL) {
            link->node->own_allocated += link->allocated;
            link->node->own_apparent += link->apparent;
            result |= fo_usage_heap_offer(&usage->heap, link->node, link->name, link->allocated, link->apparent);
        }
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
        if (node->parent != NULL) {
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
        usage->first_child[usage->node[i]->parent->index + 2]++;
    }
    for (size_t i = 2; i < usage->nodes + 2; i++) {
        usage->first_child[i] += usage->first_child[i - 1];
    }
    for (size_t i = 1; i < usage->nodes; i++) {
        usage->children[usage->first_child[usage->node[i]->parent->index + 1]++] = (int64_t)i;
    }
    return 0;
}

int fo_usage_finish(struct fo_usage_tree *usage) {
    int result = attribute_links(usage);
    add_up(usage);
    fo_usage_heap_sort(&usage->heap);
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
        if (max_depth < 0 || usage->node[i]->depth <= max_depth) {
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
static int describe(const struct fo_usage_tree *usage, const struct fo_usage_node *node, const char *name,
                    struct fo_usage_item *out) {
    struct fo_usage_tree *own = (struct fo_usage_tree *)usage; /* only its scratch changes */
    int64_t length = fo_usage_path(node, name, &own->path, &own->path_capacity);
    out->path = own->path;
    return length < 0 ? (int)length : 1;
}

int fo_usage_file(const struct fo_usage_tree *usage, size_t index, struct fo_usage_item *out) {
    if (index >= (size_t)usage->heap.count) {
        return 0;
    }
    const struct fo_usage_file *file = &usage->heap.file[index];
    *out = (struct fo_usage_item){.allocated = file->allocated, .apparent = file->apparent};
    return describe(usage, file->node, *file->name ? file->name : NULL, out);
}

int fo_usage_error(const struct fo_usage_tree *usage, size_t index, struct fo_usage_item *out) {
    if (index >= usage->failures) {
        return 0;
    }
    *out = (struct fo_usage_item){.error = usage->failure[index].error};
    return describe(usage, usage->failure[index].node, usage->failure[index].name, out);
}
