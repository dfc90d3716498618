/* Internal to run_many.c and run_loop.c: the record of a run, and its loop. */
#ifndef FASTOS_RUN_MANY_H
#define FASTOS_RUN_MANY_H

#include "run.h"

enum { RUN_MOST_SPAWNERS = 64 };

struct run_slot {
    struct run_child child;
    pthread_mutex_t lock;
    uint32_t index;
    uint32_t generation;
    char *copy;
    bool active;
    bool timed; /* has, or had, a timer */
};

struct fo_run_many {
    pthread_mutex_t lock;
    struct run_poller *poller;
    bool attended; /* each thread sees its process through to the end */
    int stop[2];   /* the reading end becomes readable when the run is closed */
    int owner;     /* the process whose threads these are */
    int null;      /* /dev/null, for all children, or -1 */
    sigset_t mask;
    uint32_t jobs;
    uint32_t spawners;
    uint32_t running;  /* spawning ones included */
    uint32_t spawning;
    uint32_t waiting;  /* threads in run_poller_wait */
    uint32_t ended;   /* children delivered, ever */
    uint32_t postponed; /* starts put off, ever */
    bool starved; /* no descriptors or processes left: until a child ends, start none beside others */
    bool closing;
    bool stop_at_failure;
    bool stopped;  /* nothing more is started */
    struct run_queue queue;
    struct run_done done;
    pthread_cond_t gathered; /* tells one who lets results gather that it is time to take them */
    bool gathering;
    bool fed;         /* commands came since results were taken last: who takes them has more */
    uint32_t room;    /* how many results are taken at a time */
    int64_t taken_at; /* when results were taken last */
    struct run_timers timers;
    struct run_slot **slots;
    uint32_t *free_slots;
    uint32_t slot_count; /* made so far */
    uint32_t free_count;
    uint32_t slot_capacity;
    uint32_t thread_count;
    pthread_t threads[RUN_MOST_SPAWNERS + 1];
};

/* Makes a slot for each of `count` commands that may run at once, so that no start can fail for want of one. Returns 0
 * or -ENOMEM. Call with the run's lock held. */
int run_loop_reserve(struct fo_run_many *run, uint32_t count);

/* Whether a command may be started now. Call with the run's lock held. */
bool run_loop_may_start(const struct fo_run_many *run);

/* Answers every command that is queued with a cancelled result. Call with the lock held. */
void run_many_cancel_queued(struct fo_run_many *run);

/* Whether results should be taken now and not be left to gather. Call with the lock held. */
bool run_many_hurry(const struct fo_run_many *run);

/* What each thread does until the run is closed and its last child reaped. `argument` is the run. Returns NULL. */
void *run_loop_work(void *argument);

/* Kills every child; the threads reap them. Call once `closing` is set. */
void run_loop_kill_all(struct fo_run_many *run);

#endif
