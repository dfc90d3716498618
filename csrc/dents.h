/* Reading the entries of an open directory, "." and ".." left out.
 *
 *     struct fo_dents dents;
 *     int result = fo_dents_start(&dents, fd, buffer, sizeof buffer);
 *     struct fo_dent dent;
 *     while (result >= 0 && (result = fo_dents_next(&dents, &dent)) > 0) { ... }
 *     fo_dents_stop(&dents);
 *
 * The descriptor stays the caller's. With the Linux engine, nothing is held but the caller's buffer, and reading can
 * go on later, or in another thread, by another fo_dents_start on the same descriptor once a buffer is used up
 * (fo_dents_buffered() == 0). The portable engine holds a DIR from start to stop.
 */
#ifndef FASTOS_DENTS_H
#define FASTOS_DENTS_H

#include "api.h"

/* A good size for the buffer of the Linux engine. */
#define FO_DENTS_BUFFER (64 * 1024)

/* One entry. name is NUL-terminated and valid until the next call on the same reader. */
struct fo_dent {
    const char *name;
    uint64_t ino;
    uint32_t name_length;
    uint8_t type; /* FO_TYPE_*; FO_TYPE_UNKNOWN where the file system does not say */
};

struct fo_dents {
    int fd;
    int portable;  /* the engine: 1 for readdir */
    char *buffer;  /* Linux engine: what getdents64 filled, */
    size_t size;   /* its capacity, */
    size_t filled; /* the bytes in it, */
    size_t offset; /* and where the next entry starts */
    void *stream;  /* portable engine: a DIR */
};

int fo_dents_linux_refill(struct fo_dents *dents);
int fo_dents_posix_start(struct fo_dents *dents);
int fo_dents_posix_next(struct fo_dents *dents, struct fo_dent *out);
void fo_dents_posix_stop(struct fo_dents *dents);

/* Parses the linux_dirent64 records in buffer[*offset .. filled): the next one that is not "." or "..".
 * Returns 1 with *out and *offset set, 0 when there is none left, -EIO if the records are malformed. */
int fo_dents_parse(const char *buffer, size_t filled, size_t *offset, struct fo_dent *out);

/* Begins to read the directory open at fd, from where its offset stands. buffer must be aligned to 8 and hold at least
 * 4096 bytes; the portable engine does not use it. Returns 0 or -errno. */
static inline int fo_dents_start(struct fo_dents *dents, int fd, void *buffer, size_t size) {
    *dents = (struct fo_dents){.fd = fd, .buffer = buffer, .size = size};
    dents->portable = fo_platform_engine() != FO_ENGINE_NATIVE;
    return dents->portable ? fo_dents_posix_start(dents) : 0;
}

/* Reads the next entry. Returns 1 with *out set, 0 at the end, -errno if reading failed. */
static inline int fo_dents_next(struct fo_dents *dents, struct fo_dent *out) {
    if (dents->portable) {
        return fo_dents_posix_next(dents, out);
    }
    for (;;) {
        int result = fo_dents_parse(dents->buffer, dents->filled, &dents->offset, out);
        if (result != 0) {
            return result;
        }
        result = fo_dents_linux_refill(dents);
        if (result <= 0) {
            return result;
        }
    }
}

/* Returns how many bytes of entries are in the buffer and not yet handed out (an upper bound: "." may be one). */
static inline size_t fo_dents_buffered(const struct fo_dents *dents) {
    return dents->filled - dents->offset;
}

/* Ends the reading and frees what start took. */
static inline void fo_dents_stop(struct fo_dents *dents) {
    if (dents->portable) {
        fo_dents_posix_stop(dents);
    }
}

#endif
