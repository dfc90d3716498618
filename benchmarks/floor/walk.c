/* The physical limit of reading a tree: N threads, getdents64, nothing else.
 *
 *   walk [-t THREADS] [-s] ROOT
 *
 * Counts the entries below ROOT; with -s also asks statx for the size and mtime of each and adds the sizes up.
 * Prints one line of JSON: ns (from the first thread's start to the last one's end) and the counts.
 *
 * One stack of work under one lock. Work is a directory to read or, with -s, a buffer of names to stat, so that one
 * huge directory keeps all threads busy. A directory is opened relative to its parent, which stays open as long as
 * a child waits. The children of a directory go on the stack in one go.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 64 << 10, SPLIT = 16 << 10, LIMIT_THREADS = 256 };

struct dirent64_raw {
    uint64_t ino;
    int64_t off;
    unsigned short length;
    unsigned char type;
    char name[];
};

/* An open directory, shared by those of its children that wait. */
struct open_directory {
    atomic_int users;
    int fd;
};

struct work {
    struct work *next;
    struct open_directory *parent;
    size_t used; /* 0: a directory to read, named by data; otherwise a buffer of entries to stat */
    char data[];
};

struct counts {
    uint64_t entries, directories, name_bytes, bytes, errors;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static struct work *stack;
static int idle, threads = 1;
static int with_stat, finished;
static struct counts total;

static void *fail(const char *what)
{
    perror(what);
    exit(1);
}

static void leave(struct open_directory *directory)
{
    if (atomic_fetch_sub(&directory->users, 1) == 1) {
        close(directory->fd);
        free(directory);
    }
}

/* Puts the list first..last on the stack. */
static void push(struct work *first, struct work *last)
{
    pthread_mutex_lock(&lock);
    last->next = stack;
    stack = first;
    if (idle)
        pthread_cond_broadcast(&more);
    pthread_mutex_unlock(&lock);
}

/* The next work, or NULL when all threads have run out of it. */
static struct work *pop(void)
{
    pthread_mutex_lock(&lock);
    while (!stack && !finished) {
        if (++idle == threads) {
            finished = 1;
            pthread_cond_broadcast(&more);
        } else {
            pthread_cond_wait(&more, &lock);
        }
        if (!finished)
            idle--;
    }
    struct work *work = stack;
    if (work)
        stack = work->next;
    pthread_mutex_unlock(&lock);
    return work;
}

static struct work *new_work(struct open_directory *parent, const char *data, size_t length, size_t used)
{
    struct work *work = malloc(sizeof *work + length + 1);
    if (!work)
        fail("malloc");
    memcpy(work->data, data, length);
    work->data[length] = '\0';
    work->parent = parent;
    work->used = used;
    atomic_fetch_add_explicit(&parent->users, 1, memory_order_relaxed);
    return work;
}

static int is_dot(const char *name)
{
    return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

static void stat_entries(int fd, const char *buffer, size_t used, struct counts *counts)
{
    for (size_t at = 0; at < used;) {
        const struct dirent64_raw *entry = (const void *)(buffer + at);
        at += entry->length;
        struct statx status;
        if (is_dot(entry->name))
            continue;
        if (statx(fd, entry->name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_SIZE | STATX_MTIME, &status))
            counts->errors++;
        else if (entry->type == DT_REG)
            counts->bytes += status.stx_size;
    }
}

static int is_directory(int fd, const struct dirent64_raw *entry)
{
    struct statx status;
    if (entry->type != DT_UNKNOWN)
        return entry->type == DT_DIR;
    return !statx(fd, entry->name, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &status) && S_ISDIR(status.stx_mode);
}

/* Counts the entries of one buffer and adds the directories among them to the list. */
static void take_names(struct open_directory *self, const char *buffer, size_t used, struct counts *counts,
                       struct work **first, struct work **last)
{
    for (size_t at = 0; at < used;) {
        const struct dirent64_raw *entry = (const void *)(buffer + at);
        at += entry->length;
        if (is_dot(entry->name))
            continue;
        size_t length = strlen(entry->name);
        counts->entries++;
        counts->name_bytes += length;
        if (!is_directory(self->fd, entry))
            continue;
        counts->directories++;
        struct work *child = new_work(self, entry->name, length, 0);
        child->next = *first;
        *first = child;
        if (!*last)
            *last = child;
    }
}

/* Stats the entries of one buffer here, or leaves a large one to whoever is free. */
static void stat_or_share(struct open_directory *self, const char *buffer, size_t used, struct counts *counts)
{
    if (used < SPLIT || threads == 1) {
        stat_entries(self->fd, buffer, used, counts);
        return;
    }
    struct work *chunk = new_work(self, buffer, used, used);
    push(chunk, chunk);
}

static void read_directory(struct open_directory *self, char *buffer, struct counts *counts)
{
    struct work *first = NULL, *last = NULL;
    long used;
    while ((used = syscall(SYS_getdents64, self->fd, buffer, BUFFER)) > 0) {
        take_names(self, buffer, (size_t)used, counts, &first, &last);
        if (with_stat)
            stat_or_share(self, buffer, (size_t)used, counts);
    }
    if (used < 0)
        counts->errors++;
    if (first)
        push(first, last);
}

static void open_and_read(struct work *work, char *buffer, struct counts *counts)
{
    int fd = openat(work->parent->fd, work->data, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    leave(work->parent);
    if (fd < 0) {
        counts->errors++;
        return;
    }
    struct open_directory *self = malloc(sizeof *self);
    if (!self)
        fail("malloc");
    atomic_init(&self->users, 1);
    self->fd = fd;
    read_directory(self, buffer, counts);
    leave(self);
}

static void *worker(void *unused)
{
    (void)unused;
    struct counts counts = {0};
    char *buffer = malloc(BUFFER);
    struct work *work;
    while ((work = pop())) {
        if (work->used) {
            stat_entries(work->parent->fd, work->data, work->used, &counts);
            leave(work->parent);
        } else {
            open_and_read(work, buffer, &counts);
        }
        free(work);
    }
    free(buffer);
    pthread_mutex_lock(&lock);
    total.entries += counts.entries;
    total.directories += counts.directories;
    total.name_bytes += counts.name_bytes;
    total.bytes += counts.bytes;
    total.errors += counts.errors;
    pthread_mutex_unlock(&lock);
    return NULL;
}

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void run(const char *root)
{
    pthread_t ids[LIMIT_THREADS];
    struct open_directory *here = malloc(sizeof *here);
    atomic_init(&here->users, 1);
    here->fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (here->fd < 0)
        fail(root);
    struct work *start = new_work(here, ".", 1, 0);
    push(start, start);
    for (int i = 1; i < threads; i++)
        if (pthread_create(&ids[i], NULL, worker, NULL))
            fail("pthread_create");
    worker(NULL);
    for (int i = 1; i < threads; i++)
        pthread_join(ids[i], NULL);
    leave(here);
}

int main(int count, char **arguments)
{
    int option;
    while ((option = getopt(count, arguments, "t:s")) != -1) {
        if (option == 't')
            threads = atoi(optarg);
        else if (option == 's')
            with_stat = 1;
        else
            return 2;
    }
    if (optind != count - 1 || threads < 1 || threads > LIMIT_THREADS) {
        fprintf(stderr, "usage: walk [-t THREADS] [-s] ROOT\n");
        return 2;
    }
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    int64_t begin = now();
    run(arguments[optind]);
    printf("{\"ns\": %lld, \"entries\": %llu, \"directories\": %llu, \"name_bytes\": %llu, \"bytes\": %llu, "
           "\"errors\": %llu}\n",
           (long long)(now() - begin), (unsigned long long)total.entries, (unsigned long long)total.directories,
           (unsigned long long)total.name_bytes, (unsigned long long)total.bytes, (unsigned long long)total.errors);
    return 0;
}
