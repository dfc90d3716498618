/* The monotonic clock, and waiting by it. */
#ifndef FASTOS_CLOCK_H
#define FASTOS_CLOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Returns the nanoseconds of the monotonic clock. */
int64_t fo_clock_now(void);

/* Makes a condition that waits by the monotonic clock. */
void fo_clock_condition(pthread_cond_t *condition);

/* Waits on a condition (made by fo_clock_condition) until deadline_ns. Returns false once it has passed. */
bool fo_clock_wait_until(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t deadline_ns);

#endif
