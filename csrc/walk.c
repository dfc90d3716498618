/* The walk: a stack of directories to visit, in os.walk's order, and what is known of each. */
#include "walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    MOST_READY = 512,                      /* directories read ahead and not handed out */
    MOST_READY_BYTES = 4 * 1024 * 1024,    /* and the bytes of their names */
    MOST_IN_BATCH = 64,                    /* directories handed out by one call */
    MOST_RAMP = 16,                        /* directories the caller reads in one call */
    POOL_AFTER_NS = 500 * 1000,            /* a walk shorter than this calls no thread in */
    ENOUGH_DISTRUST = 8
};

/* -- id -> node -------------------------------------------------------------------------------------------------- */

static size_t slot_of(const struct fo_walk *walk, int64_t id) {
    return ((uint64_t)id * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (walk->table_size - 1);
}

static struct fo_node *table_find(const struct fo_walk *walk, int64_t id) {
    for (size_t i = walk->table_size ? slot_of(walk, id) : 0; walk->table_size; i = (i + 1) & (walk->table_size - 1)) {
        if (walk->table[i] == NULL || walk->table[i]->id == id) {
            return walk->table[i];
        }
    }
    return NULL;
}

static void table_put(struct fo_walk *walk, struct fo_node *node) {
    size_t i = slot_of(walk, node->id);
    while (walk->table[i] != NULL) {
        i = (i + 1) & (walk->table_size - 1);
    }
    walk->table[i] = node;
    walk->table_used++;
}

/* Makes room for so many more nodes. Returns 0 or -ENOMEM. */
static int table_reserve(struct fo_walk *walk, size_t more) {
    size_t size = walk->table_size ? walk->table_size : 16, old_size = walk->table_size;
    while ((walk->table_used + more) * 2 > size) {
        size *= 2;
    }
    if (size == old_size) {
        return 0;
    }
    struct fo_node **old = walk->table, **grown = calloc(size, sizeof(struct fo_node *));
    if (grown == NULL) {
        return -ENOMEM;
    }
    walk->table = grown;
    walk->table_size = size;
    walk->table_used = 0;
    for (size_t i = 0; i < old_size; i++) {
        if (old[i] != NULL) {
            table_put(walk, old[i]);
        }
    }
    free(old);
    return 0;
}

/* Takes a node out; those that collided with it move up, so that no tombstones are needed. */
static void table_remove(struct fo_walk *walk, const struct fo_node *node) {
    size_t mask = walk->table_size - 1, hole = slot_of(walk, node->id);
    while (walk->table[hole] != node) {
        hole = (hole + 1) & mask;
    }
    for (size_t i = (hole + 1) & mask; walk->table[i] != NULL; i = (i + 1) & mask) {
        size_t home = slot_of(walk, walk->table[i]->id);
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            walk->table[hole] = walk->table[i];
            hole = i;
        }
    }
    walk->table[hole] = NULL;
    walk->table_used--;
}

/* -- the stack (the pool's lock is held, or there is no pool) ---------------------------------------------------- */

static void node_free(struct fo_node *node) {
    fo_listing_free(node->listing);
    free(node);
}

static void stack_push(struct fo_walk *walk, struct fo_node *node) {
    node->down = walk->top;
    if (walk->top != NULL) {
        walk->top->up = node;
    }
    walk->top = node;
    node->queue_down = walk->queue;
    if (walk->queue != NULL) {
        walk->queue->queue_up = node;
    }
    walk->queue = node;
    walk->queued++;
}

static void leave_queue(struct fo_walk *walk, struct fo_node *node) {
    *(node->queue_up ? &node->queue_up->queue_down : &walk->queue) = node->queue_down;
    if (node->queue_down != NULL) {
        node->queue_down->queue_up = node->queue_up;
    }
    node->queue_up = node->queue_down = NULL;
    walk->queued--;
}

