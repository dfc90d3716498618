/* Reading one directory: opened, read buffer by buffer, its work shared where others are idle. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "scan_visit.h"

/* The end of the visit: the descriptor is kept for the children, or closed. */
static void leave(struct fo_visit *visit) {
    if (visit->alone && visit->children == 0) {
        fo_descent_close(visit->directory);
    } else {
        fo_descent_release(visit->scan, visit->directory, visit->children);
    }
    fo_visit_publish(visit);
    fo_directory_release(visit->directory);
}

/* Begins a visit to an open directory. Returns false if memory is short. */
static bool arrive(struct fo_visit *visit, struct fo_worker *worker, struct fo_directory *directory) {
    int64_t length = fo_scan_prefix(worker, directory);
    *visit = (struct fo_visit){.worker = worker, .scan = worker->scan, .directory = directory, .fd = directory->fd,
                               .prefix_length = (size_t)length, .index = -1};
    if (length < 0) {
        fo_scan_fail(worker->scan);
    }
    return length >= 0;
}

/* Whether others wait for work that this worker could share. */
static bool hungry(const struct fo_visit *visit) {
    const struct fo_worker *worker = visit->worker;
    if (worker->inlined) {
        return fo_clock_now() > worker->deadline_ns;
    }
    return atomic_load_explicit(&visit->scan->frontier.idle, memory_order_relaxed) > 0 &&
           atomic_load_explicit(&visit->scan->frontier.pending, memory_order_relaxed) == 0;
}

/* Work in the directory is about to go to others, who need it open. */
static void share(struct fo_visit *visit) {
    visit->alone = false;
    atomic_fetch_add(&visit->directory->references, 1);
    fo_descent_hold(visit->scan, visit->directory);
}

/* Gives records to whoever is free. Returns false if memory is short: then nothing is given. */
static bool give_records(struct fo_visit *visit, const char *records, size_t size) {
    struct fo_chunk *chunk = malloc(sizeof *chunk + size);
    if (chunk == NULL) {
        return false;
    }
    chunk->work.kind = FO_WORK_STAT;
    chunk->directory = visit->directory;
    chunk->size = size;
    memcpy(chunk->records, records, size);
    share(visit);
    fo_frontier_push(visit->scan, &chunk->work, &chunk->work, 1);
    return true;
}

/* Where the record in the middle of what is left begins; the end if there is only one. */
static size_t middle_of(const char *records, size_t from, size_t to) {
    size_t at = from, middle = from + (to - from) / 2;
    do {
        uint16_t length;
        memcpy(&length, records + at + FO_DENTS_RECLEN, sizeof length);
        if (length == 0 || length > to - at) {
            return to;
        }
        at += length;
    } while (at < middle);
    return at;
}

/* Whether to look at an entry may take for ever, and the consumer's own thread would: it can be a mount point. */
static bool may_hang(const struct fo_visit *visit, const struct fo_dent *dent) {
    return visit->worker->inlined && !atomic_load(&visit->scan->alone) &&
           (dent->type == FO_TYPE_DIRECTORY || dent->type == FO_TYPE_UNKNOWN);
}

/* Does the entries of a buffer of records. With metadata to get, half of what is left goes to whoever is idle.
 * Returns fo_dent.next of the last one, 0 if that was given away. */
static int64_t do_records(struct fo_visit *visit, const char *records, size_t size) {
    struct fo_scan *scan = visit->scan;
    bool shareable = scan->stat_mask != 0, given = false;
    struct fo_dent dent = {.next = 0};
    size_t offset = 0, before = 0;
    int result = 0;
    while (!atomic_load_explicit(&scan->cancelled, memory_order_relaxed) &&
           (result = fo_dents_parse(records, size, &offset, &dent)) > 0) {
        if (shareable && may_hang(visit, &dent) && give_records(visit, records + before, size - before)) {
            return 0;
        }
        fo_visit_entry(visit, &dent);
        if (shareable && offset < size && hungry(visit)) {
            size_t middle = visit->worker->inlined ? offset : middle_of(records, offset, size);
            if (middle < size && give_records(visit, records + middle, size - middle)) {
                size = middle;
                given = true;
            }
        }
        before = offset;
    }
    if (result < 0) {
        fo_visit_error(visit, -result, NULL, 0);
    }
    return given || result < 0 ? 0 : dent.next;
}

/* Puts the reading of the directory aside, under the children found so far. Returns false if it cannot be. */
static bool set_aside(struct fo_visit *visit, const struct fo_dents *dents) {
    struct fo_read *read = malloc(sizeof *read);
    if (read == NULL) {
        return false;
    }
    *read = (struct fo_read){.work.kind = FO_WORK_READ, .directory = visit->directory, .dents = *dents};
    share(visit);
    atomic_fetch_add(&visit->scan->frontier.set_aside, 1);
    fo_frontier_push(visit->scan, &read->work, &read->work, 1);
    return true;
}

