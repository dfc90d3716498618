/* clone: the child shares the parent's memory, the parent's thread sleeps until the exec, and the child is born with
 * its pidfd. What it costs does not depend on how large the parent is. */
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "spawn_system.h"

#ifdef __linux__

#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif

enum { STACK_SIZE = 16384 };

/* The child's stack. It lies in the frame of the thread that sleeps meanwhile, so it needs no allocation. */
struct stack {
    _Alignas(16) char memory[STACK_SIZE];
};

FO_CHILD static int child_main(void *argument) {
    fo_spawn_child(argument);
    fo_sys_exit(127);
    return 127;
}

/* -- clone3, where it is allowed (old sandboxes forbid it): it can clear the signal handlers and enter a cgroup. */

enum { CLEAR_HANDLERS_BIT = 32, INTO_CGROUP_BIT = 33 }; /* CLONE_CLEAR_SIGHAND, Linux 5.5; CLONE_INTO_CGROUP, 5.7 */

struct clone_arguments {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};

#if (defined(__x86_64__) || defined(__aarch64__)) && defined(SYS_clone3)

/* Returns as clone does, with -errno. In assembly, since the child must not return on the parent's stack. */
static long clone3_call(struct clone_arguments *arguments, int (*entry)(void *), void *argument) {
#ifdef __x86_64__
    long result = SYS_clone3;
    __asm__ volatile("syscall\n\t"
                     "testq %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xorl %%ebp, %%ebp\n\t"
                     "movq %[argument], %%rdi\n\t"
                     "call *%[entry]\n\t"
                     "ud2\n"
                     "1:"
                     : "+a"(result)
                     : "D"(arguments), "S"(sizeof(*arguments)), [entry] "r"(entry), [argument] "r"(argument)
                     : "rcx", "r11", "memory", "cc");
    return result;
#else
    register long x0 __asm__("x0") = (long)arguments;
    register long x1 __asm__("x1") = sizeof(*arguments);
    register long x8 __asm__("x8") = SYS_clone3;
    __asm__ volatile("svc 0\n\t"
                     "cbnz x0, 1f\n\t"
                     "mov x29, xzr\n\t"
                     "mov x30, xzr\n\t"
                     "mov x0, %[argument]\n\t"
                     "blr %[entry]\n\t"
                     "brk 1\n"
                     "1:"
                     : "+r"(x0)
                     : "r"(x1), "r"(x8), [entry] "r"(entry), [argument] "r"(argument)
                     : "memory", "cc");
    return x0;
#endif
}

#else
static long clone3_call(struct clone_arguments *arguments, int (*entry)(void *), void *argument) {
    (void)arguments, (void)entry, (void)argument;
    return -ENOSYS;
}
#endif

static long clone3_on(struct stack *stack, uint64_t flags, int *pidfd, int exit_signal, int cgroup,
                      int (*entry)(void *), void *argument) {
    struct clone_arguments arguments = {
        .flags = flags,
        .pidfd = (uint64_t)(uintptr_t)pidfd,
        .exit_signal = (uint64_t)exit_signal,
        .stack = (uint64_t)(uintptr_t)stack->memory,
        .stack_size = STACK_SIZE,
        .cgroup = (uint64_t)(cgroup < 0 ? 0 : cgroup),
    };
    return clone3_call(&arguments, entry, argument);
}

/* -- may the memory be shared? Emulators run clone as fork, and then the report would be lost. */

static pthread_once_t tried = PTHREAD_ONCE_INIT;
static int shares_memory;
static atomic_bool clears_handlers;

FO_CHILD static int probe_main(void *argument) {
    *(volatile int *)argument = 1;
    fo_sys_exit(0);
    return 0;
}

/* With no exit signal: nobody's SIGCHLD handler hears of it, and only a wait with __WALL could take its status. */
static bool try_once(bool by_clone3) {
    struct stack stack;
    volatile int seen = 0;
    int pidfd = -1;
    const int flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD;
    long pid = by_clone3 ? clone3_on(&stack, (uint64_t)flags | UINT64_C(1) << CLEAR_HANDLERS_BIT, &pidfd, 0, -1,
                                     probe_main, (void *)&seen)
                         : clone(probe_main, stack.memory + STACK_SIZE, flags, (void *)&seen, &pidfd);
    if (pid > 0) {
        while (waitpid((pid_t)pid, NULL, __WALL) < 0 && errno == EINTR) {
        }
        close(pidfd);
    }
    return pid > 0 && pidfd >= 0 && seen;
}

static void try_clone(void) {
    struct fo_spawn_plan plan = {.inherited_mask = 0};
    fo_spawn_block_signals(&plan);
    shares_memory = try_once(false);
    atomic_store(&clears_handlers, shares_memory && try_once(true));
    fo_spawn_unblock_signals(&plan);
}

int fo_spawn_can_clone(void) {
#ifdef __SANITIZE_THREAD__
    return 0; /* the child would write to the sanitizer's records of the thread that it borrows */
#endif
    pthread_once(&tried, try_clone);
    return shares_memory;
}

/* -- the dumpable flag belongs to the memory, and changing ids in the child clears it for the parent as well. It is
 * put back when the last such child has executed its program: before, another user could trace a child that still
 * sees the parent's memory. */

static pthread_mutex_t owners_lock = PTHREAD_MUTEX_INITIALIZER;
static int owners_changing, dumpable_before;

static void owner_change_begins(void) {
    pthread_mutex_lock(&owners_lock);
    if (owners_changing++ == 0) {
        dumpable_before = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
    }
    pthread_mutex_unlock(&owners_lock);
}

