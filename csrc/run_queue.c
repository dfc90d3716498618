/* The two rings of fo_run_many: commands on their way in, results on their way out. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run.h"
#include "spawn.h"

/* Moves a ring to a larger place, unrolled. Returns the new items or NULL. */
static void *unroll(void *items, size_t size, uint32_t first, uint32_t count, uint32_t old, uint32_t capacity) {
    char *made = calloc(capacity, size);
    if (made != NULL && count > 0) {
        uint32_t until_end = old - first < count ? old - first : count;
        memcpy(made, (char *)items + first * size, until_end * size);
        memcpy(made + until_end * size, items, (count - until_end) * size);
    }
    if (made != NULL) {
        free(items);
    }
    return made;
}

static uint32_t rounded(uint32_t capacity) {
    uint32_t power = 16;
    while (power < capacity) {
        power *= 2;
    }
    return power;
}

int run_queue_reserve(struct run_queue *queue, uint32_t capacity) {
    if (capacity <= queue->capacity) {
        return 0;
    }
    capacity = rounded(capacity);
    void *items = unroll(queue->items, sizeof *queue->items, queue->first, queue->count, queue->capacity, capacity);
    if (items == NULL) {
        return -ENOMEM;
    }
    queue->items = items;
    queue->first = 0;
    queue->capacity = capacity;
    return 0;
}

int run_done_reserve(struct run_done *done, uint32_t capacity) {
    if (capacity <= done->capacity) {
        return 0;
    }
    capacity = rounded(capacity);
    void *items = unroll(done->items, sizeof *done->items, done->first, done->count, done->capacity, capacity);
    if (items == NULL) {
        return -ENOMEM;
    }
    done->items = items;
    done->first = 0;
    done->capacity = capacity;
    return 0;
}

int run_queued_make(struct run_queued *queued, const struct fo_run_command *command) {
    queued->command = *command;
    queued->copy = NULL;
    if (command->arguments == NULL) {
        return 0;
    }
    size_t arguments = command->arguments_length, candidates = command->candidates ? command->candidates_length : 0;
    char *copy = malloc(arguments + candidates + 1);
    if (copy == NULL) {
        return -ENOMEM;
    }
    memcpy(copy, command->arguments, arguments);
    queued->command.arguments = queued->copy = copy;
    if (command->candidates != NULL) {
        memcpy(copy + arguments, command->candidates, candidates);
        queued->command.candidates = copy + arguments;
    }
    return 0;
}

void run_queue_push(struct run_queue *queue, struct run_queued queued) {
    queue->items[(queue->first + queue->count++) % queue->capacity] = queued;
}

void run_queue_return(struct run_queue *queue, struct run_queued queued) {
    queue->first = (queue->first + queue->capacity - 1) % queue->capacity;
    queue->items[queue->first] = queued;
    queue->count++;
}

struct run_queued run_queue_pop(struct run_queue *queue) {
    struct run_queued queued = queue->items[queue->first];
    queue->first = (queue->first + 1) % queue->capacity;
    queue->count--;
    return queued;
}

int run_pipe_open(int ends[2]) {
    if (pipe(ends) < 0) {
        ends[0] = ends[1] = -1;
        return -errno;
    }
    for (int i = 0; i < 2; i++) {
        ends[i] = fo_spawn_above_streams(ends[i]);
        fcntl(ends[i], F_SETFD, FD_CLOEXEC);
        fcntl(ends[i], F_SETFL, O_NONBLOCK);
    }
    return 0;
}

void run_pipe_close(int ends[2]) {
    for (int i = 0; i < 2; i++) {
        if (ends[i] >= 0) {
            close(ends[i]);
        }
    }
}

void run_pipe_tell(const int ends[2]) {
    while (write(ends[1], "", 1) < 0 && errno == EINTR) {
    }
}

void run_done_close(struct run_done *done) {
    for (; done->count > 0; done->count--) {
        fo_run_release(&done->items[done->first], 1);
        done->first = (done->first + 1) % done->capacity;
    }
    run_pipe_close(done->ready);
    free(done->items);
}

void run_done_push(struct run_done *done, const struct fo_run_result *result) {
    done->items[(done->first + done->count++) % done->capacity] = *result;
    if (done->count == 1) {
        run_pipe_tell(done->ready);
    }
}

uint32_t run_done_take(struct run_done *done, struct fo_run_result *results, uint32_t capacity) {
    uint32_t taken = 0;
    char byte;
    for (; taken < capacity && done->count > 0; taken++, done->count--) {
        results[taken] = done->items[done->first];
        done->first = (done->first + 1) % done->capacity;
    }
    if (taken > 0 && done->count == 0) {
        while (read(done->ready[0], &byte, 1) < 0 && errno == EINTR) {
        }
    }
    return taken;
}

int run_done_wait(const struct run_done *done, int64_t until) {
    struct pollfd ready = {.fd = done->ready[0], .events = POLLIN};
    int timeout = -1;
    if (until != RUN_NEVER) {
        int64_t left = (until - fo_clock_now() + 999999) / 1000000;
        timeout = left <= 0 ? 0 : left < 3600000 ? (int)left : 3600000;
    }
    int count = poll(&ready, 1, timeout);
    return count < 0 ? -errno : count;
}
