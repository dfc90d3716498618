/* The walk: what the caller gets of the directories to come, and how it shares the reading with the pool. */
#include "walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"

enum {
    MOST_READY = 512,                   /* directories read ahead and not handed out */
    MOST_READY_BYTES = 4 * 1024 * 1024, /* and the bytes of their names */
    MOST_IN_RUN = 128,                  /* directories handed out by one call */
    LEAST_IN_RUN = 4,
    MOST_RAMP = 32,               /* directories the caller reads in one call */
    POOL_AFTER_NS = 500 * 1000,   /* a walk shorter than this calls no thread in */
    READ_ON_NS = 300 * 1000,      /* the caller is not kept for longer, for what it did not ask for */
    AWAIT_NS = 50 * 1000 * 1000,
    ENOUGH_DISTRUST = 8,
    MOST_KEPT = 1024 * 1024 /* bytes of names kept for the next walk */
};

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

int fo_walk_wants(const struct fo_walk *walk) {
    return walk->queued > 0 && !walk->closed && walk->ready < MOST_READY && walk->ready_bytes < MOST_READY_BYTES &&
           walk->distrust < ENOUGH_DISTRUST;
}

/* -- its life ----------------------------------------------------------------------------------------------------- */

static void begin(struct fo_walk *walk, int flags) {
    walk->flags = flags;
    walk->ramp = 1;
    walk->run_limit = LEAST_IN_RUN;
    walk->read_ns = 0;
    walk->distrust = 0;
}

struct fo_walk *fo_walk_open(int flags) {
    struct fo_walk *walk = calloc(1, sizeof(*walk));
    if (walk != NULL) {
        walk->references = 1;
        walk->generation = fo_pool_generation();
        begin(walk, flags);
    }
    return walk;
}

static void clear_run(struct fo_walk *walk) {
    for (uint32_t i = 0; i < walk->run_length; i++) {
        fo_node_free(walk->run[i]);
    }
    walk->run_length = walk->run_at = 0;
    walk->run_failed = 0;
}

int fo_walk_reset(struct fo_walk *walk, int flags) {
    if (orphaned(walk)) {
        return -ECHILD;
    }
    clear_run(walk);
    lock(walk);
    int registered = walk->registered, busy = walk->references > 1;
    fo_order_drop_below(walk, 0);
    if (registered && !busy) {
        fo_pool_forget(walk);
    }
    if (registered) {
        pthread_mutex_unlock(&fo_pool_lock);
    }
    if (busy) {
        return -EBUSY; /* it stays registered: what a thread is still at is shared, and touched with the lock only */
    }
    if (walk->names.capacity > MOST_KEPT) {
        free(walk->names.data);
        walk->names = (struct fo_text){0};
        fo_reader_clear(&walk->reader);
    }
    begin(walk, flags);
    return 0;
}

void fo_walk_release(struct fo_walk *walk) {
    if (--walk->references == 0) {
        fo_reader_clear(&walk->reader);
        free(walk->names.data);
        free(walk->meta.data);
        free(walk->run);
        free(walk);
    }
}

int fo_walk_close(struct fo_walk *walk) {
    if (orphaned(walk)) {
        return 0; /* a thread of the parent may have held any of it in mid-change: left to the process's end */
    }
    clear_run(walk);
    pthread_mutex_lock(&fo_pool_lock);
    fo_pool_forget(walk);
    walk->closed = 1;
    fo_order_drop_below(walk, 0);
    fo_walk_release(walk);
    pthread_mutex_unlock(&fo_pool_lock);
    return 0;
}

/* -- the run ------------------------------------------------------------------------------------------------------ */

/* Adds a directory to what is handed out. Returns 0 or -ENOMEM. */
static int emit(struct fo_walk *walk, const char *path, size_t length, const struct fo_listing *listing) {
    int32_t first = walk->name_count + 1, middle = first + (int32_t)listing->dirs;
    int32_t meta[3] = {first, middle, middle + (int32_t)listing->files};
    int result = fo_text_add(&walk->meta, meta, sizeof(meta));
    result = result ? result : fo_text_add(&walk->names, path, length + 1);
    walk->name_count = meta[2];
    return result ? result : fo_text_add(&walk->names, listing->names, listing->dirs_length + listing->files_length);
}

static void finish(struct fo_walk *walk, struct fo_walk_batch *out, int error, uint32_t links) {
    *out = (struct fo_walk_batch){.names = walk->names.data,
                                  .length = walk->names.length,
                                  .meta = (const int32_t *)(void *)walk->meta.data,
                                  .error = error,
                                  .links = links != 0};
}

