/* The log pump: reads a service's pipe, formats, writes, a bounded amount a turn.
 *
 * Reading stops while the destination is blocked, so a service that floods fills its own pipe and waits there. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

int fo_log_scratch_new(struct fo_log_scratch **out) {
    struct fo_log_scratch *scratch = malloc(sizeof(*scratch));
    if (scratch == NULL) {
        return -ENOMEM;
    }
    scratch->tap_length = 0;
    scratch->stamp_second = INT64_MIN;
    *out = scratch;
    return 0;
}

void fo_log_scratch_free(struct fo_log_scratch *scratch) {
    free(scratch);
}

static int options_are_valid(const struct fo_log_options *options) {
    int one_way_out = (options->path != NULL) != (options->destination >= 0);
    int digits = options->stamp_digits;
    return one_way_out && (digits == -1 || digits == 3 || digits == 6) &&
           (options->path == NULL || strlen(options->path) + FO_LOG_SUFFIX_SIZE < PATH_MAX) &&
           (options->label == NULL || strlen(options->label) < FO_LOG_LABEL_LIMIT);
}

static int copy_text(const char *text, char **out) {
    *out = text ? strdup(text) : NULL;
    return text && *out == NULL ? -ENOMEM : 0;
}

int fo_log_open(const struct fo_log_options *options, struct fo_log **out) {
    if (!options_are_valid(options)) {
        return -EINVAL;
    }
    struct fo_log *log = calloc(1, sizeof(*log));
    if (log == NULL || copy_text(options->path, &log->path) < 0 || copy_text(options->label, &log->label) < 0) {
        fo_log_close(log);
        return -ENOMEM;
    }
    log->source = options->source;
    log->destination = options->path ? -1 : options->destination;
    log->file = -1;
    log->mode = options->mode;
    log->stamp_digits = (int8_t)options->stamp_digits;
    log->whole_lines = options->whole_lines != 0;
    log->label_length = (uint16_t)(options->label ? strlen(options->label) : 0);
    log->max_bytes = options->max_bytes;
    log->max_age = options->max_age_seconds;
    struct stat status;
    log->destination_is_file = options->destination >= 0 && fstat(options->destination, &status) == 0 &&
                               S_ISREG(status.st_mode);
    *out = log;
    return 0;
}

static void tap(struct fo_log_scratch *scratch, size_t length, struct fo_log_turn *turn) {
    size_t room = sizeof(scratch->tap) - scratch->tap_length;
    size_t kept = length < room ? length : room;
    memcpy(scratch->tap + scratch->tap_length, scratch->out, kept);
    scratch->tap_length += kept;
    turn->text = scratch->tap;
    turn->text_length = (int64_t)scratch->tap_length;
    turn->text_skipped += (int64_t)(length - kept);
}

/* Formats and writes all of `in`. Returns 0 or -ENOMEM. */
static int put(struct fo_log *log, struct fo_log_scratch *scratch, const char *in, size_t length,
               struct fo_log_turn *turn) {
    while (length > 0) {
        size_t taken = 0;
        size_t formatted = fo_log_format(log, scratch, in, length, &taken, &turn->lines);
        if (log->tap) {
            tap(scratch, formatted, turn);
        }
        int result = fo_log_write(log, scratch->out, formatted, turn);
        if (result < 0) {
            return result;
        }
        in += taken;
        length -= taken;
    }
    return 0;
}

/* As put, but the start of a line that has not ended yet stays behind. */
static int put_whole_lines(struct fo_log *log, struct fo_log_scratch *scratch, size_t length,
                           struct fo_log_turn *turn) {
    char *last = memrchr(scratch->in, '\n', length);
    size_t whole = last ? (size_t)(last - scratch->in) + 1 : 0;
    int result = put(log, scratch, scratch->in, whole, turn);
    size_t rest = length - whole;
    if (result < 0 || rest == 0) {
        return result;
    }
    if (rest >= FO_LOG_LINE_LIMIT) {
        result = put(log, scratch, scratch->in + whole, rest, turn);
        return result < 0 ? result : put(log, scratch, "\n", 1, turn);
    }
    return fo_log_keep(&log->partial, scratch->in + whole, rest);
}

/* Formats and writes what was just read behind what was held back. */
static int put_read(struct fo_log *log, struct fo_log_scratch *scratch, size_t length, struct fo_log_turn *turn) {
    if (!log->whole_lines) {
        return put(log, scratch, scratch->in, length, turn);
    }
    fo_log_forget(&log->partial);
    return put_whole_lines(log, scratch, length, turn);
}

static void begin_turn(struct fo_log_scratch *scratch, struct fo_log_turn *turn) {
    memset(turn, 0, offsetof(struct fo_log_turn, rotated) + 1);
    scratch->tap_length = 0;
    fo_log_stamp(scratch);
}

/* One read, formatted and written. Returns the bytes read, 0 at the end or if nothing is there, or -errno. */
static ssize_t move_once(struct fo_log *log, struct fo_log_scratch *scratch, struct fo_log_turn *turn) {
    size_t held = log->partial.length;
    if (held > 0) {
        memcpy(scratch->in, log->partial.data, held);
    }
    ssize_t count;
    do {
        count = read(log->source, scratch->in + held, FO_LOG_READ_SIZE);
    } while (count < 0 && errno == EINTR);
    if (count <= 0) {
        turn->flags |= count == 0 ? FO_LOG_EOF : 0;
        return count == 0 || errno == EAGAIN ? 0 : -errno;
    }
    turn->bytes_read += count;
    int result = put_read(log, scratch, held + (size_t)count, turn);
    return result < 0 ? result : count;
}

int fo_log_pump(struct fo_log *log, struct fo_log_scratch *scratch, int64_t budget, struct fo_log_turn *turn) {
    begin_turn(scratch, turn);
    fo_log_flush(log, turn);
    while (!(turn->flags & FO_LOG_BLOCKED)) {
        if (turn->bytes_read >= budget) {
            turn->flags |= FO_LOG_MORE;
            break;
        }
        ssize_t count = move_once(log, scratch, turn);
        if (count < 0) {
            return (int)count;
        }
        if (count < FO_LOG_READ_SIZE) {
            /* A short read has emptied the pipe; what comes later wakes the poller again. */
            break;
        }
    }
    return 0;
}

int fo_log_finish(struct fo_log *log, struct fo_log_scratch *scratch, struct fo_log_turn *turn) {
    begin_turn(scratch, turn);
    fo_log_flush(log, turn);
    int result = 0;
    if (log->partial.length > 0) {
        size_t held = log->partial.length;
        memcpy(scratch->in, log->partial.data, held);
        fo_log_forget(&log->partial);
        result = put(log, scratch, scratch->in, held, turn);
    }
    if (result == 0 && log->line_open) {
        result = put(log, scratch, "\n", 1, turn);
    }
    return result;
}

int fo_log_reopen(struct fo_log *log) {
    if (log->file >= 0) {
        close(log->file);
        log->file = -1;
    }
    return 0;
}

int fo_log_tap(struct fo_log *log, int on) {
    log->tap = on != 0;
    return 0;
}

int64_t fo_log_pending(const struct fo_log *log) {
    return (int64_t)(log->pending.length - log->pending.offset + log->partial.length);
}

void fo_log_close(struct fo_log *log) {
    if (log == NULL) {
        return;
    }
    fo_log_reopen(log);
    fo_log_forget(&log->pending);
    fo_log_forget(&log->partial);
    free(log->path);
    free(log->label);
    free(log);
}
