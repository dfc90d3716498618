/* Drives one process, or the processes of one pipeline, in the caller's thread. */
#include <errno.h>
#include <stdlib.h>

#include "run.h"
#include "spawn.h"

struct fo_run_group {
    uint32_t capacity;
    uint32_t count;
    char *scratch;
    struct pollfd *ready; /* RUN_WAITED a child */
    struct fo_spawn_request request; /* of a process that is run at once */
    struct run_child children[];
};

int fo_run_group_new(uint32_t count, fo_run_group **group) {
    struct fo_run_group *made = calloc(1, sizeof *made + count * sizeof made->children[0]);
    if (made == NULL) {
        return -ENOMEM;
    }
    made->capacity = count;
    made->scratch = malloc(RUN_SCRATCH);
    made->ready = calloc(count, RUN_WAITED * sizeof *made->ready);
    *group = made;
    if (made->scratch == NULL || made->ready == NULL) {
        fo_run_group_free(made);
        return -ENOMEM;
    }
    return 0;
}

int fo_run_group_start(fo_run_group *group, const struct fo_run_command *command) {
    if (group->count == group->capacity) {
        return -EINVAL;
    }
    struct run_child *child = &group->children[group->count++];
    child->command = *command;
    if (run_child_start(child, -1, NULL) && child->streams[RUN_STDIN].fd >= 0) {
        run_child_feed(child);
    }
    return 0;
}

int fo_run_group_error(const fo_run_group *group, uint32_t index) {
    return index < group->count ? group->children[index].result.error : 0;
}

static bool finished(const struct run_child *child) {
    return !child->alive && child->started == 0;
}

/* `started` of zero marks a child whose result is complete. */
static void complete(struct fo_run_group *group, struct run_child *child) {
    if (child->result.error == 0) {
        run_child_finish(child, group->scratch);
    }
    child->started = 0;
}

/* Sets down what to poll for. Returns the time at which to wake up. */
static int64_t gather(struct fo_run_group *group) {
    int64_t until = RUN_NEVER;
    for (uint32_t i = 0; i < group->count; i++) {
        struct pollfd *ready = &group->ready[RUN_WAITED * i];
        if (finished(&group->children[i])) {
            run_drive_nothing(ready);
            continue;
        }
        int64_t when = run_drive_prepare(&group->children[i], ready);
        until = when < until ? when : until;
    }
    return until;
}

static bool all_finished(struct fo_run_group *group) {
    for (uint32_t i = 0; i < group->count; i++) {
        if (group->children[i].result.error != 0 && !finished(&group->children[i])) {
            complete(group, &group->children[i]);
        }
        if (!finished(&group->children[i])) {
            return false;
        }
    }
    return true;
}

/* The usual case, in as few system calls as there are: one stream at most, no deadline. Returns 1 or -EINTR. */
static int drive_simply(struct fo_run_group *group, struct run_child *child) {
    enum run_kind kind = child->streams[RUN_STDOUT].fd >= 0 ? RUN_STDOUT : RUN_STDERR;
    while (child->streams[kind].fd >= 0 && !child->killed) {
        if (!run_child_read(child, kind, group->scratch)) {
            return -EINTR;
        }
    }
    int ended = run_child_reap(child, -1);
    if (ended == 1) {
        complete(group, child);
    }
    return ended;
}

static bool simple(const struct fo_run_group *group) {
    const struct run_child *child = &group->children[0];
    return group->count == 1 && child->alive && !child->killed && child->deadline == RUN_NEVER &&
           child->streams[RUN_STDIN].fd < 0 && (child->streams[RUN_STDOUT].fd < 0 || child->streams[RUN_STDERR].fd < 0);
}

int fo_run_group_drive(fo_run_group *group) {
    while (!all_finished(group)) {
        if (simple(group)) { /* from the start, or since other streams have ended */
            return drive_simply(group, &group->children[0]);
        }
        int failed = run_drive_wait(group->ready, RUN_WAITED * group->count, gather(group));
        if (failed == -EINTR) {
            return -EINTR;
        }
        for (uint32_t i = 0; i < group->count; i++) {
            struct run_child *child = &group->children[i];
            if (!finished(child) && run_drive_advance(child, &group->ready[RUN_WAITED * i], group->scratch)) {
                complete(group, child);
            }
        }
    }
    return 1;
}

static void release_results(fo_run_group *group) {
    for (uint32_t i = 0; i < group->count; i++) {
        fo_run_release(&group->children[i].result, 1);
    }
    group->count = 0;
}

int fo_run_group_start_plain(fo_run_group *group, const char *arguments, uint32_t argument_count,
                             const char *candidates, uint32_t candidate_count, const char *environment,
                             uint32_t environment_count, int32_t standard_input, int32_t standard_output,
                             int32_t standard_error, const char *input, uint64_t input_length, int64_t timeout_ns,
                             int64_t output_limit, uint32_t flags) {
    release_results(group);
    fo_spawn_request_plain(&group->request, arguments, argument_count, candidates, candidate_count, environment,
                           environment_count, (const int32_t[]){standard_input, standard_output, standard_error});
    const struct fo_run_command command = {
        .request = &group->request,
        .input = input,
        .input_length = input_length,
        .timeout_ns = timeout_ns,
        .output_limit = output_limit,
        .kill_at_limit = (flags & FO_RUN_ONCE_KILL_AT_LIMIT) != 0,
        .kill_child_only = (flags & FO_RUN_ONCE_KILL_CHILD_ONLY) != 0,
    };
    return fo_run_group_start(group, &command);
}

int fo_run_group_kill(fo_run_group *group) {
    for (uint32_t i = 0; i < group->count; i++) {
        if (!finished(&group->children[i]) && group->children[i].result.error == 0) {
            run_child_kill(&group->children[i], FO_RUN_CANCELLED);
            run_child_reap(&group->children[i], 0); /* sets the first probe where there is no pidfd */
        }
    }
    return 0;
}

int fo_run_group_linger(fo_run_group *group, int64_t timeout_ns) {
    int64_t until = fo_clock_now() + timeout_ns;
    for (uint32_t i = 0; i < group->count; i++) {
        int64_t left = until - fo_clock_now();
        if (run_child_reap(&group->children[i], left > 0 ? left : 0) != 1) {
            return 0;
        }
    }
    return 1;
}

const struct fo_run_result *fo_run_group_result(const fo_run_group *group, uint32_t index) {
    return index < group->count && finished(&group->children[index]) ? &group->children[index].result : NULL;
}

void fo_run_group_free(fo_run_group *group) {
    if (group == NULL) {
        return;
    }
    fo_run_group_kill(group);
    while (group->scratch != NULL && fo_run_group_drive(group) == -EINTR) {
    }
    release_results(group);
    free(group->scratch);
    free(group->ready);
    free(group);
}
