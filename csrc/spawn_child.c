/* What the child does between the fork and the exec. The order is part of the contract: see enum fo_spawn_step. */
#include "spawn.h"
#include "spawn_system.h"

#ifdef __linux__
#include <sched.h>
#endif

FO_CHILD int fo_spawn_fail(struct fo_spawn_plan *plan, int step, int index) {
    plan->report = (struct fo_spawn_report){.step = step, .error = errno, .index = index};
    return -1;
}

/* 0 stays 0; any other result is a failed step. */
FO_CHILD static int outcome(struct fo_spawn_plan *plan, int result, int step, int index) {
    return result < 0 ? fo_spawn_fail(plan, step, index) : 0;
}

/* Writes a whole short text to a descriptor. */
FO_CHILD static int write_text(int fd, const char *text, int length) {
    return fo_sys_write(fd, text, (size_t)length) == length ? 0 : -1;
}

FO_CHILD static int enter_cgroup(struct fo_spawn_plan *plan) {
    return plan->cgroup_procs < 0 ? 0 : outcome(plan, write_text(plan->cgroup_procs, "0", 1), FO_STEP_CGROUP, 0);
}

FO_CHILD static int enter_session(struct fo_spawn_plan *plan) {
    const struct fo_spawn_request *request = plan->request;
    if (request->flags & FO_SPAWN_NEW_SESSION && outcome(plan, fo_sys_setsid(), FO_STEP_SESSION, 0) < 0) {
        return -1;
    }
    if (request->process_group >= 0 &&
        outcome(plan, fo_sys_setpgid(0, request->process_group), FO_STEP_PROCESS_GROUP, 0) < 0) {
        return -1;
    }
    return plan->terminal < 0 ? 0 : outcome(plan, fo_sys_ioctl(plan->terminal, TIOCSCTTY, 0), FO_STEP_TERMINAL, 0);
}

FO_CHILD static int enter_directory(struct fo_spawn_plan *plan) {
    const struct fo_spawn_request *request = plan->request;
    if (request->directory_fd >= 0 && outcome(plan, fo_sys_fchdir(request->directory_fd), FO_STEP_DIRECTORY, 0) < 0) {
        return -1;
    }
    return request->directory == NULL ? 0
                                      : outcome(plan, fo_sys_chdir(request->directory), FO_STEP_DIRECTORY, 0);
}

FO_CHILD static int set_nice(struct fo_spawn_plan *plan) {
    if (!(plan->request->flags & FO_SPAWN_NICE)) {
        return 0;
    }
    return outcome(plan, fo_sys_setpriority(PRIO_PROCESS, 0, plan->request->nice), FO_STEP_NICE, 0);
}

#ifdef __linux__

FO_CHILD static int set_affinity(struct fo_spawn_plan *plan) {
    const struct fo_spawn_request *request = plan->request;
    if (request->affinity_length == 0) {
        return 0;
    }
    int result = (int)syscall(SYS_sched_setaffinity, 0, request->affinity_length, request->affinity);
    return outcome(plan, result, FO_STEP_AFFINITY, 0);
}

/* Writes a number in decimal, ending before `end`. Returns where it starts. */
FO_CHILD static char *decimal(char *end, int number) {
    unsigned rest = number < 0 ? 0U - (unsigned)number : (unsigned)number;
    do {
        *--end = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0) {
        *--end = '-';
    }
    return end;
}

FO_CHILD static int set_oom_score(struct fo_spawn_plan *plan) {
    if (!(plan->request->flags & FO_SPAWN_OOM)) {
        return 0;
    }
    char text[16], *end = text + sizeof(text), *start = decimal(end, plan->request->oom_score_adj);
    int fd = fo_sys_open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write_text(fd, start, (int)(end - start)) < 0) {
        return fo_spawn_fail(plan, FO_STEP_OOM, 0);
    }
    (void)fo_sys_close(fd);
    return 0;
}

FO_CHILD static int set_limit(const struct fo_spawn_limit *limit) {
    uint64_t both[2] = {limit->soft, limit->hard};
    return (int)syscall(SYS_prlimit64, 0, limit->resource, both, NULL);
}

FO_CHILD static int give_up_privileges(struct fo_spawn_plan *plan) {
    if (!(plan->request->flags & FO_SPAWN_NO_NEW_PRIVILEGES)) {
        return 0;
    }
    return outcome(plan, (int)syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), FO_STEP_PRIVILEGES, 0);
}

