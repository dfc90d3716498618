/* Symbolic and hard links. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "api.h"
#include "result.h"

int fo_link_symlink(const char *target, int dir_fd, const char *path) {
    return fo_result(symlinkat(target, dir_fd, path));
}

int fo_link_link(int from_fd, const char *from, int to_fd, const char *to, int follow_symlinks) {
    return fo_result(linkat(from_fd, from, to_fd, to, follow_symlinks ? AT_SYMLINK_FOLLOW : 0));
}

int fo_link_readlink(int dir_fd, const char *path, char *out, size_t size) {
    return (int)fo_result64(readlinkat(dir_fd, path, out, size));
}
