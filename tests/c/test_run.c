/* Running processes to their end: one, a pipeline, many; deadlines, limits, stray descendants. */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

#include "check.h"
#include "run.h"
#include "spawn.h"
#include "wait.h"

static struct fo_spawn_request request;

/* A command for `sh -c script`, its output (and with `input` its input) piped. */
static struct fo_run_command shell(const char *script, const char *input) {
    static char arguments[16][256];
    static int next;
    char *place = arguments[next++ % 16];
    int length = snprintf(place, 256, "/bin/sh%c-c%c%s", 0, 0, script) + 1;
    fo_spawn_request_init(&request);
    request.streams[1] = FO_STREAM_PIPE;
    request.streams[0] = input ? FO_STREAM_PIPE : FO_STREAM_NULL;
    return (struct fo_run_command){
        .request = &request,
        .arguments = place,
        .argument_count = 3,
        .arguments_length = (uint32_t)length,
        .input = input,
        .input_length = input ? strlen(input) : 0,
        .timeout_ns = -1,
        .output_limit = -1,
    };
}

static fo_run_group *start_one(const struct fo_run_command *command) {
    fo_run_group *group;
    CHECK_EQ(fo_run_group_new(1, &group), 0);
    CHECK_EQ(fo_run_group_start(group, command), 0);
    return group;
}

TEST(a_group_runs_one_after_the_other) {
    fo_run_group *group;
    CHECK_EQ(fo_run_group_new(1, &group), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(fo_run_group_start_plain(group, "sh\0-c\0cat; exit 5", 3, "/bin/sh", 1, NULL, 0, FO_STREAM_PIPE,
                                          FO_STREAM_PIPE, FO_STREAM_INHERIT, "hello", 5, -1, -1, 0), 0);
        CHECK_EQ(fo_run_group_drive(group), 1);
        const struct fo_run_result *result = fo_run_group_result(group, 0);
        CHECK_EQ(result->code, 5);
        CHECK_EQ(result->output_length, 5);
    }
    CHECK_EQ(fo_run_group_start_plain(group, "/nonexistent", 1, NULL, 0, NULL, 0, -1, -1, -1, NULL, 0, -1, -1, 0), 0);
    CHECK_EQ(fo_run_group_drive(group), 1);
    CHECK_EQ(fo_run_group_result(group, 0)->error, ENOENT);
    fo_run_group_free(group);
}

TEST(output_and_status) {
    struct fo_run_command command = shell("echo hello; exit 3", NULL);
    fo_run_group *group = start_one(&command);
    CHECK_EQ(fo_run_group_drive(group), 1);
    const struct fo_run_result *result = fo_run_group_result(group, 0);
    CHECK_EQ(result->code, 3);
    CHECK_EQ(result->output_length, 6);
    CHECK(memcmp(result->output, "hello\n", 6) == 0);
    CHECK(result->duration_ns > 0);
    fo_run_group_free(group);
}

TEST(input_is_fed) {
    struct fo_run_command command = shell("cat", "through");
    fo_run_group *group = start_one(&command);
    CHECK_EQ(fo_run_group_drive(group), 1);
    CHECK_EQ(fo_run_group_result(group, 0)->output_length, 7);
    fo_run_group_free(group);
}

TEST(missing_program_is_a_result) {
    struct fo_run_command command = shell("", NULL);
    command.arguments = "/nowhere/at/all";
    command.argument_count = 1;
    command.arguments_length = 16;
    fo_run_group *group = start_one(&command);
    CHECK_EQ(fo_run_group_drive(group), 1);
    CHECK_EQ(fo_run_group_result(group, 0)->error, ENOENT);
    CHECK_EQ(fo_run_group_result(group, 0)->step, FO_STEP_EXEC);
    fo_run_group_free(group);
}

TEST(deadline_ends_a_child_whose_grandchild_holds_the_pipe) {
    struct fo_run_command command = shell("echo early; sleep 60 & sleep 60", NULL);
    command.timeout_ns = 100000000;
    fo_run_group *group = start_one(&command);
    CHECK_EQ(fo_run_group_drive(group), 1);
    const struct fo_run_result *result = fo_run_group_result(group, 0);
    CHECK(result->flags & FO_RUN_TIMED_OUT);
    CHECK_EQ(result->code, -SIGKILL);
    CHECK_EQ(result->output_length, 6);
    fo_run_group_free(group);
}

