/* Starting a process: what the parent does, whichever engine makes the child. */
#include "spawn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void fo_spawn_request_init(struct fo_spawn_request *request) {
    *request = (struct fo_spawn_request){
        .directory_fd = -1,
        .streams = {FO_STREAM_INHERIT, FO_STREAM_INHERIT, FO_STREAM_INHERIT},
        .group_count = -1,
        .user = -1,
        .group = -1,
        .umask = -1,
        .process_group = -1,
        .controlling_tty = -1,
        .cgroup_fd = -1,
    };
}

void fo_spawn_request_plain(struct fo_spawn_request *request, const char *arguments, uint32_t argument_count,
                            const char *candidates, uint32_t candidate_count, const char *environment,
                            uint32_t environment_count, const int32_t streams[3]) {
    fo_spawn_request_init(request);
    request->arguments = arguments;
    request->argument_count = argument_count;
    request->candidates = candidates;
    request->candidate_count = candidate_count;
    request->environment = environment;
    request->environment_count = environment_count;
    memcpy(request->streams, streams, sizeof(request->streams));
    request->flags = FO_SPAWN_RESTORE_SIGNALS;
}

static void init_result(struct fo_spawn_result *result) {
    *result = (struct fo_spawn_result){.pidfd = -1, .pipes = {-1, -1, -1}, .pty = -1};
}

static void init_plan(struct fo_spawn_plan *plan, const struct fo_spawn_request *request) {
    memset(plan, 0, offsetof(struct fo_spawn_plan, space));
    plan->request = request;
    plan->terminal = request->controlling_tty;
    plan->cgroup_procs = -1;
    plan->report_pipe = -1;
    plan->parent = request->death_signal != 0 ? getpid() : 0;
    plan->highest = request->controlling_tty > request->directory_fd ? request->controlling_tty : request->directory_fd;
}

int fo_spawn_start(struct fo_spawn_plan *plan, struct fo_spawn_result *result) {
    bool native = fo_platform_engine() == FO_ENGINE_NATIVE && fo_spawn_can_clone();
    return native ? fo_spawn_clone(plan, result) : fo_spawn_fork(plan, result);
}

/* All that precedes the fork. Returns 0 or -errno with the report made. */
static int make_ready(struct fo_spawn_plan *plan, struct fo_spawn_result *result) {
    int failed = fo_spawn_make_strings(plan);
    if (failed < 0) {
        plan->report.step = failed == -ENOENT ? FO_STEP_EXEC : FO_STEP_PREPARE;
        return failed;
    }
    failed = fo_spawn_open_streams(plan, result);
    if (failed < 0) {
        plan->report.step = FO_STEP_STREAM;
    }
    return failed;
}

int fo_spawn(const struct fo_spawn_request *request, struct fo_spawn_result *result) {
    struct fo_spawn_plan plan;
    init_result(result);
    init_plan(&plan, request);
    int failed = make_ready(&plan, result);
    if (failed == 0) {
        failed = request->death_signal != 0 ? fo_spawn_start_kept(&plan, result) : fo_spawn_start(&plan, result);
    }
    fo_spawn_close_opened(&plan);
    free(plan.block);
    if (failed < 0) {
        fo_spawn_release(result);
        result->step = plan.report.step;
        result->error = -failed;
        result->index = plan.report.index;
    }
    return failed;
}

int fo_spawn_plain(const char *arguments, uint32_t argument_count, const char *candidates, uint32_t candidate_count,
                   const char *environment, uint32_t environment_count, int32_t input, int32_t output, int32_t errors,
                   struct fo_spawn_child *child) {
    struct fo_spawn_request request;
    fo_spawn_request_plain(&request, arguments, argument_count, candidates, candidate_count, environment,
                           environment_count, (const int32_t[]){input, output, errors});
    return fo_spawn_into(&request, child);
}

int fo_spawn_into(const struct fo_spawn_request *request, struct fo_spawn_child *child) {
    child->parent = getpid();
    child->users = 1;
    int failed = fo_spawn(request, &child->spawned);
    return failed < 0 ? failed : child->spawned.pid;
}

const char *fo_spawn_step_name(int step) {
    static const char *const names[] = {
        [FO_STEP_NONE] = "none",           [FO_STEP_PREPARE] = "prepare",   [FO_STEP_STREAM] = "open",
        [FO_STEP_FORK] = "fork",           [FO_STEP_CGROUP] = "cgroup",     [FO_STEP_CLOSE] = "close_range",
        [FO_STEP_SESSION] = "setsid",      [FO_STEP_PROCESS_GROUP] = "setpgid", [FO_STEP_TERMINAL] = "controlling_tty",
        [FO_STEP_DESCRIPTOR] = "dup2",     [FO_STEP_DIRECTORY] = "chdir",   [FO_STEP_NICE] = "setpriority",
        [FO_STEP_AFFINITY] = "sched_setaffinity", [FO_STEP_OOM] = "oom_score_adj", [FO_STEP_LIMIT] = "setrlimit",
        [FO_STEP_SIGNALS] = "sigaction",   [FO_STEP_GROUPS] = "setgroups",  [FO_STEP_GROUP] = "setresgid",
        [FO_STEP_USER] = "setresuid",      [FO_STEP_PRIVILEGES] = "no_new_privs", [FO_STEP_PARENT] = "die_with_parent",
        [FO_STEP_EXEC] = "exec",
    };
    return step >= 0 && step <= FO_STEP_EXEC ? names[step] : "unknown";
}
