/* The child's descriptors. First everything from 3 up becomes close-on-exec, in one call; then each move makes its
 * target, which is thereby open across the exec. Nothing is closed one by one, so the cost does not depend on how
 * many descriptors the parent has. */
#include "spawn.h"
#include "spawn_system.h"

#include <pthread.h>

enum { UNSHARE = 2, CLOSE_ON_EXEC = 4 }; /* CLOSE_RANGE_UNSHARE, CLOSE_RANGE_CLOEXEC */

#ifdef SYS_close_range
#define close_range_call(first, flags) ((int)syscall(SYS_close_range, (unsigned)(first), ~0U, (unsigned)(flags)))
#else
#define close_range_call(first, flags) (errno = ENOSYS, -1)
#endif

static pthread_once_t asked = PTHREAD_ONCE_INIT;
static int works;

static void ask(void) {
    /* A range that holds nothing. Old sandboxes answer EPERM, old kernels ENOSYS, Linux 5.9 and 5.10 know no CLOEXEC. */
    works = close_range_call(~0U, CLOSE_ON_EXEC) == 0;
}

int fo_spawn_has_close_range(void) {
    pthread_once(&asked, ask);
    return works;
}

/* Without close_range: each descriptor that /proc names becomes close-on-exec. */
#ifdef __linux__
FO_CHILD static int number_in(const char *name) {
    int number = 0;
    for (; *name >= '0' && *name <= '9'; name++) {
        number = number * 10 + (*name - '0');
    }
    return *name == '\0' ? number : -1;
}

FO_CHILD static int mark_listed(void) {
    int directory = fo_sys_open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) {
        return -1;
    }
    _Alignas(8) char buffer[2048];
    long length;
    while ((length = syscall(SYS_getdents64, directory, buffer, sizeof(buffer))) > 0) {
        for (long at = 0; at < length; at += *(const uint16_t *)(const void *)(buffer + at + 16)) {
            int fd = number_in(buffer + at + 19); /* linux_dirent64: ino 8, off 8, reclen 2, type 1, name */
            if (fd > 2) {
                (void)fo_sys_fcntl(fd, F_SETFD, FD_CLOEXEC);
            }
        }
    }
    (void)fo_sys_close(directory);
    return length < 0 ? -1 : 0;
}
#else
FO_CHILD static int mark_listed(void) {
    return -1;
}
#endif

FO_CHILD static void mark_all(void) {
    struct rlimit limit = {0};
    getrlimit(RLIMIT_NOFILE, &limit);
    int last = limit.rlim_cur < 65536 ? (int)limit.rlim_cur : 65536;
    for (int fd = 3; fd < last; fd++) {
        (void)fo_sys_fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
}

FO_CHILD int fo_spawn_close_files(struct fo_spawn_plan *plan) {
    if (plan->request->flags & FO_SPAWN_KEEP_DESCRIPTORS) {
        return 0;
    }
    if (!plan->shares_files && !works) {
        if (mark_listed() < 0) {
            mark_all();
        }
        return 0;
    }
    int above = plan->highest < 2 ? 3 : plan->highest + 1;
    /* The table is shared until here. Unsharing copies only what lies below `above`. */
    if (plan->shares_files && close_range_call(above, UNSHARE) < 0) {
        return fo_spawn_fail(plan, FO_STEP_CLOSE, 0);
    }
    if ((!plan->shares_files || above > 3) && close_range_call(3, CLOSE_ON_EXEC) < 0) {
        return fo_spawn_fail(plan, FO_STEP_CLOSE, 0);
    }
    return 0;
}

/* Returns true if some move makes this descriptor. */
FO_CHILD static bool is_target(const struct fo_spawn_plan *plan, int fd) {
    int low = 0, high = plan->move_count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (plan->moves[middle].target < fd) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < plan->move_count && plan->moves[low].target == fd;
}

/* Copies a descriptor to a number that no move makes. Returns it, or -1 with errno. */
FO_CHILD static int copy_aside(const struct fo_spawn_plan *plan, int fd) {
    for (int from = 3;;) {
        int copy = fo_sys_fcntl(fd, F_DUPFD_CLOEXEC, from);
        if (copy < 0 || !is_target(plan, copy)) {
            return copy;
        }
        (void)fo_sys_close(copy);
        from = copy + 1;
    }
}

/* A source that an earlier move overwrites is copied aside first: this is what makes swaps and cycles work. */
FO_CHILD static int save_sources(struct fo_spawn_plan *plan) {
    for (int i = 0; i < plan->move_count; i++) {
        struct fo_spawn_move *move = &plan->moves[i];
        if (move->source == move->target || !is_target(plan, move->source)) {
            continue;
        }
        int copy = copy_aside(plan, move->source);
        if (copy < 0) {
            return fo_spawn_fail(plan, FO_STEP_DESCRIPTOR, move->target);
        }
        move->source = copy;
    }
    return 0;
}

FO_CHILD int fo_spawn_move_files(struct fo_spawn_plan *plan) {
    if (plan->report_pipe >= 0 && is_target(plan, plan->report_pipe)) {
        int copy = copy_aside(plan, plan->report_pipe);
        if (copy < 0) {
            return fo_spawn_fail(plan, FO_STEP_DESCRIPTOR, plan->report_pipe);
        }
        plan->report_pipe = copy;
    }
    if (save_sources(plan) < 0) {
        return -1;
    }
    for (int i = 0; i < plan->move_count; i++) {
        struct fo_spawn_move move = plan->moves[i];
        int done = move.source == move.target ? fo_sys_fcntl(move.target, F_SETFD, 0)
                                              : fo_sys_dup_to(move.source, move.target);
        if (done < 0) {
            return fo_spawn_fail(plan, FO_STEP_DESCRIPTOR, move.target);
        }
    }
    return 0;
}
