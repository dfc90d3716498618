/* One collected stream: reads into a buffer that exists only once there is something to keep. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run.h"

static bool reserve(struct run_stream *stream, size_t more) {
    size_t needed = stream->length + more;
    if (needed <= stream->capacity) {
        return true;
    }
    size_t capacity = stream->capacity ? stream->capacity : more;
    while (capacity < needed) {
        capacity += capacity;
    }
    char *data = realloc(stream->data, capacity);
    if (data == NULL) {
        return false;
    }
    stream->data = data;
    stream->capacity = capacity;
    return true;
}

/* Returns false if some of it could not be kept. */
static bool keep(struct run_stream *stream, const char *bytes, size_t count, int64_t limit) {
    size_t kept = count;
    if (limit >= 0 && stream->length + count > (uint64_t)limit) {
        kept = (size_t)limit - stream->length;
    }
    if (kept > 0) {
        if (!reserve(stream, kept)) {
            return false;
        }
        memcpy(stream->data + stream->length, bytes, kept);
        stream->length += kept;
    }
    return kept == count;
}

enum run_read run_stream_read(struct run_stream *stream, int64_t limit, char *scratch) {
    ssize_t count = read(stream->fd, scratch, RUN_SCRATCH);
    if (count > 0) {
        return keep(stream, scratch, (size_t)count, limit) ? RUN_READ_MORE : RUN_READ_OVER;
    }
    if (count < 0 && errno == EINTR) {
        return RUN_READ_INTERRUPTED;
    }
    return count < 0 && errno == EAGAIN ? RUN_READ_MORE : RUN_READ_END;
}

bool run_stream_drain(struct run_stream *stream, int64_t limit, char *scratch) {
    bool dropped = false;
    /* One pipe's worth and a little: a grandchild that goes on writing must not keep us here. */
    for (int round = 0; stream->fd >= 0 && round < 32; round++) {
        struct pollfd ready = {.fd = stream->fd, .events = POLLIN};
        if (poll(&ready, 1, 0) <= 0 || !(ready.revents & POLLIN)) {
            break;
        }
        enum run_read how = run_stream_read(stream, limit, scratch);
        dropped |= how == RUN_READ_OVER;
        if (how == RUN_READ_END) {
            break;
        }
    }
    return dropped;
}

void run_stream_close(struct run_stream *stream) {
    if (stream->fd >= 0) {
        close(stream->fd);
        stream->fd = -1;
    }
}
