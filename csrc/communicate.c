/* Feeding a process and reading what it writes, at once. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#include "api.h"
#include "clock.h"

enum { READ_MIN = 32 * 1024 };

/* Milliseconds for poll, rounded up: a timeout never ends early, and less than one never becomes a busy loop. */
static int poll_timeout(int64_t deadline_ns) {
    if (deadline_ns < 0) {
        return -1;
    }
    int64_t left = deadline_ns - fo_clock_now();
    if (left <= 0) {
        return 0;
    }
    int64_t milliseconds = (left + 999999) / 1000000;
    return milliseconds > INT_MAX ? INT_MAX : (int)milliseconds;
}

/* Makes room for at least READ_MIN bytes. Returns 0 or -ENOMEM. */
static int reserve(struct fo_communication *talk, int stream) {
    uint64_t needed = talk->lengths[stream] + READ_MIN;
    if (needed <= talk->capacities[stream]) {
        return 0;
    }
    uint64_t capacity = talk->capacities[stream] * 2 > needed ? talk->capacities[stream] * 2 : needed;
    char *larger = realloc(talk->outputs[stream], capacity);
    if (!larger) {
        return -ENOMEM;
    }
    talk->outputs[stream] = larger;
    talk->capacities[stream] = capacity;
    return 0;
}

/* One read: poll said that it does not block. */
static int take_output(struct fo_communication *talk, int stream) {
    int result = reserve(talk, stream);
    if (result < 0) {
        return result;
    }
    ssize_t length = read(talk->output_fds[stream], talk->outputs[stream] + talk->lengths[stream],
                          talk->capacities[stream] - talk->lengths[stream]);
    if (length < 0) {
        return errno == EINTR || errno == EAGAIN ? 0 : -errno;
    }
    talk->lengths[stream] += (uint64_t)length;
    if (length == 0) {
        talk->output_fds[stream] = -1;
    }
    return 0;
}

/* One write of at most PIPE_BUF bytes, which does not block when poll says that the pipe is writable. */
static int give_input(struct fo_communication *talk) {
    uint64_t left = talk->input_length - talk->input_offset;
    ssize_t length = write(talk->input_fd, talk->input + talk->input_offset, left < PIPE_BUF ? left : PIPE_BUF);
    if (length < 0 && errno == EPIPE) {
        talk->input_fd = -1;
        return 0;
    }
    if (length < 0) {
        return errno == EINTR || errno == EAGAIN ? 0 : -errno;
    }
    talk->input_offset += (uint64_t)length;
    if (talk->input_offset == talk->input_length) {
        talk->input_fd = -1;
    }
    return 0;
}

static int exchange(struct fo_communication *talk, const struct pollfd *ready) {
    int result = 0;
    if (ready[0].revents) {
        result = give_input(talk);
    }
    for (int stream = 0; stream < 2 && result == 0; stream++) {
        if (ready[stream + 1].revents) {
            result = take_output(talk, stream);
        }
    }
    return result;
}

static int communicate(struct fo_communication *talk, int64_t deadline_ns) {
    while (talk->input_fd >= 0 || talk->output_fds[0] >= 0 || talk->output_fds[1] >= 0) {
        struct pollfd waiting[3] = {
            {.fd = talk->input_fd, .events = POLLOUT},
            {.fd = talk->output_fds[0], .events = POLLIN},
            {.fd = talk->output_fds[1], .events = POLLIN},
        };
        int ready = poll(waiting, 3, poll_timeout(deadline_ns));
        if (ready < 0) {
            return -errno;
        }
        if (ready == 0) {
            return FO_COMMUNICATE_TIME;
        }
        int result = exchange(talk, waiting);
        if (result < 0) {
            return result;
        }
        if (waiting[0].fd >= 0 && talk->input_fd < 0) {
            return FO_COMMUNICATE_FED;
        }
    }
    return FO_COMMUNICATE_DONE;
}

int fo_communicate(struct fo_communication *talk, int64_t timeout_ns) {
    if (talk->input_fd >= 0 && talk->input_offset == talk->input_length) {
        talk->input_fd = -1;
        return FO_COMMUNICATE_FED;
    }
    int64_t deadline_ns = timeout_ns < 0 ? -1 : fo_clock_now() + timeout_ns;
    return communicate(talk, deadline_ns);
}

void fo_communicate_free(struct fo_communication *talk) {
    for (int stream = 0; stream < 2; stream++) {
        free(talk->outputs[stream]);
        talk->outputs[stream] = NULL;
        talk->lengths[stream] = talk->capacities[stream] = 0;
    }
}
