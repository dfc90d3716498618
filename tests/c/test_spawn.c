#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "api.h"
#include "check.h"
#include "spawned.h"

static void engine(int which) {
    CHECK_EQ(fo_platform_use(which), 0);
}

/* A request for a shell command. */
static void shell(struct fo_spawn_request *request, const char *words, uint32_t count) {
    ask_for(request, words, count, "/bin/sh");
}

static struct fo_wait_result wait_for(const struct fo_spawn_result *child) {
    struct fo_wait_result ended = {0};
    CHECK_EQ(fo_wait_process(child->pid, child->pidfd, -1, &ended), 1);
    if (child->pidfd >= 0) {
        close(child->pidfd);
    }
    return ended;
}

static void nothing_left(int descriptors) {
    CHECK_EQ(open_descriptors(), descriptors);
    CHECK_EQ(waitpid(-1, NULL, WNOHANG), -1);
    CHECK_EQ(errno, ECHILD);
}

static void exit_code_comes_back(void) {
    struct fo_spawn_request request;
    struct fo_spawn_result child;
    int before = open_descriptors();
    shell(&request, "sh\0-c\0exit 7", 3);
    CHECK_EQ(fo_spawn(&request, &child), 0);
    CHECK(child.pid > 0);
    struct fo_wait_result ended = wait_for(&child);
    CHECK_EQ(ended.state, FO_WAIT_ENDED);
    CHECK_EQ(ended.code, 7);
    CHECK(ended.usage.max_rss > 0);
    nothing_left(before);
}

TEST(native_exit_code) {
    exit_code_comes_back();
}

TEST(posix_exit_code) {
    engine(FO_ENGINE_POSIX);
    exit_code_comes_back();
}

static void pipes_carry(void) {
    struct fo_spawn_request request;
    struct fo_spawn_result child;
    int before = open_descriptors();
    shell(&request, "sh\0-c\0cat; echo err >&2", 3);
    request.streams[0] = request.streams[1] = FO_STREAM_PIPE;
    request.streams[2] = FO_STREAM_STDOUT;
    CHECK_EQ(fo_spawn(&request, &child), 0);
    CHECK_EQ(write(child.pipes[0], "in\n", 3), 3);
    close(child.pipes[0]);
    char text[16] = "";
    int length = 0;
    for (ssize_t got; (got = read(child.pipes[1], text + length, sizeof(text) - 1 - (size_t)length)) > 0;) {
        length += (int)got;
    }
    CHECK(strcmp(text, "in\nerr\n") == 0);
    close(child.pipes[1]);
    CHECK_EQ(wait_for(&child).code, 0);
    nothing_left(before);
}

TEST(native_pipes) {
    pipes_carry();
}

TEST(posix_pipes) {
    engine(FO_ENGINE_POSIX);
    pipes_carry();
}

static void failing(const struct fo_spawn_request *request, int step, int error, int index) {
    struct fo_spawn_result child;
    int before = open_descriptors();
    CHECK_EQ(fo_spawn(request, &child), -error);
    CHECK_EQ(child.step, step);
    CHECK_EQ(child.error, error);
    CHECK_EQ(child.index, index);
    CHECK_EQ(child.pid, 0);
    nothing_left(before);
}

static void every_step_fails(void) {
    struct fo_spawn_request request;
    shell(&request, "sh\0-c\0:", 3);
    request.candidates = "/nonexistent/program";
    request.streams[1] = FO_STREAM_PIPE;
    failing(&request, FO_STEP_EXEC, ENOENT, 0);
    request.candidates = "/nonexistent/program\0/etc/passwd\0/nonexistent/other";
    request.candidate_count = 3;
    failing(&request, FO_STEP_EXEC, EACCES, 1);

    shell(&request, "sh\0-c\0:", 3);
    request.directory = "/nonexistent";
    failing(&request, FO_STEP_DIRECTORY, ENOENT, 0);

    shell(&request, "sh\0-c\0:", 3);
    struct fo_spawn_descriptor descriptor = {.source = 250, .target = 9};
    request.descriptors = &descriptor;
    request.descriptor_count = 1;
    failing(&request, FO_STEP_DESCRIPTOR, EBADF, 9);

    shell(&request, "sh\0-c\0:", 3);
    struct fo_spawn_limit limits[2] = {{.resource = 4, .soft = 0, .hard = UINT64_MAX}, {.resource = 999}};
    request.limits = limits;
    request.limit_count = 2;
    failing(&request, FO_STEP_LIMIT, EINVAL, 999);

    shell(&request, "sh\0-c\0:", 3);
    request.streams[1] = 250;
    failing(&request, FO_STEP_DESCRIPTOR, EBADF, 1);
    request.streams[1] = -9;
    failing(&request, FO_STEP_STREAM, EINVAL, 1);

    shell(&request, "sh\0-c\0:", 3);
    request.process_group = 0x7ffffff0;
    failing(&request, FO_STEP_PROCESS_GROUP, EPERM, 0);
}

