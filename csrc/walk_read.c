/* Reading one directory: its names, sorted into directories and others, and the stamp that tells whether they changed. */
#include "dents.h"
#include "walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifdef __APPLE__
#define MTIME st_mtimespec
#define CTIME st_ctimespec
#else
#define MTIME st_mtim
#define CTIME st_ctim
#endif

static int64_t nanoseconds(struct timespec time) {
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int fo_text_add(struct fo_text *text, const void *data, size_t length) {
    if (text->capacity - text->length < length) {
        size_t capacity = text->capacity ? text->capacity : 1024;
        while (capacity - text->length < length) {
            capacity *= 2;
        }
        char *grown = realloc(text->data, capacity);
        if (grown == NULL) {
            return -ENOMEM;
        }
        text->data = grown;
        text->capacity = capacity;
    }
    memcpy(text->data + text->length, data, length);
    text->length += length;
    return 0;
}

void fo_reader_clear(struct fo_reader *reader) {
    free(reader->buffer);
    free(reader->dirs.data);
    free(reader->files.data);
    free(reader->path.data);
    free(reader->link);
    memset(reader, 0, sizeof(*reader));
}

void fo_listing_free(struct fo_listing *listing) {
    if (listing != NULL) {
        free(listing->link);
        free(listing);
    }
}

/* -- stamps ------------------------------------------------------------------------------------------------------ */

static struct fo_stamp stamp_of(const struct stat *status) {
    return (struct fo_stamp){.dev = (uint64_t)status->st_dev,
                             .ino = (uint64_t)status->st_ino,
                             .mtime_ns = nanoseconds(status->MTIME),
                             .ctime_ns = nanoseconds(status->CTIME)};
}

/* How old a change time must be before a second change is sure to show, where the file system counts in nanoseconds:
 * the kernel's clock tick (10 ms at most) for local ones; where another machine's clock stamps, its lag as well. */
#define COARSE_SLACK INT64_C(2100000000)
#define NEVER (INT64_C(1) << 62) /* no time is that old */

static int64_t slack_of(struct fo_reader *reader, int fd, const struct stat *status) {
    static const int64_t slack_ms[] = {[FO_CLOCK_OWN] = 50, [FO_CLOCK_FOREIGN] = 5000, [FO_CLOCK_NONE] = NEVER / 1000000};
    if (reader->known_slack == 0 || reader->known_dev != (uint64_t)status->st_dev) {
        reader->known_dev = (uint64_t)status->st_dev;
        reader->known_slack = slack_ms[fo_walk_clock(fd)] * 1000000;
    }
    /* ext3 counts in whole seconds, others in two: then the fractions are zero. */
    int fraction = status->MTIME.tv_nsec != 0 || status->CTIME.tv_nsec != 0;
    return fraction || reader->known_slack > COARSE_SLACK ? reader->known_slack : COARSE_SLACK;
}

static int is_trusted(struct fo_reader *reader, int fd, const struct stat *status, const struct fo_stamp *stamp) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t time = nanoseconds(now), latest = stamp->ctime_ns;
    if (stamp->mtime_ns > latest && stamp->mtime_ns <= time) { /* one in the future was set by hand */
        latest = stamp->mtime_ns;
    }
    int64_t slack = slack_of(reader, fd, status);
    return time - latest > slack;
}

int fo_listing_is_current(const struct fo_listing *listing, const char *path) {
    struct stat status;
    if (!listing->trusted || listing->user != geteuid() ||
        fstatat(AT_FDCWD, path, &status, AT_SYMLINK_NOFOLLOW | FO_AT_NO_AUTOMOUNT) != 0) {
        return 0;
    }
    struct fo_stamp now = stamp_of(&status), then = listing->stamp;
    return now.dev == then.dev && now.ino == then.ino && now.mtime_ns == then.mtime_ns &&
           now.ctime_ns == then.ctime_ns && S_ISDIR(status.st_mode);
}

int fo_path_is_link(const char *path) {
    struct stat status;
    return fstatat(AT_FDCWD, path, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode);
}

