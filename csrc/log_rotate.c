/* The file behind a log: opening it, when it is due, and giving it its dated name.
 *
 * A rotated file is named by the moment of its rotation (web.log.20260131T235959.123456Z), so that no rotation renames
 * more than one file and whoever compresses the old ones races with nobody. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

static int64_t wall_second(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec;
}

/* When a file that already holds something was begun: its birth where the file system knows it. */
static int64_t begun(int fd, const struct stat *status) {
#ifdef STATX_BTIME
    struct statx extended;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &extended) == 0 && (extended.stx_mask & STATX_BTIME)) {
        return extended.stx_btime.tv_sec;
    }
#else
    (void)fd;
#endif
    return status->st_mtime;
}

int fo_log_open_file(struct fo_log *log) {
    int fd;
    do {
        fd = open(log->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, (mode_t)log->mode);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        return -errno;
    }
    struct stat status;
    if (fstat(fd, &status) != 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    log->file = fd;
    log->destination_is_file = S_ISREG(status.st_mode);
    log->size = status.st_size;
    log->born = status.st_size > 0 ? begun(fd, &status) : wall_second();
    log->rotate_after = 0;
    return 0;
}

int fo_log_is_due(const struct fo_log *log, size_t more) {
    if (log->path == NULL || log->file < 0 || log->size == 0 || !log->destination_is_file) {
        return 0;
    }
    if (log->size < log->rotate_after) {
        return 0;
    }
    if (log->max_bytes > 0 && log->size + (int64_t)more > log->max_bytes) {
        return 1;
    }
    return log->max_age > 0 && wall_second() - log->born >= log->max_age;
}

/* Writes the dated name for this moment plus `attempt` microseconds. */
static void dated_name(const struct fo_log *log, int attempt, char *name, size_t size) {
    struct timespec now;
    struct tm calendar;
    char second[FO_LOG_STAMP_SIZE];
    clock_gettime(CLOCK_REALTIME, &now);
    long microsecond = now.tv_nsec / 1000 + attempt;
    time_t whole = now.tv_sec + microsecond / 1000000;
    gmtime_r(&whole, &calendar);
    strftime(second, sizeof(second), "%Y%m%dT%H%M%S", &calendar);
    snprintf(name, size, "%s.%s.%06ldZ", log->path, second, microsecond % 1000000);
}

/* Gives the file its dated name; link fails where the name is taken, rename would not. Returns 0 or -errno. */
static int move_away(const struct fo_log *log, char *name, size_t size) {
    for (int attempt = 0; attempt < 100; attempt++) {
        dated_name(log, attempt, name, size);
        struct stat taken;
        if (lstat(name, &taken) == 0) {
            continue;
        }
        return rename(log->path, name) == 0 ? 0 : -errno;
    }
    return -EEXIST;
}

int fo_log_rotate(struct fo_log *log, struct fo_log_turn *turn) {
    if (log->path == NULL || log->file < 0) {
        return 0;
    }
    int old = log->file;
    int moved = move_away(log, turn->rotated, sizeof(turn->rotated));
    int result = moved == 0 || moved == -ENOENT ? fo_log_open_file(log) : moved;
    if (result < 0) {
        /* Go on in the old file, under its old name; try again when it has grown by as much once more. */
        if (moved == 0 && rename(turn->rotated, log->path) != 0) {
            turn->error = errno;
        }
        log->rotate_after = log->size + (log->max_bytes > 0 ? log->max_bytes : 1 << 20);
        turn->error = -result;
        turn->rotated[0] = '\0';
        return result;
    }
    close(old);
    if (moved == 0) {
        turn->flags |= FO_LOG_ROTATED;
    }
    return 0;
}
