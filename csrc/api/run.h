/* Running processes to their end: the input fed, the output collected, the deadline kept, status and usage taken.
 * One at a time (or one pipeline) in the caller's thread, or many at once on one event loop with a pool of spawners. */

enum fo_run_flag {
    FO_RUN_TIMED_OUT = 1, /* the deadline came first */
    FO_RUN_TRUNCATED = 2, /* a stream had more than output_limit bytes */
    FO_RUN_LOST = 4,      /* somebody else took the status */
    FO_RUN_CORE = 8,      /* the kernel wrote a core file */
    FO_RUN_CANCELLED = 16 /* killed by fo_run_cancel or when the run was closed */
};

/* One command. Streams of the request that are FO_STREAM_PIPE are fed and collected here.
 * The request, what it points to and the input must stay until the result is there. */
struct fo_run_command {
    const struct fo_spawn_request *request;
    const char *arguments;    /* replaces the request's argv if not NULL; copied, as are the candidates */
    const char *candidates;
    uint32_t argument_count;
    uint32_t candidate_count;
    uint32_t arguments_length; /* bytes, the last NUL included */
    uint32_t candidates_length;
    const char *input;        /* what the child reads, if its standard input is a pipe */
    uint64_t input_length;
    int64_t timeout_ns;       /* from the start of the spawn; -1: none */
    int64_t output_limit;     /* bytes kept of each stream; -1: all */
    uint64_t token;           /* comes back in the result */
    int32_t kill_at_limit;    /* 1: the tree is killed at the limit; 0: what is over is read and dropped */
    int32_t kill_child_only;  /* 1: a deadline kills the child and not its descendants */
};

/* How one command ended. `output` and `errors` belong to the receiver: fo_run_release gives them back. */
struct fo_run_result {
    uint64_t token;
    int64_t duration_ns;  /* from the start of the spawn to the end of the process and of its collected streams */
    int32_t pid;
    int32_t code;         /* exit code, or minus the signal */
    int32_t error;        /* not 0: there was no process; then step and index say what failed */
    int32_t step;
    int32_t index;
    uint32_t flags;       /* enum fo_run_flag */
    int32_t survivors;    /* how many of a killed tree were still there, as far as known */
    int32_t reserved;
    struct fo_usage usage;
    uint64_t output_length;
    uint64_t errors_length;
    char *output;
    char *errors;
};

/* A set of processes driven by the thread that asks: one for run(), several for a pipeline. */
typedef struct fo_run_group fo_run_group;

/* Makes a group for `count` processes. Returns 0 or -ENOMEM. */
int fo_run_group_new(uint32_t count, fo_run_group **group);

/* Starts the group's next process. A failed spawn is a result too (result.error), so this returns 0,
 * or -EINVAL if the group is full, or -ENOMEM. */
int fo_run_group_start(fo_run_group *group, const struct fo_run_command *command);

/* Returns the errno for which process number `index` could not be started, or 0. */
int fo_run_group_error(const fo_run_group *group, uint32_t index);

/* What fo_run_group_start_plain is told beside the process itself. */
enum fo_run_once_flag {
    FO_RUN_ONCE_KILL_AT_LIMIT = 1,  /* as kill_at_limit of a command */
    FO_RUN_ONCE_KILL_CHILD_ONLY = 2 /* as kill_child_only */
};

/* Empties the group, whose processes must have ended, and starts one process as fo_spawn_plain does. Strings and input
 * must stay until the end. Returns as fo_run_group_start. The drive is a call of its own, so that the handler of a
 * signal that came during the start can run before it. */
int fo_run_group_start_plain(fo_run_group *group, const char *arguments, uint32_t argument_count,
                             const char *candidates, uint32_t candidate_count, const char *environment,
                             uint32_t environment_count, int32_t standard_input, int32_t standard_output,
                             int32_t standard_error, const char *input, uint64_t input_length, int64_t timeout_ns,
                             int64_t output_limit, uint32_t flags);

/* Feeds, reads and waits until every process of the group has ended.
 * Returns 1 then, or -EINTR when a signal came: call again, or kill and call again. */
int fo_run_group_drive(fo_run_group *group);

/* Kills every process of the group that has not ended, each with its descendants. Returns 0. */
int fo_run_group_kill(fo_run_group *group);

/* Lets the group's processes end by themselves for so long (as after an interrupt from the terminal).
 * Returns 1 if all have ended, 0 if the time ran out. */
int fo_run_group_linger(fo_run_group *group, int64_t timeout_ns);

/* The result of process number `index`, to be read before the group is freed; NULL if there is none yet. */
const struct fo_run_result *fo_run_group_result(const fo_run_group *group, uint32_t index);

/* Kills and reaps what still runs and frees everything, the results included. */
void fo_run_group_free(fo_run_group *group);

/* Many processes: an event loop over their pipes and pidfds. */
typedef struct fo_run_many fo_run_many;

/* Keeps at most `jobs` processes alive, with `spawners` threads that may be in a spawn at the same time (1 to 64): an
 * event loop where there are more jobs than they are, else a thread for each of the jobs, made here. Children inherit
 * the signal mask of the thread that calls this. Returns 0 or -errno. */
int fo_run_many_open(uint32_t jobs, uint32_t spawners, fo_run_many **run);

/* A descriptor that is readable exactly while results wait to be taken; it belongs to the run. */
int fo_run_many_fileno(const fo_run_many *run);

/* Queues commands, in order. Returns how many there are now that are queued or running, or -ENOMEM, or -ECANCELED if the
 * run was closed; then none of them was queued. */
int fo_run_many_submit(fo_run_many *run, const struct fo_run_command *commands, uint32_t count);

/* What differs between commands that are alike. No candidates: the first argument is the program. */
struct fo_run_shape {
    uint32_t argument_count;
    uint32_t arguments_length; /* bytes, the last NUL included */
    uint32_t candidate_count;
    uint32_t candidates_length;
};

/* As fo_run_many_submit, for commands that differ from `model` in their arguments and candidates alone: of each, these
 * stand one after the other in `strings`. Their tokens are the model's and those that follow it. */
int fo_run_many_submit_alike(fo_run_many *run, const struct fo_run_command *model, const char *strings,
                             const struct fo_run_shape *shapes, uint32_t count);

/* Moves up to `capacity` results to `results`. With none there, waits up to timeout_ns (-1: for ever; 0: not at all).
 * Results that come many in a moment are handed over a few at a time.
 * Returns how many, 0 if the time ran out, -EINTR where a signal has come or may have (call again), or -ECANCELED
 * once the run was closed. */
int fo_run_many_take(fo_run_many *run, struct fo_run_result *results, uint32_t capacity, int64_t timeout_ns);

/* Starts nothing more: commands that are queued come back as cancelled results with ECANCELED. Returns 0. */
int fo_run_many_stop(fo_run_many *run);

/* Makes the first result that is no success do what fo_run_many_stop does, before the next command is started; what is
 * queued later is cancelled too. Call before anything is queued. Returns 0. */
int fo_run_many_stop_at_failure(fo_run_many *run);

/* How many processes are alive. */
int fo_run_many_running(fo_run_many *run);

/* Kills and reaps every child and ends the threads. May be called while other threads use the run: those that wait for
 * results come back, the descriptor is readable from now on, and nothing is queued any more. */
void fo_run_many_close(fo_run_many *run);

/* Closes the run and frees everything, its descriptor too: once nobody uses it. Leaves it alone in a forked process. */
void fo_run_many_free(fo_run_many *run);

/* Frees the output of results that were taken. */
void fo_run_release(struct fo_run_result *results, uint32_t count);
