/* The one clock of the core: it never jumps. */
#include "clock.h"

#include <time.h>

int64_t fo_clock_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

void fo_clock_condition(pthread_cond_t *condition) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
#ifndef __APPLE__
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
#endif
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

bool fo_clock_wait_until(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t deadline_ns) {
#ifdef __APPLE__
    int64_t left = deadline_ns - fo_clock_now();
    left = left > 0 ? left : 0;
    struct timespec time = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
    return pthread_cond_timedwait_relative_np(condition, lock, &time) == 0;
#else
    struct timespec time = {.tv_sec = deadline_ns / 1000000000, .tv_nsec = deadline_ns % 1000000000};
    return pthread_cond_timedwait(condition, lock, &time) == 0;
#endif
}
