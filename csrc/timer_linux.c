/* Deadlines by timerfd. */
#ifdef __linux__

#include <errno.h>
#include <sys/timerfd.h>
#include <time.h>

#include "api.h"

int fo_timer_open(void) {
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

int fo_timer_arm(int fd, int64_t deadline_ns) {
    struct itimerspec when = {0};
    if (deadline_ns >= 0) {
        /* 0 would disarm */
        int64_t moment = deadline_ns > 0 ? deadline_ns : 1;
        when.it_value.tv_sec = moment / 1000000000;
        when.it_value.tv_nsec = moment % 1000000000;
    }
    return timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL) == 0 ? 0 : -errno;
}

#endif
