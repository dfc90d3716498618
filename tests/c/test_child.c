/* child.c, signal.c, session.c, environment.c and execute.c: everything about single processes. */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api.h"
#include "check.h"

static int start(int code) {
    int pid = fork();
    if (pid == 0) {
        _exit(code);
    }
    return pid;
}

TEST(waits_give_pid_and_status_in_one_value) {
    int pid = start(3);
    CHECK_EQ(fo_child_waitpid(pid, 0), ((int64_t)pid << 32) | 3 << 8);
    struct fo_child_usage usage;
    pid = start(4);
    CHECK_EQ(fo_child_wait4(pid, 0, &usage), ((int64_t)pid << 32) | 4 << 8);
    CHECK(usage.maxrss > 0);
    CHECK_EQ(fo_child_waitpid(-1, 0), -ECHILD);
}

TEST(nothing_ready_is_zero) {
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    int pid = fork();
    if (pid == 0) {
        char byte;
        close(ends[1]);
        _exit((int)read(ends[0], &byte, 1));
    }
    struct fo_child_usage usage;
    CHECK_EQ(fo_child_waitpid(pid, WNOHANG), 0);
    CHECK_EQ(fo_child_wait4(pid, WNOHANG, &usage), 0);
    CHECK_EQ(usage.maxrss, 0);
    CHECK_EQ(fo_signal_kill(pid, 0), 0);
    CHECK_EQ(fo_signal_kill(pid, SIGKILL), 0);
    CHECK_EQ(fo_child_waitpid(pid, 0) & 0xff, SIGKILL);
    CHECK_EQ(fo_signal_kill(pid, 0), -ESRCH);
    CHECK_EQ(fo_signal_killpg(pid, 0), -ESRCH);
}

TEST(sessions) {
    CHECK_EQ(fo_session_getpid(), getpid());
    CHECK_EQ(fo_session_getppid(), getppid());
    CHECK_EQ(fo_session_setsid(), getpid());
    CHECK_EQ(fo_session_getsid(0), getpid());
    CHECK_EQ(fo_session_getpgid(0), fo_session_getpgrp());
    CHECK_EQ(fo_session_setsid(), -EPERM);
    CHECK_EQ(fo_session_setpgid(0, 0), -EPERM);
    CHECK_EQ(fo_session_tcgetpgrp(-1), -EBADF);
    char terminal[64];
    CHECK(fo_session_ctermid(terminal, sizeof(terminal)) > 0);
    CHECK_EQ(fo_session_ctermid(terminal, 1), -ERANGE);
}

TEST(environment_reaches_the_shell) {
    CHECK_EQ(fo_environment_putenv("FASTOS_TEST", "5"), 0);
    CHECK_EQ(fo_execute_system("exit $FASTOS_TEST"), 5 << 8);
    CHECK_EQ(fo_environment_unsetenv("FASTOS_TEST"), 0);
    CHECK_EQ(fo_environment_unsetenv("A=B"), -EINVAL);
    CHECK_EQ(fo_environment_putenv("", "x"), -EINVAL);
}

TEST(exec_replaces_or_says_why) {
    char *arguments[] = {"sh", "-c", "exit $CODE", NULL}, *environment[] = {"CODE=7", NULL};
    CHECK_EQ(fo_execute_exec("/no/such/program", arguments, NULL), -ENOENT);
    CHECK_EQ(fo_execute_exec("/", arguments, NULL), -EACCES);
    int pid = fork();
    if (pid == 0) {
        _exit(-fo_execute_exec("/bin/sh", arguments, environment));
    }
    CHECK_EQ(fo_child_waitpid(pid, 0) & 0xffff, 7 << 8);
}

MAIN(RUN(waits_give_pid_and_status_in_one_value), RUN(nothing_ready_is_zero), RUN(sessions),
     RUN(environment_reaches_the_shell), RUN(exec_replaces_or_says_why))