static void owner_change_ends(void) {
    pthread_mutex_lock(&owners_lock);
    if (--owners_changing == 0 && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != dumpable_before) {
        prctl(PR_SET_DUMPABLE, dumpable_before, 0, 0, 0); /* 2 cannot be set: it stays at what the kernel chose */
    }
    pthread_mutex_unlock(&owners_lock);
}

/* A process forked while the lock was held would never get it, and its copy of the flag would stay cleared. */
static void owner_after_fork(void) {
    pthread_mutex_init(&owners_lock, NULL);
    if (owners_changing > 0) {
        prctl(PR_SET_DUMPABLE, dumpable_before, 0, 0, 0);
    }
    owners_changing = 0;
}

static pthread_once_t watching_forks = PTHREAD_ONCE_INIT;

static void watch_forks(void) {
    pthread_atfork(NULL, NULL, owner_after_fork);
}

/* Returns true if clone3 was refused for a reason that does not speak against writing to cgroup.procs. */
static bool cgroup_by_hand(long answer) {
    return answer == -EPERM || answer == -ENOSYS || answer == -E2BIG || answer == -EOPNOTSUPP || answer == -EINVAL;
}

/* One attempt, by clone3 if there is something that only it can do. Returns the pid or -errno. */
static long attempt(struct fo_spawn_plan *plan, int cgroup, int *pidfd) {
    struct stack stack;
    int flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | (plan->shares_files ? CLONE_FILES : 0);
    bool clear = plan->handlers_cleared;
    if (cgroup >= 0 || clear) {
        uint64_t more = (uint64_t)(cgroup >= 0) << INTO_CGROUP_BIT | (uint64_t)clear << CLEAR_HANDLERS_BIT;
        return clone3_on(&stack, (uint64_t)flags | more, pidfd, SIGCHLD, cgroup, child_main, plan);
    }
    pid_t pid = clone(child_main, stack.memory + STACK_SIZE, flags | SIGCHLD, plan, pidfd);
    return pid < 0 ? -errno : pid;
}

/* Clones, with the signals blocked if the child has handlers. Returns the pid or -errno. */
static long clone_once(struct fo_spawn_plan *plan, int *pidfd) {
    int cgroup = plan->cgroup_procs < 0 ? plan->request->cgroup_fd : -1;
    plan->handlers_cleared = atomic_load_explicit(&clears_handlers, memory_order_relaxed);
    if (plan->handlers_cleared) {
        long answer = attempt(plan, cgroup, pidfd);
        if (cgroup >= 0 || (answer != -ENOSYS && answer != -EPERM)) {
            return answer;
        }
        /* Forbidden since it was tried: this process has put itself into a sandbox. */
        atomic_store_explicit(&clears_handlers, false, memory_order_relaxed);
        plan->handlers_cleared = false;
    }
    fo_spawn_block_signals(plan);
    long answer = attempt(plan, cgroup, pidfd);
    fo_spawn_unblock_signals(plan);
    return answer;
}

/* Makes the report of a clone that failed. Returns -errno. */
static long clone_failed(struct fo_spawn_plan *plan, long answer) {
    bool own = plan->request->cgroup_fd < 0 || answer == -EAGAIN || answer == -ENOMEM;
    errno = (int)-answer;
    fo_spawn_fail(plan, own ? FO_STEP_FORK : FO_STEP_CGROUP, 0);
    return answer;
}

/* Clones, in the way that the cgroup allows. Returns the pid or -errno with the report made. */
static long clone_child(struct fo_spawn_plan *plan, int *pidfd) {
    long pid = clone_once(plan, pidfd);
    if (pid < 0 && plan->request->cgroup_fd >= 0 && cgroup_by_hand(pid)) {
        plan->cgroup_procs = openat(plan->request->cgroup_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
        if (plan->cgroup_procs < 0) {
            return clone_failed(plan, -errno);
        }
        pid = clone_once(plan, pidfd);
        close(plan->cgroup_procs);
    }
    return pid < 0 ? clone_failed(plan, pid) : pid;
}

/* Takes the status of a child that failed before its exec, so that it leaves nothing. */
static void reap(int pidfd) {
    while (syscall(SYS_waitid, 3 /* P_PIDFD */, pidfd, NULL, WEXITED, NULL) < 0 && errno == EINTR) {
    }
    close(pidfd);
}

int fo_spawn_clone(struct fo_spawn_plan *plan, struct fo_spawn_result *result) {
    const struct fo_spawn_request *request = plan->request;
    bool changes_owner = request->user >= 0 || request->group >= 0;
    int pidfd = -1;
    plan->shares_files = fo_spawn_has_close_range() && !(request->flags & FO_SPAWN_KEEP_DESCRIPTORS);
    if (changes_owner) {
        pthread_once(&watching_forks, watch_forks);
        owner_change_begins();
    }
    long pid = clone_child(plan, &pidfd);
    if (pid > 0 && plan->report.step != FO_STEP_NONE) {
        reap(pidfd);
        pid = -plan->report.error;
    }
    if (changes_owner) {
        owner_change_ends();
    }
    if (pid < 0) {
        return (int)pid;
    }
    result->pid = (int)pid;
    if (request->flags & FO_SPAWN_NO_PIDFD) {
        close(pidfd);
    } else {
        result->pidfd = fo_spawn_above_streams(pidfd);
    }
    return 0;
}

#else

int fo_spawn_can_clone(void) {
    return 0;
}

int fo_spawn_clone(struct fo_spawn_plan *plan, struct fo_spawn_result *result) {
    (void)result;
    errno = ENOSYS;
    fo_spawn_fail(plan, FO_STEP_FORK, 0);
    return -ENOSYS;
}

#endif
