#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <sys/stat.h>

#include "check.h"
#include "dents.h"

/* Appends a linux_dirent64 record; returns the new length of the buffer. */
static size_t record(char *buffer, size_t at, const char *name, uint16_t length, uint8_t type) {
    uint64_t ino = 42;
    memset(buffer + at, 0, length);
    memcpy(buffer + at, &ino, sizeof ino);
    memcpy(buffer + at + 16, &length, sizeof length);
    buffer[at + 18] = (char)type;
    strcpy(buffer + at + 19, name);
    return at + length;
}

TEST(records_are_parsed_and_dots_left_out) {
    char buffer[256];
    size_t filled = record(buffer, 0, ".", 24, 4);
    filled = record(buffer, filled, "..", 24, 4);
    filled = record(buffer, filled, "..a", 24, 8);
    filled = record(buffer, filled, "name", 24, 0);
    size_t offset = 0;
    struct fo_dent dent;
    CHECK_EQ(fo_dents_parse(buffer, filled, &offset, &dent), 1);
    CHECK(strcmp(dent.name, "..a") == 0);
    CHECK_EQ(dent.name_length, 3);
    CHECK_EQ(dent.type, FO_TYPE_FILE);
    CHECK_EQ(dent.ino, 42);
    CHECK_EQ(fo_dents_parse(buffer, filled, &offset, &dent), 1);
    CHECK_EQ(dent.type, FO_TYPE_UNKNOWN);
    CHECK_EQ(fo_dents_parse(buffer, filled, &offset, &dent), 0);
}

TEST(malformed_records_are_an_error) {
    char buffer[256];
    struct fo_dent dent;
    size_t filled = record(buffer, 0, "name", 24, 8);
    for (size_t cut = 1; cut < filled; cut++) {
        size_t offset = 0;
        CHECK_EQ(fo_dents_parse(buffer, cut, &offset, &dent), -EIO);
    }
    const char *bad[] = {"", "a/b", "/"};
    for (size_t i = 0; i < 3; i++) {
        size_t offset = 0;
        filled = record(buffer, 0, bad[i], 24, 8);
        CHECK_EQ(fo_dents_parse(buffer, filled, &offset, &dent), -EIO);
    }
    uint16_t lengths[] = {0, 1, 19, 25, 65535};
    for (size_t i = 0; i < 5; i++) {
        size_t offset = 0;
        filled = record(buffer, 0, "name", 24, 8);
        memcpy(buffer + 16, &lengths[i], 2);
        CHECK_EQ(fo_dents_parse(buffer, filled, &offset, &dent), -EIO);
    }
    size_t offset = 0;
    record(buffer, 0, "name", 24, 8);
    memset(buffer + 19, 'x', 5);
    CHECK_EQ(fo_dents_parse(buffer, 24, &offset, &dent), -EIO);
}

static void fill(int fd, int count) {
    for (int i = 0; i < count; i++) {
        char name[64];
        snprintf(name, sizeof name, "file-with-a-rather-long-name-%d", i);
        int file = openat(fd, name, O_CREAT | O_WRONLY, 0600);
        CHECK(file >= 0);
        close(file);
    }
}

static void empty(const char *directory, int fd, int count) {
    for (int i = 0; i < count; i++) {
        char name[64];
        snprintf(name, sizeof name, "file-with-a-rather-long-name-%d", i);
        CHECK_EQ(unlinkat(fd, name, 0), 0);
    }
    CHECK_EQ(rmdir(directory), 0);
}

/* Every entry once, over many refills. */
static void reads_all(int engine) {
    enum { COUNT = 500 };
    static alignas(8) char buffer[4096];
    char directory[] = "/tmp/fastos-dents-XXXXXX", seen[COUNT] = {0};
    CHECK(mkdtemp(directory) != NULL);
    int fd = open(directory, O_RDONLY | O_DIRECTORY);
    fill(fd, COUNT);
    fo_platform_use(engine);
    struct fo_dents dents;
    struct fo_dent dent;
    CHECK_EQ(fo_dents_start(&dents, fd, buffer, sizeof buffer), 0);
    int result, total = 0;
    for (; (result = fo_dents_next(&dents, &dent)) > 0; total++) {
        CHECK_EQ(dent.name_length, strlen(dent.name));
        int number = atoi(strrchr(dent.name, '-') + 1);
        CHECK(!seen[number]);
        seen[number] = 1;
        CHECK(dent.type == FO_TYPE_FILE || dent.type == FO_TYPE_UNKNOWN);
    }
    fo_dents_stop(&dents);
    CHECK_EQ(result, 0);
    CHECK_EQ(total, COUNT);
    empty(directory, fd, COUNT);
    close(fd);
}

TEST(native_reads_all) { reads_all(FO_ENGINE_NATIVE); }
TEST(portable_reads_all) { reads_all(FO_ENGINE_POSIX); }

static void not_a_directory(int engine) {
    static alignas(8) char buffer[4096];
    fo_platform_use(engine);
    int fd = open("/dev/null", O_RDONLY);
    struct fo_dents dents;
    struct fo_dent dent;
    int result = fo_dents_start(&dents, fd, buffer, sizeof buffer);
    if (result == 0) {
        result = fo_dents_next(&dents, &dent);
        fo_dents_stop(&dents);
    }
    CHECK_EQ(result, -ENOTDIR);
    close(fd);
}

TEST(native_not_a_directory) { not_a_directory(FO_ENGINE_NATIVE); }
TEST(portable_not_a_directory) { not_a_directory(FO_ENGINE_POSIX); }

/* The end is known without a call only at the greatest position, in a buffer with room to spare, and from the kernel. */
TEST(knows_the_end) {
    static alignas(8) char buffer[4096];
    struct fo_dents dents = {.buffer = buffer, .size = sizeof buffer, .filled = 1000};
    CHECK(fo_dents_ended(&dents, INT64_MAX));
    CHECK(!fo_dents_ended(&dents, INT64_MAX - 1));
    CHECK(!fo_dents_ended(&dents, 0));
    dents.filled = sizeof buffer - FO_DENTS_LONGEST;
    CHECK(fo_dents_ended(&dents, INT64_MAX));
    dents.filled++;
    CHECK(!fo_dents_ended(&dents, INT64_MAX));
    dents.filled = 1000;
    dents.stream = buffer;
    CHECK(!fo_dents_ended(&dents, INT64_MAX));
}

MAIN(RUN(records_are_parsed_and_dots_left_out), RUN(malformed_records_are_an_error), RUN(native_reads_all),
     RUN(portable_reads_all), RUN(native_not_a_directory), RUN(portable_not_a_directory),
     RUN(knows_the_end))