TEST(limit_kills_endless_output) {
    struct fo_run_command command = shell("yes", NULL);
    command.output_limit = 1000;
    command.kill_at_limit = 1;
    fo_run_group *group = start_one(&command);
    CHECK_EQ(fo_run_group_drive(group), 1);
    CHECK(fo_run_group_result(group, 0)->flags & FO_RUN_TRUNCATED);
    CHECK_EQ(fo_run_group_result(group, 0)->output_length, 1000);
    fo_run_group_free(group);
}

TEST(free_kills_what_runs) {
    struct fo_run_command command = shell("sleep 60", NULL);
    fo_run_group *group = start_one(&command);
    fo_run_group_free(group);
    CHECK(waitpid(-1, NULL, 0) < 0 && errno == ECHILD);
}

/* Takes results, however often a signal may have come. */
static int take(fo_run_many *run, struct fo_run_result *results, uint32_t capacity) {
    int got;
    do {
        got = fo_run_many_take(run, results, capacity, -1);
    } while (got == -EINTR);
    return got;
}

/* Runs `count` commands and returns how many of them exited with 0; `seen` gets the bytes of output. */
static int run_all(struct fo_run_command command, uint32_t count, uint32_t jobs, uint64_t *seen) {
    fo_run_many *run;
    struct fo_run_result results[8];
    int succeeded = 0;
    CHECK_EQ(fo_run_many_open(jobs, 2, &run), 0);
    for (uint32_t i = 0; i < count; i++) {
        command.token = i;
        CHECK(fo_run_many_submit(run, &command, 1) > 0);
    }
    for (uint32_t taken = 0; taken < count;) {
        int got = take(run, results, 8);
        CHECK(got > 0);
        for (int i = 0; i < got; i++) {
            succeeded += results[i].error == 0 && results[i].code == 0;
            *seen += results[i].output_length;
        }
        fo_run_release(results, (uint32_t)got);
        taken += (uint32_t)got;
    }
    CHECK_EQ(fo_run_many_take(run, results, 8, 0), 0);
    fo_run_many_free(run);
    CHECK(waitpid(-1, NULL, 0) < 0 && errno == ECHILD);
    return succeeded;
}

TEST(many) {
    uint64_t seen = 0;
    CHECK_EQ(run_all(shell("echo hello", NULL), 200, 8, &seen), 200);
    CHECK_EQ(seen, 1200);
}

TEST(many_with_input_and_deadline) {
    uint64_t seen = 0;
    struct fo_run_command command = shell("cat", "x");
    command.timeout_ns = 60000000000;
    CHECK_EQ(run_all(command, 50, 5, &seen), 50);
    CHECK_EQ(seen, 50);
}

TEST(many_past_their_deadline) {
    uint64_t seen = 0;
    struct fo_run_command command = shell("echo hello; sleep 60 & sleep 60", NULL);
    command.timeout_ns = 200000000;
    CHECK_EQ(run_all(command, 8, 4, &seen), 0);
    CHECK_EQ(seen, 48);
}

TEST(many_on_the_portable_engine) {
    uint64_t seen = 0;
    CHECK_EQ(fo_platform_use(FO_ENGINE_POSIX), 0);
    CHECK_EQ(run_all(shell("cat; echo hello", "in\n"), 100, 8, &seen), 100);
    CHECK_EQ(seen, 900);
    struct fo_run_command command = shell("sleep 60 & sleep 60", NULL);
    command.timeout_ns = 100000000;
    CHECK_EQ(run_all(command, 4, 2, &seen), 0);
}

TEST(few_descriptors_mean_fewer_at_once) {
    uint64_t seen = 0;
    struct rlimit limit = {.rlim_cur = 24, .rlim_max = 24};
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK_EQ(run_all(shell("sleep 0.01; echo hello", NULL), 60, 50, &seen), 60);
    CHECK_EQ(seen, 360);
}