/* Whether to put the reading aside after a buffer: too much is pending, somebody else could read on, or the
 * consumer's own thread has worked for long enough. */
static bool better_later(const struct fo_visit *visit) {
    struct fo_scan *scan = visit->scan;
    if (visit->worker->inlined) {
        return fo_clock_now() > visit->worker->deadline_ns;
    }
    int affordable = atomic_load_explicit(&scan->descriptors.limit, memory_order_relaxed) / 2;
    if (atomic_load_explicit(&scan->frontier.set_aside, memory_order_relaxed) >= affordable) {
        return false;
    }
    return visit->children > 0 &&
           atomic_load_explicit(&scan->frontier.pending, memory_order_relaxed) > FO_SCAN_PENDING;
}

static int refill(struct fo_worker *worker, struct fo_dents *dents) {
    fo_worker_park(worker);
    int result = fo_dents_refill(dents);
    fo_worker_unpark(worker);
    return result;
}

/* Reads the directory to its end, or until it is put aside. The reader is ended, or lives on in the frontier. */
static void read_on(struct fo_visit *visit, struct fo_dents *dents) {
    struct fo_worker *worker = visit->worker;
    struct fo_scan *scan = visit->scan;
    int result;
    dents->buffer = worker->records;
    while ((result = refill(worker, dents)) > 0) {
        bool shared = scan->stat_mask != 0 && hungry(visit) && !worker->inlined && set_aside(visit, dents);
        int64_t next = do_records(visit, dents->buffer, dents->filled);
        fo_worker_pulse(worker);
        if (shared) {
            return;
        }
        if (atomic_load_explicit(&scan->cancelled, memory_order_relaxed) || fo_dents_ended(dents, next)) {
            break;
        }
        if (better_later(visit) && set_aside(visit, dents)) {
            return;
        }
    }
    if (result < 0) {
        fo_visit_error(visit, -result, NULL, 0);
    }
    fo_dents_stop(dents);
    atomic_fetch_add_explicit(&scan->directories, 1, memory_order_relaxed);
}

/* Whether a directory, now open, may be read: another file system, or a place already seen, may not. */
static bool admissible(struct fo_visit *visit) {
    struct fo_scan *scan = visit->scan;
    struct fo_directory *directory = visit->directory;
    uint32_t flags = scan->options.flags;
    struct fo_stat stat;
    if (!(flags & (FO_SCAN_SAME_FILESYSTEM | FO_SCAN_FOLLOW_SYMLINKS))) {
        return true;
    }
    fo_worker_park(visit->worker);
    int result = fo_stat_at(directory->fd, "", AT_EMPTY_PATH, FO_STAT_INO, &stat);
    fo_worker_unpark(visit->worker);
    if (result < 0) {
        fo_visit_error(visit, -result, NULL, 0);
        return false;
    }
    if (directory->parent != NULL && (flags & FO_SCAN_SAME_FILESYSTEM) && stat.dev != scan->top->dev) {
        return false;
    }
    directory->dev = stat.dev;
    if (!(flags & FO_SCAN_FOLLOW_SYMLINKS)) {
        return true;
    }
    result = fo_visited_add(&scan->visited, stat.dev, stat.ino);
    if (result <= 0) {
        fo_visit_error(visit, result == 0 ? ELOOP : -result, NULL, 0);
    }
    return result > 0;
}

/* Makes the directory's own context of what is ignored. Returns false if it is not to be read. */
static bool enter_ignore(struct fo_visit *visit) {
    struct fo_scan *scan = visit->scan;
    struct fo_directory *directory = visit->directory;
    if (scan->options.ignore == NULL) {
        return true;
    }
    if (directory->parent == NULL) {
        directory->ignore = fo_ignore_hold(scan->options.ignore);
        return true;
    }
    const char *path = visit->worker->prefix + scan->prefix_length;
    size_t length = visit->prefix_length - scan->prefix_length - 1;
    struct fo_ignore *parent = directory->parent->ignore;
    parent = parent != NULL ? parent : scan->options.ignore;
    fo_worker_park(visit->worker);
    int result = fo_ignore_enter(parent, directory->fd, path, length, FO_IGNORE_HAS_FILE | FO_IGNORE_HAS_GIT,
                                 &directory->ignore);
    fo_worker_unpark(visit->worker);
    if (result < 0) {
        fo_visit_error(visit, -result, NULL, 0);
        directory->ignore = fo_ignore_hold(parent);
    }
    return result != FO_IGNORE_NESTED;
}

