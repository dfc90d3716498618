#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "check.h"
#include "stat.h"

/* Both engines say what stat(2) says. */
static void agrees(int engine, const char *path) {
    struct fo_stat mine;
    struct stat theirs;
    fo_platform_use(engine);
    CHECK_EQ(fo_stat_at(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, FO_STAT_ALL, &mine), 0);
    CHECK_EQ(lstat(path, &theirs), 0);
    CHECK_EQ(mine.size, theirs.st_size);
    CHECK_EQ(mine.blocks, theirs.st_blocks);
    CHECK_EQ(mine.ino, theirs.st_ino);
    CHECK_EQ(mine.dev, theirs.st_dev);
    CHECK_EQ(mine.rdev, theirs.st_rdev);
    CHECK_EQ(mine.mode, theirs.st_mode);
    CHECK_EQ(mine.nlink, theirs.st_nlink);
    CHECK_EQ(mine.mtime_ns, theirs.st_mtim.tv_sec * 1000000000LL + theirs.st_mtim.tv_nsec);
    CHECK_EQ(mine.blksize, theirs.st_blksize);
}

TEST(native_agrees_with_stat) {
    agrees(FO_ENGINE_NATIVE, "/etc/passwd");
    agrees(FO_ENGINE_NATIVE, "/dev/null");
    agrees(FO_ENGINE_NATIVE, "/proc/self/exe");
}

TEST(portable_agrees_with_stat) {
    agrees(FO_ENGINE_POSIX, "/etc/passwd");
    agrees(FO_ENGINE_POSIX, "/dev/null");
    agrees(FO_ENGINE_POSIX, "/proc/self/exe");
}

TEST(errors_are_negative) {
    struct fo_stat out;
    CHECK_EQ(fo_stat_at(AT_FDCWD, "/nonexistent/x", 0, FO_STAT_SIZE, &out), -ENOENT);
    CHECK_EQ(fo_stat_at(AT_FDCWD, "/etc/passwd/x", 0, FO_STAT_SIZE, &out), -ENOTDIR);
}

TEST(times_saturate) {
    CHECK_EQ(fo_stat_nanoseconds(INT64_MAX / 2, 0), INT64_MAX);
    CHECK_EQ(fo_stat_nanoseconds(INT64_MIN / 2, 5), INT64_MIN);
    CHECK_EQ(fo_stat_nanoseconds(-1, 5), -999999995);
}

TEST(types_follow_the_mode) {
    CHECK_EQ(fo_stat_type(S_IFDIR | 0755), FO_TYPE_DIRECTORY);
    CHECK_EQ(fo_stat_type(S_IFLNK), FO_TYPE_SYMLINK);
    CHECK_EQ(fo_stat_type(0), FO_TYPE_UNKNOWN);
}

MAIN(RUN(native_agrees_with_stat), RUN(portable_agrees_with_stat), RUN(errors_are_negative), RUN(times_saturate),
     RUN(types_follow_the_mode))
