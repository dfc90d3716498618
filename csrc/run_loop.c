/* Many processes on one event loop. Its few threads are alike: each starts a process if one may be started, else
 * waits for the next event of any child and handles it. A thread that is held by a vfork leaves the events to the
 * others (there is one more than may spawn at a time), and a child's end and its successor's start need no handing
 * over between threads.
 *
 * Where there is a thread for each of the jobs anyway, it sees its process through to the end (`attended`): no event
 * of a child then goes through the loop, and what is left of it is the wait for commands.
 *
 * Locks: a slot's, for its child; then the run's, for all the rest. An event carries the slot's generation, so one
 * that comes late for a slot in new use is known and dropped. */
#include <errno.h>
#include <stdlib.h>

#include "run_many.h"

static uint64_t event_data(const struct run_slot *slot, enum run_kind kind) {
    return (uint64_t)slot->generation << 32 | (uint64_t)slot->index << 2 | kind;
}

/* -- slots; the run's lock is held ---------------------------------------------------------------------------- */

/* Makes room for one slot more. Returns 0 or -ENOMEM. */
static int make_room(struct fo_run_many *run) {
    if (run->slot_count < run->slot_capacity) {
        return 0;
    }
    uint32_t capacity = run->slot_capacity ? run->slot_capacity * 2 : 16;
    struct run_slot **slots = realloc(run->slots, capacity * sizeof(struct run_slot *));
    run->slots = slots != NULL ? slots : run->slots;
    uint32_t *free_slots = realloc(run->free_slots, capacity * sizeof *free_slots);
    run->free_slots = free_slots != NULL ? free_slots : run->free_slots;
    if (slots == NULL || free_slots == NULL || run_timers_grow(&run->timers, capacity) < 0) {
        return -ENOMEM;
    }
    run->slot_capacity = capacity;
    return 0;
}

int run_loop_reserve(struct fo_run_many *run, uint32_t count) {
    while (run->slot_count < count && run->slot_count < run->jobs) {
        struct run_slot *slot = make_room(run) == 0 ? calloc(1, sizeof *slot) : NULL;
        if (slot == NULL) {
            return -ENOMEM;
        }
        pthread_mutex_init(&slot->lock, NULL);
        slot->index = run->slot_count;
        run->slots[run->slot_count++] = slot;
        run->free_slots[run->free_count++] = slot->index;
    }
    return 0;
}

bool run_loop_may_start(const struct fo_run_many *run) {
    return run->queue.count > 0 && run->running < run->jobs && run->spawning < run->spawners &&
           (!run->starved || run->running == 0) && !run->closing;
}

/* -- one child; its slot's lock is held ----------------------------------------------------------------------- */

static void forget_armed(struct fo_run_many *run, struct run_slot *slot) {
    for (int kind = RUN_STDIN; kind <= RUN_STDERR; kind++) {
        if (slot->child.streams[kind].armed) {
            run_poller_forget(run->poller, slot->child.streams[kind].fd);
            slot->child.streams[kind].armed = false;
        }
    }
}

static void set_timer(struct fo_run_many *run, struct run_slot *slot) {
    int64_t when = slot->child.deadline < slot->child.probe ? slot->child.deadline : slot->child.probe;
    if (when == RUN_NEVER && !slot->timed) {
        return;
    }
    slot->timed = true;
    pthread_mutex_lock(&run->lock);
    if (run_timers_set(&run->timers, slot->index, when)) {
        run_poller_timer(run->poller, when);
    }
    pthread_mutex_unlock(&run->lock);
}

static bool is_failure(const struct fo_run_result *result) {
    return result->error != 0 || result->code != 0 || result->flags & (FO_RUN_TIMED_OUT | FO_RUN_LOST | FO_RUN_CANCELLED);
}

/* The slot goes back, the result out. */
static void deliver(struct fo_run_many *run, struct run_slot *slot) {
    free(slot->copy);
    slot->copy = NULL;
    slot->active = false;
    slot->generation++;
    pthread_mutex_lock(&run->lock);
    if (slot->timed) {
        run_timers_set(&run->timers, slot->index, RUN_NEVER);
        slot->timed = false;
    }
    run->running--;
    run->ended++;
    run->starved = false;
    run->free_slots[run->free_count++] = slot->index;
    run_done_push(&run->done, &slot->child.result);
    if (run->stop_at_failure && is_failure(&slot->child.result)) {
        run->stopped = true;
        run_many_cancel_queued(run);
    }
    if (run->gathering && run_many_hurry(run)) {
        pthread_cond_signal(&run->gathered);
    }
    pthread_mutex_unlock(&run->lock);
}

