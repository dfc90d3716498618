/* Directory entries by readdir(3), for the systems without getdents64, packed into its record format. */
#include "dents.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* The longest record: a name of 1023 bytes, the most that a BSD allows. */
enum { LONGEST_NAME = 1023, LONGEST_RECORD = (FO_DENTS_NAME + LONGEST_NAME + 1 + 7) & ~7 };

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
static char type_of(const struct dirent *entry) {
    switch (entry->d_type) {
    case DT_REG: return FO_DENTS_DT_REG;
    case DT_DIR: return FO_DENTS_DT_DIR;
    case DT_LNK: return FO_DENTS_DT_LNK;
    case DT_FIFO: return FO_DENTS_DT_FIFO;
    case DT_SOCK: return FO_DENTS_DT_SOCK;
    case DT_CHR: return FO_DENTS_DT_CHR;
    case DT_BLK: return FO_DENTS_DT_BLK;
    default: return 0;
    }
}
#else
static char type_of(const struct dirent *entry) {
    (void)entry;
    return 0;
}
#endif

/* Appends one record to the buffer, which has room for it. */
static void pack(struct fo_dents *dents, const struct dirent *entry) {
    size_t room = sizeof entry->d_name < LONGEST_NAME ? sizeof entry->d_name : LONGEST_NAME;
    size_t name_length = strnlen(entry->d_name, room);
    uint16_t length = (uint16_t)((FO_DENTS_NAME + name_length + 1 + 7) & ~(size_t)7);
    uint64_t ino = entry->d_ino;
    char *record = dents->buffer + dents->filled;
    memcpy(record + FO_DENTS_INO, &ino, sizeof ino);
    memset(record + FO_DENTS_NEXT, 0, sizeof(int64_t));
    memcpy(record + FO_DENTS_RECLEN, &length, sizeof length);
    record[FO_DENTS_TYPE] = type_of(entry);
    memcpy(record + FO_DENTS_NAME, entry->d_name, name_length);
    record[FO_DENTS_NAME + name_length] = '\0';
    dents->filled += length;
}

int fo_dents_posix_refill(struct fo_dents *dents) {
    dents->filled = dents->offset = 0;
    while (dents->error == 0 && dents->size - dents->filled >= LONGEST_RECORD) {
        errno = 0;
        struct dirent *entry = readdir(dents->stream);
        if (entry != NULL) {
            pack(dents, entry);
        } else if (errno == 0 || errno == ENOENT) {
            break;
        } else {
            dents->error = errno;
        }
    }
    return dents->filled > 0 ? (int)dents->filled : -dents->error;
}

void fo_dents_posix_stop(struct fo_dents *dents) {
    closedir(dents->stream);
    dents->stream = NULL;
}