/* -- names ------------------------------------------------------------------------------------------------------- */

static int add_link(struct fo_reader *reader) {
    if (reader->link_count == reader->link_capacity) {
        uint32_t capacity = reader->link_capacity ? reader->link_capacity * 2 : 16;
        struct fo_walk_link *grown = realloc(reader->link, capacity * sizeof(*grown));
        if (grown == NULL) {
            return -ENOMEM;
        }
        reader->link = grown;
        reader->link_capacity = capacity;
    }
    reader->link[reader->link_count++] =
        (struct fo_walk_link){.offset = (uint32_t)reader->files.length, .dirs_before = (uint32_t)reader->dirs.length};
    return 0;
}

/* What a file system that does not tell types has to be asked for. */
static int ask_type(int fd, const char *name) {
    struct fo_stat status;
    int result = fo_stat_at(fd, name, AT_SYMLINK_NOFOLLOW, FO_STAT_TYPE, &status);
    return result < 0 ? FO_TYPE_FILE : fo_stat_type(status.mode); /* gone: os.walk takes it for a file */
}

static int add_name(struct fo_reader *reader, int fd, const struct fo_dent *dent) {
    int type = dent->type == FO_TYPE_UNKNOWN ? ask_type(fd, dent->name) : dent->type;
    if (type == FO_TYPE_DIRECTORY) {
        reader->dir_count++;
        return fo_text_add(&reader->dirs, dent->name, dent->name_length + 1);
    }
    reader->file_count++;
    int result = type == FO_TYPE_SYMLINK ? add_link(reader) : 0;
    return result != 0 ? result : fo_text_add(&reader->files, dent->name, dent->name_length + 1);
}

static struct fo_listing *new_listing(size_t names) {
    struct fo_listing *listing = malloc(sizeof(*listing) + names);
    if (listing != NULL) {
        memset(listing, 0, sizeof(*listing));
    }
    return listing;
}

/* The names of the reader's scratch as a listing of just the right size. */
static struct fo_listing *listing_of(const struct fo_reader *reader) {
    struct fo_listing *listing = new_listing(reader->dirs.length + reader->files.length);
    if (listing == NULL) {
        return NULL;
    }
    listing->dirs = reader->dir_count;
    listing->files = reader->file_count;
    listing->dirs_length = reader->dirs.length;
    listing->files_length = reader->files.length;
    if (reader->dirs.length != 0) {
        memcpy(listing->names, reader->dirs.data, reader->dirs.length);
    }
    if (reader->files.length != 0) {
        memcpy(listing->names + reader->dirs.length, reader->files.data, reader->files.length);
    }
    if (reader->link_count != 0) {
        listing->links = reader->link_count;
        listing->link = malloc(reader->link_count * sizeof(*listing->link));
        if (listing->link == NULL) {
            free(listing);
            return NULL;
        }
        memcpy(listing->link, reader->link, reader->link_count * sizeof(*listing->link));
    }
    return listing;
}

static struct fo_listing *failed(int error) {
    struct fo_listing *listing = new_listing(0);
    if (listing != NULL) {
        listing->error = error;
    }
    return listing;
}

static int fill(struct fo_reader *reader, int fd) {
    reader->dirs.length = reader->files.length = 0;
    reader->dir_count = reader->file_count = reader->link_count = 0;
    if (reader->buffer == NULL && (reader->buffer = malloc(FO_DENTS_BUFFER)) == NULL) {
        return -ENOMEM;
    }
    struct fo_dents dents;
    struct fo_dent dent;
    int result = fo_dents_start(&dents, fd, reader->buffer, FO_DENTS_BUFFER);
    while (result >= 0 && (result = fo_dents_next(&dents, &dent)) > 0) {
        if ((result = add_name(reader, fd, &dent)) < 0) {
            break;
        }
    }
    fo_dents_stop(&dents);
    return result;
}

