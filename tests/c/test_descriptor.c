/* descriptor.c. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "api.h"
#include "check.h"

TEST(what_is_opened_is_close_on_exec) {
    int fd = fo_descriptor_open(fo_descriptor_cwd(), "/dev/null", O_RDWR, 0);
    CHECK(fd >= 0);
    CHECK_EQ(fo_descriptor_inheritable(fd), 0);
    CHECK_EQ(fo_descriptor_set_inheritable(fd, 1), 0);
    CHECK_EQ(fo_descriptor_inheritable(fd), 1);
    int copy = fo_descriptor_dup(fd);
    CHECK_EQ(fo_descriptor_inheritable(copy), 0);
    CHECK_EQ(fo_descriptor_dup2(fd, copy, 1), copy);
    CHECK_EQ(fo_descriptor_inheritable(copy), 1);
    CHECK_EQ(fo_descriptor_dup2(fd, copy, 0), copy);
    CHECK_EQ(fo_descriptor_inheritable(copy), 0);
    CHECK_EQ(fo_descriptor_dup2(fd, fd, 0), -EINVAL);
    CHECK_EQ(fo_descriptor_close(copy), 0);
    CHECK_EQ(fo_descriptor_close(copy), -EBADF);
}

TEST(pipe_comes_in_one_value) {
    int64_t ends = fo_descriptor_pipe();
    CHECK(ends > 0);
    int reading = (int)(ends >> 32), writing = (int)(ends & 0x7fffffff);
    char data[8];
    CHECK_EQ(fo_descriptor_write(writing, "abc", 3), 3);
    CHECK_EQ(fo_descriptor_read(reading, data, sizeof(data)), 3);
    CHECK_EQ(fo_descriptor_lseek(reading, 0, SEEK_SET), -ESPIPE);
    close(reading);
    close(writing);
}

static void check_closerange(int engine) {
    CHECK_EQ(fo_platform_use(engine), 0);
    int kept = dup(0), first = dup(0), last = dup(0);
    CHECK_EQ(fo_descriptor_closerange(first, last + 1), 0);
    CHECK_EQ(fo_descriptor_inheritable(kept), 1);
    CHECK_EQ(fo_descriptor_inheritable(first), -EBADF);
    CHECK_EQ(fo_descriptor_inheritable(last), -EBADF);
    CHECK_EQ(fo_descriptor_closerange(kept, kept), 0);
    CHECK_EQ(fo_descriptor_closerange(kept, -7), 0);
    CHECK_EQ(fo_descriptor_inheritable(kept), 1);
}

TEST(closerange_with_the_system_call) { check_closerange(FO_ENGINE_NATIVE); }
TEST(closerange_one_by_one) { check_closerange(FO_ENGINE_POSIX); }

MAIN(RUN(what_is_opened_is_close_on_exec), RUN(pipe_comes_in_one_value), RUN(closerange_with_the_system_call),
     RUN(closerange_one_by_one))
