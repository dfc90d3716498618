/* Opening directories from their parents, with as many parents kept open as the process can afford.
 *
 * A directory's descriptor stays open while children want to be opened through it. Where descriptors run out, those
 * that nobody uses at the moment are closed, oldest first; whoever needs one again opens it from the nearest open
 * ancestor, one component at a time, so that paths of any length work and no symbolic link is followed on the way. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "scan.h"

enum { OPEN_FLAGS = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK };

static void unlist(struct fo_descriptors *descriptors, struct fo_directory *directory) {
    if (!directory->kept) {
        return;
    }
    *(directory->older != NULL ? &directory->older->newer : &descriptors->oldest) = directory->newer;
    *(directory->newer != NULL ? &directory->newer->older : &descriptors->newest) = directory->older;
    directory->kept = false;
    descriptors->kept--;
}

static void enlist(struct fo_descriptors *descriptors, struct fo_directory *directory) {
    if (directory->kept) {
        return;
    }
    directory->older = descriptors->newest;
    directory->newer = NULL;
    *(descriptors->newest != NULL ? &descriptors->newest->newer : &descriptors->oldest) = directory;
    descriptors->newest = directory;
    directory->kept = true;
    descriptors->kept++;
}

/* Takes a descriptor that nobody uses away from its directory, oldest first. Returns it, or -1 if all are in use. */
static int evict(struct fo_descriptors *descriptors) {
    for (struct fo_directory *directory = descriptors->oldest; directory != NULL; directory = directory->newer) {
        if (directory->fd_users == 0) {
            int fd = directory->fd;
            unlist(descriptors, directory);
            directory->fd = -1;
            return fd;
        }
    }
    return -1;
}

/* How many parents to keep open: a part of what the process may have. */
static int affordable(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > 2048) {
        return 512;
    }
    return limit.rlim_cur > 16 ? (int)limit.rlim_cur / 4 : 4;
}

/* With the lock held: what to do with a descriptor whose users or children have become fewer.
 * Returns a descriptor to close, or -1. */
static int settle(struct fo_descriptors *descriptors, struct fo_directory *directory) {
    if (directory->fd < 0 || directory->fd_users > 0) {
        return -1;
    }
    if (directory->unopened == 0) {
        int fd = directory->fd;
        unlist(descriptors, directory);
        directory->fd = -1;
        return fd;
    }
    enlist(descriptors, directory);
    if (descriptors->kept > descriptors->limit && !descriptors->limited) {
        descriptors->limited = true;
        descriptors->limit = affordable();
    }
    return descriptors->kept > descriptors->limit ? evict(descriptors) : -1;
}

/* The end of a change under the lock. */
static void unlock_and_close(struct fo_descriptors *descriptors, int fd) {
    pthread_mutex_unlock(&descriptors->lock);
    if (fd >= 0) {
        close(fd);
    }
}

void fo_descent_hold(struct fo_scan *scan, struct fo_directory *directory) {
    fo_scan_lock(&scan->descriptors.lock);
    directory->fd_users++;
    pthread_mutex_unlock(&scan->descriptors.lock);
}

void fo_descent_release(struct fo_scan *scan, struct fo_directory *directory, int new_children) {
    fo_scan_lock(&scan->descriptors.lock);
    directory->fd_users--;
    directory->unopened += new_children;
    unlock_and_close(&scan->descriptors, settle(&scan->descriptors, directory));
}

void fo_descent_forget_child(struct fo_scan *scan, struct fo_directory *directory) {
    fo_scan_lock(&scan->descriptors.lock);
    directory->unopened--;
    unlock_and_close(&scan->descriptors, settle(&scan->descriptors, directory));
}

/* Uses a descriptor if it is open. Returns it or -1. */
static int use_open(struct fo_scan *scan, struct fo_directory *directory) {
    fo_scan_lock(&scan->descriptors.lock);
    int fd = directory->fd;
    directory->fd_users += fd >= 0;
    pthread_mutex_unlock(&scan->descriptors.lock);
    return fd;
}

/* Gives a directory that was opened its descriptor, with one user; somebody else may have been faster. */
static int adopt(struct fo_scan *scan, struct fo_directory *directory, int fd) {
    fo_scan_lock(&scan->descriptors.lock);
    int spare = directory->fd >= 0 ? fd : -1;
    if (spare < 0) {
        directory->fd = fd;
    }
    directory->fd_users++;
    fd = directory->fd;
    unlock_and_close(&scan->descriptors, spare);
    return fd;
}

/* Frees a descriptor of this scan. Returns false if all are in use. */
static bool make_room(struct fo_scan *scan) {
    struct fo_descriptors *descriptors = &scan->descriptors;
    fo_scan_lock(&descriptors->lock);
    int fd = evict(descriptors);
    descriptors->limited |= fd >= 0;
    if (fd >= 0 && descriptors->limit > descriptors->kept) {
        descriptors->limit = descriptors->kept > 1 ? descriptors->kept : 1;
    }
    unlock_and_close(descriptors, fd);
    return fd >= 0;
}

