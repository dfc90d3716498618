#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <sys/stat.h>

#include "api.h"
#include "check.h"
#include "log.h"

static char directory[64];
static char path[128];
static int pipe_ends[2];
static struct fo_log_scratch *scratch;
static struct fo_log_turn turn;

static void remove_directory(void) {
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", directory);
    CHECK(system(command) == 0);
}

static struct fo_log *set_up(struct fo_log_options options) {
    signal(SIGPIPE, SIG_IGN);
    strcpy(directory, "/tmp/fastos-log-XXXXXX");
    CHECK(mkdtemp(directory) != NULL);
    snprintf(path, sizeof(path), "%s/web.log", directory);
    CHECK(pipe2(pipe_ends, O_CLOEXEC) == 0);
    CHECK(fcntl(pipe_ends[0], F_SETFL, O_NONBLOCK) == 0);
    CHECK_EQ(fo_log_scratch_new(&scratch), 0);
    options.source = pipe_ends[0];
    options.mode = 0600;
    if (options.destination < 0) {
        options.path = path;
    }
    struct fo_log *log = NULL;
    CHECK_EQ(fo_log_open(&options, &log), 0);
    return log;
}

static void tear_down(struct fo_log *log) {
    fo_log_close(log);
    fo_log_scratch_free(scratch);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    remove_directory();
}

static void say(const char *text) {
    CHECK_EQ(write(pipe_ends[1], text, strlen(text)), (long long)strlen(text));
}

static void pump(struct fo_log *log) {
    CHECK_EQ(fo_log_pump(log, scratch, 1 << 20, &turn), 0);
}

static char *read_file(const char *name) {
    static char text[1 << 20];
    int fd = open(name, O_RDONLY);
    CHECK(fd >= 0);
    ssize_t length = read(fd, text, sizeof(text) - 1);
    CHECK(length >= 0);
    text[length] = '\0';
    close(fd);
    return text;
}

TEST(lines_get_time_and_label) {
    struct fo_log *log = set_up((struct fo_log_options){.destination = -1, .stamp_digits = 3, .label = "web | "});
    say("one\ntw");
    pump(log);
    say("o\n");
    pump(log);
    char *text = read_file(path);
    CHECK_EQ(strlen(text), 2 * (25 + 6) + 8);
    CHECK(text[10] == 'T' && text[19] == '.' && text[23] == 'Z' && text[24] == ' ');
    CHECK(strcmp(text + 25, "web | one\n") != 0);
    CHECK(strncmp(text + 25, "web | one\n", 10) == 0);
    CHECK(strcmp(text + 35 + 25, "web | two\n") == 0);
    CHECK_EQ(turn.lines, 1);
    tear_down(log);
}

TEST(microseconds) {
    struct fo_log *log = set_up((struct fo_log_options){.destination = -1, .stamp_digits = 6});
    say("x\n");
    pump(log);
    char *text = read_file(path);
    CHECK_EQ(strlen(text), 28 + 2);
    CHECK(text[26] == 'Z');
    tear_down(log);
}

TEST(bytes_pass_unchanged_without_time) {
    struct fo_log *log = set_up((struct fo_log_options){.destination = -1, .stamp_digits = -1});
    CHECK_EQ(write(pipe_ends[1], "a\0b\n\xff\n\n", 7), 7);
    pump(log);
    CHECK(memcmp(read_file(path), "a\0b\n\xff\n\n", 7) == 0);
    CHECK_EQ(turn.bytes_read, 7);
    CHECK_EQ(turn.bytes_written, 7);
    tear_down(log);
}

TEST(nothing_is_opened_before_the_first_byte) {
    struct fo_log *log = set_up((struct fo_log_options){.destination = -1, .stamp_digits = -1});
    pump(log);
    CHECK_EQ(access(path, F_OK), -1);
    tear_down(log);
}

TEST(an_open_line_is_ended) {
    struct fo_log *log = set_up((struct fo_log_options){.destination = -1, .stamp_digits = -1});
    say("dying words");
    pump(log);
    CHECK_EQ(fo_log_finish(log, scratch, &turn), 0);
    CHECK_EQ(fo_log_finish(log, scratch, &turn), 0);
    CHECK(strcmp(read_file(path), "dying words\n") == 0);
    tear_down(log);
}

