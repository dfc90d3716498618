/* What the files of the scan share: the scan, its workers, its frontier of directories. */
#ifndef FASTOS_SCAN_H
#define FASTOS_SCAN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "api.h"
#include "clock.h"
#include "dents.h"

enum {
    FO_SCAN_MOST_THREADS = 64,
    FO_SCAN_BATCH_ENTRIES = 4096,    /* of one batch */
    FO_SCAN_BATCH_BYTES = 512 << 10, /* of each of its heaps, before it is handed on */
    FO_SCAN_QUEUE = 8,               /* batches ready for the consumer */
    FO_SCAN_PENDING = 16384,         /* directories in the frontier before the reading of further ones waits */
    FO_SCAN_STALL_MS = 2000          /* a worker in one directory for longer, without an entry, is stalled */
};

/* What a worker can be given: a directory to read, one to read on, or records whose entries need stat. */
enum fo_work_kind { FO_WORK_DIRECTORY, FO_WORK_READ, FO_WORK_STAT };

struct fo_work {
    struct fo_work *next;
    enum fo_work_kind kind;
};

/* A directory. It lives while work in it, or below it, is pending; its descriptor only while children want opening. */
struct fo_directory {
    struct fo_work work;
    struct fo_directory *parent;
    struct fo_ignore *ignore; /* what is ignored in it, NULL if nothing */
    struct fo_directory *older, *newer; /* among those whose descriptor is kept open */
    uint64_t ino; /* as its parent lists it */
    uint64_t dev; /* known only where a file system is not to be left */
    atomic_int references;
    int unopened; /* children that are still to be opened through fd; guarded by descriptors.lock, */
    int fd_users; /* like the count of those who use fd now */
    int fd;       /* and fd: -1 while closed */
    int32_t depth;
    uint32_t name_length;
    bool kept; /* in the list of descriptors kept open */
    bool follow; /* the name is a symbolic link to be followed, or may lead over some */
    bool text;   /* the path down to here is UTF-8; known where somebody wants to know */
    char name[]; /* below the parent; several components for a directory taken over from another scan */
};

/* The reading of a directory, put aside. */
struct fo_read {
    struct fo_work work;
    struct fo_directory *directory;
    struct fo_dents dents;
};

/* Records put aside, for whoever is free to stat them. */
struct fo_chunk {
    struct fo_work work;
    struct fo_directory *directory;
    size_t size;
    _Alignas(8) char records[];
};

struct fo_frontier {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct fo_work *stack;    /* last in, first out: bounds what is pending */
    struct fo_work *deferred; /* directories behind symbolic links: after all others, so that those win */
    struct fo_work *untouched; /* what the budget left */
    atomic_int_least64_t pending; /* in the lists; changed with the lock held */
    int active;       /* workers that have work */
    atomic_int set_aside; /* FO_WORK_READ in the stack: each holds a descriptor */
    atomic_int idle;  /* workers that wait for some */
    bool finished;
};

struct fo_descriptors {
    pthread_mutex_t lock;
    struct fo_directory *oldest, *newest; /* nodes whose descriptor is kept open for their children */
    int kept;
    _Atomic int limit; /* of those kept, few until it matters; written under the lock, read anywhere */
    bool limited; /* then what the process can afford */
};

struct fo_queue {
    pthread_mutex_t lock;
    pthread_cond_t filled, drained;
    struct fo_batch *first, *last;
    int length;
    struct fo_batch *pool;
    int pooled;
    int live; /* workers not yet ended */
    atomic_bool starving; /* the consumer waits */
};

struct fo_visited {
    pthread_mutex_t lock;
    struct fo_identity *slots;
    size_t count, capacity;
};

/* How many workers there should be; guarded by frontier.lock. */
struct fo_concurrency {
    int cores, target, most, live;
    int64_t busy_ns, blocked_ns, waits, changed_ns;
};

