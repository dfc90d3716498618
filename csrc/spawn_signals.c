/* The child's signals. A handler of the parent's must not run in a child that shares the parent's memory. Where the
 * child cannot be born without handlers all signals are blocked until its last step: first the handlers go, then the
 * mask is opened. */
#include "spawn.h"
#include "spawn_system.h"

void fo_spawn_request_mask(struct fo_spawn_request *request, const sigset_t *mask) {
    if (request->flags & FO_SPAWN_SIGNAL_MASK) {
        return;
    }
    request->flags |= FO_SPAWN_SIGNAL_MASK;
    request->signal_mask = 0;
    for (int number = 1; number <= FO_SPAWN_SIGNALS; number++) {
        if (sigismember(mask, number) == 1) {
            request->signal_mask |= (uint64_t)1 << (number - 1);
        }
    }
}

#ifdef __linux__

/* The kernel's struct sigaction, of which only "handler" is looked at; all zero is SIG_DFL on every machine. */
struct kernel_action {
#ifdef __mips__
    unsigned flags;
    void (*handler)(int);
#else
    void (*handler)(int);
    unsigned long flags;
#endif
    unsigned long rest[18];
};

FO_CHILD static int action_of(int signal, const struct kernel_action *new, struct kernel_action *old) {
    return (int)syscall(SYS_rt_sigaction, signal, new, old, FO_SPAWN_SIGNALS / 8);
}

/* Raw calls: libc hides the two signals that it uses itself, and their handlers must go as well. */
FO_CHILD static int reset_handlers(void) {
    struct kernel_action initial = {0}, current;
    for (int signal = 1; signal <= FO_SPAWN_SIGNALS; signal++) {
        if (signal == SIGKILL || signal == SIGSTOP || action_of(signal, NULL, &current) < 0) {
            continue;
        }
        if (current.handler != SIG_DFL && current.handler != SIG_IGN && action_of(signal, &initial, NULL) < 0) {
            return -1;
        }
    }
    return 0;
}

FO_CHILD static int restore_default(int signal) {
    struct kernel_action initial = {0};
    return action_of(signal, &initial, NULL);
}

FO_CHILD void fo_spawn_set_mask(struct fo_spawn_plan *plan) {
    uint64_t mask = plan->inherited_mask;
    if (plan->request->flags & FO_SPAWN_SIGNAL_MASK) {
        mask = plan->request->signal_mask;
    } else if (plan->handlers_cleared) {
        return; /* nothing was blocked */
    }
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, FO_SPAWN_SIGNALS / 8);
}

void fo_spawn_block_signals(struct fo_spawn_plan *plan) {
    uint64_t all = ~UINT64_C(0);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &plan->inherited_mask, FO_SPAWN_SIGNALS / 8);
}

void fo_spawn_unblock_signals(struct fo_spawn_plan *plan) {
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &plan->inherited_mask, NULL, FO_SPAWN_SIGNALS / 8);
}

#else

static int reset_handlers(void) {
    for (int signal = 1; signal < NSIG; signal++) {
        struct sigaction current;
        if (sigaction(signal, NULL, &current) == 0 && current.sa_handler != SIG_DFL && current.sa_handler != SIG_IGN) {
            current.sa_handler = SIG_DFL;
            sigaction(signal, &current, NULL);
        }
    }
    return 0;
}

static int restore_default(int signal) {
    struct sigaction initial = {.sa_handler = SIG_DFL};
    return sigaction(signal, &initial, NULL);
}

void fo_spawn_set_mask(struct fo_spawn_plan *plan) {
    sigset_t mask = plan->caller_mask;
    if (plan->request->flags & FO_SPAWN_SIGNAL_MASK) {
        sigemptyset(&mask);
        for (int signal = 1; signal < NSIG && signal <= 64; signal++) {
            if (plan->request->signal_mask >> (signal - 1) & 1) {
                sigaddset(&mask, signal);
            }
        }
    }
    sigprocmask(SIG_SETMASK, &mask, NULL);
}

void fo_spawn_block_signals(struct fo_spawn_plan *plan) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &plan->caller_mask);
}

void fo_spawn_unblock_signals(struct fo_spawn_plan *plan) {
    pthread_sigmask(SIG_SETMASK, &plan->caller_mask, NULL);
}

#endif

FO_CHILD int fo_spawn_set_dispositions(struct fo_spawn_plan *plan) {
    if (!plan->handlers_cleared && reset_handlers() < 0) {
        return fo_spawn_fail(plan, FO_STEP_SIGNALS, 0);
    }
    if (plan->request->flags & FO_SPAWN_RESTORE_SIGNALS && (restore_default(SIGPIPE) < 0 || restore_default(SIGXFSZ) < 0)) {
        return fo_spawn_fail(plan, FO_STEP_SIGNALS, 0);
    }
    return 0;
}