TEST(end_of_file_is_told) {
    struct fo_log *log = set_up((struct fo_log_options){.destination = -1, .stamp_digits = -1});
    say("x\n");
    close(pipe_ends[1]);
    pump(log);
    pump(log);
    CHECK(turn.flags & FO_LOG_EOF);
    pipe_ends[1] = dup(0);
    tear_down(log);
}

/* Concatenates the rotated files, by name, and then the current one. */
static char *all_files(size_t *files, int *too_large, int limit) {
    static char text[1 << 20];
    char pattern[160];
    glob_t found;
    snprintf(pattern, sizeof(pattern), "%s.*", path);
    CHECK_EQ(glob(pattern, 0, NULL, &found), 0);
    size_t length = 0;
    *too_large = 0;
    for (size_t i = 0; i <= found.gl_pathc; i++) {
        char *part = read_file(i < found.gl_pathc ? found.gl_pathv[i] : path);
        *too_large += (int)strlen(part) > limit;
        CHECK(part[strlen(part) - 1] == '\n');
        strcpy(text + length, part);
        length += strlen(part);
    }
    *files = found.gl_pathc + 1;
    globfree(&found);
    return text;
}

TEST(rotation_by_size_loses_nothing_and_cuts_between_lines) {
    struct fo_log *log =
        set_up((struct fo_log_options){.destination = -1, .stamp_digits = -1, .max_bytes = 1000});
    static char expected[1 << 18];
    size_t length = 0;
    int rotations = 0;
    for (int i = 0; i < 3000; i++) {
        char line[32];
        int size = snprintf(line, sizeof(line), "line %d\n", i);
        memcpy(expected + length, line, (size_t)size);
        length += (size_t)size;
        CHECK_EQ(write(pipe_ends[1], line, (size_t)size / 2), size / 2);
        if (i % 7 == 0) {
            pump(log);
            if (turn.flags & FO_LOG_ROTATED) {
                rotations++;
                CHECK(strncmp(turn.rotated, path, strlen(path)) == 0);
            }
        }
        say(line + size / 2);
    }
    pump(log);
    CHECK(rotations > 10);
    size_t files;
    int too_large;
    CHECK(strncmp(all_files(&files, &too_large, 1000), expected, length) == 0);
    CHECK(files >= length / 1000);
    CHECK_EQ(too_large, 0);
    tear_down(log);
}

TEST(a_line_longer_than_the_limit_has_its_own_file) {
    struct fo_log *log = set_up((struct fo_log_options){.destination = -1, .stamp_digits = -1, .max_bytes = 10});
    say("short\n0123456789abcdef\nshort\n");
    pump(log);
    size_t files;
    int too_large;
    CHECK(strcmp(all_files(&files, &too_large, 10), "short\n0123456789abcdef\nshort\n") == 0);
    CHECK_EQ(files, 3);
    CHECK_EQ(too_large, 1);
    tear_down(log);
}

TEST(rotation_that_fails_goes_on_in_the_old_file) {
    struct fo_log *log = set_up((struct fo_log_options){.destination = -1, .stamp_digits = -1, .max_bytes = 10});
    say("one\n");
    pump(log);
    char gone[160];
    snprintf(gone, sizeof(gone), "%s.moved", directory);
    CHECK_EQ(rename(directory, gone), 0);
    say("two\nthree\nfour\n");
    pump(log);
    CHECK_EQ(turn.error, ENOENT);
    CHECK_EQ(rename(gone, directory), 0);
    CHECK(strcmp(read_file(path), "one\ntwo\nthree\nfour\n") == 0);
    tear_down(log);
}

TEST(rotation_by_age) {
    struct fo_log *log = set_up((struct fo_log_options){.destination = -1, .stamp_digits = -1, .max_age_seconds = 60});
    say("old\n");
    pump(log);
    log->born -= 61;
    say("new\n");
    pump(log);
    CHECK(turn.flags & FO_LOG_ROTATED);
    CHECK(strcmp(read_file(path), "new\n") == 0);
    CHECK(strcmp(read_file(turn.rotated), "old\n") == 0);
    tear_down(log);
}