bool fo_descent_out_of_descriptors(int result) {
    return result == -EMFILE || result == -ENFILE;
}

bool fo_descent_wait(struct fo_scan *scan, int *waited_ms) {
    int patience_ms = fo_concurrency_retreat(scan) ? 10 : 500;
    if (atomic_load(&scan->cancelled)) {
        return false;
    }
    if (make_room(scan)) {
        return true;
    }
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return ++*waited_ms <= patience_ms;
}

/* openat, which waits for descriptors where they have run out. Returns one or -errno. */
static int open_at(struct fo_scan *scan, int dir_fd, const char *name, int flags) {
    for (int waited_ms = 0;;) {
        int fd = openat(dir_fd, name, OPEN_FLAGS | flags);
        if (fd >= 0) {
            return fd;
        }
        int error = errno;
        if (error != EINTR && !(fo_descent_out_of_descriptors(-error) && fo_descent_wait(scan, &waited_ms))) {
            return -error;
        }
    }
}

/* Opens a name of several components, one by one. Returns a descriptor or -errno. */
static int open_components(struct fo_scan *scan, int dir_fd, char *path, int flags) {
    int fd = dir_fd;
    for (char *name = path, *slash; name != NULL; name = slash == NULL ? NULL : slash + 1) {
        slash = strchr(name, '/');
        if (slash != NULL) {
            *slash = '\0';
        }
        int next = open_at(scan, fd, name, flags);
        if (fd != dir_fd) {
            close(fd);
        }
        if (next < 0) {
            return next;
        }
        fd = next;
    }
    return fd;
}

static int open_from(struct fo_scan *scan, int dir_fd, const struct fo_directory *directory) {
    int flags = directory->follow ? 0 : O_NOFOLLOW;
    if (memchr(directory->name, '/', directory->name_length) == NULL) {
        return open_at(scan, dir_fd, directory->name, flags);
    }
    char *path = strdup(directory->name);
    int fd = path == NULL ? -ENOMEM : open_components(scan, dir_fd, path, flags);
    free(path);
    return fd;
}

/* Opens the directories from below `from` (whose descriptor the caller uses) down to `to`, which lie on one path.
 * Those near the end are kept open, since their other children come next. Returns to's descriptor, used, or -errno;
 * `from` is released. */
static int open_chain(struct fo_scan *scan, struct fo_directory *from, struct fo_directory *to) {
    int32_t length = 0;
    for (struct fo_directory *each = to; each != from; each = each->parent) {
        length++;
    }
    struct fo_directory **chain = malloc((size_t)length * sizeof *chain);
    if (chain == NULL) {
        fo_descent_release(scan, from, 0);
        return -ENOMEM;
    }
    for (struct fo_directory *each = to; each != from; each = each->parent) {
        chain[--length] = each;
    }
    int fd = from->fd;
    struct fo_directory *at = from;
    while (at != to) {
        struct fo_directory *next = chain[length++];
        fd = open_from(scan, fd, next);
        if (fd >= 0) {
            fd = adopt(scan, next, fd);
        }
        fo_descent_release(scan, at, 0);
        if (fd < 0) {
            break;
        }
        at = next;
    }
    free(chain);
    return fd;
}

/* Uses a directory's descriptor, opening it again if it was closed. Returns it or -errno. */
static int use(struct fo_scan *scan, struct fo_directory *directory) {
    struct fo_directory *open = directory;
    int fd;
    while ((fd = use_open(scan, open)) < 0) {
        open = open->parent; /* the root's is never closed */
    }
    return open == directory ? fd : open_chain(scan, open, directory);
}

void fo_descent_close(struct fo_directory *directory) {
    close(directory->fd);
    directory->fd = -1;
    directory->fd_users = 0;
}

void fo_descent_undo(struct fo_worker *worker, struct fo_directory *directory) {
    fo_descent_close(directory);
    worker->opened--;
}

void fo_descent_let_go(struct fo_worker *worker) {
    struct fo_directory *held = worker->held;
    if (held != NULL) {
        worker->held = NULL;
        fo_descent_release(worker->scan, held, -worker->opened);
        fo_directory_release(held);
    }
}

/* Makes the worker hold a directory's descriptor. Returns it or -errno. */
static int hold(struct fo_worker *worker, struct fo_directory *directory) {
    if (worker->held == directory) {
        return directory->fd;
    }
    fo_descent_let_go(worker);
    int fd = use(worker->scan, directory);
    if (fd >= 0) {
        atomic_fetch_add_explicit(&directory->references, 1, memory_order_relaxed);
        worker->held = directory;
        worker->opened = 0;
    }
    return fd;
}

int fo_descent_open(struct fo_worker *worker, struct fo_directory *directory) {
    struct fo_directory *parent = directory->parent;
    if (parent == NULL) {
        fo_descent_hold(worker->scan, directory);
        return 0;
    }
    int fd = hold(worker, parent);
    fd = fd < 0 ? fd : open_from(worker->scan, fd, directory);
    if (fd < 0) {
        return fd;
    }
    worker->opened++;
    directory->fd = fd;
    directory->fd_users = 1;
    return 0;
}
