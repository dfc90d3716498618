/* Many processes at once: commands in, results out; run_loop.c has the threads between. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "run_many.h"
#include "spawn.h"

/* ENOUGH: commands for one thread to be busy until more have come. */
enum { STACK = 256 * 1024, PACE_NS = 1000000, ENOUGH = 5 };

/* Starts the threads with every signal blocked: those belong to the application's own. Returns 0 or -errno. */
static int start_threads(struct fo_run_many *run) {
    sigset_t all;
    pthread_attr_t attributes;
    int failed = 0;
    uint32_t wanted = run->attended ? run->jobs : run->spawners + 1;
    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    pthread_sigmask(SIG_SETMASK, &all, &run->mask);
    while (run->thread_count < wanted && failed == 0) {
        failed = pthread_create(&run->threads[run->thread_count], &attributes, run_loop_work, run);
        run->thread_count += failed == 0;
    }
    pthread_sigmask(SIG_SETMASK, &run->mask, NULL);
    pthread_attr_destroy(&attributes);
    return run->thread_count > 0 ? 0 : -failed; /* fewer than wanted will do */
}

int fo_run_many_open(uint32_t jobs, uint32_t spawners, fo_run_many **opened) {
    *opened = NULL;
    if (jobs < 1 || jobs > INT_MAX / 2 || spawners < 1 || spawners > RUN_MOST_SPAWNERS) {
        return -EINVAL;
    }
    struct fo_run_many *run = calloc(1, sizeof *run);
    if (run == NULL) {
        return -ENOMEM;
    }
    pthread_mutex_init(&run->lock, NULL);
    fo_clock_condition(&run->gathered);
    run->owner = getpid();
    run->jobs = jobs;
    run->spawners = spawners < jobs ? spawners : jobs;
    run->attended = jobs <= spawners;
    run->done.ready[0] = run->done.ready[1] = run->stop[0] = run->stop[1] = -1;
    run->null = fo_spawn_above_streams(open("/dev/null", O_RDWR | O_CLOEXEC));
    int failed = run_pipe_open(run->done.ready);
    failed = failed < 0 ? failed : run_pipe_open(run->stop);
    failed = failed < 0 ? failed : run_poller_open(&run->poller);
    failed = failed < 0 ? failed : start_threads(run);
    if (failed < 0) {
        fo_run_many_free(run);
        return failed;
    }
    *opened = run;
    return 0;
}

int fo_run_many_fileno(const fo_run_many *run) {
    return run->done.ready[0];
}

/* Makes the queue and the results large enough that nothing can fail later. Call with the lock held. */
static int reserve(struct fo_run_many *run, uint32_t count) {
    uint32_t queued = run->queue.count + run->running + count;
    if (queued > INT_MAX / 2 || run_queue_reserve(&run->queue, queued) < 0 || run_loop_reserve(run, queued) < 0) {
        return -ENOMEM;
    }
    return run_done_reserve(&run->done, run->done.count + queued);
}

/* Queues what has been copied, or frees it. Returns as fo_run_many_submit. */
static int enqueue(struct fo_run_many *run, struct run_queued *made, uint32_t count) {
    pthread_mutex_lock(&run->lock);
    int result = run->closing ? -ECANCELED : reserve(run, count);
    for (uint32_t i = 0; result == 0 && i < count; i++) {
        run_queue_push(&run->queue, made[i]);
    }
    if (run->stopped) {
        run_many_cancel_queued(run);
    }
    result = result < 0 ? result : (int)(run->queue.count + run->running);
    run->fed = true;
    if (run_loop_may_start(run) && run->waiting > 0) {
        run_poller_wake(run->poller); /* with the lock held: once it is closed there is no poller */
    }
    pthread_mutex_unlock(&run->lock);
    return result;
}

static void drop(struct run_queued *made, uint32_t count) {
    while (count > 0) {
        free(made[--count].copy);
    }
}

int fo_run_many_submit(fo_run_many *run, const struct fo_run_command *commands, uint32_t count) {
    struct run_queued *made = malloc(count * sizeof *made);
    int result = made == NULL && count > 0 ? -ENOMEM : 0;
    uint32_t copied = 0;
    for (; result == 0 && copied < count; copied += result == 0) {
        result = run_queued_make(&made[copied], &commands[copied]);
    }
    result = result < 0 ? result : enqueue(run, made, count);
    if (result < 0) {
        drop(made, copied);
    }
    free(made);
    return result;
}

int fo_run_many_submit_alike(fo_run_many *run, const struct fo_run_command *model, const char *strings,
                             const struct fo_run_shape *shapes, uint32_t count) {
    struct fo_run_command *commands = malloc(count * sizeof *commands);
    if (commands == NULL && count > 0) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        commands[i] = *model;
        commands[i].token += i;
        commands[i].arguments = strings;
        commands[i].argument_count = shapes[i].argument_count;
        commands[i].arguments_length = shapes[i].arguments_length;
        strings += shapes[i].arguments_length;
        commands[i].candidates = shapes[i].candidate_count > 0 ? strings : NULL;
        commands[i].candidate_count = shapes[i].candidate_count;
        commands[i].candidates_length = shapes[i].candidates_length;
        strings += shapes[i].candidates_length;
    }
    int result = fo_run_many_submit(run, commands, count);
    free(commands);
    return result;
}