struct fo_worker {
    struct fo_scan *scan;
    struct fo_batch *batch;
    char *records;         /* the buffer for getdents64 */
    char *prefix;          /* the path of the directory being read, with its slash */
    size_t prefix_capacity;
    bool hasty;            /* the consumer waits for what is in the batch */
    bool working;          /* counted in frontier.active */
    bool left;             /* not counted in concurrency.live any more */
    struct fo_directory *held; /* whose descriptor is used for one child after the other: with one user, */
    int opened;            /* and these children not yet taken off its count */
    unsigned looks;        /* at metadata, so far */
    bool inlined;          /* the consumer's own thread, before there are others */
    int slot;              /* in scan.workers, -1 if inlined */
    int64_t deadline_ns;   /* of an inlined worker */
    int64_t sampled_ns, sampled_cpu_ns, sampled_waits, sampled_delay_ns;
    int64_t waited_ns, own_waits; /* since then, for the queue or for work */
    pthread_mutex_t lock;  /* guards the next two, which others read */
    struct fo_directory *directory;
    struct fo_batch *_Atomic parked; /* the batch, while the worker may hang: another can deliver what it has found */
    atomic_int_least64_t since_ns; /* when it was begun or last gave an entry, 0 if idle */
};

struct fo_scan {
    struct fo_scan_options options;
    char *root;          /* as given, */
    size_t root_length;
    size_t prefix_length; /* and with its slash */
    struct fo_directory *top;
    int process;         /* fo_scan_process() of the one it belongs to */
    atomic_int references; /* of the contents: the open handle, workers, batches, calls under way */
    atomic_int shells;     /* of this struct: the handle, the contents */
    atomic_bool closed, cancelled, exhausted;
    atomic_bool out_of_memory; /* then it is cancelled, and the consumer told */
    atomic_bool alone; /* no thread can be had: the consumer's own does it all */
    bool started;
    uint32_t stat_mask;  /* what an entry that is delivered needs */
    bool plain;          /* every entry is delivered as a path, nothing more is asked of it */
    atomic_uint_least64_t entries, directories, errors;
    atomic_int threads_peak;
    int64_t started_ns, finished_ns;
    struct fo_frontier frontier;
    struct fo_descriptors descriptors;
    struct fo_queue queue;
    struct fo_visited visited;
    struct fo_concurrency concurrency;
    struct fo_batch *sorted; /* FO_SCAN_SORT: all batches, and their order */
    void *order;
    size_t order_length, order_next;
    struct fo_worker *_Atomic workers[FO_SCAN_MOST_THREADS];
};

/* -- scan.c -------------------------------------------------------------------------------------------------- */

/* A number of this process, another one in each that is forked. */
int fo_scan_process(void);

/* One holder more. Returns 0, -EBADF if the scan has ended, -ECHILD in a forked process. */
int fo_scan_hold(struct fo_scan *scan);

/* One holder less; the last one frees what the scan has. */
void fo_scan_drop(struct fo_scan *scan);

/* Memory is short: what was found cannot be delivered, and the scan ends with -ENOMEM. */
void fo_scan_fail(struct fo_scan *scan);

/* What the consumer of a scan that has ended is told: 2 or -ENOMEM. */
int fo_scan_outcome(const struct fo_scan *scan);

/* -- frontier.c ---------------------------------------------------------------------------------------------- */

/* Makes a directory below parent (NULL for the root). Returns NULL if memory is short. */
struct fo_directory *fo_directory_new(struct fo_directory *parent, const char *name, size_t length, int32_t depth);

/* One holder less; the last one frees it, and so on up the chain. */
void fo_directory_release(struct fo_directory *directory);

/* Begins with the root, or with the directories of options.frontier. Returns 0 or -ENOMEM. */
int fo_frontier_fill(struct fo_scan *scan);

/* Pushes a chain of work, first .. last, and wakes who waits. */
void fo_frontier_push(struct fo_scan *scan, struct fo_work *first, struct fo_work *last, int64_t count);

/* Puts a directory behind a symbolic link aside. */
void fo_frontier_defer(struct fo_scan *scan, struct fo_work *work);

/* Puts down the work taken before, and returns the next, or NULL when the worker is to end: nothing is left, the scan
 * was cancelled, or it is one too many. An inlined worker does not wait. */
struct fo_work *fo_frontier_take(struct fo_worker *worker);

