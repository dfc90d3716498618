/* All names of one directory in one call. */
#define _GNU_SOURCE 1
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api.h"
#include "result.h"

static int grow(struct fo_directory_names *names, size_t extra) {
    size_t needed = names->length + extra;
    if (needed <= names->capacity) {
        return 0;
    }
    size_t capacity = names->capacity == 0 ? 4096 : names->capacity * 2;
    while (capacity < needed) {
        capacity *= 2;
    }
    char *larger = realloc(names->names, capacity);
    if (larger == NULL) {
        return -ENOMEM;
    }
    names->names = larger;
    names->capacity = capacity;
    return 0;
}

static int append(struct fo_directory_names *names, const char *name) {
    if (name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'))) {
        return 0;
    }
    size_t size = strlen(name) + 1;
    int result = grow(names, size);
    if (result == 0) {
        memcpy(names->names + names->length, name, size);
        names->length += size;
        names->count++;
    }
    return result;
}

/* Reads an open directory to its end and closes it. Returns 0 or -errno, with nothing allocated then. */
static int read_all(DIR *directory, struct fo_directory_names *out) {
    int result = 0;
    *out = (struct fo_directory_names){0};
    while (result == 0) {
        errno = 0;
        struct dirent *entry = readdir(directory);
        if (entry == NULL) {
            result = -errno;
            break;
        }
        result = append(out, entry->d_name);
    }
    closedir(directory);
    if (result < 0) {
        fo_directory_free(out);
    }
    return result;
}

int fo_directory_list(const char *path, struct fo_directory_names *out) {
    DIR *directory = opendir(path);
    return directory == NULL ? -errno : read_all(directory, out);
}

int fo_directory_list_fd(int fd, struct fo_directory_names *out) {
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) {
        return -errno;
    }
    DIR *directory = fdopendir(copy);
    if (directory == NULL) {
        int error = errno;
        close(copy);
        return -error;
    }
    /* The copy shares its offset with fd, which may have been read before. */
    rewinddir(directory);
    return read_all(directory, out);
}

int fo_directory_free(struct fo_directory_names *names) {
    free(names->names);
    *names = (struct fo_directory_names){0};
    return 0;
}