TEST(reopen_follows_a_rename) {
    struct fo_log *log = set_up((struct fo_log_options){.destination = -1, .stamp_digits = -1});
    char other[160];
    snprintf(other, sizeof(other), "%s.1", path);
    say("old\n");
    pump(log);
    CHECK_EQ(rename(path, other), 0);
    fo_log_reopen(log);
    say("new\n");
    pump(log);
    CHECK(strcmp(read_file(path), "new\n") == 0);
    tear_down(log);
}

TEST(a_slow_destination_does_not_block_and_loses_nothing) {
    int slow[2];
    CHECK(pipe2(slow, O_CLOEXEC) == 0);
    struct fo_log *log = set_up((struct fo_log_options){.destination = slow[1], .stamp_digits = -1});
    static char sent[1 << 20], got[1 << 20];
    size_t sent_length = 0, got_length = 0;
    CHECK(fcntl(pipe_ends[1], F_SETFL, O_NONBLOCK) == 0);
    int blocked = 0;
    for (int round = 0; round < 60; round++) {
        char block[8192];
        memset(block, 'a' + round % 26, sizeof(block));
        ssize_t written = write(pipe_ends[1], block, sizeof(block));
        if (written > 0) {
            memcpy(sent + sent_length, block, (size_t)written);
            sent_length += (size_t)written;
        }
        pump(log);
        blocked |= turn.flags & FO_LOG_BLOCKED;
        if (round > 30) {
            ssize_t count = read(slow[0], got + got_length, 20000);
            got_length += count > 0 ? (size_t)count : 0;
        }
    }
    CHECK(blocked);
    CHECK(fcntl(slow[0], F_SETFL, O_NONBLOCK) == 0);
    for (int idle = 0; idle < 2;) {
        pump(log);
        ssize_t count = read(slow[0], got + got_length, sizeof(got) - got_length);
        got_length += count > 0 ? (size_t)count : 0;
        idle += count <= 0;
    }
    CHECK_EQ(fo_log_pending(log), 0);
    CHECK_EQ(got_length, sent_length);
    CHECK(memcmp(got, sent, sent_length) == 0);
    close(slow[0]);
    close(slow[1]);
    tear_down(log);
}

TEST(a_vanished_reader_is_counted) {
    int gone[2];
    CHECK(pipe2(gone, O_CLOEXEC) == 0);
    struct fo_log *log = set_up((struct fo_log_options){.destination = gone[1], .stamp_digits = -1});
    close(gone[0]);
    say("unheard\n");
    pump(log);
    CHECK_EQ(turn.bytes_lost, 8);
    CHECK_EQ(turn.error, EPIPE);
    close(gone[1]);
    tear_down(log);
}

TEST(a_full_disk_is_told_and_kept) {
    int full = open("/dev/full", O_WRONLY);
    struct fo_log *log = set_up((struct fo_log_options){.destination = full, .stamp_digits = -1});
    say("kept\n");
    pump(log);
    CHECK_EQ(turn.error, ENOSPC);
    CHECK(turn.flags & FO_LOG_BLOCKED);
    CHECK_EQ(fo_log_pending(log), 5);
    say("waits in the pipe\n");
    pump(log);
    CHECK_EQ(turn.bytes_read, 0);
    close(full);
    tear_down(log);
}

TEST(shared_destination_gets_whole_lines) {
    int shared[2];
    CHECK(pipe2(shared, O_CLOEXEC) == 0);
    struct fo_log *log = set_up(
        (struct fo_log_options){.destination = shared[1], .stamp_digits = -1, .whole_lines = 1, .label = "web | "});
    say("half a");
    pump(log);
    CHECK_EQ(turn.bytes_written, 0);
    CHECK_EQ(fo_log_pending(log), 6);
    say(" line\nand");
    pump(log);
    CHECK_EQ(fo_log_finish(log, scratch, &turn), 0);
    char text[64] = {0};
    CHECK_EQ(read(shared[0], text, sizeof(text)), 28);
    CHECK(strcmp(text, "web | half a line\nweb | and\n") == 0);
    close(shared[0]);
    close(shared[1]);
    tear_down(log);
}

