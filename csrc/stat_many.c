/* Metadata of many paths: the paths are dealt out in slices, each thread takes the next. */
#include "api.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { SLICE = 128, MOST_THREADS = 64 };

struct job {
    int dir_fd, flags;
    uint32_t mask;
    const char **path;
    size_t count;
    struct fo_stat_columns *out;
    int32_t *error;
    atomic_size_t next;
    atomic_llong failed;
};

#define STORE(column, value)              \
    if (out->column != NULL) {            \
        out->column[i] = (value);         \
    }

static void store(const struct fo_stat_columns *out, size_t i, const struct fo_stat *status) {
    STORE(size, status->size)
    STORE(blocks, status->blocks)
    STORE(atime_ns, status->atime_ns)
    STORE(mtime_ns, status->mtime_ns)
    STORE(ctime_ns, status->ctime_ns)
    STORE(btime_ns, status->btime_ns)
    STORE(ino, status->ino)
    STORE(dev, status->dev)
    STORE(rdev, status->rdev)
    STORE(mode, status->mode)
    STORE(uid, status->uid)
    STORE(gid, status->gid)
    STORE(nlink, status->nlink)
    STORE(blksize, status->blksize)
    STORE(type, (uint8_t)fo_stat_type(status->mode))
}

static void *work(void *argument) {
    struct job *job = argument;
    size_t begin;
    while ((begin = atomic_fetch_add(&job->next, SLICE)) < job->count) {
        size_t end = begin + SLICE < job->count ? begin + SLICE : job->count;
        for (size_t i = begin; i < end; i++) {
            struct fo_stat status = {.btime_ns = -1};
            int result = fo_stat_at(job->dir_fd, job->path[i], job->flags, job->mask, &status);
            if (result < 0) {
                status = (struct fo_stat){.btime_ns = -1};
                atomic_fetch_add(&job->failed, 1);
            }
            job->error[i] = -result;
            store(job->out, i, &status);
        }
    }
    return NULL;
}

int64_t fo_stat_many(int dir_fd, const char *paths, size_t count, int flags, uint32_t mask, int threads,
                     struct fo_stat_columns *out, int32_t *error) {
    struct job job = {.dir_fd = dir_fd, .flags = flags, .mask = mask, .count = count, .out = out, .error = error};
    job.path = malloc((count ? count : 1) * sizeof(*job.path));
    if (job.path == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++, paths += strlen(paths) + 1) {
        job.path[i] = paths;
    }
    pthread_t thread[MOST_THREADS];
    int started = 0;
    while (started < threads - 1 && started < MOST_THREADS &&
           pthread_create(&thread[started], NULL, work, &job) == 0) {
        started++;
    }
    work(&job);
    for (int i = 0; i < started; i++) {
        pthread_join(thread[i], NULL);
    }
    free(job.path);
    return atomic_load(&job.failed);
}
