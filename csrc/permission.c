/* File modes, owners and access checks. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api.h"
#include "result.h"

static int at_flags(int flags) {
    int effective = flags & FO_PERMISSION_EFFECTIVE ? AT_EACCESS : 0;
    return effective | (flags & FO_PERMISSION_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0);
}

int fo_permission_access(int dir_fd, const char *path, int mode, int flags) {
    return fo_result(faccessat(dir_fd, path, mode, at_flags(flags)));
}

int fo_permission_chmod(int dir_fd, const char *path, uint32_t mode, int flags) {
    return fo_result(fchmodat(dir_fd, path, (mode_t)mode, at_flags(flags & FO_PERMISSION_NOFOLLOW)));
}

int fo_permission_fchmod(int fd, uint32_t mode) {
    return fo_result(fchmod(fd, (mode_t)mode));
}

int fo_permission_chown(int dir_fd, const char *path, uint32_t uid, uint32_t gid, int flags) {
    return fo_result(fchownat(dir_fd, path, uid, gid, at_flags(flags & FO_PERMISSION_NOFOLLOW)));
}

int fo_permission_fchown(int fd, uint32_t uid, uint32_t gid) {
    return fo_result(fchown(fd, uid, gid));
}

int fo_permission_umask(int mask) {
    return (int)umask((mode_t)mask);
}
