/* Many processes at once: the interface to the event loop of run_loop.c. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>

#include "run_many.h"

enum { STACK = 192 * 1024 };

/* Starts the threads with every signal blocked: those belong to the application's own. Returns 0 or -errno. */
static int start_threads(struct fo_run_many *run) {
    sigset_t all;
    pthread_attr_t attributes;
    int failed = 0;
    uint32_t wanted = run->jobs == 1 ? 1 : run->spawners + 1;
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
    run->jobs = jobs;
    run->spawners = spawners < jobs ? spawners : jobs;
    run->done.ready[0] = run->done.ready[1] = -1;
    int failed = run_done_open(&run->done);
    failed = failed < 0 ? failed : run_poller_open(&run->poller);
    failed = failed < 0 ? failed : start_threads(run);
    if (failed < 0) {
        fo_run_many_close(run);
        return failed;
    }
    *opened = run;
    return 0;
}

int fo_run_many_fileno(const fo_run_many *run) {
    return run->done.ready[0];
}

/* Makes the queue and the results large enough that nothing can fail later. */
static int reserve(struct fo_run_many *run, uint32_t count) {
    uint32_t queued = run->queue.count + run->running + count;
    if (queued > INT_MAX / 2 || run_queue_reserve(&run->queue, queued) < 0) {
        return -ENOMEM;
    }
    return run_done_reserve(&run->done, run->done.count + queued);
}

int fo_run_many_submit(fo_run_many *run, const struct fo_run_command *commands, uint32_t count) {
    pthread_mutex_lock(&run->lock);
    int result = reserve(run, count);
    uint32_t made = 0;
    for (; result == 0 && made < count; made++) {
        struct run_queued queued;
        result = run_queued_make(&queued, &commands[made]);
        if (result == 0) {
            run_queue_push(&run->queue, queued);
        }
    }
    if (result < 0) {
        for (made = made > 0 ? made - 1 : 0; made > 0; made--) {
            run->queue.count--;
            free(run->queue.items[(run->queue.first + run->queue.count) % run->queue.capacity].copy);
        }
    } else {
        result = (int)(run->queue.count + run->running);
    }
    bool wake = run_loop_may_start(run) && run->waiting > 0;
    pthread_mutex_unlock(&run->lock);
    if (wake) {
        run_poller_wake(run->poller);
    }
    return result;
}

int fo_run_many_take(fo_run_many *run, struct fo_run_result *results, uint32_t capacity, int64_t timeout_ns) {
    int64_t until = timeout_ns < 0 ? RUN_NEVER : run_now() + timeout_ns;
    for (;;) {
        pthread_mutex_lock(&run->lock);
        uint32_t taken = run_done_take(&run->done, results, capacity);
        pthread_mutex_unlock(&run->lock);
        if (taken > 0 || timeout_ns == 0) {
            return (int)taken;
        }
        int ready = run_done_wait(&run->done, until);
        if (ready < 0 || (ready == 0 && run_now() >= until)) {
            return ready;
        }
    }
}

int fo_run_many_stop(fo_run_many *run) {
    pthread_mutex_lock(&run->lock);
    while (run->queue.count > 0) {
        struct run_queued queued = run_queue_pop(&run->queue);
        struct fo_run_result result = {.token = queued.command.token, .error = ECANCELED, .flags = FO_RUN_CANCELLED};
        free(queued.copy);
        run_done_push(&run->done, &result);
    }
    pthread_mutex_unlock(&run->lock);
    return 0;
}

int fo_run_many_running(fo_run_many *run) {
    pthread_mutex_lock(&run->lock);
    int running = (int)run->running;
    pthread_mutex_unlock(&run->lock);
    return running;
}

/* Lets the threads end: they stay until the last child is reaped. */
static void end_threads(struct fo_run_many *run) {
    pthread_mutex_lock(&run->lock);
    run->closing = true;
    while (run->queue.count > 0) {
        free(run_queue_pop(&run->queue).copy);
    }
    pthread_mutex_unlock(&run->lock);
    run_loop_kill_all(run);
    run_poller_wake(run->poller);
    for (uint32_t i = 0; i < run->thread_count; i++) {
        pthread_join(run->threads[i], NULL);
    }
}

void fo_run_many_close(fo_run_many *run) {
    if (run == NULL) {
        return;
    }
    if (run->thread_count > 0) {
        end_threads(run);
    }
    for (uint32_t i = 0; i < run->slot_count; i++) {
        pthread_mutex_destroy(&run->slots[i]->lock);
        free(run->slots[i]);
    }
    run_poller_close(run->poller);
    run_done_close(&run->done);
    run_timers_free(&run->timers);
    free(run->queue.items);
    free(run->slots);
    free(run->free_slots);
    pthread_mutex_destroy(&run->lock);
    free(run);
}
