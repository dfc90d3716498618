/* Directory entries by readdir(3), for the systems without getdents64. */
#include "dents.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int fo_dents_posix_start(struct fo_dents *dents) {
    /* closedir() closes what fdopendir() was given, and the caller keeps its own. */
    int fd = fcntl(dents->fd, F_DUPFD_CLOEXEC, 3);
    if (fd < 0) {
        return -errno;
    }
    dents->stream = fdopendir(fd);
    if (dents->stream == NULL) {
        int error = errno;
        close(fd);
        return -error;
    }
    return 0;
}

#ifdef DT_UNKNOWN
static uint8_t type_of(const struct dirent *entry) {
    switch (entry->d_type) {
    case DT_REG: return FO_TYPE_FILE;
    case DT_DIR: return FO_TYPE_DIRECTORY;
    case DT_LNK: return FO_TYPE_SYMLINK;
    case DT_FIFO: return FO_TYPE_FIFO;
    case DT_SOCK: return FO_TYPE_SOCKET;
    case DT_CHR: return FO_TYPE_CHAR;
    case DT_BLK: return FO_TYPE_BLOCK;
    default: return FO_TYPE_UNKNOWN;
    }
}
#else
static uint8_t type_of(const struct dirent *entry) {
    (void)entry;
    return FO_TYPE_UNKNOWN;
}
#endif

int fo_dents_posix_next(struct fo_dents *dents, struct fo_dent *out) {
    struct dirent *entry;
    do {
        errno = 0;
        entry = readdir(dents->stream);
        if (entry == NULL) {
            return errno == ENOENT ? 0 : -errno;
        }
    } while (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0);
    out->name = entry->d_name;
    out->name_length = (uint32_t)strlen(entry->d_name);
    out->ino = entry->d_ino;
    out->type = type_of(entry);
    return 1;
}

void fo_dents_posix_stop(struct fo_dents *dents) {
    if (dents->stream != NULL) {
        closedir(dents->stream);
        dents->stream = NULL;
    }
}
