/* Starting a process. Everything is encoded by the caller; the child makes only raw system calls, in a fixed order. */

/* The steps, in the order in which the child takes them; the first three are the parent's. */
enum fo_spawn_step {
    FO_STEP_NONE = 0,
    FO_STEP_PREPARE = 1,      /* memory for the request */
    FO_STEP_STREAM = 2,       /* opening a pipe, /dev/null or a pseudo-terminal; index: 0, 1, 2 */
    FO_STEP_FORK = 3,         /* clone, clone3 or fork */
    FO_STEP_CGROUP = 4,       /* entering the cgroup */
    FO_STEP_CLOSE = 5,        /* closing the descriptors that the child must not have */
    FO_STEP_SESSION = 6,      /* setsid */
    FO_STEP_PROCESS_GROUP = 7,/* setpgid */
    FO_STEP_TERMINAL = 8,     /* TIOCSCTTY */
    FO_STEP_DESCRIPTOR = 9,   /* mapping a descriptor; index: its number in the child */
    FO_STEP_DIRECTORY = 10,   /* chdir or fchdir */
    FO_STEP_NICE = 11,
    FO_STEP_AFFINITY = 12,
    FO_STEP_OOM = 13,         /* oom_score_adj */
    FO_STEP_LIMIT = 14,       /* setrlimit; index: the resource */
    FO_STEP_SIGNALS = 15,     /* dispositions and mask */
    FO_STEP_GROUPS = 16,      /* setgroups, verified */
    FO_STEP_GROUP = 17,       /* setresgid, verified */
    FO_STEP_USER = 18,        /* setresuid, verified, root not to be had again */
    FO_STEP_PRIVILEGES = 19,  /* no_new_privs */
    FO_STEP_PARENT = 20,      /* the signal at the parent's death; ESRCH: it is dead already */
    FO_STEP_EXEC = 21         /* execve; index: the candidate that the error belongs to */
};

/* What a standard stream of the child is, in place of a descriptor of the parent (>= 0). */
enum fo_spawn_stream {
    FO_STREAM_INHERIT = -1,
    FO_STREAM_PIPE = -2,
    FO_STREAM_NULL = -3,   /* /dev/null */
    FO_STREAM_STDOUT = -4, /* for the third stream: where the second goes */
    FO_STREAM_PTY = -5     /* the slave of one new pseudo-terminal, shared by all streams that ask for it */
};

enum fo_spawn_flag {
    FO_SPAWN_NEW_SESSION = 1,
    FO_SPAWN_NO_NEW_PRIVILEGES = 2,
    FO_SPAWN_RESTORE_SIGNALS = 4,   /* SIGPIPE, SIGXFSZ (which Python ignores) get their default action */
    FO_SPAWN_SIGNAL_MASK = 8,       /* signal_mask holds; otherwise the caller's mask is inherited */
    FO_SPAWN_NICE = 16,
    FO_SPAWN_OOM = 32,
    FO_SPAWN_KEEP_DESCRIPTORS = 64, /* as after fork: what is not close-on-exec stays open */
    FO_SPAWN_NO_PIDFD = 128         /* the caller waits by pid: one descriptor fewer */
};

/* Descriptor `source` of the parent becomes `target` in the child. Equal ones lose close-on-exec. */
struct fo_spawn_descriptor {
    int32_t source;
    int32_t target;
};

struct fo_spawn_limit {
    int32_t resource;
    int32_t reserved;
    uint64_t soft;
    uint64_t hard;
};

/* A request is only read: it can be used many times, and by many threads at once. Start from fo_spawn_request_init.
 * Lists of strings are one block: each string ends in NUL, the next follows. */