TEST(native_failures) {
    every_step_fails();
}

TEST(posix_failures) {
    engine(FO_ENGINE_POSIX);
    every_step_fails();
}

/* A pipe out of the way of the numbers below: what descriptors the test inherits is not ours to say. */
static void pipe_above(int ends[2]) {
    int low[2];
    CHECK_EQ(pipe2(low, O_CLOEXEC), 0);
    for (int i = 0; i < 2; i++) {
        ends[i] = fcntl(low[i], F_DUPFD_CLOEXEC, 20);
        close(low[i]);
    }
}

/* The child's 8 is our 9 and the other way round. */
static void swap_works(void) {
    struct fo_spawn_request request;
    struct fo_spawn_result child;
    int ends[2], back[2];
    pipe_above(ends);
    pipe_above(back);
    shell(&request, "sh\0-c\0cat <&9 >&8; test ! -e /proc/self/fd/7", 3);
    CHECK_EQ(dup3(ends[0], 8, O_CLOEXEC), 8);
    CHECK_EQ(dup3(back[1], 9, O_CLOEXEC), 9);
    CHECK_EQ(dup3(back[1], 7, 0), 7);
    struct fo_spawn_descriptor swap[2] = {{.source = 8, .target = 9}, {.source = 9, .target = 8}};
    request.descriptors = swap;
    request.descriptor_count = 2;
    CHECK_EQ(write(ends[1], "swap", 4), 4);
    close(ends[1]);
    CHECK_EQ(fo_spawn(&request, &child), 0);
    CHECK_EQ(wait_for(&child).code, 0);
    char text[8] = "";
    CHECK_EQ(read(back[0], text, sizeof(text)), 4);
    CHECK(strcmp(text, "swap") == 0);
}

TEST(native_swap) {
    swap_works();
}

TEST(posix_swap) {
    engine(FO_ENGINE_POSIX);
    swap_works();
}

