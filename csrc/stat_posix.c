/* Metadata by fstatat(2). */
#include "stat.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#ifdef __APPLE__
#define STAMP(raw, which) (raw).st_##which##timespec
#else
#define STAMP(raw, which) (raw).st_##which##tim
#endif
#ifndef AT_NO_AUTOMOUNT
#define AT_NO_AUTOMOUNT 0
#endif

static int64_t nanoseconds(struct timespec stamp) {
    return fo_stat_nanoseconds(stamp.tv_sec, stamp.tv_nsec);
}

/* The kernels without AT_EMPTY_PATH have fstat for it. */
static int raw_stat(int dir_fd, const char *path, int flags, struct stat *raw) {
#ifdef AT_EMPTY_PATH
    return fstatat(dir_fd, path, raw, flags | AT_NO_AUTOMOUNT);
#else
    return *path == '\0' ? fstat(dir_fd, raw) : fstatat(dir_fd, path, raw, flags | AT_NO_AUTOMOUNT);
#endif
}

int fo_stat_posix(int dir_fd, const char *path, int flags, struct fo_stat *out) {
    struct stat raw;
    if (raw_stat(dir_fd, path, flags, &raw) != 0) {
        return -errno;
    }
    out->size = raw.st_size;
    out->blocks = raw.st_blocks;
    out->ino = raw.st_ino;
    out->dev = (uint64_t)raw.st_dev;
    out->rdev = (uint64_t)raw.st_rdev;
    out->atime_ns = nanoseconds(STAMP(raw, a));
    out->mtime_ns = nanoseconds(STAMP(raw, m));
    out->ctime_ns = nanoseconds(STAMP(raw, c));
#if defined(__APPLE__)
    out->btime_ns = nanoseconds(raw.st_birthtimespec);
#elif defined(__FreeBSD__)
    out->btime_ns = nanoseconds(raw.st_birthtim);
#else
    out->btime_ns = -1;
#endif
    out->mode = raw.st_mode;
    out->uid = raw.st_uid;
    out->gid = raw.st_gid;
    out->nlink = (uint32_t)raw.st_nlink;
    out->blksize = (uint32_t)raw.st_blksize;
    return 0;
}
