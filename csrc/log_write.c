/* Where log lines go: a file, or a descriptor that may be slow (a terminal, a pipe), which must not make us wait. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

int fo_log_keep(struct fo_log_buffer *buffer, const char *data, size_t length) {
    char *grown = realloc(buffer->data, buffer->length + length);
    if (grown == NULL && length > 0) {
        return -ENOMEM;
    }
    memcpy(grown + buffer->length, data, length);
    buffer->data = grown;
    buffer->length += length;
    return 0;
}

void fo_log_forget(struct fo_log_buffer *buffer) {
    free(buffer->data);
    *buffer = (struct fo_log_buffer){0};
}

/* One write that cannot block: a pipe or terminal that polls writable takes PIPE_BUF bytes at once.
 * Returns the bytes taken or -errno, -EAGAIN if it would block. */
static ssize_t write_some(int fd, int is_file, const char *text, size_t length) {
    if (!is_file) {
        struct pollfd ready = {.fd = fd, .events = POLLOUT};
        int count = poll(&ready, 1, 0);
        if (count == 0 || (count < 0 && errno == EINTR)) {
            return -EAGAIN;
        }
        length = length < PIPE_BUF ? length : PIPE_BUF;
    }
    ssize_t written;
    do {
        written = write(fd, text, length);
    } while (written < 0 && errno == EINTR);
    return written < 0 ? -errno : written;
}

/* Writes until all is written or the destination refuses. Returns the bytes taken; the errno goes to the turn. */
static size_t write_all(struct fo_log *log, const char *text, size_t length, struct fo_log_turn *turn) {
    int fd = log->path ? log->file : log->destination;
    size_t done = 0;
    while (done < length) {
        ssize_t written = write_some(fd, log->destination_is_file, text + done, length - done);
        if (written == -EPIPE && log->path == NULL) {
            /* Nobody will ever read it (a named pipe's next reader may come): dropping is all that is left, and it is counted. */
            turn->bytes_lost += (int64_t)(length - done);
            turn->error = EPIPE;
            return length;
        }
        if (written < 0) {
            turn->error = written == -EAGAIN ? turn->error : (int32_t)-written;
            break;
        }
        done += (size_t)written;
        log->size += written;
        turn->bytes_written += written;
    }
    return done;
}

static size_t first_line(const char *text, size_t length) {
    const char *end = memchr(text, '\n', length);
    return end ? (size_t)(end - text) + 1 : length;
}

static int fits(const struct fo_log *log, size_t length) {
    return log->max_bytes <= 0 || log->path == NULL || !log->destination_is_file || log->size < log->rotate_after ||
           log->size + (int64_t)length <= log->max_bytes;
}

/* How much of the text still goes into this file: up to the last line end within the limit, or to the end of the line
 * that is open. 0: rotate first. */
static size_t share_of_file(const struct fo_log *log, const char *text, size_t length) {
    if (fits(log, length)) {
        return length;
    }
    int64_t room = log->max_bytes - log->size;
    const char *last = room > 0 ? memrchr(text, '\n', (size_t)room < length ? (size_t)room : length) : NULL;
    if (last != NULL) {
        return (size_t)(last - text) + 1;
    }
    /* A line longer than the limit goes into a file of its own. */
    return log->file_line_open || log->size == 0 ? first_line(text, length) : 0;
}

/* Opens or rotates the file as is due. Returns how much of the text goes into it, or -errno. */
static ssize_t prepare(struct fo_log *log, const char *text, size_t length, struct fo_log_turn *turn) {
    if (log->path && log->file < 0) {
        int result = fo_log_open_file(log);
        if (result < 0) {
            turn->error = -result;
            return result;
        }
    }
    size_t share = share_of_file(log, text, length);
    if (!log->file_line_open && (share == 0 || fo_log_is_due(log, share))) {
        fo_log_rotate(log, turn);
        share = share_of_file(log, text, length);
    }
    return (ssize_t)(share > 0 ? share : length);
}

/* Writes as much as the destination takes. A file is rotated between lines only. Returns the bytes dealt with. */
static size_t deliver(struct fo_log *log, const char *text, size_t length, struct fo_log_turn *turn) {
    size_t done = 0;
    while (done < length) {
        ssize_t share = prepare(log, text + done, length - done, turn);
        if (share < 0) {
            break;
        }
        size_t written = write_all(log, text + done, (size_t)share, turn);
        done += written;
        if (written > 0) {
            log->file_line_open = text[done - 1] != '\n';
        }
        if (written < (size_t)share) {
            break;
        }
    }
    return done;
}

int fo_log_write(struct fo_log *log, const char *text, size_t length, struct fo_log_turn *turn) {
    size_t done = log->pending.length ? 0 : deliver(log, text, length, turn);
    if (done == length) {
        return 0;
    }
    turn->flags |= FO_LOG_BLOCKED;
    return fo_log_keep(&log->pending, text + done, length - done);
}

int fo_log_flush(struct fo_log *log, struct fo_log_turn *turn) {
    struct fo_log_buffer *pending = &log->pending;
    if (pending->length == 0) {
        return 0;
    }
    pending->offset += deliver(log, pending->data + pending->offset, pending->length - pending->offset, turn);
    if (pending->offset < pending->length) {
        turn->flags |= FO_LOG_BLOCKED;
    } else {
        fo_log_forget(pending);
    }
    return 0;
}