/* Frees all work that is left. */
void fo_frontier_clear(struct fo_scan *scan);

/* -- descent.c ----------------------------------------------------------------------------------------------- */

/* Opens a directory from its parent's descriptor. Afterwards directory->fd is open and has one user, known to nobody
 * else. Returns 0 or -errno; the parent then still waits for the child: fo_descent_forget_child, unless it is tried
 * again.
 * The worker goes on holding the parent's descriptor, since what it takes next is mostly a sibling, until
 * fo_descent_let_go. */
int fo_descent_open(struct fo_worker *worker, struct fo_directory *directory);

/* Takes the last fo_descent_open back: the parent waits for the child again. */
void fo_descent_undo(struct fo_worker *worker, struct fo_directory *directory);

/* Whether a call failed for want of descriptors. */
bool fo_descent_out_of_descriptors(int result);

/* Frees a descriptor that is not needed, or waits for others to end what they are at: not for long while there are other
 * workers, which may wait for what this one holds. Returns false once *waited_ms is enough, or the scan is cancelled. */
bool fo_descent_wait(struct fo_scan *scan, int *waited_ms);

/* Gives up the parent held by fo_descent_open, if there is one. */
void fo_descent_let_go(struct fo_worker *worker);

/* Closes a directory whose only user ever was the caller, and which has no children to be opened. */
void fo_descent_close(struct fo_directory *directory);

/* One user of directory->fd more. The caller is a user itself. */
void fo_descent_hold(struct fo_scan *scan, struct fo_directory *directory);

/* One user of directory->fd less; new_children more (or less) have to be opened through it. It is kept or closed
 * accordingly. */
void fo_descent_release(struct fo_scan *scan, struct fo_directory *directory, int new_children);

/* Children that will not be opened after all. */
void fo_descent_forget_child(struct fo_scan *scan, struct fo_directory *directory);

/* -- scan_directory.c ---------------------------------------------------------------------------------------- */

/* Does one piece of work. */
void fo_scan_work(struct fo_worker *worker, struct fo_work *work);

/* -- scan_path.c --------------------------------------------------------------------------------------------- */

/* Writes the path of directory with a trailing slash to worker->prefix. Returns its length, or -ENOMEM. */
int64_t fo_scan_prefix(struct fo_worker *worker, const struct fo_directory *directory);

/* Writes the path of directory below the root (no slash at either end) to out if it fits. Returns its length. */
size_t fo_directory_path(const struct fo_directory *directory, char *out, size_t size);

/* -- scan_worker.c ------------------------------------------------------------------------------------------- */

/* Works in the consumer's thread until there is nothing left, or it has taken too long. */
void fo_worker_inline(struct fo_scan *scan);

/* Starts workers until there are as many as concurrency.target. Returns how many there are, or -errno. */
int fo_worker_start(struct fo_scan *scan);

/* Before and after a call that may hang: meanwhile others may take the worker's batch away. */
static inline void fo_worker_park(struct fo_worker *worker) {
    atomic_store_explicit(&worker->parked, worker->batch, memory_order_release);
}

static inline void fo_worker_unpark(struct fo_worker *worker) {
    worker->batch = atomic_exchange_explicit(&worker->parked, NULL, memory_order_acquire);
}

/* Notes that a worker is still at it; now and then hands on its batch and judges the concurrency. */
void fo_worker_pulse(struct fo_worker *worker);

/* -- concurrency.c ------------------------------------------------------------------------------------------- */

/* Sets the first number of workers, if it is not set yet. */
void fo_concurrency_start(struct fo_scan *scan);

/* Locks, and counts the time it takes as the scan's own waiting, not as the file system's. */
void fo_scan_lock(pthread_mutex_t *lock);

/* Starts a worker's clocks. */
void fo_concurrency_begin(struct fo_worker *worker);

/* Takes the worker's times and, every few milliseconds, adapts the number of workers. */
void fo_concurrency_sample(struct fo_worker *worker, int64_t now);

/* From the consumer, which has waited in vain: adds workers for those that hang. */
void fo_concurrency_rescue(struct fo_scan *scan);