static void leave_stack(struct fo_walk *walk, struct fo_node *node) {
    *(node->up ? &node->up->down : &walk->top) = node->down;
    if (node->down != NULL) {
        node->down->up = node->up;
    }
    node->up = node->down = NULL;
    if (node->state == FO_NODE_QUEUED) {
        leave_queue(walk, node);
    } else if (node->state == FO_NODE_READY) {
        walk->ready--;
        walk->ready_bytes -= node->listing->dirs_length + node->listing->files_length;
    }
}

struct fo_node *fo_walk_claim(struct fo_walk *walk) {
    struct fo_node *node = walk->queue;
    while (node != NULL && node->is_link) { /* a link is read when it is visited */
        node = node->queue_down;
    }
    if (node != NULL) {
        leave_queue(walk, node);
        node->state = FO_NODE_READING;
        node->user = walk->user;
    }
    return node;
}

void fo_walk_settle(struct fo_walk *walk, struct fo_node *node, struct fo_listing *listing) {
    if (node->dropped) {
        fo_listing_free(listing);
        node_free(node);
        return;
    }
    if (listing == NULL && (listing = calloc(1, sizeof(*listing))) == NULL) {
        abort(); /* not a byte is left, and the walk would wait for this node for ever */
    }
    listing->user = node->user;
    node->listing = listing;
    node->state = FO_NODE_READY;
    walk->ready++;
    walk->ready_bytes += listing->dirs_length + listing->files_length;
    walk->distrust = listing->trusted ? 0 : walk->distrust + 1;
}

int fo_walk_wants(const struct fo_walk *walk) {
    return walk->queued > 0 && !walk->closed && walk->ready < MOST_READY && walk->ready_bytes < MOST_READY_BYTES &&
           walk->distrust < ENOUGH_DISTRUST;
}

static void free_all(struct fo_walk *walk) {
    fo_reader_clear(&walk->reader);
    free(walk->names.data);
    free(walk->meta.data);
    free(walk->skipped.data);
    free(walk->table);
    free(walk);
}

void fo_walk_release(struct fo_walk *walk) {
    if (--walk->references == 0) {
        free_all(walk);
    }
}

/* -- for the caller ---------------------------------------------------------------------------------------------- */

static int orphaned(const struct fo_walk *walk) {
    return walk->generation != fo_pool_generation();
}

static void lock(struct fo_walk *walk) {
    if (walk->registered) {
        pthread_mutex_lock(&fo_pool_lock);
    }
}

static void unlock(struct fo_walk *walk) {
    if (walk->registered) {
        pthread_mutex_unlock(&fo_pool_lock);
    }
}

struct fo_walk *fo_walk_open(int flags) {
    struct fo_walk *walk = calloc(1, sizeof(*walk));
    if (walk != NULL) {
        walk->flags = flags;
        walk->next_id = walk->references = 1;
        walk->ramp = 1;
        walk->generation = fo_pool_generation();
    }
    return walk;
}

static struct fo_node *node_new(int64_t id, const char *directory, size_t length, const char *name, size_t name_length) {
    int slash = length != 0 && directory[length - 1] != '/' && name_length != 0;
    struct fo_node *node = malloc(sizeof(*node) + length + slash + name_length + 1);
    if (node == NULL) {
        return NULL;
    }
    memset(node, 0, sizeof(*node));
    node->id = id;
    node->path_length = length + slash + name_length;
    memcpy(node->path, directory, length);
    node->path[length] = '/';
    memcpy(node->path + length + slash, name, name_length);
    node->path[node->path_length] = '\0';
    return node;
}

int64_t fo_walk_push(struct fo_walk *walk, const char *path, size_t length, int flags) {
    struct fo_node *node = table_reserve(walk, 1) == 0 ? node_new(walk->next_id, path, length, "", 0) : NULL;
    if (node == NULL) {
        return -ENOMEM;
    }
    node->follow = (flags & FO_WALK_FOLLOW) != 0;
    table_put(walk, node);
    if (!orphaned(walk)) {
        lock(walk);
        stack_push(walk, node);
        unlock(walk);
    }
    return walk->next_id++;
}

