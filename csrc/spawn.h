/* Starting a process, between the C files: the plan that the parent makes and the child carries out. */
#ifndef FASTOS_SPAWN_H
#define FASTOS_SPAWN_H

#include <signal.h>
#include <stdbool.h>

#include "api.h"

/* Code that runs in the child before the exec. It may share the parent's memory, so the sanitizers' bookkeeping,
 * which a function that never returns leaves unbalanced, has to keep out of it. */
#if defined(__clang__)
#define FO_CHILD __attribute__((no_sanitize("address", "thread", "undefined")))
#elif defined(__GNUC__)
#define FO_CHILD __attribute__((no_sanitize("address"), no_sanitize("thread"), no_sanitize("undefined")))
#else
#define FO_CHILD
#endif

enum { FO_SPAWN_BLOCK = 4096, FO_SPAWN_SIGNALS = 64 };

/* What the child tells the parent, through shared memory or through a pipe. */
struct fo_spawn_report {
    int32_t step;
    int32_t error;
    int32_t index;
};

/* One descriptor on its way: `source` is where it is now, which may be a temporary. */
struct fo_spawn_move {
    int32_t source;
    int32_t target;
};

/* All that the child needs, made before there is one: it neither allocates nor looks anything up. */
struct fo_spawn_plan {
    const struct fo_spawn_request *request;
    struct fo_spawn_report report;
    char **arguments;
    char **environment;
    char **candidates; /* ends in NULL; those that are not there are left out */
    int32_t first_candidate;
    struct fo_spawn_move *moves; /* ascending by target */
    int32_t move_count;
    uint32_t *groups_seen; /* room for the groups, to verify them */
    int32_t terminal;      /* the descriptor to become the controlling terminal, or -1 */
    int32_t highest;       /* the highest descriptor of the parent that the child uses */
    int32_t cgroup_procs;  /* to be written to by the child, or -1 */
    int32_t report_pipe;   /* -1: the report is in shared memory */
    int32_t parent;        /* the parent's pid, for a child that is to die with it */
    bool shares_files;     /* CLONE_FILES: the table is the parent's until it is unshared */
    bool handlers_cleared; /* CLONE_CLEAR_SIGHAND: the child is born without handlers, so no signal needs to be blocked */
    sigset_t caller_mask;  /* as the caller had it */
    uint64_t inherited_mask; /* the same, as the kernel has it */
    int32_t opened[4];     /* what the parent opened for the child, closed after the fork; -1: none */
    int32_t opened_count;
    void *block;           /* allocated, or NULL */
    char space[FO_SPAWN_BLOCK]; /* in place of an allocation for requests of a usual size */
};

/* spawn.c: fills a request from the arguments of fo_spawn_plain. */
void fo_spawn_request_plain(struct fo_spawn_request *request, const char *arguments, uint32_t argument_count,
                            const char *candidates, uint32_t candidate_count, const char *environment,
                            uint32_t environment_count, const int32_t streams[3]);

/* spawn_strings.c: makes argv, envp and the candidates. Returns 0 or -errno (-ENOENT: nothing to execute). */
int fo_spawn_make_strings(struct fo_spawn_plan *plan);

/* spawn_streams.c: opens what the streams ask for and makes the moves. Returns 0 or -errno, with the report's index set. */
int fo_spawn_open_streams(struct fo_spawn_plan *plan, struct fo_spawn_result *result);

/* Moves a descriptor of the caller's away from 0, 1 and 2, which the caller may have closed: there it would be taken
 * for a standard stream. Returns where it is now. */
int fo_spawn_above_streams(int fd);

/* Closes what was opened for the child. */
void fo_spawn_close_opened(struct fo_spawn_plan *plan);

/* spawn_child.c: carries the plan out; returns only if a step failed, with the report made. */
void fo_spawn_child(struct fo_spawn_plan *plan);

/* Records a failed step. Returns -1, for the caller to return. */
int fo_spawn_fail(struct fo_spawn_plan *plan, int step, int index);

/* spawn_files.c: closes, moves; each returns 0, or -1 with the report made. */
int fo_spawn_close_files(struct fo_spawn_plan *plan);
int fo_spawn_move_files(struct fo_spawn_plan *plan);

/* Returns 1 if close_range works here; asked of the kernel once. */
int fo_spawn_has_close_range(void);

/* spawn_signals.c: in the child, every handler becomes the default action, then the mask is set. The first returns
 * 0, or -1 with the report made. */
int fo_spawn_set_dispositions(struct fo_spawn_plan *plan);
void fo_spawn_set_mask(struct fo_spawn_plan *plan);

/* In the parent: blocks every signal on this thread, libc's own as well, and keeps the mask in the plan; puts it back. */
void fo_spawn_block_signals(struct fo_spawn_plan *plan);
void fo_spawn_unblock_signals(struct fo_spawn_plan *plan);

/* Lets the request say that the child shall have this mask, unless it says another: for a child that is started by
 * another thread than the caller's. */
void fo_spawn_request_mask(struct fo_spawn_request *request, const sigset_t *mask);

/* spawn_owner.c: drops the ids and verifies them. Returns 0, or -1 with the report made. */
int fo_spawn_drop_owner(struct fo_spawn_plan *plan);

/* The engines: start the child, fill in pid and pidfd, and reap it if a step failed. Return 0 or -errno, with the
 * plan's report made. fo_spawn_clone returns -ENOSYS where the platform has no such thing. */
int fo_spawn_clone(struct fo_spawn_plan *plan, struct fo_spawn_result *result);
int fo_spawn_fork(struct fo_spawn_plan *plan, struct fo_spawn_result *result);

/* Returns 1 if clone with shared memory works here; tried once. */
int fo_spawn_can_clone(void);

/* Chooses the engine and starts the child, on the calling thread. Returns as the engines. */
int fo_spawn_start(struct fo_spawn_plan *plan, struct fo_spawn_result *result);

/* spawn_keeper.c: fo_spawn_start on a thread that lives as long as the process. Returns as the engines. */
int fo_spawn_start_kept(struct fo_spawn_plan *plan, struct fo_spawn_result *result);

#endif
