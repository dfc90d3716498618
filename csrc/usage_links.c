/* Disk usage: files with several names, and the largest files. */
#include "usage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* -- links: open addressing, growing at three quarters ---------------------------------------------------------- */

static size_t home_of(const struct fo_usage_links *links, uint64_t dev, uint64_t ino) {
    return ((ino ^ dev * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xff51afd7ed558ccd) >> 24) & (links->size - 1);
}

static struct fo_usage_link *find(const struct fo_usage_links *links, uint64_t dev, uint64_t ino) {
    size_t i = home_of(links, dev, ino);
    while (links->slot[i].node != NULL && (links->slot[i].ino != ino || links->slot[i].dev != dev)) {
        i = (i + 1) & (links->size - 1);
    }
    return &links->slot[i];
}

static int grow(struct fo_usage_links *links) {
    struct fo_usage_links bigger = *links;
    bigger.size = links->size ? links->size * 2 : 256;
    bigger.slot = calloc(bigger.size, sizeof(*bigger.slot));
    if (bigger.slot == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < links->size; i++) {
        if (links->slot[i].node != NULL) {
            *find(&bigger, links->slot[i].dev, links->slot[i].ino) = links->slot[i];
        }
    }
    free(links->slot);
    links->slot = bigger.slot;
    links->size = bigger.size;
    return 0;
}

int fo_usage_links_has(const struct fo_usage_links *links, const struct fo_stat *status) {
    return links->size > 0 && find(links, status->dev, status->ino)->node != NULL;
}

int fo_usage_links_add(struct fo_usage_links *links, struct fo_usage_node *node, const char *name,
                       const struct fo_stat *status) {
    if (links->used * 4 >= links->size * 3 && grow(links) != 0) {
        return -ENOMEM;
    }
    struct fo_usage_link *link = find(links, status->dev, status->ino);
    int order = link->node == NULL ? 1 : fo_usage_node_compare(link->node, node);
    if (order < 0 || (order == 0 && strcmp(link->name, name) <= 0)) {
        return 0;
    }
    char *copy = strdup(name);
    if (copy == NULL) {
        return -ENOMEM;
    }
    int new = link->node == NULL;
    free(link->name);
    *link = (struct fo_usage_link){status->dev, status->ino, node, copy, status->blocks * 512, status->size};
    links->used += (size_t)new;
    return new;
}

/* -- the largest files ------------------------------------------------------------------------------------------- */

/* Below 0 if left comes before right among the largest: larger first, then by path. */
static int compare(const struct fo_usage_file *left, const struct fo_usage_file *right, int apparent) {
    int64_t a = apparent ? left->apparent : left->allocated, b = apparent ? right->apparent : right->allocated;
    if (a != b) {
        return a > b ? -1 : 1;
    }
    int order = left->node == right->node ? 0 : fo_usage_node_compare(left->node, right->node);
    return order ? order : strcmp(left->name, right->name);
}

static void sink(struct fo_usage_heap *heap, int at) {
    for (int child; (child = 2 * at + 1) < heap->count; at = child) {
        if (child + 1 < heap->count && compare(&heap->file[child + 1], &heap->file[child], heap->apparent) > 0) {
            child++;
        }
        if (compare(&heap->file[at], &heap->file[child], heap->apparent) >= 0) {
            return;
        }
        struct fo_usage_file file = heap->file[at];
        heap->file[at] = heap->file[child];
        heap->file[child] = file;
    }
}

static void rise(struct fo_usage_heap *heap, int at) {
    for (int above; at > 0; at = above) {
        above = (at - 1) / 2;
        if (compare(&heap->file[at], &heap->file[above], heap->apparent) <= 0) {
            return;
        }
        struct fo_usage_file file = heap->file[at];
        heap->file[at] = heap->file[above];
        heap->file[above] = file;
    }
}

int fo_usage_heap_init(struct fo_usage_heap *heap, int capacity, int apparent) {
    heap->capacity = capacity;
    heap->apparent = apparent;
    heap->file = capacity ? malloc((size_t)capacity * sizeof(*heap->file)) : NULL;
    if (capacity && heap->file == NULL) {
        heap->capacity = 0;
        return -ENOMEM;
    }
    return 0;
}

int fo_usage_heap_may_take(const struct fo_usage_heap *heap, int64_t allocated, int64_t apparent) {
    if (heap->count < heap->capacity) {
        return 1;
    }
    return heap->capacity > 0 && (heap->apparent ? apparent >= heap->file[0].apparent
                                                 : allocated >= heap->file[0].allocated);
}

int fo_usage_heap_offer(struct fo_usage_heap *heap, const struct fo_usage_node *node, const char *name,
                        int64_t allocated, int64_t apparent) {
    struct fo_usage_file file = {.node = node, .name = (char *)name, .allocated = allocated, .apparent = apparent};
    int full = heap->count == heap->capacity;
    if (heap->capacity == 0 || (full && compare(&file, &heap->file[0], heap->apparent) > 0)) {
        return 0;
    }
    file.name = strdup(name);
    if (file.name == NULL) {
        return -ENOMEM;
    }
    if (full) {
        free(heap->file[0].name);
        heap->file[0] = file;
        sink(heap, 0);
    } else {
        heap->file[heap->count++] = file;
        rise(heap, heap->count - 1);
    }
    return 0;
}

void fo_usage_heap_sort(struct fo_usage_heap *heap) {
    int count = heap->count;
    while (heap->count > 1) {
        struct fo_usage_file least = heap->file[0];
        heap->file[0] = heap->file[--heap->count];
        heap->file[heap->count] = least;
        sink(heap, 0);
    }
    heap->count = count;
}

void fo_usage_heap_clear(struct fo_usage_heap *heap) {
    for (int i = 0; i < heap->count; i++) {
        free(heap->file[i].name);
    }
    free(heap->file);
    *heap = (struct fo_usage_heap){0};
}