/* Makes room for a whole run. Returns 0 or -ENOMEM. */
static int reserve_run(struct fo_walk *walk) {
    if (walk->run == NULL) {
        walk->run = malloc(MOST_IN_RUN * sizeof(*walk->run));
    }
    walk->names.length = walk->meta.length = 0;
    walk->name_count = 0;
    return walk->run ? 0 : -ENOMEM;
}

/* What of the run was not used goes back to the order; one that failed loses what was read of it and below it.
 * The lock is held. */
static void put_back(struct fo_walk *walk) {
    uint32_t used = walk->run_at + !walk->run_failed;
    if (used < walk->run_length) {
        walk->run_limit = LEAST_IN_RUN;
    }
    while (walk->run_length > used) {
        struct fo_node *node = walk->run[--walk->run_length];
        node->state = FO_NODE_READY;
        if (walk->run_failed && walk->run_length == walk->run_at) {
            fo_order_drop_below(walk, node->depth + 1);
            fo_listing_free(node->listing);
            node->listing = NULL;
            node->state = FO_NODE_WAITING;
        }
        fo_order_push(walk, node);
    }
    walk->run_failed = 0;
}

/* Hands out what comes next and is read. The lock is held. Returns 0 or -ENOMEM. */
static int hand_out(struct fo_walk *walk) {
    uint32_t limit = walk->run_limit;
    while (walk->top != NULL && walk->run_length < limit) {
        struct fo_node *node = walk->top;
        const struct fo_listing *listing = node->listing;
        if (node->state != FO_NODE_READY || !listing->trusted || listing->links != 0) {
            break;
        }
        fo_order_leave(walk, node);
        node->state = FO_NODE_TAKEN;
        walk->run[walk->run_length++] = node;
        if (emit(walk, node->path, node->path_length, listing) != 0) {
            return -ENOMEM;
        }
    }
    walk->run_limit = limit < MOST_IN_RUN ? limit * 2 : MOST_IN_RUN;
    return 0;
}

int fo_walk_confirm(struct fo_walk *walk) {
    if (walk->run_at + 1 >= walk->run_length || walk->run_failed) {
        return 0;
    }
    const struct fo_node *node = walk->run[++walk->run_at];
    walk->run_failed = orphaned(walk) || !fo_listing_is_current(node->listing, node->path);
    walk->ramp = walk->run_failed ? 1 : walk->ramp;
    return !walk->run_failed;
}

int fo_walk_unchanged(struct fo_walk *walk) {
    const struct fo_node *node = walk->run_at < walk->run_length ? walk->run[walk->run_at] : NULL;
    return node != NULL && node->listing != NULL && fo_listing_is_current(node->listing, node->path);
}

int fo_walk_choose(struct fo_walk *walk, const char *paths, size_t length) {
    if (orphaned(walk)) {
        return -ECHILD;
    }
    if (walk->run_length == 0) {
        return 0;
    }
    lock(walk);
    put_back(walk);
    int result = fo_order_choose(walk, walk->run[walk->run_at]->depth, paths, length);
    unlock(walk);
    return result;
}

/* -- reading ------------------------------------------------------------------------------------------------------ */

/* Reads a node that was claimed, and settles it. The lock is held, and given back meanwhile. */
static void read_claimed(struct fo_walk *walk, struct fo_node *node) {
    unlock(walk);
    struct fo_listing *listing = fo_reader_read(&walk->reader, node->path, 0);
    struct fo_node *chain = fo_node_children(node, listing, node->inherits);
    lock(walk);
    fo_order_settle(walk, node, listing, chain);
}

/* Puts a node that waits in place of one that a thread has only claimed: it may hang in another. Returns 0 or -ENOMEM. */
static int take_over(struct fo_walk *walk, struct fo_node *node) {
    struct fo_node *own = fo_node_new(node->path, node->path_length, node->depth);
    if (own == NULL) {
        return -ENOMEM;
    }
    own->follow = node->follow;
    fo_order_drop(walk, node);
    fo_order_push(walk, own);
    return 0;
}

/* Reads others while another thread reads the one that comes first. Returns 0 once that is not being read, -EAGAIN if
 * it goes on and on, -ENOMEM. */
static int await(struct fo_walk *walk) {
    struct fo_node *node = walk->top;
    int64_t began = node->state == FO_NODE_READING ? fo_clock_now() : 0;
    while (node->state == FO_NODE_READING) {
        struct fo_node *other = fo_walk_wants(walk) ? fo_order_claim(walk) : NULL;
        if (other != NULL) {
            read_claimed(walk, other);
        } else {
            fo_pool_wait(walk);
        }
        if (node->state == FO_NODE_READING && fo_clock_now() - began > AWAIT_NS) {
            return atomic_load(&node->being_read) ? -EAGAIN : take_over(walk, node);
        }
    }
    return 0;
}