struct fo_listing *fo_reader_read(struct fo_reader *reader, const char *path, int follow) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));
    if (fd < 0) {
        return failed(errno);
    }
    struct stat status;
    int result = fstat(fd, &status) == 0 ? 0 : -errno, trusted = 0;
    struct fo_stamp stamp = {0};
    if (result == 0) {
        stamp = stamp_of(&status);
        trusted = is_trusted(reader, fd, &status, &stamp);
        result = fill(reader, fd);
    }
    close(fd);
    struct fo_listing *listing = result < 0 ? failed(-result) : listing_of(reader);
    if (listing != NULL) {
        listing->stamp = stamp;
        listing->trusted = trusted && result == 0;
    }
    return listing;
}

struct fo_listing *fo_reader_list(struct fo_reader *reader, int fd) {
    int result = fill(reader, fd);
    if (lseek(fd, 0, SEEK_SET) < 0 && result == 0) {
        result = -errno;
    }
    struct fo_listing *listing = result < 0 ? failed(-result) : listing_of(reader);
    return listing == NULL || listing->links == 0 ? listing : fo_reader_resolve(reader, listing, fd, "");
}

/* -- links ------------------------------------------------------------------------------------------------------- */

static int leads_to_directory(struct fo_reader *reader, int base, size_t prefix, const char *name) {
    struct stat status;
    reader->path.length = prefix;
    if (fo_text_add(&reader->path, name, strlen(name) + 1) != 0) {
        return -ENOMEM;
    }
    return fstatat(base, reader->path.data, &status, 0) == 0 && S_ISDIR(status.st_mode);
}

/* Puts "path/" in front; os.walk's own paths, so that one too long fails here as it does there. */
static int set_prefix(struct fo_reader *reader, const char *path) {
    size_t length = strlen(path);
    reader->path.length = 0;
    int result = fo_text_add(&reader->path, path, length);
    if (result == 0 && length != 0 && path[length - 1] != '/') {
        result = fo_text_add(&reader->path, "/", 1);
    }
    return result;
}

/* Copies the names to the scratch again, now with the links that lead to directories among the directories, each
 * where the directory's own order has it. */
static int sort_links(struct fo_reader *reader, const struct fo_listing *listing, int base, size_t prefix) {
    const char *dirs = listing->names, *files = listing->names + listing->dirs_length;
    size_t dirs_done = 0, files_done = 0;
    int result = 0;
    for (uint32_t i = 0; i < listing->links && result == 0; i++) {
        const struct fo_walk_link *link = &listing->link[i];
        const char *name = files + link->offset;
        int directory = leads_to_directory(reader, base, prefix, name);
        if (directory <= 0) {
            result = directory;
            continue;
        }
        result = fo_text_add(&reader->dirs, dirs + dirs_done, link->dirs_before - dirs_done);
        result = result ? result : fo_text_add(&reader->files, files + files_done, link->offset - files_done);
        reader->link[reader->link_count++] = (struct fo_walk_link){.offset = (uint32_t)reader->dirs.length};
        result = result ? result : fo_text_add(&reader->dirs, name, strlen(name) + 1);
        dirs_done = link->dirs_before;
        files_done = link->offset + strlen(name) + 1;
    }
    result = result ? result : fo_text_add(&reader->dirs, dirs + dirs_done, listing->dirs_length - dirs_done);
    return result ? result : fo_text_add(&reader->files, files + files_done, listing->files_length - files_done);
}

struct fo_listing *fo_reader_resolve(struct fo_reader *reader, struct fo_listing *listing, int base, const char *path) {
    reader->dirs.length = reader->files.length = 0;
    reader->link_count = 0;
    struct fo_listing *resolved = NULL;
    while (reader->link_capacity < listing->links && add_link(reader) == 0) {
    }
    reader->link_count = 0;
    if (reader->link_capacity >= listing->links && set_prefix(reader, path) == 0 &&
        sort_links(reader, listing, base, reader->path.length) == 0) {
        reader->dir_count = listing->dirs + reader->link_count;
        reader->file_count = listing->files - reader->link_count;
        resolved = listing_of(reader);
    }
    if (resolved != NULL) {
        resolved->stamp = listing->stamp;
        resolved->trusted = listing->trusted;
        resolved->user = listing->user;
    }
    fo_listing_free(listing);
    return resolved;
}