/* After the ids, since changing them disarms it. A parent that ended before it was armed is noticed by the new one;
 * 0 is a parent outside of the child's pid namespace, of which nothing can be said. */
FO_CHILD static int die_with_parent(struct fo_spawn_plan *plan) {
    int signal = plan->request->death_signal;
    if (signal == 0) {
        return 0;
    }
    if (syscall(SYS_prctl, PR_SET_PDEATHSIG, (long)signal, 0, 0, 0) < 0) {
        return fo_spawn_fail(plan, FO_STEP_PARENT, 0);
    }
    int parent = fo_sys_getppid();
    errno = ESRCH;
    return parent != 0 && parent != plan->parent ? fo_spawn_fail(plan, FO_STEP_PARENT, 0) : 0;
}

#else

FO_CHILD static int unsupported(struct fo_spawn_plan *plan, bool wanted, int step) {
    errno = ENOSYS;
    return wanted ? fo_spawn_fail(plan, step, 0) : 0;
}

FO_CHILD static int set_affinity(struct fo_spawn_plan *plan) {
    return unsupported(plan, plan->request->affinity_length != 0, FO_STEP_AFFINITY);
}

FO_CHILD static int set_oom_score(struct fo_spawn_plan *plan) {
    return unsupported(plan, plan->request->flags & FO_SPAWN_OOM, FO_STEP_OOM);
}

FO_CHILD static int set_limit(const struct fo_spawn_limit *limit) {
    struct rlimit both = {.rlim_cur = (rlim_t)limit->soft, .rlim_max = (rlim_t)limit->hard};
    return setrlimit(limit->resource, &both);
}

FO_CHILD static int give_up_privileges(struct fo_spawn_plan *plan) {
    return unsupported(plan, plan->request->flags & FO_SPAWN_NO_NEW_PRIVILEGES, FO_STEP_PRIVILEGES);
}

FO_CHILD static int die_with_parent(struct fo_spawn_plan *plan) {
    return unsupported(plan, plan->request->death_signal != 0, FO_STEP_PARENT);
}

#endif

FO_CHILD static int set_limits(struct fo_spawn_plan *plan) {
    for (uint32_t i = 0; i < plan->request->limit_count; i++) {
        const struct fo_spawn_limit *limit = &plan->request->limits[i];
        if (set_limit(limit) < 0) {
            return fo_spawn_fail(plan, FO_STEP_LIMIT, limit->resource);
        }
    }
    return 0;
}

FO_CHILD static void set_umask(const struct fo_spawn_plan *plan) {
    if (plan->request->umask >= 0) {
        fo_sys_umask(plan->request->umask);
    }
}

/* Runs the first candidate that can be run, as Python does; the error of what is there tells more than that of what is
 * not. */
FO_CHILD static void execute(struct fo_spawn_plan *plan) {
    int error = ENOENT, index = plan->first_candidate;
    bool found = false;
    for (int i = 0; plan->candidates[i] != NULL; i++) {
        (void)fo_sys_execve(plan->candidates[i], plan->arguments, plan->environment);
        if (found) {
            continue;
        }
        found = errno != ENOENT && errno != ENOTDIR;
        if (found || plan->candidates[i + 1] == NULL) {
            error = errno;
        }
        index = found ? plan->first_candidate + i : index;
    }
    errno = error;
    fo_spawn_fail(plan, FO_STEP_EXEC, index);
}

FO_CHILD void fo_spawn_child(struct fo_spawn_plan *plan) {
    if (enter_cgroup(plan) < 0 || fo_spawn_close_files(plan) < 0 || enter_session(plan) < 0) {
        return;
    }
    if (plan->request->directory_fd >= 0 && enter_directory(plan) < 0) {
        return; /* before the moves, which may put something else on its number */
    }
    if (fo_spawn_move_files(plan) < 0 || (plan->request->directory_fd < 0 && enter_directory(plan) < 0)) {
        return;
    }
    set_umask(plan);
    if (set_nice(plan) < 0 || set_affinity(plan) < 0 || set_oom_score(plan) < 0 || set_limits(plan) < 0) {
        return;
    }
    if (fo_spawn_set_dispositions(plan) < 0 || fo_spawn_drop_owner(plan) < 0) {
        return;
    }
    if (give_up_privileges(plan) < 0 || die_with_parent(plan) < 0) {
        return;
    }
    fo_spawn_set_mask(plan);
    execute(plan);
}
