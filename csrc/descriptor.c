/* Opening, closing, copying, reading and writing descriptors. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "api.h"
#include "result.h"

int fo_descriptor_cwd(void) {
    return AT_FDCWD;
}

int fo_descriptor_open(int dir_fd, const char *path, int flags, uint32_t mode) {
    return fo_result(openat(dir_fd, path, flags | O_CLOEXEC, (mode_t)mode));
}

int64_t fo_descriptor_read(int fd, char *out, size_t size) {
    return fo_result64(read(fd, out, size));
}

int64_t fo_descriptor_write(int fd, const char *data, size_t size) {
    return fo_result64(write(fd, data, size));
}

int64_t fo_descriptor_lseek(int fd, int64_t offset, int whence) {
    return fo_result64(lseek(fd, offset, whence));
}

int fo_descriptor_close(int fd) {
    return fo_result(close(fd));
}

int fo_descriptor_closerange(int low, int high) {
    if (low < 0) {
        low = 0;
    }
    if (low >= high) {
        return 0;
    }
#if defined(__linux__) && defined(CLOSE_RANGE_CLOEXEC)
    if (fo_platform_engine() == FO_ENGINE_NATIVE && close_range((unsigned)low, (unsigned)high - 1, 0) == 0) {
        return 0;
    }
#endif
    for (int fd = low; fd < high; fd++) {
        close(fd);
    }
    return 0;
}

int fo_descriptor_dup(int fd) {
    return fo_result(fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

int fo_descriptor_dup2(int fd, int target, int inheritable) {
    if (inheritable) {
        return fo_result(dup2(fd, target));
    }
#ifdef __APPLE__
    int result = fd == target ? -EINVAL : fo_result(dup2(fd, target));
    return result < 0 || fcntl(target, F_SETFD, FD_CLOEXEC) == 0 ? result : -errno;
#else
    return fo_result(dup3(fd, target, O_CLOEXEC));
#endif
}

int64_t fo_descriptor_pipe2(int flags) {
    int ends[2];
#ifdef __APPLE__
    if (pipe(ends) < 0) {
        return -errno;
    }
    for (int i = 0; i < 2; i++) {
        fcntl(ends[i], F_SETFD, flags & O_CLOEXEC ? FD_CLOEXEC : 0);
        fcntl(ends[i], F_SETFL, flags & O_NONBLOCK);
    }
#else
    if (pipe2(ends, flags) < 0) {
        return -errno;
    }
#endif
    return fo_result_pair(ends[0], ends[1]);
}

int64_t fo_descriptor_pipe(void) {
    return fo_descriptor_pipe2(O_CLOEXEC);
}

int fo_descriptor_inheritable(int fd) {
    int flags = fcntl(fd, F_GETFD);
    return flags < 0 ? -errno : !(flags & FD_CLOEXEC);
}

int fo_descriptor_set_inheritable(int fd, int inheritable) {
    int flags = fcntl(fd, F_GETFD);
    if (flags < 0) {
        return -errno;
    }
    int wanted = inheritable ? flags & ~FD_CLOEXEC : flags | FD_CLOEXEC;
    return wanted == flags ? 0 : fo_result(fcntl(fd, F_SETFD, wanted));
}