struct fo_spawn_request {
    const char *arguments; /* argv */
    const char *environment; /* NAME=value; NULL: the caller's environ */
    const char *candidates; /* paths to execute, tried in order as execvp does; NULL: argv[0] alone */
    uint32_t argument_count;
    uint32_t environment_count;
    uint32_t candidate_count;
    uint32_t flags; /* enum fo_spawn_flag */
    const char *directory; /* NULL: stay */
    int32_t directory_fd;  /* -1: none */
    int32_t streams[3];    /* a descriptor, or enum fo_spawn_stream */
    const struct fo_spawn_descriptor *descriptors; /* further ones; each target once, none of a stream set above */
    const struct fo_spawn_limit *limits;
    const uint32_t *groups; /* in ascending order */
    const uint8_t *affinity; /* the kernel's mask */
    uint32_t descriptor_count;
    uint32_t limit_count;
    int32_t group_count; /* -1: unchanged; 0: none */
    uint32_t affinity_length; /* bytes; 0: unchanged */
    int64_t user;  /* -1: unchanged */
    int64_t group; /* -1: unchanged */
    int32_t umask; /* -1: unchanged */
    int32_t nice;
    int32_t oom_score_adj;
    int32_t process_group;   /* -1: unchanged; 0: one of its own */
    int32_t controlling_tty; /* a descriptor of the parent, -1: none; with FO_STREAM_PTY it is that terminal */
    int32_t death_signal;    /* 0: none */
    int32_t cgroup_fd;       /* an open cgroup v2 directory, or -1 */
    uint16_t pty_rows;
    uint16_t pty_columns;
    uint64_t signal_mask; /* bit 0 is signal 1 */
};

struct fo_spawn_result {
    int32_t pid;    /* 0 until there is a child */
    int32_t pidfd;  /* close-on-exec; -1 where there are none */
    int32_t step;   /* enum fo_spawn_step: the one that failed */
    int32_t error;  /* its errno */
    int32_t index;  /* which of several, see the steps */
    int32_t pipes[3]; /* the caller's ends, close-on-exec, blocking; -1: none */
    int32_t pty;    /* the master, or -1 */
};

/* A child from its start to its end, in one piece; all zero before the start. */
struct fo_spawn_child {
    struct fo_spawn_result spawned;
    struct fo_wait_result waited;
    int32_t parent; /* the process whose child it is */
    int32_t taking; /* 1 while a thread asks the kernel for the status */
    int32_t users;  /* of the pidfd: one until the status is taken, and each thread that uses it just then */
};

/* Fills in "nothing changes": inherited streams, no ids, no limits; no arguments yet. */
void fo_spawn_request_init(struct fo_spawn_request *request);

/* Starts a process. Thread-safe, and takes no lock that a fork could leave held.
 * Returns 0 and pid, pidfd and the pipes, all then the caller's to close and to wait for; or -errno with step and
 * index, and then nothing is left behind: no child, no zombie, no descriptor. */
int fo_spawn(const struct fo_spawn_request *request, struct fo_spawn_result *result);

/* fo_spawn for a request that says no more than this, in one call; signals as FO_SPAWN_RESTORE_SIGNALS.
 * Returns the pid, or -errno. */
int fo_spawn_plain(const char *arguments, uint32_t argument_count, const char *candidates, uint32_t candidate_count,
                   const char *environment, uint32_t environment_count, int32_t input, int32_t output, int32_t errors,
                   struct fo_spawn_child *child);

/* fo_spawn into a child. Returns the pid, or -errno. */
int fo_spawn_into(const struct fo_spawn_request *request, struct fo_spawn_child *child);

/* fo_wait_process for the child, from any number of threads at once: its status is then in `waited`, and its pidfd
 * closed. -ECHILD: this is a forked copy of its parent, which must not wait by pid (by pidfd it may, and finds the
 * status lost). */
int fo_spawn_wait(struct fo_spawn_child *child, int64_t timeout_ns);

/* Sends the child a signal, through its pidfd if it has one. Returns 0, -ESRCH once it has ended, or -errno. */
int fo_spawn_signal(struct fo_spawn_child *child, int signal);

/* Closes the descriptors that the result still names, and sets them to -1; the caller does so to those it took over. */
void fo_spawn_release(struct fo_spawn_result *result);

/* The name of a step, as the message of an error begins with: "exec", "chdir", "setrlimit". */
const char *fo_spawn_step_name(int step);
