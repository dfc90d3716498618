/* What the files of the walk share: walk_read.c (one directory), walk_order.c and walk_choose.c (what
 * is to come), walk_pool.c (threads), walk.c (what the caller gets). */
#ifndef FASTOS_WALK_H
#define FASTOS_WALK_H

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "api.h"

#ifdef AT_NO_AUTOMOUNT
#define FO_AT_NO_AUTOMOUNT AT_NO_AUTOMOUNT
#else
#define FO_AT_NO_AUTOMOUNT 0
#endif

/* -- one directory (walk_read.c) ------------------------------------------------------------------------------- */

/* What has to be the same for a directory to hold the same names. */
struct fo_stamp {
    uint64_t dev, ino;
    int64_t mtime_ns, ctime_ns;
};

/* A symbolic link among the names: whether it counts as a directory is found out when the directory is used. Until
 * then it stands among the files; after that those that lead to directories stand among the directories, and the
 * listing's links are these. */
struct fo_walk_link {
    uint32_t offset;      /* of its name among the files, then among the directories */
    uint32_t dirs_before; /* how many bytes of directory names stood before it */
};

/* A directory as it was read. */
struct fo_listing {
    struct fo_stamp stamp;
    int error;   /* errno of what went wrong, 0 if it was read to its end */
    int trusted; /* its times were old enough for an unseen change to be impossible */
    uid_t user; /* who the caller was when it was read */
    uint32_t dirs, files, links;
    size_t dirs_length, files_length;
    struct fo_walk_link *link;
    char names[]; /* directories, then the others; each name ended by a NUL */
};

struct fo_text {
    char *data;
    size_t length, capacity;
};

/* The scratch memory of one thread that reads directories. */
struct fo_reader {
    char *buffer;
    struct fo_text dirs, files, path;
    uint32_t dir_count, file_count, link_count, link_capacity;
    struct fo_walk_link *link;
    uint64_t known_dev;
    int64_t known_slack;
};

/* Appends bytes. Returns 0 or -ENOMEM. */
int fo_text_add(struct fo_text *text, const void *data, size_t length);

/* Frees what a reader holds. */
void fo_reader_clear(struct fo_reader *reader);

/* Reads the directory at a path. Returns a listing, with .error set where it could not be read; NULL: out of memory. */
struct fo_listing *fo_reader_read(struct fo_reader *reader, const char *path, int follow);

/* Reads an open directory, links resolved, and rewinds it. As above. */
struct fo_listing *fo_reader_list(struct fo_reader *reader, int fd);

/* Whose clock stamps the directories of a file system. */
enum fo_clock {
    FO_CLOCK_OWN,     /* this machine's */
    FO_CLOCK_FOREIGN, /* perhaps another's, which may lag */
    FO_CLOCK_NONE     /* nobody's: the names change and the times do not */
};

/* Returns that for the file system that fd is on. */
enum fo_clock fo_walk_clock(int fd);

/* Finds out which of a listing's links lead to directories now. Returns the listing to use instead of the one given;
 * NULL: out of memory. base is the directory's descriptor with an empty path, or AT_FDCWD with its path. */
struct fo_listing *fo_reader_resolve(struct fo_reader *reader, struct fo_listing *listing, int base, const char *path);

/* Returns 1 if the directory at path is still the one that was read, and holds the same names. */
int fo_listing_is_current(const struct fo_listing *listing, const char *path);

/* Returns 1 if path is a symbolic link now. */
int fo_path_is_link(const char *path);

void fo_listing_free(struct fo_listing *listing);

/* -- the directories to come, and the threads -------------------------------------------------------------------- */

enum fo_node_state {
    FO_NODE_WAITING, /* read when its turn comes, not before */
    FO_NODE_QUEUED,  /* to be read ahead; in the queue */
    FO_NODE_READING, /* a thread is at it; still in the queue, to keep the place of what it holds */
    FO_NODE_READY,   /* read, not handed out */
    FO_NODE_TAKEN    /* handed out; in the run, no longer in the order */
};

