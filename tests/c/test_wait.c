#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>

#include "api.h"
#include "check.h"

static int child_that(void (*run)(void)) {
    pid_t pid = fork();
    if (pid == 0) {
        run();
        _exit(9);
    }
    return (int)pid;
}

static void end_well(void) {
    _exit(3);
}

static void sleep_long(void) {
    sleep(1000);
}

static int pidfd_of(int pid) {
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

static void status_of(int with_pidfd) {
    struct fo_wait_result result = {0};
    int pid = child_that(end_well);
    int pidfd = with_pidfd ? pidfd_of(pid) : -1;
    CHECK_EQ(fo_wait_process(pid, pidfd, -1, &result), 1);
    CHECK_EQ(result.state, FO_WAIT_ENDED);
    CHECK_EQ(result.code, 3);
    CHECK_EQ(result.signal, 0);
    struct fo_wait_result again = result;
    CHECK_EQ(fo_wait_process(pid, pidfd, -1, &again), 1); /* kept, not asked again */
    CHECK_EQ(again.code, 3);
}

TEST(status_by_pidfd) {
    status_of(1);
}

TEST(status_by_pid) {
    status_of(0);
}

static void timeout_and_signal(int with_pidfd) {
    struct fo_wait_result result = {0};
    int pid = child_that(sleep_long);
    int pidfd = with_pidfd ? pidfd_of(pid) : -1;
    CHECK_EQ(fo_wait_process(pid, pidfd, 0, &result), 0);
    CHECK_EQ(fo_wait_process(pid, pidfd, 3000000, &result), 0);
    CHECK_EQ(fo_wait_signal(pid, pidfd, SIGSTOP), 0);
    CHECK_EQ(fo_wait_process(pid, pidfd, 1000000, &result), 0);
    CHECK_EQ(fo_wait_signal(pid, pidfd, SIGKILL), 0);
    CHECK_EQ(fo_wait_process(pid, pidfd, 20000000000, &result), 1);
    CHECK_EQ(result.signal, SIGKILL);
    CHECK_EQ(result.code, -1);
    CHECK_EQ(fo_wait_signal(pid, pidfd, 0), -ESRCH);
}

TEST(timeout_by_pidfd) {
    timeout_and_signal(1);
}

TEST(timeout_by_pid) {
    timeout_and_signal(0);
}

static void stolen(int with_pidfd) {
    struct fo_wait_result result = {0};
    int pid = child_that(end_well);
    int pidfd = with_pidfd ? pidfd_of(pid) : -1;
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    CHECK_EQ(fo_wait_process(pid, pidfd, -1, &result), 1);
    CHECK_EQ(result.state, FO_WAIT_LOST);
}

TEST(stolen_by_pidfd) {
    stolen(1);
}

TEST(stolen_by_pid) {
    stolen(0);
}

TEST(subreaper_is_set_and_told) {
    CHECK_EQ(fo_wait_set_subreaper(1), 0);
    CHECK_EQ(fo_wait_set_subreaper(0), 1);
}

MAIN(RUN(status_by_pidfd), RUN(status_by_pid), RUN(timeout_by_pidfd), RUN(timeout_by_pid), RUN(stolen_by_pidfd),
     RUN(stolen_by_pid), RUN(subreaper_is_set_and_told))
