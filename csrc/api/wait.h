/* Waiting for one child: its status and its resource usage come together. Thread-safe. */

enum fo_wait_state {
    FO_WAIT_RUNNING = 0, /* not ended, as far as anybody asked */
    FO_WAIT_ENDED = 1,   /* code, signal and usage hold */
    FO_WAIT_LOST = 2     /* somebody else took the status: nothing else holds */
};

/* What struct rusage tells; times in microseconds, max_rss in KiB on Linux (bytes on macOS). */
struct fo_usage {
    int64_t user_us;
    int64_t system_us;
    int64_t max_rss;
    int64_t shared_rss;
    int64_t data_rss;
    int64_t stack_rss;
    int64_t minor_faults;
    int64_t major_faults;
    int64_t swaps;
    int64_t blocks_in;
    int64_t blocks_out;
    int64_t messages_sent;
    int64_t messages_received;
    int64_t signals;
    int64_t voluntary_switches;
    int64_t involuntary_switches;
};

struct fo_wait_result {
    int32_t state;       /* enum fo_wait_state */
    int32_t code;        /* the exit code, or -1 if a signal ended the child */
    int32_t signal;      /* the signal that ended the child, or 0 */
    int32_t core_dumped; /* 1 if the kernel wrote a core file */
    struct fo_usage usage;
};

/* Waits for the child to end and takes its status. timeout_ns: negative waits for ever, 0 only asks; the clock is
 * monotonic and a timeout never ends early. A result that is no longer FO_WAIT_RUNNING is left as it is.
 * Returns 1 once result->state is ENDED or LOST, 0 if the time ran out, or -errno (-EINTR: a signal came, call
 * again with the time that is left). */
int fo_wait_pidfd(int pidfd, int64_t timeout_ns, struct fo_wait_result *result);

/* The same for a child that may have no pidfd (pidfd -1): the portable way asks wait4 for its pid, at growing
 * intervals of at most 50 ms where there is a timeout. */
int fo_wait_process(int pid, int pidfd, int64_t timeout_ns, struct fo_wait_result *result);

/* Sends a signal through the pidfd, or to the pid if pidfd is -1. Returns 0 or -errno (-ESRCH: it has ended). */
int fo_wait_signal(int pid, int pidfd, int signal);

/* Makes this process adopt its orphaned descendants (on: 1) or not (0), by PR_SET_CHILD_SUBREAPER.
 * Returns what it was, 0 or 1, or -errno (-ENOSYS where there is no such thing). */
int fo_wait_set_subreaper(int on);