/* Reads a directory anew, and puts what is in it first in the order. */
static void read_anew(struct fo_walk *walk, struct fo_node *node) {
    fo_listing_free(node->listing);
    node->listing = fo_reader_read(&walk->reader, node->path, node->follow);
    struct fo_node *chain = fo_node_children(node, node->listing, walk->flags & FO_WALK_FOLLOW);
    lock(walk);
    fo_order_drop_below(walk, node->depth + 1);
    fo_order_push_chain(walk, chain);
    walk->distrust = node->listing == NULL || node->listing->trusted ? 0 : walk->distrust + 1;
    unlock(walk);
}

/* Makes a node that left the order be as its directory is now. Returns 0, errno, or FO_WALK_IS_LINK. */
static int read_now(struct fo_walk *walk, struct fo_node *node) {
    const struct fo_listing *known = node->listing;
    if (known == NULL || known->error != 0 || !fo_listing_is_current(known, node->path)) {
        read_anew(walk, node);
    }
    struct fo_listing *listing = node->listing;
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
        struct fo_node *node = fo_order_claim(walk);
        if (node == NULL) {
            break;
        }
        read_claimed(walk, node);
        if (fo_clock_now() - began > READ_ON_NS) {
            break;
        }
    }
    walk->ramp = walk->ramp < MOST_RAMP ? walk->ramp * 2 : MOST_RAMP;
}

/* Calls the pool in once a walk has shown that it is not a small one. The lock is held if the pool is there; if it
 * was not before, it is afterwards. */
static void call_pool(struct fo_walk *walk, int64_t began) {
    walk->read_ns += fo_clock_now() - began;
    if (walk->read_ns > POOL_AFTER_NS && walk->queued > 1 && fo_walk_wants(walk)) {
        if (!walk->registered) {
            pthread_mutex_lock(&fo_pool_lock);
        }
        fo_pool_wake(walk);
    }
}

/* Begins anew. The lock is held. Returns 0 or -ENOMEM. */
static int start_at(struct fo_walk *walk, const char *path, size_t length) {
    fo_order_drop_below(walk, 0);
    struct fo_node *node = fo_node_new(path, length, 0);
    if (node == NULL) {
        return -ENOMEM;
    }
    node->follow = 1;
    fo_order_push(walk, node);
    return 0;
}

/* Takes the wanted directory out of the order, if it comes first and nobody is at it. Returns 1, 0, or -errno. */
static int obtain(struct fo_walk *walk, const char *path, size_t length, int fresh) {
    lock(walk);
    put_back(walk);
    walk->user = geteuid();
    int result = fresh ? start_at(walk, path, length) : 0;
    struct fo_node *node = walk->top;
    if (result == 0 && node != NULL && node->path_length == length && memcmp(node->path, path, length) == 0) {
        result = await(walk);
        if (result == 0) {
            node = walk->top;
            fo_order_leave(walk, node);
            node->state = FO_NODE_TAKEN;
            clear_run(walk);
            walk->run[walk->run_length++] = node;
            result = 1;
        }
    }
    unlock(walk);
    return result;
}

int fo_walk_next(struct fo_walk *walk, const char *path, size_t length, int fresh, struct fo_walk_batch *out) {
    if (orphaned(walk)) {
        return -ECHILD;
    }
    int64_t began = fo_clock_now();
    int result = reserve_run(walk);
    result = result ? result : obtain(walk, path, length, fresh);
    if (result <= 0) {
        return result;
    }
    struct fo_node *node = walk->run[0];
    int error = read_now(walk, node);
    if (error == ENOMEM) {
        return -ENOMEM;
    }
    if (error != 0) {
        finish(walk, out, error, 0);
        return 1;
    }
    result = emit(walk, path, length, node->listing);
    lock(walk);
    if (node->listing->links == 0) { /* else the caller has to say what comes next */
        read_on(walk, began);
        result = result ? result : hand_out(walk);
    }
    call_pool(walk, began);
    unlock(walk);
    finish(walk, out, 0, node->listing->links);
    return result ? result : (int)walk->run_length;
}

int fo_walk_list(struct fo_walk *walk, int fd, struct fo_walk_batch *out) {
    int result = reserve_run(walk);
    struct fo_listing *listing = fo_reader_list(&walk->reader, fd);
    result = result ? result : listing == NULL ? -ENOMEM : -listing->error;
    if (result == 0) {
        result = emit(walk, "", 0, listing);
        finish(walk, out, 0, 0);
    }
    fo_listing_free(listing);
    return result < 0 ? result : 1;
}
