/* What a scan tells of itself: counts, what hangs, what it has left. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scan.h"

/* Whether a worker hangs; the frontier's lock is held, so that it does not go away. */
static bool stalled(struct fo_worker *worker, int64_t now) {
    int64_t since = worker != NULL ? atomic_load(&worker->since_ns) : 0;
    return since != 0 && now - since > FO_SCAN_STALL_MS * INT64_C(1000000);
}

int fo_scan_stats(struct fo_scan *scan, struct fo_scan_stats *out) {
    int64_t now = fo_clock_now();
    *out = (struct fo_scan_stats){.entries = atomic_load(&scan->entries),
                                  .directories = atomic_load(&scan->directories),
                                  .errors = atomic_load(&scan->errors),
                                  .threads_peak = atomic_load(&scan->threads_peak),
                                  .exhausted = atomic_load(&scan->exhausted)};
    int result = fo_scan_hold(scan);
    if (result < 0) {
        out->elapsed_ns = scan->finished_ns != 0 ? scan->finished_ns - scan->started_ns : 0;
        return result == -EBADF ? 0 : result;
    }
    pthread_mutex_lock(&scan->frontier.lock);
    out->threads = scan->concurrency.live;
    out->pending = scan->frontier.pending;
    out->finished = scan->frontier.finished;
    out->elapsed_ns = !scan->started ? 0 : (scan->finished_ns != 0 ? scan->finished_ns : now) - scan->started_ns;
    for (int i = 0; i < FO_SCAN_MOST_THREADS; i++) {
        out->stalled += stalled(atomic_load(&scan->workers[i]), now);
    }
    pthread_mutex_unlock(&scan->frontier.lock);
    fo_scan_drop(scan);
    return 0;
}

/* Writes the whole path of the directory that a worker is in. Returns the bytes written, its NUL included. */
static size_t write_place(struct fo_scan *scan, struct fo_worker *worker, char *buffer, size_t size) {
    size_t length = 0;
    pthread_mutex_lock(&worker->lock);
    struct fo_directory *directory = worker->directory;
    if (directory != NULL) {
        size_t below = fo_directory_path(directory, NULL, 0);
        length = below > 0 ? scan->prefix_length + below : scan->root_length;
        if (length + 2 <= size) {
            memcpy(buffer, scan->root, scan->root_length);
            if (below > 0) {
                buffer[scan->prefix_length - 1] = '/';
                fo_directory_path(directory, buffer + scan->prefix_length, below + 1);
            }
            buffer[length++] = '\0';
        } else {
            length = 0;
        }
    }
    pthread_mutex_unlock(&worker->lock);
    return length;
}

int fo_scan_stalled(struct fo_scan *scan, char *buffer, int size) {
    size_t written = 0;
    int result = fo_scan_hold(scan);
    if (result < 0) {
        return result;
    }
    int64_t now = fo_clock_now();
    pthread_mutex_lock(&scan->frontier.lock);
    for (int i = 0; i < FO_SCAN_MOST_THREADS; i++) {
        struct fo_worker *worker = atomic_load(&scan->workers[i]);
        if (stalled(worker, now)) {
            written += write_place(scan, worker, buffer + written, (size_t)size - written);
        }
    }
    pthread_mutex_unlock(&scan->frontier.lock);
    fo_scan_drop(scan);
    return (int)written;
}

/* Writes the directories of a list, behind symbolic links or not, if they fit. Returns where the next one goes. */
static int64_t write_list(const struct fo_work *work, bool links, char *buffer, int64_t at, int64_t size) {
    for (; work != NULL; work = work->next) {
        const struct fo_directory *directory = (const struct fo_directory *)work;
        if (directory->follow != links) {
            continue;
        }
        int64_t length = (int64_t)fo_directory_path(directory, NULL, 0);
        if (at + length + 1 <= size) {
            /* The path is written with its last slash, where the NUL goes. */
            fo_directory_path(directory, buffer + at, (size_t)length + 1);
            buffer[at + length] = '\0';
        }
        at += length + 1;
    }
    return at;
}

int64_t fo_scan_frontier(struct fo_scan *scan, char *buffer, int64_t size) {
    int result = fo_scan_hold(scan);
    if (result < 0) {
        return result;
    }
    pthread_mutex_lock(&scan->frontier.lock);
    int64_t needed = -EBUSY;
    if (scan->frontier.finished) {
        /* What stands last is read first: links after all others. */
        needed = write_list(scan->frontier.untouched, true, buffer, 0, size);
        needed = write_list(scan->frontier.untouched, false, buffer, needed, size);
    }
    pthread_mutex_unlock(&scan->frontier.lock);
    fo_scan_drop(scan);
    return needed;
}
