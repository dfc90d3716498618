/* The directories already entered, where symbolic links are followed: an open-addressed set. */
#include <errno.h>
#include <stdlib.h>

#include "scan.h"

static size_t slot_of(const struct fo_visited *visited, uint64_t dev, uint64_t ino) {
    uint64_t hash = (ino ^ (dev * 0x9E3779B97F4A7C15u)) * 0xFF51AFD7ED558CCDu;
    return (size_t)(hash ^ hash >> 32) & (visited->capacity - 1);
}

/* Returns the slot that holds the identity, or the free one where it belongs. An inode number is never 0. */
static struct fo_identity *find(const struct fo_visited *visited, uint64_t dev, uint64_t ino) {
    size_t at = slot_of(visited, dev, ino);
    while (visited->slots[at].ino != 0 && (visited->slots[at].ino != ino || visited->slots[at].dev != dev)) {
        at = (at + 1) & (visited->capacity - 1);
    }
    return &visited->slots[at];
}

static int grow(struct fo_visited *visited) {
    struct fo_visited larger = {.capacity = visited->capacity > 0 ? visited->capacity * 2 : 256};
    larger.slots = calloc(larger.capacity, sizeof *larger.slots);
    if (larger.slots == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < visited->capacity; i++) {
        if (visited->slots[i].ino != 0) {
            *find(&larger, visited->slots[i].dev, visited->slots[i].ino) = visited->slots[i];
        }
    }
    free(visited->slots);
    visited->slots = larger.slots;
    visited->capacity = larger.capacity;
    return 0;
}

/* Adds with the lock held. Returns 1 if new, 0 if known, -ENOMEM. */
static int add(struct fo_visited *visited, uint64_t dev, uint64_t ino) {
    if (visited->count * 2 >= visited->capacity && grow(visited) < 0) {
        return -ENOMEM;
    }
    ino = ino == 0 ? UINT64_MAX : ino;
    struct fo_identity *slot = find(visited, dev, ino);
    if (slot->ino == ino) {
        return 0;
    }
    *slot = (struct fo_identity){dev, ino};
    visited->count++;
    return 1;
}

int fo_visited_add(struct fo_visited *visited, uint64_t dev, uint64_t ino) {
    fo_scan_lock(&visited->lock);
    int result = add(visited, dev, ino);
    pthread_mutex_unlock(&visited->lock);
    return result;
}

int64_t fo_scan_visited(struct fo_scan *scan, uint64_t *buffer, int64_t count) {
    struct fo_visited *visited = &scan->visited;
    int result = fo_scan_hold(scan);
    if (result < 0) {
        return result;
    }
    fo_scan_lock(&visited->lock);
    int64_t total = (int64_t)visited->count, written = 0;
    for (size_t i = 0; total <= count && i < visited->capacity; i++) {
        if (visited->slots[i].ino != 0) {
            buffer[2 * written] = visited->slots[i].dev;
            buffer[2 * written + 1] = visited->slots[i].ino;
            written++;
        }
    }
    pthread_mutex_unlock(&visited->lock);
    fo_scan_drop(scan);
    return total;
}
