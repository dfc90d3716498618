/* Waiting by pid, for children without a pidfd. */
#include <errno.h>
#include <sys/wait.h>
#include <time.h>

#include "wait.h"

enum { FIRST_PAUSE_NS = 100000, LONGEST_PAUSE_NS = 50000000 };

/* Asks once, or blocks. Returns 1, 0 (it runs) or -errno. */
static int ask(int pid, int options, struct fo_wait_result *result) {
    int status = 0;
    struct rusage usage;
    pid_t ended = wait4(pid, &status, options, &usage);
    if (ended == pid) {
        fo_wait_store_status(result, status, &usage);
        return 1;
    }
    if (ended == 0) {
        return 0;
    }
    if (errno != ECHILD) {
        return -errno;
    }
    result->state = FO_WAIT_LOST;
    return 1;
}

int fo_wait_pid(int pid, int64_t timeout_ns, struct fo_wait_result *result) {
    if (result->state != FO_WAIT_RUNNING) {
        return 1;
    }
    if (timeout_ns < 0) {
        return ask(pid, 0, result);
    }
    int64_t deadline = fo_clock_now() + timeout_ns;
    for (int64_t pause = FIRST_PAUSE_NS;; pause *= 2) {
        int answer = ask(pid, WNOHANG, result);
        int64_t left = deadline - fo_clock_now();
        if (answer != 0 || left <= 0) {
            return answer;
        }
        pause = pause < LONGEST_PAUSE_NS ? pause : LONGEST_PAUSE_NS;
        int64_t nap = pause < left ? pause : left;
        struct timespec time = {.tv_sec = nap / 1000000000, .tv_nsec = nap % 1000000000};
        if (nanosleep(&time, NULL) < 0) {
            return -errno;
        }
    }
}