struct fo_node {
    struct fo_node *up, *down;             /* the order of visiting */
    struct fo_node *queue_up, *queue_down; /* those of it that are queued or being read */
    struct fo_listing *listing;
    uid_t user;     /* the walk's when the node was claimed */
    uint32_t depth; /* what follows in the order and is deeper is below it */
    uint8_t state, dropped;
    atomic_bool being_read; /* a thread that has claimed it is at it now; set without the lock */
    uint8_t follow;   /* it may be a symbolic link by the time it is visited, */
    uint8_t inherits; /* and what is below it may; set when it is claimed */
    size_t path_length;
    char path[];
};

struct fo_walk {
    /* shared with the pool, under its lock */
    struct fo_node *top, *queue;
    struct fo_walk *next; /* in the pool's list of walks that want reading ahead */
    size_t queued, ready;
    uint32_t distrust; /* how many directories in a row could not be trusted: then nothing is read ahead */
    size_t ready_bytes;
    int references, closed, waiting, registered;
    uid_t user; /* the effective user of the last call */
    /* the caller's own */
    unsigned generation;
    int flags;
    struct fo_node **run; /* what was handed out by one call, */
    uint32_t run_length, run_at, run_capacity;
    int run_failed;       /* and that run[run_at] is not what it was */
    uint32_t run_limit;   /* how many to hand out at once: few while the caller changes the lists */
    uint32_t ramp;     /* how many directories the caller reads in one call when nobody else has */
    int64_t read_ns;   /* time spent reading by the caller, until the pool is called in */
    struct fo_reader reader;
    struct fo_text names, meta;
    int32_t name_count;
};

extern pthread_mutex_t fo_pool_lock;

/* Changes in a forked child: a walk of an older generation has no pool and trusts no list. */
unsigned fo_pool_generation(void);

/* Tells the pool that a walk has work; starts a thread if there is none. The lock is held. */
void fo_pool_wake(struct fo_walk *walk);

/* Takes a walk out of the pool. The lock is held. */
void fo_pool_forget(struct fo_walk *walk);

/* Waits at most 50 ms for a thread to finish a directory of this walk. The lock is held. */
void fo_pool_wait(struct fo_walk *walk);

/* Drops one reference; the last one frees the walk. The lock is held. */
void fo_walk_release(struct fo_walk *walk);

/* Whether the walk wants more read ahead. The lock is held. */
int fo_walk_wants(const struct fo_walk *walk);

/* -- walk_order.c; the lock is held but for new and children ------------------------------------------------------ */

/* Makes the node of a path. Returns NULL when out of memory. */
struct fo_node *fo_node_new(const char *path, size_t length, uint32_t depth);

/* Frees a node that no thread is at. */
void fo_node_free(struct fo_node *node);

/* Makes the nodes of the directories in a listing. Returns them in their order, chained by down; memory that is short
 * cuts the chain: what is not in it is read when it is visited. */
struct fo_node *fo_node_children(const struct fo_node *node, const struct fo_listing *listing, int follow);

/* Puts a node, or a chain, first; those queued go first in the queue as well. */
void fo_order_push(struct fo_walk *walk, struct fo_node *node);
void fo_order_push_chain(struct fo_walk *walk, struct fo_node *chain);

/* Takes a node out of the order. */
void fo_order_leave(struct fo_walk *walk, struct fo_node *node);

/* Throws a node of the order away, at once or when the thread at it is done. */
void fo_order_drop(struct fo_walk *walk, struct fo_node *node);

/* Throws away what comes first and is at least so deep. */
void fo_order_drop_below(struct fo_walk *walk, uint32_t depth);

/* Takes the first unread node for reading; its state becomes READING. NULL if there is none. */
struct fo_node *fo_order_claim(struct fo_walk *walk);

/* Puts a read listing in its node and the directories in it after it, or throws all away if nobody wants them. */
void fo_order_settle(struct fo_walk *walk, struct fo_node *node, struct fo_listing *listing, struct fo_node *chain);

/* Arranges what is below the last directory visited, which comes first, as the paths say; each ends with a NUL.
 * Returns 0 or -ENOMEM. (walk_choose.c) */
int fo_order_choose(struct fo_walk *walk, uint32_t depth, const char *paths, size_t length);

#endif