/* Takes the child's end if it has come, else waits for it, once nothing but that is left. */
static void settle(struct fo_run_many *run, struct run_slot *slot, char *scratch) {
    struct run_child *child = &slot->child;
    if (!run_child_ending(child)) {
        return;
    }
    forget_armed(run, slot);
    if (run_child_reap(child, 0) == 1) {
        if (child->exit_armed) {
            run_poller_forget(run->poller, child->pidfd);
        }
        run_child_finish(child, scratch);
        deliver(run, slot);
        return;
    }
    if (child->pidfd >= 0 && !child->exit_armed) {
        child->exit_armed = run_poller_arm(run->poller, child->pidfd, RUN_READABLE, event_data(slot, RUN_EXIT), true) == 0;
        child->probe = child->exit_armed ? RUN_NEVER : fo_clock_now() + child->pause;
    }
    set_timer(run, slot);
}

static void arm(struct fo_run_many *run, struct run_slot *slot, enum run_kind kind, bool first) {
    struct run_stream *stream = &slot->child.streams[kind];
    if (stream->fd < 0 || slot->child.killed) {
        return;
    }
    enum run_interest interest = kind == RUN_STDIN ? RUN_WRITABLE : RUN_READABLE;
    stream->armed = run_poller_arm(run->poller, stream->fd, interest, event_data(slot, kind), first) == 0;
    if (!stream->armed) {
        run_child_kill(&slot->child, FO_RUN_CANCELLED); /* no memory to watch it with */
    }
}

static void on_stream(struct fo_run_many *run, struct run_slot *slot, enum run_kind kind, char *scratch) {
    struct run_child *child = &slot->child;
    child->streams[kind].armed = false;
    if (child->streams[kind].fd < 0 || child->killed) {
        return;
    }
    if (kind == RUN_STDIN) {
        run_child_feed(child);
    } else {
        run_child_read(child, kind, scratch);
    }
    arm(run, slot, kind, false);
}

static void on_event(struct fo_run_many *run, uint64_t data, char *scratch) {
    pthread_mutex_lock(&run->lock);
    struct run_slot *slot = run->slots[(uint32_t)data >> 2];
    pthread_mutex_unlock(&run->lock);
    enum run_kind kind = data & 3;
    pthread_mutex_lock(&slot->lock);
    if (slot->active && slot->generation == data >> 32) {
        if (kind == RUN_EXIT) {
            slot->child.exit_armed = false;
        } else {
            on_stream(run, slot, kind, scratch);
        }
        settle(run, slot, scratch);
    }
    pthread_mutex_unlock(&slot->lock);
}

static void on_time(struct fo_run_many *run, struct run_slot *slot, char *scratch) {
    pthread_mutex_lock(&slot->lock);
    if (slot->active && slot->child.deadline <= fo_clock_now()) {
        run_child_reap(&slot->child, 0);
        run_child_kill(&slot->child, FO_RUN_TIMED_OUT);
    }
    if (slot->active && run_child_ending(&slot->child)) {
        settle(run, slot, scratch);
    } else if (slot->active) {
        slot->child.probe = RUN_NEVER;
        set_timer(run, slot);
    }
    pthread_mutex_unlock(&slot->lock);
}

static void on_timer(struct fo_run_many *run, char *scratch) {
    int64_t index;
    pthread_mutex_lock(&run->lock);
    while ((index = run_timers_take(&run->timers, fo_clock_now())) >= 0) {
        struct run_slot *slot = run->slots[index];
        pthread_mutex_unlock(&run->lock);
        on_time(run, slot, scratch);
        pthread_mutex_lock(&run->lock);
    }
    run_poller_timer(run->poller, run_timers_next(&run->timers));
    pthread_mutex_unlock(&run->lock);
}

/* -- starting -------------------------------------------------------------------------------------------------- */

/* What a run had behind it at the beginning of a start. */
struct progress {
    uint32_t ended;
    uint32_t postponed;
};

/* Whether the spawn failed for want of what another child's end gives back. */
static bool wants_room(int error) {
    return error == EMFILE || error == ENFILE || error == EAGAIN || error == ENOMEM;
}

/* Puts the command back if there is a child whose end may help, or if since `before` one has ended or another start was
 * put off: several at once may only have been in each other's way, and the next is made alone. Returns whether it did. */
static bool postpone(struct fo_run_many *run, struct run_slot *slot, struct progress before) {
    pthread_mutex_lock(&run->lock);
    bool helped = run->ended != before.ended;
    bool alone = run->running == 1 && !helped && run->postponed == before.postponed;
    bool postponed = wants_room(slot->child.result.error) && !alone && !run->closing;
    if (postponed) {
        run_queue_return(&run->queue, (struct run_queued){.command = slot->child.command, .copy = slot->copy});
        slot->copy = NULL;
        slot->active = false;
        slot->generation++;
        run->running--;
        run->postponed++;
        run->starved = !helped;
        run->free_slots[run->free_count++] = slot->index;
        if (run->stopped) {
            run_many_cancel_queued(run);
        }
    }
    pthread_mutex_unlock(&run->lock);
    return postponed;
}

