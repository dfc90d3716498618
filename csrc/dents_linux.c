/* Directory entries by getdents64(2), parsed in place. */
#include "dents.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#ifdef __linux__

#include <sys/syscall.h>

/* The kernel's record: fixed, whatever the C library's dirent is. */
enum { OFFSET_INO = 0, OFFSET_RECLEN = 16, OFFSET_TYPE = 18, OFFSET_NAME = 19 };

static uint8_t type_of(uint8_t d_type) {
    static const uint8_t types[16] = {
        [DT_REG] = FO_TYPE_FILE,   [DT_DIR] = FO_TYPE_DIRECTORY, [DT_LNK] = FO_TYPE_SYMLINK, [DT_FIFO] = FO_TYPE_FIFO,
        [DT_SOCK] = FO_TYPE_SOCKET, [DT_CHR] = FO_TYPE_CHAR,     [DT_BLK] = FO_TYPE_BLOCK,
    };
    return d_type < 16 ? types[d_type] : FO_TYPE_UNKNOWN;
}

static int is_dot(const char *name) {
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

/* Reads the record at buffer + offset. Returns its length, or -EIO if it does not fit its bounds, has no
 * terminated name, or one that would name another place than an entry of this directory. */
static int parse_record(const char *buffer, size_t filled, size_t offset, struct fo_dent *out) {
    const char *record = buffer + offset;
    uint16_t length;
    if (filled - offset <= OFFSET_NAME) {
        return -EIO;
    }
    memcpy(&length, record + OFFSET_RECLEN, sizeof length);
    if (length <= OFFSET_NAME || length > filled - offset) {
        return -EIO;
    }
    out->name = record + OFFSET_NAME;
    size_t name_length = strnlen(out->name, length - OFFSET_NAME);
    if (name_length == 0 || name_length == (size_t)(length - OFFSET_NAME) || memchr(out->name, '/', name_length)) {
        return -EIO;
    }
    out->name_length = (uint32_t)name_length;
    out->type = type_of((uint8_t)record[OFFSET_TYPE]);
    memcpy(&out->ino, record + OFFSET_INO, sizeof out->ino);
    return length;
}

int fo_dents_parse(const char *buffer, size_t filled, size_t *offset, struct fo_dent *out) {
    while (*offset < filled) {
        int length = parse_record(buffer, filled, *offset, out);
        if (length < 0) {
            return length;
        }
        *offset += (size_t)length;
        if (!is_dot(out->name)) {
            return 1;
        }
    }
    return 0;
}

/* Reads the next buffer. A short read is not the end on every file system: only 0 is.
 * Returns the bytes read, 0 at the end, -errno. */
int fo_dents_linux_refill(struct fo_dents *dents) {
    long filled;
    do {
        filled = syscall(SYS_getdents64, dents->fd, dents->buffer, dents->size);
    } while (filled < 0 && errno == EINTR);
    dents->offset = 0;
    dents->filled = filled > 0 ? (size_t)filled : 0;
    /* A directory that was removed meanwhile answers ENOENT: it has no more entries. */
    if (filled < 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    return (int)filled;
}

#else

int fo_dents_parse(const char *buffer, size_t filled, size_t *offset, struct fo_dent *out) {
    (void)buffer, (void)filled, (void)offset, (void)out;
    return -ENOSYS;
}

int fo_dents_linux_refill(struct fo_dents *dents) {
    (void)dents;
    return -ENOSYS;
}

#endif