/* Where a directory could not be begun for want of descriptors, it goes back to the frontier and its worker ends, save
 * the last one. Returns whether it did. */
static bool put_back(struct fo_worker *worker, struct fo_directory *directory, bool opened) {
    if (worker->inlined || directory->parent == NULL || !fo_concurrency_retreat(worker->scan)) {
        return false;
    }
    if (opened) {
        fo_descent_undo(worker, directory);
    }
    fo_descent_let_go(worker);
    fo_frontier_push(worker->scan, &directory->work, &directory->work, 1);
    return true;
}

/* Begins to read an open directory. Returns 0 or -errno. (The portable engine needs a descriptor of its own for that.) */
static int start(struct fo_worker *worker, struct fo_directory *directory, struct fo_dents *dents) {
    int waited_ms = 0, result;
    do {
        fo_worker_park(worker);
        result = fo_dents_start(dents, directory->fd, worker->records, FO_DENTS_BUFFER);
        fo_worker_unpark(worker);
    } while (fo_descent_out_of_descriptors(result) && fo_descent_wait(worker->scan, &waited_ms));
    return result;
}

/* Opens a directory, if it is not yet, and begins to read it. Returns 0 or -errno. */
static int begin(struct fo_worker *worker, struct fo_directory *directory, struct fo_dents *dents, bool *opened) {
    if (!*opened) {
        fo_worker_park(worker);
        int result = fo_descent_open(worker, directory);
        fo_worker_unpark(worker);
        if (result < 0) {
            return result;
        }
        *opened = true;
    }
    return start(worker, directory, dents);
}

/* What cannot be opened is an error, where it stands. */
static void give_up(struct fo_worker *worker, struct fo_directory *directory, int error) {
    struct fo_visit visit;
    fo_descent_forget_child(worker->scan, directory->parent);
    if (arrive(&visit, worker, directory)) {
        fo_visit_error(&visit, error, NULL, 0);
    }
    fo_directory_release(directory);
}

static void do_directory(struct fo_worker *worker, struct fo_directory *directory) {
    struct fo_visit visit;
    struct fo_dents dents;
    bool opened = false;
    int result = begin(worker, directory, &dents, &opened);
    if (fo_descent_out_of_descriptors(result)) {
        if (put_back(worker, directory, opened)) {
            return;
        }
        result = begin(worker, directory, &dents, &opened); /* as the last worker, which waits for longer */
    }
    if (!opened) {
        give_up(worker, directory, -result);
        return;
    }
    bool arrived = arrive(&visit, worker, directory);
    visit.alone = directory->parent != NULL;
    if (arrived && result < 0) {
        fo_visit_error(&visit, -result, NULL, 0);
    } else if (arrived && admissible(&visit) && enter_ignore(&visit)) {
        read_on(&visit, &dents);
    } else if (result == 0) {
        fo_dents_stop(&dents);
    }
    leave(&visit);
}

static void do_read(struct fo_worker *worker, struct fo_read *read) {
    struct fo_visit visit;
    atomic_fetch_sub(&worker->scan->frontier.set_aside, 1);
    if (arrive(&visit, worker, read->directory)) {
        read_on(&visit, &read->dents);
    } else {
        fo_dents_stop(&read->dents);
    }
    leave(&visit);
    free(read);
}

static void do_chunk(struct fo_worker *worker, struct fo_chunk *chunk) {
    struct fo_visit visit;
    if (arrive(&visit, worker, chunk->directory)) {
        do_records(&visit, chunk->records, chunk->size);
    }
    leave(&visit);
    free(chunk);
}

static void look_busy(struct fo_worker *worker, struct fo_directory *directory) {
    pthread_mutex_lock(&worker->lock);
    worker->directory = directory;
    pthread_mutex_unlock(&worker->lock);
}

void fo_scan_work(struct fo_worker *worker, struct fo_work *work) {
    struct fo_directory *directory = work->kind == FO_WORK_DIRECTORY ? (struct fo_directory *)work
                                     : work->kind == FO_WORK_READ    ? ((struct fo_read *)work)->directory
                                                                     : ((struct fo_chunk *)work)->directory;
    atomic_fetch_add_explicit(&directory->references, 1, memory_order_relaxed);
    look_busy(worker, directory);
    if (work->kind == FO_WORK_DIRECTORY) {
        do_directory(worker, directory);
    } else if (work->kind == FO_WORK_READ) {
        do_read(worker, (struct fo_read *)work);
    } else {
        do_chunk(worker, (struct fo_chunk *)work);
    }
    look_busy(worker, NULL);
    fo_directory_release(directory);
}
