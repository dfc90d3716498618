/* fork and an error pipe: the way of every POSIX system, and of emulators whose clone copies the memory. */
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spawn.h"
#include "spawn_system.h"

/* Returns the child's report, or a step of FO_STEP_NONE if the pipe closed without one: the exec closed it. */
static void read_report(struct fo_spawn_plan *plan, int fd) {
    struct fo_spawn_report report;
    ssize_t length;
    while ((length = read(fd, &report, sizeof(report))) < 0 && errno == EINTR) {
    }
    if (length == (ssize_t)sizeof(report)) {
        plan->report = report;
    }
}

static void run_child(struct fo_spawn_plan *plan) {
    fo_spawn_child(plan);
    (void)!fo_sys_write(plan->report_pipe, &plan->report, sizeof(plan->report));
    fo_sys_exit(127);
}

static int open_error_pipe(int ends[2]) {
#ifdef __linux__
    return pipe2(ends, O_CLOEXEC);
#else
    if (pipe(ends) < 0) {
        return -1;
    }
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    return fcntl(ends[1], F_SETFD, FD_CLOEXEC);
#endif
}

/* Takes the status of a child that failed before its exec, so that it leaves nothing. */
static void reap(int pid) {
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

/* Returns a pidfd for a child that is not reaped yet, or -1. */
static int open_pidfd(int pid) {
#ifdef SYS_pidfd_open
    return (int)syscall(SYS_pidfd_open, pid, 0);
#else
    (void)pid;
    return -1;
#endif
}

/* Opens cgroup.procs for the child to write itself into. Returns 0 or -errno with the report made. */
static int open_cgroup(struct fo_spawn_plan *plan) {
    if (plan->request->cgroup_fd < 0) {
        return 0;
    }
    plan->cgroup_procs = openat(plan->request->cgroup_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
    if (plan->cgroup_procs < 0) {
        fo_spawn_fail(plan, FO_STEP_CGROUP, 0);
        return -plan->report.error;
    }
    plan->opened[plan->opened_count++] = plan->cgroup_procs;
    return 0;
}

/* Forks with all signals blocked. Returns the pid in the parent or -1; does not return in the child. */
static int fork_child(struct fo_spawn_plan *plan, const int ends[2]) {
    fo_spawn_block_signals(plan);
    pid_t pid = fork();
    if (pid == 0) {
        plan->report_pipe = ends[1];
        run_child(plan);
    }
    int error = errno;
    fo_spawn_unblock_signals(plan);
    errno = error;
    return (int)pid;
}

int fo_spawn_fork(struct fo_spawn_plan *plan, struct fo_spawn_result *result) {
    int ends[2];
    int failed = open_cgroup(plan);
    if (failed < 0) {
        return failed;
    }
    fo_spawn_has_close_range();
    if (open_error_pipe(ends) < 0) {
        fo_spawn_fail(plan, FO_STEP_FORK, 0);
        return -plan->report.error;
    }
    int pid = fork_child(plan, ends);
    if (pid < 0) {
        fo_spawn_fail(plan, FO_STEP_FORK, 0);
    }
    close(ends[1]);
    if (pid > 0) {
        read_report(plan, ends[0]);
    }
    close(ends[0]);
    if (plan->report.step != FO_STEP_NONE) {
        if (pid > 0) {
            reap(pid);
        }
        return -plan->report.error;
    }
    result->pid = pid;
    result->pidfd = plan->request->flags & FO_SPAWN_NO_PIDFD ? -1 : open_pidfd(pid);
    return 0;
}
