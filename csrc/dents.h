/* Reading the entries of an open directory, "." and ".." left out.
 *
 *     struct fo_dents dents;
 *     int result = fo_dents_start(&dents, fd, buffer, sizeof buffer);
 *     struct fo_dent dent;
 *     while (result >= 0 && (result = fo_dents_next(&dents, &dent)) > 0) { ... }
 *     fo_dents_stop(&dents);
 *
 * The descriptor and the buffer stay the caller's. Once the buffer is used up (fo_dents_buffered() == 0) the reader
 * can be handed to another thread, which goes on with a buffer of its own. The portable engine packs what readdir
 * says into the kernel's record format, so that both are parsed by the same code.
 */
#ifndef FASTOS_DENTS_H
#define FASTOS_DENTS_H

#include <stdbool.h>

#include "api.h"

/* A good size for the buffer of the Linux engine. */
#define FO_DENTS_BUFFER (64 * 1024)

/* One entry. name is NUL-terminated and valid until the next call on the same reader. */
struct fo_dent {
    const char *name;
    uint64_t ino;
    int64_t next; /* where the file system goes on reading behind it */
    uint32_t name_length;
    uint8_t type; /* FO_TYPE_*; FO_TYPE_UNKNOWN where the file system does not say */
    bool ascii;   /* the name is */
};

struct fo_dents {
    int fd;
    int error;     /* portable engine: met after the records in the buffer, reported by the next refill */
    char *buffer;  /* records, */
    size_t size;   /* their room, */
    size_t filled; /* the bytes in use, */
    size_t offset; /* and where the next entry starts */
    int64_t next;  /* behind the entry handed out last */
    void *stream;  /* portable engine: a DIR from start to stop; Linux engine: NULL */
};

/* The layout of a record, linux_dirent64's. */
enum { FO_DENTS_INO = 0, FO_DENTS_NEXT = 8, FO_DENTS_RECLEN = 16, FO_DENTS_TYPE = 18, FO_DENTS_NAME = 19 };

/* The longest record: a name of 255 bytes and its NUL, aligned. */
enum { FO_DENTS_LONGEST = 280 };

/* The kernel's d_type values, whatever the C library defines. */
enum {
    FO_DENTS_DT_FIFO = 1,
    FO_DENTS_DT_CHR = 2,
    FO_DENTS_DT_DIR = 4,
    FO_DENTS_DT_BLK = 6,
    FO_DENTS_DT_REG = 8,
    FO_DENTS_DT_LNK = 10,
    FO_DENTS_DT_SOCK = 12
};

/* Reads the next buffer of records. Return the bytes read, 0 at the end, -errno. A short read is not the end. */
int fo_dents_linux_refill(struct fo_dents *dents);
int fo_dents_posix_refill(struct fo_dents *dents);

/* Opens and closes the DIR. Returns 0 or -errno. */
int fo_dents_posix_start(struct fo_dents *dents);
void fo_dents_posix_stop(struct fo_dents *dents);

/* Parses the records in buffer[*offset .. filled): the next one that is not "." or "..".
 * Returns 1 with *out and *offset set, 0 when there is none left, -EIO if the records are malformed. */
int fo_dents_parse(const char *buffer, size_t filled, size_t *offset, struct fo_dent *out);

/* Begins to read the directory open at fd, from where its offset stands. buffer must be aligned to 8 and hold at least
 * 4096 bytes. Returns 0 or -errno. */
static inline int fo_dents_start(struct fo_dents *dents, int fd, void *buffer, size_t size) {
    *dents = (struct fo_dents){.fd = fd, .buffer = (char *)buffer, .size = size};
    return fo_platform_engine() == FO_ENGINE_NATIVE ? 0 : fo_dents_posix_start(dents);
}

/* Reads the next buffer of records; those in it are given up. Returns the bytes read, 0 at the end, -errno. */
static inline int fo_dents_refill(struct fo_dents *dents) {
    return dents->stream == NULL ? fo_dents_linux_refill(dents) : fo_dents_posix_refill(dents);
}

/* Whether it is known without another refill that nothing follows the buffer's last entry, whose fo_dent.next is given:
 * there was room for more, and the file system stands at the greatest position there is, behind which nothing can be.
 * That is where ext4 and btrfs leave a reader at the end. It spares every directory a system call. */
static inline bool fo_dents_ended(const struct fo_dents *dents, int64_t next) {
    return next == INT64_MAX && dents->stream == NULL && dents->size - dents->filled >= FO_DENTS_LONGEST;
}

/* Reads the next entry. Returns 1 with *out set, 0 at the end, -errno if reading failed. */
static inline int fo_dents_next(struct fo_dents *dents, struct fo_dent *out) {
    for (;;) {
        size_t before = dents->offset;
        int result = fo_dents_parse(dents->buffer, dents->filled, &dents->offset, out);
        if (dents->offset != before) {
            dents->next = out->next;
        }
        if (result == 0 && !fo_dents_ended(dents, dents->next)) {
            result = fo_dents_refill(dents);
            if (result > 0) {
                continue;
            }
        }
        return result;
    }
}

/* Returns how many bytes of entries are in the buffer and not yet handed out (an upper bound: "." may be one). */
static inline size_t fo_dents_buffered(const struct fo_dents *dents) {
    return dents->filled - dents->offset;
}

/* Ends the reading and frees what start took. */
static inline void fo_dents_stop(struct fo_dents *dents) {
    if (dents->stream != NULL) {
        fo_dents_posix_stop(dents);
    }
}

#endif
