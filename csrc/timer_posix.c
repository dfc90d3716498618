/* Where there is no timerfd: the loop is told so and uses its poller's timeout. */
#ifndef __linux__

#include <errno.h>

#include "api.h"

int fo_timer_open(void) {
    return -ENOSYS;
}

int fo_timer_arm(int fd, int64_t deadline_ns) {
    (void)fd;
    (void)deadline_ns;
    return -ENOSYS;
}

#endif