/* Starts at the same time then get in each other's way, and none of them fails for that. */
TEST(descriptors_for_one_mean_one_at_a_time) {
    for (uint32_t jobs = 2; jobs <= 3; jobs++) { /* a thread for each, or not */
        uint64_t seen = 0;
        int next = dup(0);
        close(next);
        int wanted = fo_spawn_can_clone() ? 12 : 14; /* 8 for the run, the rest for a child */
        struct rlimit limit = {.rlim_cur = (rlim_t)(next + wanted), .rlim_max = 1024};
        CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
        CHECK_EQ(run_all(shell("echo hello", NULL), 300, jobs, &seen), 300);
        CHECK_EQ(seen, 1800);
    }
}

/* What the descendants of the jobs hold open does not keep the run from closing. */
static void closes_at_once(uint32_t jobs, int commands) {
    fo_run_many *run;
    struct fo_run_command command = shell("sleep 60 & sleep 60", NULL);
    struct fo_run_result result;
    CHECK_EQ(fo_run_many_open(jobs, 2, &run), 0);
    for (int i = 0; i < commands; i++) {
        CHECK(fo_run_many_submit(run, &command, 1) > 0);
    }
    while (fo_run_many_running(run) < (int)jobs) {
        CHECK_EQ(fo_run_many_take(run, &result, 1, 1000000), 0);
    }
    fo_run_many_free(run);
    CHECK(waitpid(-1, NULL, 0) < 0 && errno == ECHILD);
}

TEST(close_kills_and_reaps) {
    closes_at_once(16, 40);
}

TEST(a_thread_for_each_sees_it_through) {
    uint64_t seen = 0;
    CHECK_EQ(run_all(shell("echo hello", NULL), 100, 2, &seen), 100);
    CHECK_EQ(run_all(shell("cat", "input"), 20, 1, &seen), 20);
    CHECK_EQ(seen, 700);
    struct fo_run_command late = shell("echo hello; sleep 60 & sleep 60", NULL);
    late.timeout_ns = 100000000;
    CHECK_EQ(run_all(late, 4, 2, &seen), 0);
    CHECK_EQ(seen, 724);
}

TEST(a_thread_for_each_on_the_portable_engine) {
    uint64_t seen = 0;
    CHECK_EQ(fo_platform_use(FO_ENGINE_POSIX), 0);
    CHECK_EQ(run_all(shell("cat; echo hello", "in\n"), 40, 2, &seen), 40);
    CHECK_EQ(seen, 360);
}

TEST(close_kills_and_reaps_where_there_is_a_thread_for_each) {
    closes_at_once(2, 6);
}

static void *take_for_ever(void *run) {
    struct fo_run_result result;
    return (void *)(intptr_t)fo_run_many_take(run, &result, 1, -1);
}

/* Closes a run with a thread in fo_run_many_take, and maybe a forked process that has every descriptor of it. */
static void closes_under(uint32_t jobs, bool forked) {
    fo_run_many *run;
    struct fo_run_command command = shell("sleep 60", NULL);
    pthread_t taker;
    void *taken;
    CHECK_EQ(fo_run_many_open(jobs, 2, &run), 0);
    CHECK_EQ(fo_run_many_submit(run, &command, 1), 1);
    while (fo_run_many_running(run) < 1) {
    }
    CHECK_EQ(pthread_create(&taker, NULL, take_for_ever, run), 0);
    int copy = forked ? fork() : 0;
    if (forked && copy == 0) {
        pause();
        _exit(0);
    }
    fo_run_many_close(run);
    pthread_join(taker, &taken);
    CHECK_EQ((intptr_t)taken, -ECANCELED);
    CHECK_EQ(fo_run_many_submit(run, &command, 1), -ECANCELED);
    CHECK_EQ(fo_run_many_stop(run), 0);
    CHECK_EQ(fo_run_many_running(run), 0);
    CHECK_EQ(fo_wait_readable(fo_run_many_fileno(run), 0), 1);
    if (forked) {
        CHECK_EQ(kill(copy, SIGKILL), 0);
        CHECK_EQ(waitpid(copy, NULL, 0), copy);
    }
    fo_run_many_close(run);
    fo_run_many_free(run);
    CHECK(waitpid(-1, NULL, 0) < 0 && errno == ECHILD);
}

