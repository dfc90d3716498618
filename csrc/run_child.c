/* One child on its way: spawned, fed, read, killed, reaped. Whoever drives it (run_group.c, run_many.c) decides when. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "run.h"
#include "spawn.h"

enum { FIRST_PAUSE_NS = 500000, LONGEST_PAUSE_NS = 32000000 };

static struct fo_spawn_request make_request(const struct fo_run_command *command, int null, const sigset_t *mask) {
    struct fo_spawn_request request = *command->request;
    if (command->arguments != NULL) {
        request.arguments = command->arguments;
        request.argument_count = command->argument_count;
        request.candidates = command->candidates;
        request.candidate_count = command->candidate_count;
    }
    for (int stream = 0; null >= 0 && stream < 3; stream++) {
        request.streams[stream] = request.streams[stream] == FO_STREAM_NULL ? null : request.streams[stream];
    }
    if (mask != NULL) {
        fo_spawn_request_mask(&request, mask);
    }
    return request;
}

static void adopt(struct run_child *child, const struct fo_spawn_result *spawned) {
    child->result.pid = spawned->pid;
    child->pidfd = spawned->pidfd;
    child->alive = true;
    for (int i = 0; i < 3; i++) {
        child->streams[i].fd = spawned->pipes[i];
    }
    if (child->streams[RUN_STDIN].fd >= 0) {
        int fd = child->streams[RUN_STDIN].fd;
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    }
}

bool run_child_start(struct run_child *child, int null, const sigset_t *mask) {
    struct fo_spawn_request request = make_request(&child->command, null, mask);
    struct fo_spawn_result spawned;
    child->result = (struct fo_run_result){.token = child->command.token};
    child->streams[0] = child->streams[1] = child->streams[2] = (struct run_stream){.fd = -1};
    child->fed = 0;
    child->pidfd = -1;
    child->alive = child->killed = child->exit_armed = false;
    child->deadline = RUN_NEVER;
    child->pause = FIRST_PAUSE_NS;
    child->started = fo_clock_now();
    int failed = fo_spawn(&request, &spawned);
    if (failed < 0) {
        child->result.error = -failed;
        child->result.step = spawned.step;
        child->result.index = spawned.index;
        return false;
    }
    if (child->command.timeout_ns >= 0 && child->command.timeout_ns < RUN_NEVER - child->started) {
        child->deadline = child->started + child->command.timeout_ns;
    }
    adopt(child, &spawned);
    child->probe = child->pidfd < 0 ? child->started : RUN_NEVER;
    return true;
}

bool run_child_feed(struct run_child *child) {
    struct run_stream *stream = &child->streams[RUN_STDIN];
    const struct fo_run_command *command = &child->command;
    while (child->fed < command->input_length) {
        ssize_t count = write(stream->fd, command->input + child->fed, command->input_length - child->fed);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0 && errno == EAGAIN) {
            return false;
        }
        if (count < 0) {
            break; /* EPIPE: it does not want to read all, which is its right */
        }
        child->fed += (uint64_t)count;
    }
    run_stream_close(stream);
    return true;
}

bool run_child_read(struct run_child *child, enum run_kind kind, char *scratch) {
    struct run_stream *stream = &child->streams[kind];
    enum run_read how = run_stream_read(stream, child->command.output_limit, scratch);
    if (how == RUN_READ_OVER) {
        child->result.flags |= FO_RUN_TRUNCATED;
        if (child->command.kill_at_limit) {
            run_child_kill(child, 0);
        }
    } else if (how == RUN_READ_END) {
        run_stream_close(stream);
    }
    return how != RUN_READ_INTERRUPTED;
}

bool run_child_busy(const struct run_child *child) {
    return child->streams[0].fd >= 0 || child->streams[1].fd >= 0 || child->streams[2].fd >= 0;
}

bool run_child_ending(const struct run_child *child) {
    return child->killed || !run_child_busy(child);
}

static void take_status(struct run_child *child, const struct fo_wait_result *waited) {
    struct fo_run_result *result = &child->result;
    result->code = waited->signal > 0 ? -waited->signal : waited->code;
    result->usage = waited->usage;
    result->flags |= waited->core_dumped ? FO_RUN_CORE : 0;
    if (waited->state == FO_WAIT_LOST) {
        result->code = 0;
        result->flags |= FO_RUN_LOST;
    }
    child->alive = false;
}

int run_child_reap(struct run_child *child, int64_t timeout_ns) {
    struct fo_wait_result waited = {0};
    if (!child->alive) {
        return 1;
    }
    int ended = fo_wait_process(child->result.pid, child->pidfd, timeout_ns, &waited);
    if (ended == 0 || ended == -EINTR) {
        child->probe = child->pidfd < 0 ? fo_clock_now() + child->pause : RUN_NEVER;
        child->pause = child->pause * 2 < LONGEST_PAUSE_NS ? child->pause * 2 : LONGEST_PAUSE_NS;
        return ended;
    }
    if (ended < 0) {
        waited.state = FO_WAIT_LOST; /* a status that cannot be asked for is one that nobody will get */
    }
    take_status(child, &waited);
    return 1;
}

void run_child_kill(struct run_child *child, uint32_t flag) {
    child->result.flags |= flag;
    child->killed = true;
    child->deadline = RUN_NEVER;
    if (!child->alive) {
        return;
    }
    if (child->command.kill_child_only) {
        fo_wait_signal(child->result.pid, child->pidfd, SIGKILL);
    } else {
        child->result.survivors += run_tree_kill(child->result.pid, child->pidfd);
    }
}

static void hand_over(struct run_stream *stream, char **data, uint64_t *length) {
    *data = stream->data;
    *length = stream->length;
    stream->data = NULL;
    stream->length = stream->capacity = 0;
}

void run_child_finish(struct run_child *child, char *scratch) {
    for (int i = RUN_STDOUT; i <= RUN_STDERR; i++) {
        if (run_stream_drain(&child->streams[i], child->command.output_limit, scratch)) {
            child->result.flags |= FO_RUN_TRUNCATED;
        }
        run_stream_close(&child->streams[i]);
    }
    run_stream_close(&child->streams[RUN_STDIN]);
    if (child->pidfd >= 0) {
        close(child->pidfd);
        child->pidfd = -1;
    }
    hand_over(&child->streams[RUN_STDOUT], &child->result.output, &child->result.output_length);
    hand_over(&child->streams[RUN_STDERR], &child->result.errors, &child->result.errors_length);
    child->result.duration_ns = fo_clock_now() - child->started;
}

void fo_run_release(struct fo_run_result *results, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        free(results[i].output);
        free(results[i].errors);
        results[i].output = results[i].errors = NULL;
    }
}