/* Too many open files: no more workers than there are, less if there are several. Returns whether there are. */
bool fo_concurrency_retreat(struct fo_scan *scan);

/* -- visited.c ----------------------------------------------------------------------------------------------- */

struct fo_identity {
    uint64_t dev, ino;
};

/* Adds a directory. Returns 1 if it is new, 0 if it was there, -ENOMEM. */
int fo_visited_add(struct fo_visited *visited, uint64_t dev, uint64_t ino);

/* -- batch.c ------------------------------------------------------------------------------------------------- */

/* A batch from the pool, or a new one. Returns NULL if memory is short. */
struct fo_batch *fo_batch_take(struct fo_scan *scan, int32_t limit);

/* Frees a batch. */
void fo_batch_free(struct fo_batch *batch);

/* The entry to append: its directory as the batch knows it, its name, its metadata. */
struct fo_batch_entry {
    const char *prefix;
    size_t prefix_length; /* paths layout: what stands before the name */
    int32_t directory;    /* names layout */
    const char *name;
    size_t name_length;
    bool text; /* the whole path is UTF-8 */
    uint8_t type;
    const struct fo_stat *stat; /* NULL if no column was asked for */
};

/* Appends an entry. Returns 0 or -ENOMEM. */
int fo_batch_append(struct fo_batch *batch, const struct fo_batch_entry *entry);

/* Completes a batch to which nothing more will be appended. */
void fo_batch_finish(struct fo_batch *batch);

/* Adds a directory (its path without the slash) to the dictionary. Returns its index or -ENOMEM. */
int32_t fo_batch_directory(struct fo_batch *batch, const char *path, size_t length, int32_t depth);

/* Fills *stat from the columns that there are. */
void fo_batch_row(const struct fo_batch *batch, int32_t index, struct fo_stat *stat);

/* Appends an error at a path, and a name put behind it. Returns 0 or -ENOMEM. */
int fo_batch_error(struct fo_batch *batch, int number, const char *path, size_t length, const char *name,
                   size_t name_length);

static inline bool fo_batch_empty(const struct fo_batch *batch) {
    return batch->count == 0 && batch->error_count == 0;
}

static inline bool fo_batch_full(const struct fo_batch *batch) {
    return batch->count >= batch->limit || batch->names_size >= FO_SCAN_BATCH_BYTES ||
           batch->directories_size >= FO_SCAN_BATCH_BYTES || batch->error_count >= batch->limit ||
           batch->error_paths_size >= FO_SCAN_BATCH_BYTES;
}

/* -- queue.c ------------------------------------------------------------------------------------------------- */

/* Hands a batch to the consumer; waits while the queue is full, unless the worker is inlined or all is to be sorted. */
void fo_queue_put(struct fo_worker *worker, struct fo_batch *batch);

/* Delivers a batch whose worker hangs. */
void fo_queue_rescue(struct fo_scan *scan, struct fo_batch *batch);

/* Takes the next batch, waiting until deadline_ns. Returns 1 with *out set, 0 when the time is over, 2 at the end,
 * -ENOMEM if that came too early. */
int fo_queue_get(struct fo_scan *scan, int64_t deadline_ns, struct fo_batch **out);

/* Puts a released batch back into the pool, or frees it if there are enough. */
void fo_queue_recycle(struct fo_scan *scan, struct fo_batch *batch);

/* -- utf8.c -------------------------------------------------------------------------------------------------- */

/* Whether text is well-formed UTF-8: no surrogates, nothing overlong. */
bool fo_utf8_valid(const char *text, size_t length);

/* -- scan_sort.c --------------------------------------------------------------------------------------------- */

/* Orders all batches of a finished scan by path. Returns 0 or -ENOMEM. */
int fo_scan_order(struct fo_scan *scan);

/* The next batch in order. Returns 1 with *out set, 0 if the deadline passed first, 2 at the end, or -ENOMEM. */
int fo_scan_ordered_next(struct fo_scan *scan, struct fo_batch **out, int64_t deadline);

/* Frees what the ordering holds. */
void fo_scan_order_clear(struct fo_scan *scan);

#endif