/* Results that come faster than one in PACE_NS are left to gather: to wake up for each would cost the processor that the
 * children need. Call with the lock held. Returns whether it has slept. */
static bool let_gather(struct fo_run_many *run, uint32_t capacity) {
    run->room = capacity;
    bool wait = !run_many_hurry(run) && fo_clock_now() < run->taken_at + PACE_NS;
    run->gathering = true;
    while (wait && !run_many_hurry(run) && fo_clock_wait_until(&run->gathered, &run->lock, run->taken_at + PACE_NS)) {
    }
    run->gathering = false;
    return wait;
}

bool run_many_hurry(const struct fo_run_many *run) {
    bool hungry = run->fed && run->queue.count < ENOUGH * run->thread_count;
    return hungry || run->done.count >= run->room || run->queue.count + run->running == 0;
}

int fo_run_many_take(fo_run_many *run, struct fo_run_result *results, uint32_t capacity, int64_t timeout_ns) {
    int64_t until = timeout_ns < 0 ? RUN_NEVER : fo_clock_now() + timeout_ns;
    for (;;) {
        pthread_mutex_lock(&run->lock);
        bool slept = timeout_ns != 0 && let_gather(run, capacity);
        uint32_t taken = run->closing ? 0 : run_done_take(&run->done, results, capacity);
        bool closed = run->closing;
        if (taken > 0) {
            run->taken_at = fo_clock_now();
            run->fed = false;
        }
        pthread_mutex_unlock(&run->lock);
        if (closed) {
            return -ECANCELED;
        }
        if (taken > 0 || timeout_ns == 0) {
            return (int)taken;
        }
        if (slept) {
            return -EINTR; /* a signal that came meanwhile has interrupted nothing, and would not interrupt the poll */
        }
        int ready = run_done_wait(&run->done, until);
        if (ready < 0 || (ready == 0 && fo_clock_now() >= until)) {
            return ready;
        }
    }
}

void run_many_cancel_queued(struct fo_run_many *run) {
    while (run->queue.count > 0) {
        struct run_queued queued = run_queue_pop(&run->queue);
        struct fo_run_result result = {.token = queued.command.token, .error = ECANCELED, .flags = FO_RUN_CANCELLED};
        free(queued.copy);
        run_done_push(&run->done, &result);
    }
}

int fo_run_many_stop(fo_run_many *run) {
    pthread_mutex_lock(&run->lock);
    run->stopped = true;
    run_many_cancel_queued(run);
    pthread_mutex_unlock(&run->lock);
    return 0;
}

int fo_run_many_stop_at_failure(fo_run_many *run) {
    pthread_mutex_lock(&run->lock);
    run->stop_at_failure = true;
    pthread_mutex_unlock(&run->lock);
    return 0;
}

int fo_run_many_running(fo_run_many *run) {
    pthread_mutex_lock(&run->lock);
    int running = (int)run->running;
    pthread_mutex_unlock(&run->lock);
    return running;
}

/* Closed from now on: nothing is taken or started any more, and who waits for results is told. Returns whether it was
 * not before. */
static bool begin_closing(struct fo_run_many *run) {
    pthread_mutex_lock(&run->lock);
    bool first = !run->closing;
    run->closing = true;
    while (run->queue.count > 0) {
        free(run_queue_pop(&run->queue).copy);
    }
    if (first) {
        run_pipe_tell(run->done.ready);
    }
    pthread_mutex_unlock(&run->lock);
    return first;
}

/* Lets the threads end: they stay until the last child is reaped. */
static void end_threads(struct fo_run_many *run) {
    run_pipe_tell(run->stop); /* not by closing it: a forked process may have a copy */
    if (!run->attended) {
        run_loop_kill_all(run);
    }
    run_poller_wake(run->poller);
    for (uint32_t i = 0; i < run->thread_count; i++) {
        pthread_join(run->threads[i], NULL);
    }
}

void fo_run_many_close(fo_run_many *run) {
    if (!begin_closing(run)) {
        return;
    }
    if (run->thread_count > 0) {
        end_threads(run);
    }
    run_poller_close(run->poller);
    run_pipe_close(run->stop);
    if (run->null >= 0) {
        close(run->null);
    }
}

void fo_run_many_free(fo_run_many *run) {
    if (run == NULL || run->owner != getpid()) {
        return;
    }
    fo_run_many_close(run);
    for (uint32_t i = 0; i < run->slot_count; i++) {
        pthread_mutex_destroy(&run->slots[i]->lock);
        free(run->slots[i]);
    }
    run_done_close(&run->done);
    run_timers_free(&run->timers);
    free(run->queue.items);
    free(run->slots);
    free(run->free_slots);
    pthread_cond_destroy(&run->gathered);
    pthread_mutex_destroy(&run->lock);
    free(run);
}
