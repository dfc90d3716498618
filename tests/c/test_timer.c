#include <errno.h>
#include <poll.h>
#include <stdint.h>

#include "api.h"
#include "check.h"
#include "clock.h"

static int readable(int fd, int timeout_ms) {
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    return poll(&ready, 1, timeout_ms);
}

TEST(fires_at_its_time_and_not_before) {
    int fd = fo_timer_open();
    CHECK(fd >= 0);
    CHECK_EQ(readable(fd, 0), 0);
    int64_t deadline = fo_clock_now() + 20000000;
    CHECK_EQ(fo_timer_arm(fd, deadline), 0);
    CHECK_EQ(readable(fd, 10000), 1);
    CHECK(fo_clock_now() >= deadline);
    close(fd);
}

TEST(a_time_that_has_passed_fires_at_once) {
    int fd = fo_timer_open();
    CHECK_EQ(fo_timer_arm(fd, 0), 0);
    CHECK_EQ(readable(fd, 10000), 1);
    close(fd);
}

TEST(disarming_takes_an_expiry_back) {
    int fd = fo_timer_open();
    CHECK_EQ(fo_timer_arm(fd, 1), 0);
    CHECK_EQ(readable(fd, 10000), 1);
    CHECK_EQ(fo_timer_arm(fd, -1), 0);
    CHECK_EQ(readable(fd, 0), 0);
    close(fd);
}

TEST(no_timer_is_an_error) {
    CHECK_EQ(fo_timer_arm(-1, 5), -EBADF);
}

MAIN(RUN(fires_at_its_time_and_not_before), RUN(a_time_that_has_passed_fires_at_once),
     RUN(disarming_takes_an_expiry_back), RUN(no_timer_is_an_error))
