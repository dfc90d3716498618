/* Turns raw bytes into log lines: the time and the label before each, nothing else changed.
 *
 * The calendar is worked out once a second, the digits after the second once a turn: a line costs two copies. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "log.h"

enum { SECOND_LENGTH = 20 }; /* "2026-01-31T23:59:59." */

static void stamp_digits(struct fo_log_scratch *scratch) {
    long value = scratch->now.tv_nsec / 1000;
    for (int i = 5; i >= 0; i--) {
        scratch->stamp[SECOND_LENGTH + i] = (char)('0' + value % 10);
        value /= 10;
    }
}

void fo_log_stamp(struct fo_log_scratch *scratch) {
    clock_gettime(CLOCK_REALTIME, &scratch->now);
    if (scratch->now.tv_sec != scratch->stamp_second) {
        struct tm calendar;
        time_t second = scratch->now.tv_sec;
        gmtime_r(&second, &calendar);
        strftime(scratch->stamp, sizeof(scratch->stamp), "%Y-%m-%dT%H:%M:%S.", &calendar);
        scratch->stamp_second = scratch->now.tv_sec;
    }
    stamp_digits(scratch);
}

/* What stands before each line of this log in this turn. Returns its length, at most FO_LOG_STAMP_SIZE + label. */
static size_t line_head(const struct fo_log *log, const struct fo_log_scratch *scratch, char *head) {
    size_t length = 0;
    if (log->stamp_digits > 0) {
        length = SECOND_LENGTH + (size_t)log->stamp_digits;
        memcpy(head, scratch->stamp, length);
        head[length++] = 'Z';
        head[length++] = ' ';
    }
    if (log->label_length > 0) {
        memcpy(head + length, log->label, log->label_length);
        length += log->label_length;
    }
    return length;
}

size_t fo_log_format(struct fo_log *log, struct fo_log_scratch *scratch, const char *in, size_t length, size_t *taken,
                     int64_t *lines) {
    char head[FO_LOG_STAMP_SIZE + FO_LOG_LABEL_LIMIT];
    size_t head_length = line_head(log, scratch, head);
    char *out = scratch->out, *end = scratch->out + sizeof(scratch->out);
    const char *next = in, *stop = in + length;
    while (next < stop && out + head_length < end) {
        if (!log->line_open) {
            memcpy(out, head, head_length);
            out += head_length;
        }
        size_t rest = (size_t)(stop - next), room = (size_t)(end - out);
        const char *newline = memchr(next, '\n', rest < room ? rest : room);
        size_t piece = newline ? (size_t)(newline - next) + 1 : (rest < room ? rest : room);
        memcpy(out, next, piece);
        out += piece;
        next += piece;
        log->line_open = newline == NULL;
        *lines += newline != NULL;
    }
    *taken = (size_t)(next - in);
    return (size_t)(out - scratch->out);
}
