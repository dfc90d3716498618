/* Internal to run_*.c: one child on its way from the spawn to its result, its deadline, and the event poller. */
#ifndef FASTOS_RUN_H
#define FASTOS_RUN_H

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api.h"
#include "clock.h"

#define RUN_NEVER INT64_MAX
#define RUN_SCRATCH 65536

/* -- run_stream.c: one collected stream ------------------------------------------------------------------------- */

struct run_stream {
    int fd; /* -1: closed or not collected */
    bool armed; /* the poller watches it */
    char *data;
    size_t length;
    size_t capacity;
};

enum run_read { RUN_READ_MORE, RUN_READ_END, RUN_READ_OVER, RUN_READ_INTERRUPTED };

/* Reads once and keeps at most `limit` bytes in all (-1: everything). Returns RUN_READ_MORE, RUN_READ_END at the end
 * of the stream or an error, RUN_READ_OVER when bytes had to be dropped, RUN_READ_INTERRUPTED after EINTR. */
enum run_read run_stream_read(struct run_stream *stream, int64_t limit, char *scratch);

/* Reads what is there now and no more, whoever else holds the other end. Returns true if bytes were dropped. */
bool run_stream_drain(struct run_stream *stream, int64_t limit, char *scratch);

/* Closes the descriptor; what was read stays. */
void run_stream_close(struct run_stream *stream);

/* -- run_child.c: one child ------------------------------------------------------------------------------------- */

enum run_kind { RUN_STDIN = 0, RUN_STDOUT = 1, RUN_STDERR = 2, RUN_EXIT = 3 };

struct run_child {
    struct fo_run_command command;
    struct fo_run_result result;
    struct run_stream streams[3]; /* 0: the input's pipe, only its descriptor */
    uint64_t fed;                 /* bytes of the input written */
    int64_t started;
    int64_t deadline; /* RUN_NEVER: none */
    int64_t probe;    /* when to ask a child without pidfd again */
    int64_t pause;    /* between two such questions */
    int pidfd;
    bool alive;  /* spawned, and its status not taken */
    bool killed; /* its streams are not read to their end any more */
    bool exit_armed;
};

/* Spawns. `null` is a descriptor of /dev/null, or -1 to have it opened; `mask` the signal mask, or NULL for the
 * thread's own. Returns true if there is a child; else result.error says why not. */
bool run_child_start(struct run_child *child, int null, const sigset_t *mask);

/* Writes as much input as fits; closes the pipe once all is written or nobody reads. Returns true if it was closed. */
bool run_child_feed(struct run_child *child);

/* Reads once from an output stream (RUN_STDOUT, RUN_STDERR); kills the tree if its limit says so.
 * Returns false after EINTR. */
bool run_child_read(struct run_child *child, enum run_kind kind, char *scratch);

/* Whether any of the streams is still open. */
bool run_child_busy(const struct run_child *child);

/* Whether only the child's end is waited for: its streams have ended, or it was killed. */
bool run_child_ending(const struct run_child *child);

/* Takes the status if the child has ended; timeout_ns as in fo_wait_process. Returns 1 when it has, 0, or -EINTR. */
int run_child_reap(struct run_child *child, int64_t timeout_ns);

/* Kills the child, and its descendants unless the command says not to; adds `flag` to the result. */
void run_child_kill(struct run_child *child, uint32_t flag);

/* After the end: drains what is there, closes everything and completes the result. */
void run_child_finish(struct run_child *child, char *scratch);

/* -- run_drive.c: a child driven by the thread that waits for it ------------------------------------------------- */

enum { RUN_WAITED = 4 }; /* descriptors a child: by enum run_kind */

/* Sets down what a child waits for. Returns when to wake up at the latest, or RUN_NEVER. */
int64_t run_drive_prepare(const struct run_child *child, struct pollfd ready[RUN_WAITED]);

/* Sets down nothing to wait for. */
void run_drive_nothing(struct pollfd ready[RUN_WAITED]);

/* Waits until something is ready or the time has come. Returns 0 or -errno (-EINTR). */
int run_drive_wait(struct pollfd *ready, nfds_t count, int64_t until);

/* Moves a child on by what is ready, and by its deadline. Returns true when it has ended, to be finished. */
bool run_drive_advance(struct run_child *child, const struct pollfd ready[RUN_WAITED], char *scratch);

/* Drives a child until it has ended; kills it when `stop` becomes readable. */
void run_drive_to_end(struct run_child *child, int stop, char *scratch);

/* -- run_tree.c: a child and its descendants -------------------------------------------------------------------- */

/* Kills a child that has not been reaped, and every descendant that can be found. Returns how many of those found
 * could not be signalled. */
int run_tree_kill(int pid, int pidfd);

/* -- run_timer.c: deadlines in a heap --------------------------------------------------------------------------- */

struct run_timer {
    int64_t when;
    uint32_t slot;
};

