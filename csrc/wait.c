/* Waiting for one child: what both ways share. */
#include "wait.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

static int64_t microseconds(struct timeval time) {
    return (int64_t)time.tv_sec * 1000000 + time.tv_usec;
}

static void store_usage(struct fo_usage *to, const struct rusage *from) {
    to->user_us = microseconds(from->ru_utime);
    to->system_us = microseconds(from->ru_stime);
    to->max_rss = from->ru_maxrss;
    to->shared_rss = from->ru_ixrss;
    to->data_rss = from->ru_idrss;
    to->stack_rss = from->ru_isrss;
    to->minor_faults = from->ru_minflt;
    to->major_faults = from->ru_majflt;
    to->swaps = from->ru_nswap;
    to->blocks_in = from->ru_inblock;
    to->blocks_out = from->ru_oublock;
    to->messages_sent = from->ru_msgsnd;
    to->messages_received = from->ru_msgrcv;
    to->signals = from->ru_nsignals;
    to->voluntary_switches = from->ru_nvcsw;
    to->involuntary_switches = from->ru_nivcsw;
}

void fo_wait_store_status(struct fo_wait_result *result, int status, const struct rusage *usage) {
    int signalled = WIFSIGNALED(status);
    result->code = signalled ? -1 : WEXITSTATUS(status);
    result->signal = signalled ? WTERMSIG(status) : 0;
    result->core_dumped = signalled && WCOREDUMP(status) != 0;
    store_usage(&result->usage, usage);
    result->state = FO_WAIT_ENDED;
}

int fo_wait_process(int pid, int pidfd, int64_t timeout_ns, struct fo_wait_result *result) {
    return pidfd >= 0 ? fo_wait_pidfd(pidfd, timeout_ns, result) : fo_wait_pid(pid, timeout_ns, result);
}
