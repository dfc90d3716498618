/* Waiting for children by pid. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "api.h"
#include "result.h"

int64_t fo_child_waitpid(int pid, int options) {
    int status = 0;
    pid_t ended = waitpid(pid, &status, options);
    return ended < 0 ? -errno : fo_result_pair(ended, status);
}

static int64_t microseconds(struct timeval time) {
    return (int64_t)time.tv_sec * 1000000 + time.tv_usec;
}

static void copy_usage(const struct rusage *from, struct fo_child_usage *to) {
    *to = (struct fo_child_usage){
        .user_us = microseconds(from->ru_utime),
        .system_us = microseconds(from->ru_stime),
        .maxrss = from->ru_maxrss,
        .ixrss = from->ru_ixrss,
        .idrss = from->ru_idrss,
        .isrss = from->ru_isrss,
        .minflt = from->ru_minflt,
        .majflt = from->ru_majflt,
        .nswap = from->ru_nswap,
        .inblock = from->ru_inblock,
        .oublock = from->ru_oublock,
        .msgsnd = from->ru_msgsnd,
        .msgrcv = from->ru_msgrcv,
        .nsignals = from->ru_nsignals,
        .nvcsw = from->ru_nvcsw,
        .nivcsw = from->ru_nivcsw,
    };
}

int64_t fo_child_wait4(int pid, int options, struct fo_child_usage *usage) {
    int status = 0;
    /* Not filled by the kernel when WNOHANG finds nothing. */
    struct rusage used = {0};
    pid_t ended = wait4(pid, &status, options, &used);
    if (ended < 0) {
        return -errno;
    }
    copy_usage(&used, usage);
    return fo_result_pair(ended, status);
}
