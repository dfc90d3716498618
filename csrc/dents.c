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

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

enum { FIRST_WORD = FO_DENTS_NAME & ~7, BEFORE_NAME = FO_DENTS_NAME & 7 };

/* The high bit of each byte of a word that is zero (right up to the first of them). */
static uint64_t zero_bytes(uint64_t word) {
    return (word - UINT64_C(0x0101010101010101)) & ~word & UINT64_C(0x8080808080808080);
}

/* Measures a name, eight bytes at a time: a length of 0 if it has none, holds a slash or does not end in the record. */
static void measure(const char *record, size_t length, struct fo_dent *out) {
    uint64_t high = 0, slash = 0, end = 0, word, filler = (UINT64_C(1) << (8 * BEFORE_NAME)) - 1;
    size_t at = FIRST_WORD;
    for (; at + sizeof word <= length && end == 0; at += sizeof word) {
        memcpy(&word, record + at, sizeof word);
        word |= filler & UINT64_C(0x0101010101010101);
        word &= ~filler | UINT64_C(0x0101010101010101);
        filler = 0;
        end = zero_bytes(word);
        /* What stands behind the end does not count. */
        uint64_t inside = end != 0 ? (end & -end) - 1 : ~UINT64_C(0);
        high |= word & inside;
        slash |= zero_bytes(word ^ UINT64_C(0x2f2f2f2f2f2f2f2f)) & inside;
    }
    size_t ended = at - sizeof word + (end != 0 ? (size_t)__builtin_ctzll(end) / 8 : 0);
    out->name_length = end != 0 && slash == 0 && ended > FO_DENTS_NAME ? (uint32_t)(ended - FO_DENTS_NAME) : 0;
    out->ascii = (high & UINT64_C(0x8080808080808080)) == 0;
}

#else

static void measure(const char *record, size_t length, struct fo_dent *out) {
    size_t room = length - FO_DENTS_NAME, ended = strnlen(record + FO_DENTS_NAME, room);
    bool whole = ended < room && memchr(record + FO_DENTS_NAME, '/', ended) == NULL;
    out->name_length = whole ? (uint32_t)ended : 0;
    out->ascii = true;
    for (size_t i = 0; i < ended; i++) {
        out->ascii &= (uint8_t)record[FO_DENTS_NAME + i] < 0x80;
    }
}

#endif

/* Reads the record at buffer + offset. Returns its length, or -EIO if it does not fit its bounds, has no
 * terminated name, or one that would name another place than an entry of this directory. */
static inline int parse_record(const char *buffer, size_t filled, size_t offset, struct fo_dent *out) {
    const char *record = buffer + offset;
    uint16_t length;
    if (filled - offset <= FO_DENTS_NAME) {
        return -EIO;
    }
    memcpy(&length, record + FO_DENTS_RECLEN, sizeof length);
    /* Records are aligned to eight bytes, by the kernel and by the portable engine. */
    if (length <= FO_DENTS_NAME || length > filled - offset || length % 8 != 0) {
        return -EIO;
    }
    measure(record, length, out);
    if (out->name_length == 0) {
        return -EIO;
    }
    out->name = record + FO_DENTS_NAME;
    out->type = type_of((uint8_t)record[FO_DENTS_TYPE]);
    memcpy(&out->ino, record + FO_DENTS_INO, sizeof out->ino);
    memcpy(&out->next, record + FO_DENTS_NEXT, sizeof out->next);
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
