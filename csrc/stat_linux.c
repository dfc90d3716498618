/* Metadata by statx(2). */
#include "stat.h"

#include <errno.h>

#ifdef __linux__

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* The statx bits of a FO_STAT_* mask: the first twelve are in statx's own order, the device needs none. */
static unsigned int statx_mask(uint32_t mask) {
    _Static_assert(STATX_TYPE == FO_STAT_TYPE && STATX_MODE == FO_STAT_MODE && STATX_NLINK == FO_STAT_NLINK &&
                   STATX_UID == FO_STAT_UID && STATX_GID == FO_STAT_GID && STATX_ATIME == FO_STAT_ATIME &&
                   STATX_MTIME == FO_STAT_MTIME && STATX_CTIME == FO_STAT_CTIME && STATX_INO == FO_STAT_INO &&
                   STATX_SIZE == FO_STAT_SIZE && STATX_BLOCKS == FO_STAT_BLOCKS && STATX_BTIME == FO_STAT_BTIME,
                   "FO_STAT_* follow statx");
    return mask & (STATX_BASIC_STATS | STATX_BTIME);
}

static int64_t nanoseconds(const struct statx_timestamp *stamp) {
    return fo_stat_nanoseconds(stamp->tv_sec, stamp->tv_nsec);
}

int fo_stat_linux(int dir_fd, const char *path, int flags, uint32_t mask, struct fo_stat *out) {
    struct statx raw;
    if (statx(dir_fd, path, flags | AT_NO_AUTOMOUNT, statx_mask(mask), &raw) != 0) {
        return -errno;
    }
    out->size = (int64_t)raw.stx_size;
    out->blocks = (int64_t)raw.stx_blocks;
    out->ino = raw.stx_ino;
    out->dev = makedev(raw.stx_dev_major, raw.stx_dev_minor);
    out->rdev = makedev(raw.stx_rdev_major, raw.stx_rdev_minor);
    out->atime_ns = nanoseconds(&raw.stx_atime);
    out->mtime_ns = nanoseconds(&raw.stx_mtime);
    out->ctime_ns = nanoseconds(&raw.stx_ctime);
    out->btime_ns = raw.stx_mask & STATX_BTIME ? nanoseconds(&raw.stx_btime) : -1;
    out->mode = raw.stx_mode;
    out->uid = raw.stx_uid;
    out->gid = raw.stx_gid;
    out->nlink = raw.stx_nlink;
    out->blksize = raw.stx_blksize;
    return 0;
}

#else

int fo_stat_linux(int dir_fd, const char *path, int flags, uint32_t mask, struct fo_stat *out) {
    (void)dir_fd, (void)path, (void)flags, (void)mask, (void)out;
    return -ENOSYS;
}

#endif
