/* File metadata: picks the engine's way of asking. */
#include "stat.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/stat.h>

/* Set once a kernel or sandbox has shown that it has no statx. */
static atomic_bool statx_missing;

int64_t fo_stat_nanoseconds(int64_t seconds, int64_t nanoseconds) {
    int64_t total;
    if (__builtin_mul_overflow(seconds, 1000000000, &total) || __builtin_add_overflow(total, nanoseconds, &total)) {
        return seconds < 0 ? INT64_MIN : INT64_MAX;
    }
    return total;
}

int fo_stat_at(int dir_fd, const char *path, int flags, uint32_t mask, struct fo_stat *out) {
    if (fo_platform_engine() == FO_ENGINE_NATIVE && !atomic_load_explicit(&statx_missing, memory_order_relaxed)) {
        int result = fo_stat_linux(dir_fd, path, flags, mask, out);
        /* Old container profiles answer EPERM for system calls that they do not know; statx itself never does. */
        if (result != -ENOSYS && result != -EPERM) {
            return result;
        }
        atomic_store_explicit(&statx_missing, 1, memory_order_relaxed);
    }
    return fo_stat_posix(dir_fd, path, flags, out);
}

int fo_stat_type(uint32_t mode) {
    switch (mode & S_IFMT) {
    case S_IFREG: return FO_TYPE_FILE;
    case S_IFDIR: return FO_TYPE_DIRECTORY;
    case S_IFLNK: return FO_TYPE_SYMLINK;
    case S_IFIFO: return FO_TYPE_FIFO;
    case S_IFSOCK: return FO_TYPE_SOCKET;
    case S_IFCHR: return FO_TYPE_CHAR;
    case S_IFBLK: return FO_TYPE_BLOCK;
    default: return FO_TYPE_UNKNOWN;
    }
}