/* Adds a directory to the batch. Returns 0 or -ENOMEM. */
static int emit(struct fo_walk *walk, int64_t id, const struct fo_listing *listing, int error) {
    int64_t meta[4] = {id, error, error ? 0 : listing->dirs, error ? 0 : listing->files};
    int result = fo_text_add(&walk->meta, meta, sizeof(meta));
    if (result == 0 && error == 0) {
        result = fo_text_add(&walk->names, listing->names, listing->dirs_length + listing->files_length);
    }
    return result;
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Reads a node that was claimed, and settles it. The lock is held, and given back meanwhile. */
static void read_claimed(struct fo_walk *walk, struct fo_node *node) {
    unlock(walk);
    struct fo_listing *listing = fo_reader_read(&walk->reader, node->path, 0);
    lock(walk);
    fo_walk_settle(walk, node, listing);
}

/* Reads others while another thread reads the one that is wanted. Returns 0, or -EAGAIN if it goes on and on. */
static int await(struct fo_walk *walk, struct fo_node *node) {
    int64_t began = now_ns();
    while (node->state == FO_NODE_READING) {
        struct fo_node *other = fo_walk_wants(walk) ? fo_walk_claim(walk) : NULL;
        if (other != NULL) {
            read_claimed(walk, other);
        } else {
            fo_pool_wait(walk);
        }
        if (node->state == FO_NODE_READING && now_ns() - began > 50 * 1000 * 1000) {
            return -EAGAIN;
        }
    }
    return 0;
}

/* Takes a node off the stack for the caller, with its listing as it is now. Without the lock but for the stack.
 * Returns errno, or FO_WALK_IS_LINK, or 0; -ENOMEM below that. */
static int read_now(struct fo_walk *walk, struct fo_node *node) {
    struct fo_listing *listing = node->listing;
    if (listing == NULL || listing->error != 0 || !fo_listing_is_current(listing, node->path)) {
        fo_listing_free(listing);
        node->listing = listing = fo_reader_read(&walk->reader, node->path, node->follow);
    }
    if (listing == NULL) {
        return ENOMEM;
    }
    listing->user = walk->user;
    if (listing->error != 0) {
        return !node->follow && fo_path_is_link(node->path) ? FO_WALK_IS_LINK : listing->error;
    }
    if (listing->links != 0) {
        node->listing = fo_reader_resolve(&walk->reader, listing, AT_FDCWD, node->path);
    }
    return node->listing == NULL ? ENOMEM : 0;
}

/* Reads some more in the caller's own thread, more from call to call, while nobody else has. The lock is held. */
static void read_on(struct fo_walk *walk, int64_t began) {
    for (uint32_t i = 1; i < walk->ramp && walk->ready < walk->ramp && fo_walk_wants(walk); i++) {
        struct fo_node *node = fo_walk_claim(walk);
        if (node == NULL || now_ns() - began > 300 * 1000) {
            if (node != NULL) {
                read_claimed(walk, node);
            }
            break;
        }
        read_claimed(walk, node);
    }
    walk->ramp = walk->ramp < MOST_RAMP ? walk->ramp * 2 : MOST_RAMP;
}

/* Hands out what is on top of the stack and read. The lock is held. Returns the number of items or -ENOMEM. */
static int hand_out(struct fo_walk *walk) {
    int items = 1;
    while (walk->top != NULL && items < MOST_IN_BATCH) {
        struct fo_node *node = walk->top;
        const struct fo_listing *listing = node->listing;
        if (node->state != FO_NODE_READY || !listing->trusted || listing->links != 0) {
            break;
        }
        leave_stack(walk, node);
        node->state = FO_NODE_TAKEN;
        if (emit(walk, node->id, listing, 0) != 0) {
            return -ENOMEM;
        }
        items++;
    }
    return items;
}

static void forget_node(struct fo_walk *walk, struct fo_node *node) {
    table_remove(walk, node);
    node_free(node);
}

/* Calls the pool in once a walk has shown that it is not a small one. The lock is held if the pool is there. */
static void call_pool(struct fo_walk *walk, int64_t began) {
    walk->read_ns += now_ns() - began;
    if (walk->read_ns > POOL_AFTER_NS && walk->queued > 1 && fo_walk_wants(walk)) {
        if (walk->registered) {
            fo_pool_wake(walk);
        } else {
            pthread_mutex_lock(&fo_pool_lock);
            fo_pool_wake(walk); /* registers it: from here on the lock is held by lock() and unlock() */
        }
    }
}

/* Takes the node off the stack once nobody else is at it. Returns 0 or -EAGAIN. */
static int obtain(struct fo_walk *walk, struct fo_node *node) {
    lock(walk);
    walk->user = geteuid();
    int result = await(walk, node);
    if (result == 0 && node->state != FO_NODE_TAKEN) {
        leave_stack(walk, node);
        node->state = FO_NODE_TAKEN;
    }
    unlock(walk);
    return result;
}

static int finish_batch(struct fo_walk *walk, struct fo_walk_batch *out, int items) {
    *out = (struct fo_walk_batch){
        .names = walk->names.data, .length = walk->names.length, .meta = (const int64_t *)(void *)walk->meta.data};
    return items;
}

int fo_walk_take(struct fo_walk *walk, int64_t id, struct fo_walk_batch *out) {
    struct fo_node *node = table_find(walk, id);
    if (node == NULL) {
        return -ENOENT;
    }
    int64_t began = now_ns();
    int alone = orphaned(walk);
    walk->names.length = walk->meta.length = 0;
    if (alone) {
        node->listing = NULL; /* whatever a thread of the parent was at */
        node->state = FO_NODE_TAKEN;
    } else if (obtain(walk, node) != 0) {
        return -EAGAIN;
    }
    int error = read_now(walk, node);
    if (error == ENOMEM || emit(walk, id, node->listing, error) != 0) {
        return -ENOMEM;
    }
    int distrusted = error == 0 && !node->listing->trusted;
    if (error != 0 || node->listing->dirs == 0) {
        forget_node(walk, node);
    }
    if (alone) {
        return finish_batch(walk, out, 1);
    }
    lock(walk);
    walk->distrust = distrusted ? walk->distrust + 1 : 0;
    read_on(walk, began);
    int items = hand_out(walk);
    call_pool(walk, began);
    unlock(walk);
    return items < 0 ? items : finish_batch(walk, out, items);
}

int fo_walk_confirm(struct fo_walk *walk, int64_t id) {
    struct fo_node *node = table_find(walk, id);
    if (node == NULL || orphaned(walk) || !fo_listing_is_current(node->listing, node->path)) {
        walk->ramp = 1;
        return 0;
    }
    if (node->listing->dirs == 0) {
        forget_node(walk, node);
    }
    return 1;
}

/* Marks the children that os.walk would not descend into now. Returns how many, or -ENOMEM. */
static int64_t mark_links(struct fo_walk *walk, const struct fo_node *node) {
    const struct fo_listing *listing = node->listing;
    int current = fo_listing_is_current(listing, node->path);
    const char *name = listing->names;
    int64_t links = 0;
    for (uint32_t i = 0; i < listing->dirs; i++, name += strlen(name) + 1) {
        uint8_t skip = walk->skipped.data[i] != 0;
        if (!current) {
            struct fo_node *child = node_new(0, node->path, node->path_length, name, strlen(name));
            if (child == NULL) {
                return -ENOMEM;
            }
            skip = (uint8_t)fo_path_is_link(child->path);
            free(child);
        }
        walk->skipped.data[i] = (char)skip;
        links += skip;
    }
    return links;
}

/* One byte for each of a node's directories: whether it was a symbolic link when it was read. */
static int note_links(struct fo_walk *walk, const struct fo_listing *listing) {
    walk->skipped.length = 0;
    const char *name = listing->names;
    for (uint32_t i = 0, next = 0; i < listing->dirs; i++, name += strlen(name) + 1) {
        char is_link = next < listing->links && (uint32_t)(name - listing->names) == listing->link[next].offset;
        next += is_link;
        if (fo_text_add(&walk->skipped, &is_link, 1) != 0) {
            return -ENOMEM;
        }
    }
    return 0;
}

/* Makes the nodes of the children, in order. Returns the first of their chain (linked by .down), or NULL. */
static struct fo_node *make_children(struct fo_walk *walk, const struct fo_node *node, int leave_out) {
    const struct fo_listing *listing = node->listing;
    struct fo_node *chain = NULL;
    const char *name = listing->names;
    for (uint32_t i = 0; i < listing->dirs; i++, name += strlen(name) + 1) {
        if (leave_out && walk->skipped.data[i]) {
            continue;
        }
        struct fo_node *child = node_new(walk->next_id + i, node->path, node->path_length, name, strlen(name));
        if (child == NULL) {
            break; /* its id stays unknown, and the caller hears so when asking for it */
        }
        child->is_link = walk->skipped.data[i] != 0;
        child->follow = !(walk->flags & FO_WALK_LAZY) || (walk->flags & FO_WALK_FOLLOW);
        child->down = chain;
        chain = child;
    }
    return chain;
}

static void push_children(struct fo_walk *walk, struct fo_node *chain) {
    int alone = orphaned(walk);
    lock(walk);
    while (chain != NULL) {
        struct fo_node *child = chain;
        chain = child->down;
        child->down = NULL;
        table_put(walk, child);
        if (!alone) {
            stack_push(walk, child);
        }
    }
    if (!alone && walk->registered && fo_walk_wants(walk)) {
        fo_pool_wake(walk);
    }
    unlock(walk);
}

int fo_walk_descend(struct fo_walk *walk, int64_t id, struct fo_walk_children *out) {
    struct fo_node *node = table_find(walk, id);
    if (node == NULL) {
        return -ENOENT;
    }
    int eager = !(walk->flags & (FO_WALK_LAZY | FO_WALK_FOLLOW));
    uint32_t dirs = node->listing->dirs;
    int64_t links = 0;
    if (note_links(walk, node->listing) != 0 || table_reserve(walk, dirs) != 0 ||
        (eager && (links = mark_links(walk, node)) < 0)) {
        return -ENOMEM;
    }
    push_children(walk, make_children(walk, node, eager));
    *out = (struct fo_walk_children){
        .first = walk->next_id, .links = (size_t)links, .skipped = (const uint8_t *)walk->skipped.data};
    walk->next_id += dirs;
    forget_node(walk, node);
    return (int)dirs;
}

int fo_walk_discard(struct fo_walk *walk, int64_t id) {
    struct fo_node *node = table_find(walk, id);
    if (node == NULL || orphaned(walk)) {
        return 0;
    }
    lock(walk);
    int reading = node->state == FO_NODE_READING;
    if (node->state != FO_NODE_TAKEN) {
        leave_stack(walk, node);
    }
    table_remove(walk, node);
    if (reading) {
        node->dropped = 1;
    } else {
        node_free(node);
    }
    unlock(walk);
    return 0;
}

int fo_walk_list(struct fo_walk *walk, int fd, struct fo_walk_batch *out) {
    walk->names.length = walk->meta.length = 0;
    struct fo_listing *listing = fo_reader_list(&walk->reader, fd);
    int result = listing == NULL ? -ENOMEM : -listing->error;
    if (result == 0) {
        result = emit(walk, 0, listing, 0);
    }
    fo_listing_free(listing);
    return result < 0 ? result : finish_batch(walk, out, 1);
}

int fo_walk_close(struct fo_walk *walk) {
    if (orphaned(walk)) {
        return 0; /* a thread of the parent may have held any of it in mid-change: left to the process's end */
    }
    pthread_mutex_lock(&fo_pool_lock);
    fo_pool_forget(walk);
    walk->closed = 1;
    for (size_t i = 0; i < walk->table_size; i++) {
        struct fo_node *node = walk->table[i];
        if (node != NULL && node->state == FO_NODE_READING) {
            node->dropped = 1;
        } else if (node != NULL) {
            node_free(node);
        }
    }
    walk->table_size = 0;
    fo_walk_release(walk);
    pthread_mutex_unlock(&fo_pool_lock);
    return 0;
}
