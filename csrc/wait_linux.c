/* Waiting by pidfd. Where there are none every function says ENOSYS, and its caller goes by pid. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#ifdef __linux__
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "wait.h"

#ifdef SYS_pidfd_send_signal

enum { BY_PIDFD = 3 }; /* P_PIDFD, which older headers lack */

static void store(struct fo_wait_result *result, const siginfo_t *info, const struct rusage *usage) {
    int status = info->si_code == CLD_EXITED ? (info->si_status & 0xff) << 8 : info->si_status & 0x7f;
    fo_wait_store_status(result, status, usage);
    result->core_dumped = info->si_code == CLD_DUMPED;
}

/* Asks once, or blocks. Returns 1, 0 (it runs) or -errno. */
static int ask(int pidfd, int options, struct fo_wait_result *result) {
    siginfo_t info = {.si_pid = 0};
    struct rusage usage;
    /* The raw call, since libc's waitid does not give the usage. */
    if (syscall(SYS_waitid, BY_PIDFD, pidfd, &info, WEXITED | options, &usage) < 0) {
        if (errno != ECHILD) {
            return -errno;
        }
        result->state = FO_WAIT_LOST;
        return 1;
    }
    if (info.si_pid == 0) {
        return 0;
    }
    store(result, &info, &usage);
    return 1;
}

int fo_wait_readable(int pidfd, int64_t timeout_ns) {
    struct timespec time = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    int ready = ppoll(&ended, 1, timeout_ns < 0 ? NULL : &time, NULL);
    if (ready < 0) {
        return -errno;
    }
    return ready > 0 ? (ended.revents & POLLNVAL ? -EBADF : 1) : 0;
}

int fo_wait_pidfd(int pidfd, int64_t timeout_ns, struct fo_wait_result *result) {
    if (result->state != FO_WAIT_RUNNING) {
        return 1;
    }
    if (timeout_ns < 0) {
        return ask(pidfd, 0, result);
    }
    int answer = ask(pidfd, WNOHANG, result);
    if (answer != 0 || timeout_ns == 0) {
        return answer;
    }
    int64_t deadline = fo_clock_now() + timeout_ns;
    for (int64_t left = timeout_ns; left > 0; left = deadline - fo_clock_now()) {
        int readable = fo_wait_readable(pidfd, left);
        if (readable < 0) {
            return readable;
        }
        answer = readable > 0 ? ask(pidfd, WNOHANG, result) : 0;
        if (answer != 0) {
            return answer;
        }
        if (readable > 0) { /* Ended, but a tracer has it first: do not spin meanwhile. */
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        }
    }
    return 0;
}

int fo_wait_signal(int pid, int pidfd, int signal) {
    long sent = pidfd >= 0 ? syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) : kill(pid, signal);
    return sent < 0 ? -errno : 0;
}

int fo_wait_set_subreaper(int on) {
    int before = 0;
    if (prctl(PR_GET_CHILD_SUBREAPER, &before, 0, 0, 0) < 0) {
        return -errno;
    }
    return prctl(PR_SET_CHILD_SUBREAPER, (unsigned long)on, 0, 0, 0) < 0 ? -errno : before;
}

#else

int fo_wait_set_subreaper(int on) {
    (void)on;
    return -ENOSYS;
}

int fo_wait_readable(int pidfd, int64_t timeout_ns) {
    (void)pidfd, (void)timeout_ns;
    return -ENOSYS;
}

int fo_wait_pidfd(int pidfd, int64_t timeout_ns, struct fo_wait_result *result) {
    (void)pidfd, (void)timeout_ns, (void)result;
    return -ENOSYS;
}

int fo_wait_signal(int pid, int pidfd, int signal) {
    (void)pidfd;
    return kill(pid, signal) < 0 ? -errno : 0;
}

#endif
