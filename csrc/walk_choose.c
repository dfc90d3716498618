/* Arranges what is to come after the caller has changed a list of directories: sorted, thinned out, added to. */
#include "walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The directories right below the one visited, each with what follows below it, found by path. */
struct choice {
    struct fo_node **slot; /* the first node of each, open addressing; a taken one is replaced by &gone */
    size_t size;
};

static struct fo_node gone;

static size_t hash(const char *path, size_t length) {
    uint64_t value = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < length; i++) {
        value = (value ^ (unsigned char)path[i]) * UINT64_C(0x100000001b3);
    }
    return (size_t)(value ^ value >> 32);
}

static struct fo_node **find(const struct choice *choice, const char *path, size_t length) {
    size_t i = hash(path, length) & (choice->size - 1);
    for (struct fo_node *node; (node = choice->slot[i]) != NULL; i = (i + 1) & (choice->size - 1)) {
        if (node != &gone && node->path_length == length && memcmp(node->path, path, length) == 0) {
            break;
        }
    }
    return &choice->slot[i];
}

/* Cuts what is below the directory off the top of the order, into one chain (linked by down) a subtree.
 * Nodes out of the order keep their states. */
static void cut(struct fo_walk *walk, uint32_t depth, struct choice *choice) {
    struct fo_node *last = NULL;
    while (walk->top != NULL && walk->top->depth > depth) {
        struct fo_node *node = walk->top;
        fo_order_leave(walk, node);
        if (node->depth == depth + 1 || last == NULL) {
            *find(choice, node->path, node->path_length) = node;
        } else {
            last->down = node;
        }
        last = node;
    }
}

/* Puts a chain back in front. */
static void put(struct fo_walk *walk, struct fo_node *chain) {
    struct fo_node *reversed = NULL;
    while (chain != NULL) {
        struct fo_node *next = chain->down;
        chain->down = reversed;
        reversed = chain;
        chain = next;
    }
    while (reversed != NULL) {
        struct fo_node *node = reversed;
        reversed = node->down;
        fo_order_push(walk, node);
    }
}

static size_t count_children(const struct fo_walk *walk, uint32_t depth) {
    size_t count = 0;
    for (const struct fo_node *node = walk->top; node != NULL && node->depth > depth; node = node->down) {
        count += node->depth == depth + 1;
    }
    return count;
}

/* Throws away what was not chosen. */
static void clear(struct fo_walk *walk, struct choice *choice) {
    for (size_t i = 0; i < choice->size; i++) {
        struct fo_node *chain = choice->slot[i] == &gone ? NULL : choice->slot[i];
        while (chain != NULL) {
            struct fo_node *node = chain;
            chain = node->down;
            fo_order_push(walk, node);
            fo_order_drop(walk, node);
        }
    }
    free(choice->slot);
}

/* Puts one path in front: what is known of it, or a node that waits. Returns 0 or -ENOMEM. */
static int choose(struct fo_walk *walk, struct choice *choice, const char *path, size_t length, uint32_t depth) {
    struct fo_node **slot = find(choice, path, length), *node = *slot;
    if (node != NULL) {
        *slot = &gone;
        put(walk, node);
        return 0;
    }
    node = fo_node_new(path, length, depth + 1);
    if (node == NULL) {
        return -ENOMEM;
    }
    node->follow = (walk->flags & FO_WALK_FOLLOW) != 0;
    fo_order_push(walk, node);
    return 0;
}

int fo_order_choose(struct fo_walk *walk, uint32_t depth, const char *paths, size_t length) {
    struct choice choice = {.size = 8};
    for (size_t children = count_children(walk, depth); choice.size < children * 2;) {
        choice.size *= 2;
    }
    choice.slot = calloc(choice.size, sizeof(*choice.slot));
    if (choice.slot == NULL) {
        return -ENOMEM;
    }
    cut(walk, depth, &choice);
    int result = 0;
    while (length > 0 && result == 0) { /* the last path first */
        size_t end = --length;
        while (length > 0 && paths[length - 1] != '\0') {
            length--;
        }
        result = choose(walk, &choice, paths + length, end - length, depth);
    }
    clear(walk, &choice);
    return result;
}