static void forbid_clone3(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static void ignore_it(int signal) {
    (void)signal;
}

static unsigned long long signals_in(const char *status, const char *field) {
    const char *found = strstr(status, field);
    CHECK(found != NULL);
    return strtoull(found + strlen(field), NULL, 16);
}

static unsigned long long bit(int signal) {
    return 1ULL << (signal - 1);
}

/* No handler is left, SIGPIPE has its default action, and SIGUSR2, which the parent ignores, is ignored. Whoever runs
 * the tests may have others ignored (a shell does so for what runs in the background). */
static void dispositions_are_right(void) {
    struct fo_spawn_child child = {.parent = 0};
    char text[4096] = "";
    CHECK(fo_spawn_plain("cat\0/proc/self/status", 2, "/bin/cat", 1, NULL, 0, -1, FO_STREAM_PIPE, -1, &child) > 0);
    CHECK_EQ(fo_spawn_wait(&child, -1), 1);
    CHECK(read(child.spawned.pipes[1], text, sizeof(text) - 1) > 0);
    fo_spawn_release(&child.spawned);
    CHECK_EQ(signals_in(text, "SigIgn:") & (bit(SIGUSR1) | bit(SIGUSR2) | bit(SIGPIPE)), bit(SIGUSR2));
    CHECK_EQ(signals_in(text, "SigCgt:"), 0);
}

TEST(handlers_are_cleared_also_where_clone3_becomes_forbidden) {
    signal(SIGUSR1, ignore_it);
    signal(SIGUSR2, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    dispositions_are_right();
    forbid_clone3();
    dispositions_are_right();
    dispositions_are_right();
}

TEST(a_child_in_one_piece) {
    struct fo_spawn_child child = {.parent = 0};
    int before = open_descriptors();
    int pid = fo_spawn_plain("sh\0-c\0exit 3", 3, "/bin/sh", 1, NULL, 0, -1, FO_STREAM_NULL, FO_STREAM_STDOUT, &child);
    CHECK_EQ(pid, child.spawned.pid);
    CHECK_EQ(fo_spawn_wait(&child, -1), 1);
    CHECK_EQ(child.waited.code, 3);
    CHECK_EQ(fo_spawn_wait(&child, -1), 1);
    nothing_left(before);
    struct fo_spawn_child none = {.parent = 0};
    CHECK_EQ(fo_spawn_plain("/nonexistent", 1, NULL, 0, NULL, 0, -1, -1, -1, &none), -ENOENT);
    CHECK_EQ(none.spawned.step, FO_STEP_EXEC);
    nothing_left(before);
}

static void *spawn_many(void *argument) {
    (void)argument;
    struct fo_spawn_request request;
    struct fo_spawn_result child;
    ask_for(&request, "true", 1, "/bin/true");
    for (int i = 0; i < 50; i++) {
        request.streams[1] = i % 2 ? FO_STREAM_PIPE : FO_STREAM_NULL;
        CHECK_EQ(fo_spawn(&request, &child), 0);
        if (child.pipes[1] >= 0) {
            char byte;
            CHECK_EQ(read(child.pipes[1], &byte, 1), 0);
            close(child.pipes[1]);
        }
        struct fo_wait_result ended = wait_for(&child);
        CHECK_EQ(ended.state, FO_WAIT_ENDED);
        CHECK_EQ(ended.code, 0);
    }
    return NULL;
}

static void threads_spawn_at_once(void) {
    int before = open_descriptors();
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, spawn_many, NULL), 0);
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
    }
    nothing_left(before);
}

TEST(native_threads) {
    threads_spawn_at_once();
}

TEST(posix_threads) {
    engine(FO_ENGINE_POSIX);
    threads_spawn_at_once();
}

/* From another thread than the first, which ends at once: the child must outlive it. */
static void *spawn_kept(void *argument) {
    struct fo_spawn_result *child = argument;
    struct fo_spawn_request request;
    shell(&request, "sh\0-c\0read line; exit 5", 3);
    request.streams[0] = FO_STREAM_PIPE;
    request.death_signal = SIGKILL;
    CHECK_EQ(fo_spawn(&request, child), 0);
    return NULL;
}

TEST(child_outlives_the_thread_that_spawned_it) {
    pthread_t thread;
    struct fo_spawn_result child;
    struct fo_wait_result ended = {0};
    CHECK_EQ(pthread_create(&thread, NULL, spawn_kept, &child), 0);
    pthread_join(thread, NULL);
    CHECK_EQ(fo_wait_process(child.pid, child.pidfd, 50000000, &ended), 0);
    close(child.pipes[0]);
    CHECK_EQ(fo_wait_process(child.pid, child.pidfd, -1, &ended), 1);
    CHECK_EQ(ended.code, 5);
}

TEST(dumpable_flag_and_mask_stay) {
    if (geteuid() != 0) {
        return;
    }
    struct fo_spawn_request request;
    struct fo_spawn_result child;
    sigset_t before = {0}, after = {0};
    CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
    sigprocmask(SIG_SETMASK, NULL, &before);
    shell(&request, "sh\0-c\0exit $(id -u | grep -c 12345)", 3);
    request.user = request.group = 12345;
    request.group_count = 0;
    CHECK_EQ(fo_spawn(&request, &child), 0);
    CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
    sigprocmask(SIG_SETMASK, NULL, &after);
    CHECK(memcmp(&before, &after, sizeof(before)) == 0);
    CHECK_EQ(wait_for(&child).code, 1);
}

MAIN(RUN(native_exit_code), RUN(posix_exit_code), RUN(native_pipes), RUN(posix_pipes), RUN(native_failures),
     RUN(posix_failures), RUN(native_swap), RUN(posix_swap), RUN(native_threads), RUN(posix_threads),
     RUN(child_outlives_the_thread_that_spawned_it), RUN(dumpable_flag_and_mask_stay),
     RUN(handlers_are_cleared_also_where_clone3_becomes_forbidden), RUN(a_child_in_one_piece))
