/* The directories to come, in os.walk's order: each is followed by what is below it, once it was read. */
#include "walk.h"

#include <stdlib.h>
#include <string.h>

struct fo_node *fo_node_new(const char *path, size_t length, uint32_t depth) {
    struct fo_node *node = malloc(sizeof(*node) + length + 1);
    if (node != NULL) {
        memset(node, 0, sizeof(*node));
        node->depth = depth;
        node->path_length = length;
        memcpy(node->path, path, length);
        node->path[length] = '\0';
    }
    return node;
}

void fo_node_free(struct fo_node *node) {
    fo_listing_free(node->listing);
    free(node);
}

static struct fo_node *new_child(const struct fo_node *node, const char *name, size_t length) {
    size_t above = node->path_length, slash = above != 0 && node->path[above - 1] != '/';
    struct fo_node *child = malloc(sizeof(*child) + above + slash + length + 1);
    if (child != NULL) {
        memset(child, 0, sizeof(*child));
        child->depth = node->depth + 1;
        child->path_length = above + slash + length;
        memcpy(child->path, node->path, above);
        child->path[above] = '/';
        memcpy(child->path + above + slash, name, length + 1);
    }
    return child;
}

struct fo_node *fo_node_children(const struct fo_node *node, const struct fo_listing *listing, int follow) {
    struct fo_node *first = NULL, **link = &first;
    if (listing == NULL || listing->error != 0) {
        return NULL;
    }
    const char *name = listing->names, *end = name + listing->dirs_length;
    while (name < end) {
        size_t length = strlen(name);
        struct fo_node *child = new_child(node, name, length);
        if (child == NULL) {
            break;
        }
        /* Where times prove nothing reading ahead is in vain, and may hang where the caller would not have gone. */
        child->state = listing->trusted ? FO_NODE_QUEUED : FO_NODE_WAITING;
        child->follow = follow != 0;
        *link = child;
        link = &child->down;
        name += length + 1;
    }
    return first;
}

/* -- the two lists ------------------------------------------------------------------------------------------------ */

static void order_insert(struct fo_walk *walk, struct fo_node *after, struct fo_node *node) {
    struct fo_node **link = after ? &after->down : &walk->top;
    node->up = after;
    node->down = *link;
    *link = node;
    if (node->down != NULL) {
        node->down->up = node;
    }
}

static void queue_insert(struct fo_walk *walk, struct fo_node *after, struct fo_node *node) {
    struct fo_node **link = after ? &after->queue_down : &walk->queue;
    node->queue_up = after;
    node->queue_down = *link;
    *link = node;
    if (node->queue_down != NULL) {
        node->queue_down->queue_up = node;
    }
}

static void queue_leave(struct fo_walk *walk, struct fo_node *node) {
    *(node->queue_up ? &node->queue_up->queue_down : &walk->queue) = node->queue_down;
    if (node->queue_down != NULL) {
        node->queue_down->queue_up = node->queue_up;
    }
    node->queue_up = node->queue_down = NULL;
}

static size_t bytes_of(const struct fo_node *node) {
    return node->listing->dirs_length + node->listing->files_length;
}

/* Puts a chain of nodes behind one of the order, and those that are queued behind one of the queue. */
static void insert_chain(struct fo_walk *walk, struct fo_node *after, struct fo_node *queue_after,
                         struct fo_node *chain) {
    while (chain != NULL) {
        struct fo_node *node = chain;
        chain = node->down;
        order_insert(walk, after, node);
        after = node;
        if (node->state == FO_NODE_QUEUED) {
            queue_insert(walk, queue_after, node);
            queue_after = node;
            walk->queued++;
        }
    }
}

void fo_order_push(struct fo_walk *walk, struct fo_node *node) {
    order_insert(walk, NULL, node);
    if (node->state == FO_NODE_QUEUED || node->state == FO_NODE_READING) {
        queue_insert(walk, NULL, node);
        walk->queued += node->state == FO_NODE_QUEUED;
    } else if (node->state == FO_NODE_READY) {
        walk->ready++;
        walk->ready_bytes += bytes_of(node);
    }
}

void fo_order_push_chain(struct fo_walk *walk, struct fo_node *chain) {
    insert_chain(walk, NULL, NULL, chain);
}

void fo_order_leave(struct fo_walk *walk, struct fo_node *node) {
    *(node->up ? &node->up->down : &walk->top) = node->down;
    if (node->down != NULL) {
        node->down->up = node->up;
    }
    node->up = node->down = NULL;
    if (node->state == FO_NODE_QUEUED || node->state == FO_NODE_READING) {
        queue_leave(walk, node);
        walk->queued -= node->state == FO_NODE_QUEUED;
    } else if (node->state == FO_NODE_READY) {
        walk->ready--;
        walk->ready_bytes -= bytes_of(node);
    }
}

void fo_order_drop(struct fo_walk *walk, struct fo_node *node) {
    fo_order_leave(walk, node);
    if (node->state == FO_NODE_READING) {
        node->dropped = 1;
    } else {
        fo_node_free(node);
    }
}

void fo_order_drop_below(struct fo_walk *walk, uint32_t depth) {
    while (walk->top != NULL && walk->top->depth >= depth) {
        fo_order_drop(walk, walk->top);
    }
}

struct fo_node *fo_order_claim(struct fo_walk *walk) {
    struct fo_node *node = walk->queue;
    while (node != NULL && node->state == FO_NODE_READING) {
        node = node->queue_down;
    }
    if (node != NULL) {
        node->state = FO_NODE_READING;
        node->user = walk->user;
        node->inherits = (walk->flags & FO_WALK_FOLLOW) != 0;
        walk->queued--;
    }
    return node;
}

static void free_chain(struct fo_node *chain) {
    while (chain != NULL) {
        struct fo_node *node = chain;
        chain = node->down;
        fo_node_free(node);
    }
}

void fo_order_settle(struct fo_walk *walk, struct fo_node *node, struct fo_listing *listing, struct fo_node *chain) {
    if (node->dropped) {
        free_chain(chain);
        fo_listing_free(listing);
        fo_node_free(node);
        return;
    }
    insert_chain(walk, node, node, chain);
    queue_leave(walk, node);
    if (listing == NULL) {
        node->state = FO_NODE_WAITING; /* memory was short: again when its turn comes */
        return;
    }
    listing->user = node->user;
    node->listing = listing;
    node->state = FO_NODE_READY;
    walk->ready++;
    walk->ready_bytes += bytes_of(node);
    walk->distrust = listing->trusted ? 0 : walk->distrust + 1;
}
