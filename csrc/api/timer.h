/* One timer of the kernel for all deadlines of an event loop: a descriptor that becomes readable. */

/* Opens a timer on the monotonic clock, close-on-exec and non-blocking. Returns the descriptor, or -errno (-ENOSYS where
 * there is no timerfd: the loop then uses its poller's timeout). */
int fo_timer_open(void);

/* Sets the timer to an absolute time in nanoseconds of the monotonic clock; one that has passed fires at once, a negative
 * one disarms. Takes back an expiry that was not read. Returns 0 or -errno. */
int fo_timer_arm(int fd, int64_t deadline_ns);
