/* Disk usage: the directories, found by path, whichever order they come in. */
#include "usage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_START UINT64_C(0xcbf29ce484222325)

static uint64_t hash_on(uint64_t hash, const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static uint64_t hash_child(const struct fo_usage_node *parent, const char *name, size_t length) {
    uint64_t above = parent->parent == NULL ? HASH_START : hash_on(parent->hash, "/", 1);
    return hash_on(above, name, length);
}

static size_t home_of(const struct fo_usage_tree *usage, uint64_t hash) {
    return (hash ^ hash >> 32) & (usage->slots - 1);
}

static int grow(struct fo_usage_tree *usage) {
    size_t slots = usage->slots ? usage->slots * 2 : 256;
    struct fo_usage_node **slot = calloc(slots, sizeof(struct fo_usage_node *));
    if (slot == NULL) {
        return -ENOMEM;
    }
    free(usage->slot);
    usage->slot = slot;
    usage->slots = slots;
    for (size_t i = 0; i < usage->nodes; i++) {
        size_t at = home_of(usage, usage->node[i]->hash);
        while (slot[at] != NULL) {
            at = (at + 1) & (slots - 1);
        }
        slot[at] = usage->node[i];
    }
    return 0;
}

/* Makes room for one more in the list of all. Returns 0 or -ENOMEM. */
static int reserve(struct fo_usage_tree *usage) {
    if (usage->nodes == usage->node_capacity) {
        size_t capacity = usage->node_capacity ? usage->node_capacity * 2 : 256;
        struct fo_usage_node **grown = realloc(usage->node, capacity * sizeof(*grown));
        if (grown == NULL) {
            return -ENOMEM;
        }
        usage->node = grown;
        usage->node_capacity = capacity;
    }
    return usage->nodes * 4 >= usage->slots * 3 ? grow(usage) : 0;
}

static struct fo_usage_node *new_node(struct fo_usage_tree *usage, struct fo_usage_node *parent, const char *name,
                                      size_t length, uint64_t hash) {
    struct fo_usage_node *node = reserve(usage) == 0 ? calloc(1, sizeof(*node) + length + 1) : NULL;
    if (node == NULL) {
        return NULL;
    }
    node->parent = parent;
    node->depth = parent ? parent->depth + 1 : 0;
    node->hash = hash;
    node->name_length = (uint32_t)length;
    memcpy(node->name, name, length);
    node->index = (int64_t)usage->nodes;
    usage->node[usage->nodes++] = node;
    size_t at = home_of(usage, hash);
    while (usage->slot[at] != NULL) {
        at = (at + 1) & (usage->slots - 1);
    }
    usage->slot[at] = node;
    return node;
}

struct fo_usage_node *fo_usage_root(struct fo_usage_tree *usage) {
    return new_node(usage, NULL, "", 0, HASH_START);
}

struct fo_usage_node *fo_usage_child(struct fo_usage_tree *usage, struct fo_usage_node *parent, const char *name,
                                     size_t length) {
    uint64_t hash = hash_child(parent, name, length);
    struct fo_usage_node *node;
    for (size_t at = home_of(usage, hash); (node = usage->slot[at]) != NULL; at = (at + 1) & (usage->slots - 1)) {
        if (node->hash == hash && node->parent == parent && node->name_length == length &&
            memcmp(node->name, name, length) == 0) {
            return node;
        }
    }
    return new_node(usage, parent, name, length, hash);
}

/* Whether a node stands at that path. */
static bool stands_at(const struct fo_usage_node *node, const char *path, size_t length) {
    for (; node->parent != NULL; node = node->parent) {
        size_t name = node->name_length;
        if (length < name || memcmp(path + length - name, node->name, name) != 0) {
            return false;
        }
        length -= name;
        if (node->depth > 1) {
            if (length == 0 || path[length - 1] != '/') {
                return false;
            }
            length--;
        }
    }
    return length == 0;
}

struct fo_usage_node *fo_usage_find(const struct fo_usage_tree *usage, const char *path, size_t length) {
    uint64_t hash = hash_on(HASH_START, path, length);
    struct fo_usage_node *node;
    for (size_t at = home_of(usage, hash); (node = usage->slot[at]) != NULL; at = (at + 1) & (usage->slots - 1)) {
        if (node->hash == hash && stands_at(node, path, length)) {
            return node;
        }
    }
    return NULL;
}

struct fo_usage_node *fo_usage_at(struct fo_usage_tree *usage, const char *path, size_t length) {
    struct fo_usage_node *node = NULL;
    size_t known = length;
    while ((node = fo_usage_find(usage, path, known)) == NULL) { /* up to what is known: the root at the latest */
        while (known > 0 && path[known - 1] != '/') {
            known--;
        }
        known -= known > 0;
    }
    while (node != NULL && known < length) { /* and down again */
        const char *name = path + known + (known > 0);
        const char *slash = memchr(name, '/', (size_t)(path + length - name));
        size_t end = slash ? (size_t)(slash - path) : length;
        node = fo_usage_child(usage, node, name, (size_t)(path + end - name));
        known = end;
    }
    return node;
}

int fo_usage_node_compare(const struct fo_usage_node *left, const struct fo_usage_node *right) {
    const struct fo_usage_node *a = left, *b = right;
    while (a->depth > right->depth) {
        a = a->parent;
    }
    while (b->depth > left->depth) {
        b = b->parent;
    }
    if (a == b) { /* one lies in the other, or is it */
        return left->depth - right->depth;
    }
    while (a->parent != b->parent) {
        a = a->parent;
        b = b->parent;
    }
    return strcmp(a->name, b->name);
}

int fo_usage_reserve_path(struct fo_usage_tree *usage, size_t size) {
    if (usage->path_capacity < size) {
        char *grown = realloc(usage->path, size * 2);
        if (grown == NULL) {
            return -ENOMEM;
        }
        usage->path = grown;
        usage->path_capacity = size * 2;
    }
    return 0;
}

int64_t fo_usage_path(struct fo_usage_tree *usage, const struct fo_usage_node *node, const char *name) {
    size_t length = name ? strlen(name) : 0;
    for (const struct fo_usage_node *at = node; at->parent != NULL; at = at->parent) {
        length += at->name_length + (length > 0 || at != node);
    }
    if (fo_usage_reserve_path(usage, length + 1) != 0) {
        return -ENOMEM;
    }
    size_t end = length;
    usage->path[end] = '\0';
    if (name != NULL) {
        end -= strlen(name);
        memcpy(usage->path + end, name, strlen(name));
    }
    for (; node->parent != NULL; node = node->parent) {
        if (end < length) {
            usage->path[--end] = '/';
        }
        end -= node->name_length;
        memcpy(usage->path + end, node->name, node->name_length);
    }
    return (int64_t)length;
}
