/* Parses directory records, the kernel's and those that the portable engine packs. */
#include "dents.h"

#include <errno.h>
#include <string.h>

static uint8_t type_of(uint8_t d_type) {
    static const uint8_t types[16] = {
        [FO_DENTS_DT_REG] = FO_TYPE_FILE,    [FO_DENTS_DT_DIR] = FO_TYPE_DIRECTORY, [FO_DENTS_DT_LNK] = FO_TYPE_SYMLINK,
        [FO_DENTS_DT_FIFO] = FO_TYPE_FIFO,   [FO_DENTS_DT_SOCK] = FO_TYPE_SOCKET,   [FO_DENTS_DT_CHR] = FO_TYPE_CHAR,
        [FO_DENTS_DT_BLK] = FO_TYPE_BLOCK,
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
    if (filled - offset <= FO_DENTS_NAME) {
        return -EIO;
    }
    memcpy(&length, record + FO_DENTS_RECLEN, sizeof length);
    if (length <= FO_DENTS_NAME || length > filled - offset) {
        return -EIO;
    }
    out->name = record + FO_DENTS_NAME;
    size_t room = (size_t)length - FO_DENTS_NAME;
    size_t name_length = strnlen(out->name, room);
    if (name_length == 0 || name_length == room || memchr(out->name, '/', name_length)) {
        return -EIO;
    }
    out->name_length = (uint32_t)name_length;
    out->type = type_of((uint8_t)record[FO_DENTS_TYPE]);
    memcpy(&out->ino, record + FO_DENTS_INO, sizeof out->ino);
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
