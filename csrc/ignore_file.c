#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ignore.h"

enum { FILE_MAX = 1 << 30 };

/* Reads `size` bytes, or fewer at the end of the file. Returns how many, or -errno. */
static ssize_t read_fully(int fd, char *data, size_t size) {
    size_t got = 0;
    while (got < size) {
        ssize_t count = read(fd, data + got, size - got);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        if (count == 0)
            break;
        got += (size_t)count;
    }
    return (ssize_t)got;
}

/* Reads an open file. Returns 0 or -errno. */
static int read_open(int fd, char **data, size_t *length) {
    struct stat status;
    if (fstat(fd, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return -ENOENT;
    if (status.st_size > FILE_MAX)
        return -EFBIG;
    char *buffer = malloc((size_t)status.st_size + 1);
    if (!buffer)
        return -ENOMEM;
    ssize_t got = read_fully(fd, buffer, (size_t)status.st_size);
    if (got < 0) {
        free(buffer);
        return (int)got;
    }
    buffer[got] = '\0';
    *data = buffer;
    *length = (size_t)got;
    return 0;
}

int fo_file_read(int dir_fd, const char *name, int open_flags, char **data, size_t *length) {
    int fd;
    do /* O_NONBLOCK: a FIFO of that name must not hold up the scan */
        fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | open_flags);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return -errno;
    int result = read_open(fd, data, length);
    close(fd);
    return result;
}

bool fo_file_is_absent(int error) {
    return error == -ENOENT || error == -ENOTDIR || error == -ELOOP || error == -EACCES || error == -EISDIR ||
           error == -ENAMETOOLONG || error == -ENXIO;
}
