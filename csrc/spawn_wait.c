/* Waiting for a child that several threads may wait for, signal and watch at once. One of them asks the kernel; the
 * others watch the pidfd meanwhile, which closes when the status is taken and nobody uses it any more. No lock is held
 * while a thread sleeps, so a fork leaves none behind. */
#include <errno.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

#include "api.h"
#include "wait.h"

enum { MOMENT_NS = 50000, MOMENTS = 100, LONGEST_PAUSE_NS = 50000000 };

/* Returns true once the status was taken, or is known to be lost: the rest of `waited` can be read. */
static bool ended(const struct fo_spawn_child *child) {
    return __atomic_load_n(&child->waited.state, __ATOMIC_ACQUIRE) != FO_WAIT_RUNNING;
}

/* Keeps the pidfd, if there is one, from being closed until `let_go`. Returns false if the status was taken. */
static bool hold(struct fo_spawn_child *child) {
    int32_t users = __atomic_load_n(&child->users, __ATOMIC_ACQUIRE);
    while (users > 0 && !__atomic_compare_exchange_n(&child->users, &users, users + 1, true, __ATOMIC_ACQ_REL,
                                                     __ATOMIC_ACQUIRE)) {
    }
    return users > 0;
}

static void let_go(struct fo_spawn_child *child) {
    if (__atomic_sub_fetch(&child->users, 1, __ATOMIC_ACQ_REL) == 0 && child->spawned.pidfd >= 0) {
        close(child->spawned.pidfd);
        child->spawned.pidfd = -1;
    }
}

/* Asks the kernel, as the only thread that does. Returns as fo_spawn_wait. */
static int take(struct fo_spawn_child *child, int64_t timeout_ns) {
    struct fo_wait_result found = {.state = FO_WAIT_RUNNING};
    if (ended(child)) {
        return 1;
    }
    if (child->spawned.pidfd < 0 && child->parent != getpid()) {
        return -ECHILD;
    }
    int answer = fo_wait_process(child->spawned.pid, child->spawned.pidfd, timeout_ns, &found);
    if (answer > 0) {
        child->waited.code = found.code;
        child->waited.signal = found.signal;
        child->waited.core_dumped = found.core_dumped;
        child->waited.usage = found.usage;
        __atomic_store_n(&child->waited.state, found.state, __ATOMIC_RELEASE);
        let_go(child);
    }
    return answer;
}

/* Sleeps, but not for long; negative: as if for ever. Returns 1 or -EINTR. */
static int pause_for(int64_t nanoseconds) {
    bool longer = nanoseconds < 0 || nanoseconds > LONGEST_PAUSE_NS;
    struct timespec time = {.tv_nsec = longer ? LONGEST_PAUSE_NS : nanoseconds};
    return nanosleep(&time, NULL) < 0 ? -errno : 1;
}

/* Waits while another thread is the one that asks. Returns 1 if the child has ended or may be asked for again, 0 if
 * the time ran out, or -errno. */
static int watch(struct fo_spawn_child *child, int64_t timeout_ns) {
    if (child->parent != getpid()) {
        return -ECHILD; /* the thread that asks was not forked along */
    }
    if (!hold(child)) {
        return 1;
    }
    int answer = timeout_ns != 0;
    if (child->spawned.pidfd >= 0) {
        answer = fo_wait_readable(child->spawned.pidfd, timeout_ns);
        timeout_ns = MOMENT_NS; /* the other has the status in a moment, unless a tracer has it first */
    }
    let_go(child);
    return answer <= 0 ? answer : pause_for(timeout_ns);
}

int fo_spawn_wait(struct fo_spawn_child *child, int64_t timeout_ns) {
    int64_t deadline = timeout_ns > 0 ? fo_clock_now() + timeout_ns : 0, left = timeout_ns;
    for (int moments = 0; moments < MOMENTS || left != 0; moments++) {
        if (ended(child)) {
            return 1;
        }
        if (__atomic_exchange_n(&child->taking, 1, __ATOMIC_ACQUIRE) == 0) {
            int answer = take(child, left);
            __atomic_store_n(&child->taking, 0, __ATOMIC_RELEASE);
            return answer;
        }
        int answer = watch(child, left);
        if (answer <= 0) {
            return answer;
        }
        if (timeout_ns > 0) {
            int64_t now = fo_clock_now();
            left = now < deadline ? deadline - now : 0;
        }
    }
    return 0;
}

int fo_spawn_signal(struct fo_spawn_child *child, int signal) {
    if (!hold(child)) {
        return -ESRCH;
    }
    int sent = fo_wait_signal(child->spawned.pid, child->spawned.pidfd, signal);
    let_go(child);
    return sent;
}