struct run_timers {
    struct run_timer *heap;
    uint32_t *place; /* slot -> its place in the heap plus one; 0: not in it */
    uint32_t count;
    uint32_t capacity; /* slots */
};

/* Makes room for the slots below `capacity`. Returns 0 or -ENOMEM. */
int run_timers_grow(struct run_timers *timers, uint32_t capacity);

/* Sets, moves or (RUN_NEVER) removes the timer of a slot. Returns true if the earliest time changed to an earlier one. */
bool run_timers_set(struct run_timers *timers, uint32_t slot, int64_t when);

/* The earliest time, or RUN_NEVER. */
int64_t run_timers_next(const struct run_timers *timers);

/* Takes out one slot that is due. Returns it, or -1. */
int64_t run_timers_take(struct run_timers *timers, int64_t now);

void run_timers_free(struct run_timers *timers);

/* -- run_poller.c, run_poller_linux.c, run_poller_posix.c: who is ready ----------------------------------------- */

#define RUN_EVENT_WAKE UINT64_MAX
#define RUN_EVENT_TIMER (UINT64_MAX - 1)

enum run_interest { RUN_READABLE = 1, RUN_WRITABLE = 2 };

/* Every registration fires once and is then asleep until it is armed again, so one thread has the event. */
struct run_poller;

/* Opens one for the engine in use. Returns 0 or -errno. */
int run_poller_open(struct run_poller **poller);

/* Arms a descriptor: `first` when it was not registered before. Returns 0 or -errno. */
int run_poller_arm(struct run_poller *poller, int fd, enum run_interest interest, uint64_t data, bool first);

/* Forgets a descriptor that is armed; call it before closing one. */
void run_poller_forget(struct run_poller *poller, int fd);

/* Waits for one event, of a descriptor or RUN_EVENT_WAKE or RUN_EVENT_TIMER. Several threads may wait at once.
 * Returns the event's data. */
uint64_t run_poller_wait(struct run_poller *poller);

/* Makes one waiting thread return RUN_EVENT_WAKE. */
void run_poller_wake(struct run_poller *poller);

/* RUN_EVENT_TIMER comes at `when` (monotonic; RUN_NEVER: never). */
void run_poller_timer(struct run_poller *poller, int64_t when);

void run_poller_close(struct run_poller *poller);

struct run_poller_way {
    int (*open)(struct run_poller **poller);
    int (*arm)(struct run_poller *poller, int fd, enum run_interest interest, uint64_t data, bool first);
    void (*forget)(struct run_poller *poller, int fd);
    uint64_t (*wait)(struct run_poller *poller);
    void (*wake)(struct run_poller *poller);
    void (*timer)(struct run_poller *poller, int64_t when);
    void (*close)(struct run_poller *poller);
};

struct run_poller {
    const struct run_poller_way *way;
};

extern const struct run_poller_way run_poller_epoll, run_poller_poll;

/* -- run_queue.c: commands that wait to be started, and results that wait to be taken ----------------------------- */

struct run_queued {
    struct fo_run_command command;
    char *copy; /* what its strings point into, or NULL */
};

struct run_queue {
    struct run_queued *items;
    uint32_t first;
    uint32_t count;
    uint32_t capacity;
};

struct run_done {
    struct fo_run_result *items;
    uint32_t first;
    uint32_t count;
    uint32_t capacity;
    int ready[2]; /* the reading end is readable while count > 0 */
};

/* Make room for so many in all. Return 0 or -ENOMEM. */
int run_queue_reserve(struct run_queue *queue, uint32_t capacity);
int run_done_reserve(struct run_done *done, uint32_t capacity);

/* Copies the command's strings. Returns 0 or -ENOMEM. */
int run_queued_make(struct run_queued *queued, const struct fo_run_command *command);

/* Append, put back in front, take the first: room and presence are the caller's to see to. */
void run_queue_push(struct run_queue *queue, struct run_queued queued);
void run_queue_return(struct run_queue *queue, struct run_queued queued);
struct run_queued run_queue_pop(struct run_queue *queue);

/* A pipe for one thread to tell others by: neither end blocks. Returns 0 or -errno, with both at -1. */
int run_pipe_open(int ends[2]);
void run_pipe_close(int ends[2]);

/* Makes the reading end readable, for all who wait for it, until a byte is read. */
void run_pipe_tell(const int ends[2]);

/* Frees the results and closes what tells that they wait. */
void run_done_close(struct run_done *done);

/* Adds a result, for which there is room; takes up to `capacity` out. */
void run_done_push(struct run_done *done, const struct fo_run_result *result);
uint32_t run_done_take(struct run_done *done, struct fo_run_result *results, uint32_t capacity);

/* Waits for a result. Returns 1 if there may be one, 0 if the time ran out, or -EINTR. */
int run_done_wait(const struct run_done *done, int64_t until);

#endif
