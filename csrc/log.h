/* What the files of the log pump share. */
#ifndef FASTOS_LOG_H
#define FASTOS_LOG_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "api.h"

enum {
    FO_LOG_READ_SIZE = 64 * 1024,    /* one read: what a pipe holds unless told otherwise */
    FO_LOG_LINE_LIMIT = 64 * 1024,   /* a longer line is cut where whole lines are wanted */
    FO_LOG_OUT_SIZE = 256 * 1024,    /* formatted text of one write */
    FO_LOG_TAP_SIZE = 256 * 1024,
    FO_LOG_STAMP_SIZE = 32,
    FO_LOG_LABEL_LIMIT = 4096,
    FO_LOG_SUFFIX_SIZE = 40          /* ".20260131T235959.123456Z" with room to spare */
};

struct fo_log_scratch {
    char in[FO_LOG_LINE_LIMIT + FO_LOG_READ_SIZE];
    char out[FO_LOG_OUT_SIZE];
    char tap[FO_LOG_TAP_SIZE];
    size_t tap_length;
    int64_t stamp_second;             /* the second that `stamp` stands for, or INT64_MIN */
    char stamp[FO_LOG_STAMP_SIZE];    /* "2026-01-31T23:59:59." and the digits of the moment */
    struct timespec now;              /* wall clock of this turn */
};

struct fo_log_buffer {
    char *data;
    size_t length;
    size_t offset;
};

struct fo_log {
    int source;
    int destination;      /* the caller's, or -1 */
    int file;             /* open log file, or -1 */
    uint32_t mode;
    int8_t stamp_digits;
    uint8_t whole_lines;
    uint8_t tap;
    uint8_t line_open;    /* the last byte formatted was not a line end */
    uint8_t destination_is_file;
    uint8_t file_line_open; /* the last byte written was not a line end */
    uint16_t label_length;
    char *path;           /* NULL with a destination */
    char *label;
    int64_t max_bytes;
    int64_t max_age;
    int64_t size;         /* of the file */
    int64_t born;         /* wall clock second when the file was begun */
    int64_t rotate_after; /* size at which to try again after a rotation that failed */
    struct fo_log_buffer pending; /* formatted, not yet written */
    struct fo_log_buffer partial; /* raw, the start of a line (whole_lines) */
};

/* Reads the wall clock for this turn and brings the time of its lines up to date. */
void fo_log_stamp(struct fo_log_scratch *scratch);

/* Formats from `in`, as much as fits into the scratch's `out`. Stores how many bytes of `in` it took and adds the line
 * ends to `lines`. Returns the formatted length. */
size_t fo_log_format(struct fo_log *log, struct fo_log_scratch *scratch, const char *in, size_t length, size_t *taken,
                     int64_t *lines);

/* Writes formatted text; what the destination does not take is kept in log->pending and flagged. Returns 0 or -ENOMEM. */
int fo_log_write(struct fo_log *log, const char *text, size_t length, struct fo_log_turn *turn);

/* Tries to write what is pending. Returns 0, with FO_LOG_BLOCKED set if some of it remains. */
int fo_log_flush(struct fo_log *log, struct fo_log_turn *turn);

/* Appends to a buffer. Returns 0 or -ENOMEM, the buffer then as it was. */
int fo_log_keep(struct fo_log_buffer *buffer, const char *data, size_t length);

/* Frees what a buffer holds. */
void fo_log_forget(struct fo_log_buffer *buffer);

/* Opens log->path for appending and learns its size and age. Returns 0 or -errno. */
int fo_log_open_file(struct fo_log *log);

/* Returns 1 if the file must be rotated before `more` bytes are added. */
int fo_log_is_due(const struct fo_log *log, size_t more);

#endif
