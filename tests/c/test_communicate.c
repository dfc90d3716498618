#include <errno.h>
#include <fcntl.h>

#include "api.h"
#include "check.h"

/* A pipe to a forked cat: what is written to input comes back at output. */
static pid_t start_cat(int *input, int *output) {
    int down[2], up[2];
    CHECK_EQ(pipe(down), 0);
    CHECK_EQ(pipe(up), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(down[0], 0);
        dup2(up[1], 1);
        close(down[0]), close(down[1]), close(up[0]), close(up[1]);
        execlp("cat", "cat", (char *)NULL);
        _exit(127);
    }
    close(down[0]), close(up[1]);
    *input = down[1], *output = up[0];
    return pid;
}

TEST(more_than_a_pipe_holds_goes_through) {
    int input, output, status;
    pid_t pid = start_cat(&input, &output);
    size_t length = 3 * 1000 * 1000;
    char *data = malloc(length);
    CHECK(data);
    memset(data, 'x', length);
    struct fo_communication talk = {
        .input_fd = input, .output_fds = {output, -1}, .input = data, .input_length = length};
    CHECK_EQ(fo_communicate(&talk, -1), FO_COMMUNICATE_FED);
    close(input);
    CHECK_EQ(fo_communicate(&talk, -1), FO_COMMUNICATE_DONE);
    CHECK_EQ(talk.lengths[0], length);
    CHECK_EQ(memcmp(talk.outputs[0], data, length), 0);
    fo_communicate_free(&talk);
    free(data);
    close(output);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
}

TEST(a_timeout_keeps_what_was_read) {
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(write(ends[1], "early", 5), 5);
    struct fo_communication talk = {.input_fd = -1, .output_fds = {-1, ends[0]}};
    CHECK_EQ(fo_communicate(&talk, 1000000), FO_COMMUNICATE_TIME);
    CHECK_EQ(talk.lengths[1], 5);
    CHECK_EQ(write(ends[1], "late", 4), 4);
    close(ends[1]);
    CHECK_EQ(fo_communicate(&talk, -1), FO_COMMUNICATE_DONE);
    CHECK_EQ(talk.lengths[1], 9);
    fo_communicate_free(&talk);
    close(ends[0]);
}

TEST(nothing_to_write_is_fed_at_once) {
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    struct fo_communication talk = {.input_fd = ends[1], .output_fds = {-1, -1}};
    CHECK_EQ(fo_communicate(&talk, -1), FO_COMMUNICATE_FED);
    CHECK_EQ(fo_communicate(&talk, -1), FO_COMMUNICATE_DONE);
    fo_communicate_free(&talk);
}

TEST(a_bad_descriptor_is_an_error) {
    struct fo_communication talk = {.input_fd = -1, .output_fds = {99, -1}};
    CHECK_EQ(fo_communicate(&talk, -1), -EBADF);
    fo_communicate_free(&talk);
}

MAIN(RUN(more_than_a_pipe_holds_goes_through), RUN(a_timeout_keeps_what_was_read), RUN(nothing_to_write_is_fed_at_once),
     RUN(a_bad_descriptor_is_an_error))