TEST(closed_while_another_thread_takes) {
    closes_under(2, false);
    closes_under(9, false);
}

TEST(closed_while_a_forked_process_has_its_descriptors) {
    if (!fo_spawn_can_clone()) {
        return; /* a start by fork waits for the end of a pipe, which the forked process has as well */
    }
    closes_under(2, true);
    closes_under(9, true);
}

TEST(commands_that_are_alike) {
    fo_run_many *run;
    struct fo_run_command model = shell("", NULL);
    struct fo_run_result results[3];
    model.token = 7;
    const char strings[] = "echo\0one\0/nowhere/echo\0/bin/echo\0/bin/echo\0three\0/bin/echo\0x";
    const struct fo_run_shape shapes[] = {{2, 9, 2, 24}, {2, 16, 0, 0}, {2, 12, 0, 0}};
    CHECK_EQ(fo_run_many_open(1, 1, &run), 0);
    CHECK_EQ(fo_run_many_submit_alike(run, &model, strings, shapes, 3), 3);
    for (int taken = 0; taken < 3;) {
        int got = take(run, results + taken, (uint32_t)(3 - taken));
        CHECK(got > 0);
        taken += got;
    }
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(results[i].token, (uint64_t)(7 + i));
        CHECK_EQ(results[i].output_length, i == 0 ? 4 : i == 1 ? 6 : 2);
    }
    fo_run_release(results, 3);
    fo_run_many_free(run);
}

TEST(stop_cancels_what_is_queued) {
    fo_run_many *run;
    struct fo_run_command command = shell("sleep 60", NULL);
    struct fo_run_result results[8];
    CHECK_EQ(fo_run_many_open(1, 1, &run), 0);
    for (int i = 0; i < 5; i++) {
        CHECK(fo_run_many_submit(run, &command, 1) > 0);
    }
    while (fo_run_many_running(run) < 1) {
    }
    fo_run_many_stop(run);
    CHECK_EQ(fo_run_many_take(run, results, 8, -1), 4);
    CHECK_EQ(results[0].error, ECANCELED);
    fo_run_many_free(run);
}

TEST(timers_come_in_order) {
    struct run_timers timers = {0};
    CHECK_EQ(run_timers_grow(&timers, 100), 0);
    for (uint32_t slot = 0; slot < 100; slot++) {
        run_timers_set(&timers, slot, (slot * 37) % 101);
    }
    run_timers_set(&timers, 5, RUN_NEVER);
    CHECK(run_timers_set(&timers, 6, -1));
    CHECK_EQ(run_timers_take(&timers, 0), 6);
    int64_t before = -1;
    for (int i = 0; i < 98; i++) {
        int64_t next = run_timers_next(&timers);
        CHECK(next >= before);
        before = next;
        CHECK(run_timers_take(&timers, RUN_NEVER) >= 0);
    }
    CHECK_EQ(run_timers_take(&timers, RUN_NEVER), -1);
    run_timers_free(&timers);
}

MAIN(RUN(output_and_status), RUN(input_is_fed), RUN(missing_program_is_a_result),
     RUN(deadline_ends_a_child_whose_grandchild_holds_the_pipe), RUN(limit_kills_endless_output),
     RUN(free_kills_what_runs), RUN(many), RUN(many_with_input_and_deadline), RUN(many_past_their_deadline),
     RUN(many_on_the_portable_engine), RUN(few_descriptors_mean_fewer_at_once),
     RUN(descriptors_for_one_mean_one_at_a_time), RUN(close_kills_and_reaps), RUN(stop_cancels_what_is_queued),
     RUN(a_thread_for_each_sees_it_through), RUN(a_thread_for_each_on_the_portable_engine),
     RUN(close_kills_and_reaps_where_there_is_a_thread_for_each), RUN(closed_while_another_thread_takes),
     RUN(closed_while_a_forked_process_has_its_descriptors), RUN(commands_that_are_alike), RUN(timers_come_in_order),
     RUN(a_group_runs_one_after_the_other))
