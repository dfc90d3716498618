/* The two ways to read metadata, behind fo_stat_at. */
#ifndef FASTOS_STAT_H
#define FASTOS_STAT_H

#include "api.h"

/* statx(2): birth time, and only the fields asked for. Returns 0 or -errno, -ENOSYS where the kernel (or a
 * sandbox around it) does not have it. */
int fo_stat_linux(int dir_fd, const char *path, int flags, uint32_t mask, struct fo_stat *out);

/* fstatat(2). Returns 0 or -errno. */
int fo_stat_posix(int dir_fd, const char *path, int flags, struct fo_stat *out);

/* Nanoseconds since the epoch, saturated to 64 bits. */
int64_t fo_stat_nanoseconds(int64_t seconds, int64_t nanoseconds);

#endif