TEST(an_endless_line_is_cut) {
    struct fo_log *log = set_up((struct fo_log_options){.destination = -1, .stamp_digits = -1, .whole_lines = 1});
    char block[4096];
    memset(block, 'x', sizeof(block));
    for (int i = 0; i < 40; i++) {
        CHECK_EQ(write(pipe_ends[1], block, sizeof(block)), 4096);
        pump(log);
        CHECK(fo_log_pending(log) < 2 * 65536);
    }
    CHECK_EQ(fo_log_finish(log, scratch, &turn), 0);
    size_t x = 0;
    for (char *c = read_file(path); *c; c++) {
        x += *c == 'x';
    }
    CHECK_EQ(x, 40 * 4096);
    tear_down(log);
}

TEST(a_tap_hands_over_the_text) {
    struct fo_log *log = set_up((struct fo_log_options){.destination = -1, .stamp_digits = -1, .label = "w "});
    fo_log_tap(log, 1);
    say("a\nb\n");
    pump(log);
    CHECK_EQ(turn.text_length, 8);
    CHECK(memcmp(turn.text, "w a\nw b\n", 8) == 0);
    pump(log);
    CHECK_EQ(turn.text_length, 0);
    tear_down(log);
}

TEST(newlines_only_expand_without_loss) {
    struct fo_log *log = set_up((struct fo_log_options){.destination = -1, .stamp_digits = 6, .label = "a label "});
    char block[65536];
    memset(block, '\n', sizeof(block));
    CHECK_EQ(write(pipe_ends[1], block, sizeof(block)), 65536);
    pump(log);
    pump(log);
    struct stat status;
    CHECK_EQ(stat(path, &status), 0);
    CHECK_EQ(status.st_size, 65536ll * (28 + 8 + 1));
    tear_down(log);
}

TEST(the_budget_bounds_a_turn) {
    struct fo_log *log = set_up((struct fo_log_options){.destination = -1, .stamp_digits = -1});
    CHECK(fcntl(pipe_ends[1], F_SETPIPE_SZ, 1 << 19) > 0);
    char block[1 << 18];
    memset(block, '\n', sizeof(block));
    CHECK_EQ(write(pipe_ends[1], block, sizeof(block)), 1 << 18);
    CHECK_EQ(fo_log_pump(log, scratch, 65536, &turn), 0);
    CHECK_EQ(turn.bytes_read, 65536);
    CHECK(turn.flags & FO_LOG_MORE);
    tear_down(log);
}

TEST(bad_options_are_refused) {
    struct fo_log *log = NULL;
    struct fo_log_options options = {.source = 0, .destination = -1, .stamp_digits = -1};
    CHECK_EQ(fo_log_open(&options, &log), -EINVAL);
    options.destination = 1;
    options.path = "x";
    CHECK_EQ(fo_log_open(&options, &log), -EINVAL);
    options.path = NULL;
    options.stamp_digits = 4;
    CHECK_EQ(fo_log_open(&options, &log), -EINVAL);
}

MAIN(RUN(lines_get_time_and_label), RUN(microseconds), RUN(bytes_pass_unchanged_without_time),
     RUN(nothing_is_opened_before_the_first_byte), RUN(an_open_line_is_ended), RUN(end_of_file_is_told),
     RUN(rotation_by_size_loses_nothing_and_cuts_between_lines), RUN(a_line_longer_than_the_limit_has_its_own_file),
     RUN(rotation_that_fails_goes_on_in_the_old_file), RUN(rotation_by_age), RUN(reopen_follows_a_rename),
     RUN(a_slow_destination_does_not_block_and_loses_nothing), RUN(a_vanished_reader_is_counted),
     RUN(a_full_disk_is_told_and_kept), RUN(shared_destination_gets_whole_lines), RUN(an_endless_line_is_cut),
     RUN(a_tap_hands_over_the_text), RUN(newlines_only_expand_without_loss), RUN(the_budget_bounds_a_turn),
     RUN(bad_options_are_refused))
