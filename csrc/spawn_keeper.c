/* The thread that starts children which are to die with the process. The kernel sends the signal at the death of the
 * *thread* that made the child, so that thread has to live as long as the process: the first one does, and for all
 * others this one is kept. It starts with the first such child and never ends. */
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "spawn.h"
#include "spawn_system.h"
#include "thread.h"

struct order {
    struct fo_spawn_plan *plan;
    struct fo_spawn_result *result;
    int answer;
    bool done;
};

struct keeper {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct order *order; /* the one to be carried out, or NULL */
    bool started;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct keeper keeper = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* A forked process has no such thread, and perhaps a lock held by nobody. */
static void forget(void) {
    pthread_mutex_init(&keeper.lock, NULL);
    pthread_cond_init(&keeper.changed, NULL);
    keeper.order = NULL;
    keeper.started = false;
}

static void watch_forks(void) {
    pthread_atfork(NULL, NULL, forget);
}

static void *keep(void *argument) {
    struct keeper *self = argument;
    pthread_mutex_lock(&self->lock);
    for (;;) {
        while (self->order == NULL || self->order->done) {
            pthread_cond_wait(&self->changed, &self->lock);
        }
        struct order *order = self->order;
        pthread_mutex_unlock(&self->lock);
        int answer = fo_spawn_start(order->plan, order->result);
        pthread_mutex_lock(&self->lock);
        order->answer = answer;
        order->done = true;
        self->order = NULL;
        pthread_cond_broadcast(&self->changed);
    }
    return NULL;
}

/* Starts the thread. Returns 0 or -errno. */
static int start_thread(struct keeper *self) {
    int failed = fo_thread_start(keep, self, 128 * 1024);
    self->started = failed == 0;
    return failed;
}

/* Hands one order over and waits for it. Returns 0, or -errno if there is no thread. */
static int hand_over(struct keeper *self, struct order *order) {
    pthread_mutex_lock(&self->lock);
    int failed = self->started ? 0 : start_thread(self);
    if (failed == 0) {
        while (self->order != NULL) {
            pthread_cond_wait(&self->changed, &self->lock);
        }
        self->order = order;
        pthread_cond_broadcast(&self->changed);
        while (!order->done) {
            pthread_cond_wait(&self->changed, &self->lock);
        }
    }
    pthread_mutex_unlock(&self->lock);
    return failed;
}

static bool on_first_thread(void) {
#ifdef __linux__
    return syscall(SYS_gettid) == getpid();
#else
    return true; /* where there is no such signal it does not matter */
#endif
}

int fo_spawn_start_kept(struct fo_spawn_plan *plan, struct fo_spawn_result *result) {
    if (on_first_thread()) {
        return fo_spawn_start(plan, result);
    }
    struct order order = {.plan = plan, .result = result};
    const struct fo_spawn_request *given = plan->request;
    struct fo_spawn_request request = *given;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    fo_spawn_request_mask(&request, &mask); /* not that of the thread, which has everything blocked */
    plan->request = &request;
    pthread_once(&once, watch_forks);
    int failed = hand_over(&keeper, &order);
    plan->request = given;
    if (failed < 0) {
        errno = -failed;
        fo_spawn_fail(plan, FO_STEP_FORK, 0);
        return failed;
    }
    return order.answer;
}