/* SIGCHLD is blocked here, as all signals are, only where somebody handles it. While nobody does, the kernel drops it
 * if the child's parent, this thread, would; a blocked one it would wake another thread for, at every child's end. */
static void mind_sigchld(void) {
    static _Thread_local bool open;
    struct sigaction now;
    sigset_t only;
    sigaction(SIGCHLD, NULL, &now);
    bool nobody = now.sa_handler == SIG_DFL || now.sa_handler == SIG_IGN;
    if (nobody != open) {
        sigemptyset(&only);
        sigaddset(&only, SIGCHLD);
        pthread_sigmask(nobody ? SIG_UNBLOCK : SIG_BLOCK, &only, NULL);
        open = nobody;
    }
}

static void watch(struct fo_run_many *run, struct run_slot *slot, char *scratch) {
    struct run_child *child = &slot->child;
    if (child->streams[RUN_STDIN].fd >= 0) {
        run_child_feed(child);
    }
    for (enum run_kind kind = RUN_STDIN; kind <= RUN_STDERR; kind++) {
        arm(run, slot, kind, true);
    }
    pthread_mutex_lock(&run->lock);
    bool closing = run->closing;
    pthread_mutex_unlock(&run->lock);
    if (closing) {
        run_child_kill(child, FO_RUN_CANCELLED);
    }
    if (run_child_ending(child)) {
        settle(run, slot, scratch);
    } else if (child->deadline != RUN_NEVER) {
        child->probe = RUN_NEVER;
        set_timer(run, slot);
    }
}

/* Starts the first command of the queue; the run's lock is held on entry and on return, not meanwhile. */
static void start_next(struct fo_run_many *run, char *scratch) {
    struct run_slot *slot = run->slots[run->free_slots[--run->free_count]];
    struct run_queued queued = run_queue_pop(&run->queue);
    run->running++;
    run->spawning++;
    bool more = run_loop_may_start(run) && run->waiting > 0;
    struct progress before = {.ended = run->ended, .postponed = run->postponed};
    pthread_mutex_unlock(&run->lock);
    if (more) {
        run_poller_wake(run->poller);
    }
    pthread_mutex_lock(&slot->lock);
    slot->child.command = queued.command;
    slot->copy = queued.copy;
    slot->active = true;
    mind_sigchld();
    bool started = run_child_start(&slot->child, run->null, &run->mask);
    if (started && run->attended) {
        run_drive_to_end(&slot->child, run->stop[0], scratch);
        run_child_finish(&slot->child, scratch);
        deliver(run, slot);
    } else if (started) {
        watch(run, slot, scratch);
    } else if (!postpone(run, slot, before)) {
        deliver(run, slot);
    }
    pthread_mutex_unlock(&slot->lock);
    pthread_mutex_lock(&run->lock);
    run->spawning--;
}

static bool is_over(const struct fo_run_many *run) {
    return run->closing && run->running == 0;
}

static void handle(struct fo_run_many *run, uint64_t event, char *scratch) {
    if (event == RUN_EVENT_TIMER) {
        on_timer(run, scratch);
    } else if (event != RUN_EVENT_WAKE) {
        on_event(run, event, scratch);
    }
}

void *run_loop_work(void *argument) {
    struct fo_run_many *run = argument;
    char scratch[RUN_SCRATCH];
    pthread_mutex_lock(&run->lock);
    while (!is_over(run)) {
        if (run_loop_may_start(run)) {
            start_next(run, scratch);
            continue;
        }
        run->waiting++;
        pthread_mutex_unlock(&run->lock);
        uint64_t event = run_poller_wait(run->poller);
        pthread_mutex_lock(&run->lock);
        run->waiting--;
        pthread_mutex_unlock(&run->lock);
        handle(run, event, scratch);
        pthread_mutex_lock(&run->lock);
    }
    pthread_mutex_unlock(&run->lock);
    run_poller_wake(run->poller); /* the next thread sees the end as well */
    return NULL;
}

void run_loop_kill_all(struct fo_run_many *run) {
    for (uint32_t i = 0; i < run->slot_count; i++) {
        struct run_slot *slot = run->slots[i];
        pthread_mutex_lock(&slot->lock);
        if (slot->active && slot->child.alive && !slot->child.killed) {
            run_child_kill(&slot->child, FO_RUN_CANCELLED);
        }
        if (slot->active) {
            slot->child.killed = true;
            slot->child.probe = fo_clock_now();
            set_timer(run, slot);
        }
        pthread_mutex_unlock(&slot->lock);
    }
}
