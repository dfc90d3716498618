/* The working directory, and single calls that make and remove names; directory_list.c reads them. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api.h"
#include "result.h"

int fo_directory_chdir(const char *path) {
    return fo_result(chdir(path));
}

int fo_directory_fchdir(int fd) {
    return fo_result(fchdir(fd));
}

int fo_directory_getcwd(char *out, size_t size) {
    return getcwd(out, size) == NULL ? -errno : (int)strlen(out);
}

int fo_directory_mkdir(int dir_fd, const char *path, uint32_t mode) {
    return fo_result(mkdirat(dir_fd, path, (mode_t)mode));
}

int fo_directory_rmdir(int dir_fd, const char *path) {
    return fo_result(unlinkat(dir_fd, path, AT_REMOVEDIR));
}

int fo_directory_unlink(int dir_fd, const char *path) {
    return fo_result(unlinkat(dir_fd, path, 0));
}

int fo_directory_rename(int from_fd, const char *from, int to_fd, const char *to) {
    return fo_result(renameat(from_fd, from, to_fd, to));
}
