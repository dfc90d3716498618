#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "check.h"
#include "scan.h"

/* Batches ask for their columns by this; after so many times in vain. */
static atomic_int columns_left = INT_MAX;

void *aligned_alloc(size_t alignment, size_t size) {
    void *memory = NULL;
    if (atomic_fetch_sub(&columns_left, 1) <= 0 || posix_memalign(&memory, alignment, size) != 0) {
        return NULL;
    }
    return memory;
}

static char root[] = "/tmp/fastos-scan-XXXXXX";

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place) {
    (void)status, (void)kind, (void)place;
    return remove(path);
}

static void clean(void) {
    nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* width directories of width files each, and as many below each of them, down to depth. Returns the entries made. */
static long plant(const char *path, int depth, int width) {
    long made = 0;
    char name[512];
    for (int i = 0; i < width; i++) {
        snprintf(name, sizeof name, "%s/file%d", path, i);
        int fd = open(name, O_CREAT | O_WRONLY, 0600);
        CHECK(fd >= 0);
        close(fd);
        made++;
        if (depth > 0) {
            snprintf(name, sizeof name, "%s/directory%d", path, i);
            CHECK_EQ(mkdir(name, 0700), 0);
            made += 1 + plant(name, depth - 1, width);
        }
    }
    return made;
}

static long tree(int depth, int width) {
    CHECK(mkdtemp(root) != NULL);
    atexit(clean);
    return plant(root, depth, width);
}

static struct fo_scan_options options(uint32_t flags, uint32_t fields, int threads) {
    return (struct fo_scan_options){.root = root, .dir_fd = AT_FDCWD, .flags = flags, .fields = fields, .min_depth = 1,
                                    .max_depth = -1, .threads = threads};
}

static long drain(struct fo_scan *scan, long *errors) {
    struct fo_batch *batch;
    long count = 0;
    int result;
    while ((result = fo_scan_next(scan, 1000, &batch)) != 2) {
        CHECK(result >= 0);
        if (result == 1) {
            count += batch->count;
            *errors += batch->error_count;
            CHECK_EQ(fo_batch_release(batch), 0);
        }
    }
    return count;
}

static void counts_all(uint32_t flags, uint32_t fields, int threads, int engine) {
    struct fo_scan *scan;
    long planted = tree(3, 6), errors = 0;
    fo_platform_use(engine);
    struct fo_scan_options asked = options(flags, fields, threads);
    CHECK_EQ(fo_scan_open(&asked, &scan), 0);
    CHECK_EQ(drain(scan, &errors), planted);
    CHECK_EQ(errors, 0);
    CHECK_EQ(fo_scan_free(scan), 0);
}

TEST(names) { counts_all(0, 0, 4, FO_ENGINE_NATIVE); }
TEST(paths) { counts_all(FO_SCAN_PATHS, 0, 0, FO_ENGINE_NATIVE); }
TEST(columns) { counts_all(0, FO_STAT_ALL, 8, FO_ENGINE_NATIVE); }
TEST(portable) { counts_all(FO_SCAN_PATHS, FO_STAT_SIZE, 8, FO_ENGINE_POSIX); }
TEST(sorted) { counts_all(FO_SCAN_SORT | FO_SCAN_PATHS, FO_STAT_SIZE, 4, FO_ENGINE_NATIVE); }
TEST(following) { counts_all(FO_SCAN_FOLLOW_SYMLINKS, 0, 4, FO_ENGINE_NATIVE); }

TEST(one_directory_is_shared) {
    struct fo_scan *scan;
    long planted = tree(0, 9000), errors = 0;
    struct fo_scan_options asked = options(0, FO_STAT_SIZE, 8);
    CHECK_EQ(fo_scan_open(&asked, &scan), 0);
    CHECK_EQ(drain(scan, &errors), planted);
    CHECK_EQ(fo_scan_free(scan), 0);
}

TEST(closed_half_way) {
    tree(2, 12);
    for (int i = 0; i < 30; i++) {
        struct fo_scan *scan;
        struct fo_batch *batch = NULL;
        struct fo_scan_options asked = options(FO_SCAN_PATHS, i % 2 ? FO_STAT_SIZE : 0, 1 + i % 8);
        CHECK_EQ(fo_scan_open(&asked, &scan), 0);
        if (i % 3 != 0) {
            CHECK(fo_scan_next(scan, 1000, &batch) > 0);
        }
        CHECK_EQ(fo_scan_free(scan), 0);
        /* What was handed out outlives its scan. */
        if (batch != NULL) {
            CHECK(batch->count == 0 || strlen(batch->names) > 0);
            fo_batch_release(batch);
        }
    }
}

TEST(few_descriptors) {
    struct fo_scan *scan;
    long planted = tree(4, 3), errors = 0;
    struct rlimit limit = {12, 12};
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    struct fo_scan_options asked = options(0, FO_STAT_SIZE, 8);
    CHECK_EQ(fo_scan_open(&asked, &scan), 0);
    CHECK_EQ(drain(scan, &errors), planted);
    CHECK_EQ(errors, 0);
    CHECK_EQ(fo_scan_free(scan), 0);
}

TEST(budget_loses_nothing) {
    long planted = tree(3, 5), errors = 0, found = 0;
    char *frontier = NULL;
    int64_t size = 0;
    for (int round = 0; round == 0 || size > 0; round++) {
        struct fo_scan *scan;
        struct fo_scan_options asked = options(0, 0, 3);
        asked.max_entries = 40;
        asked.frontier = frontier;
        asked.frontier_size = (uint64_t)size;
        CHECK_EQ(fo_scan_open(&asked, &scan), 0);
        found += drain(scan, &errors);
        free(frontier);
        size = fo_scan_frontier(scan, NULL, 0);
        CHECK(size >= 0 && round < 1000);
        frontier = malloc((size_t)size + 1);
        CHECK_EQ(fo_scan_frontier(scan, frontier, size), size);
        fo_scan_free(scan);
    }
    free(frontier);
    CHECK_EQ(found, planted);
    CHECK_EQ(errors, 0);
}

TEST(a_forked_child_lets_go) {
    struct fo_scan *scan;
    struct fo_batch *batch;
    tree(3, 6);
    struct fo_scan_options asked = options(0, 0, 4);
    CHECK_EQ(fo_scan_open(&asked, &scan), 0);
    CHECK(fo_scan_next(scan, 1000, &batch) == 1);
    pid_t pid = fork();
    if (pid == 0) {
        struct fo_batch *mine;
        _exit(fo_scan_next(scan, 1000, &mine) == -ECHILD && fo_batch_release(batch) == -ECHILD &&
                      fo_scan_close(scan) == 0
                  ? 0
                  : 1);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    fo_batch_release(batch);
    fo_scan_free(scan);
}

static bool wanted(struct fo_scan *scan, int workers) {
    pthread_mutex_lock(&scan->frontier.lock);
    bool running = scan->concurrency.cores > 0;
    if (running) {
        scan->concurrency.target = workers;
    }
    pthread_mutex_unlock(&scan->frontier.lock);
    return running;
}

/* Calls in a dozen workers, and soon sends all but one away. */
static void *come_and_go(void *argument) {
    struct fo_scan *scan = argument;
    while (!wanted(scan, 12)) {
        usleep(10);
    }
    fo_worker_start(scan);
    usleep((useconds_t)rand() % 1000);
    wanted(scan, 1);
    return NULL;
}

TEST(workers_that_come_and_go_lose_nothing) {
    long planted = tree(3, 8);
    alarm(60);
    for (int i = 0; i < 60; i++) {
        struct fo_scan *scan;
        pthread_t thread;
        long errors = 0;
        struct fo_scan_options asked = options(0, FO_STAT_SIZE, 0);
        CHECK_EQ(fo_scan_open(&asked, &scan), 0);
        CHECK_EQ(fo_scan_hold(scan), 0);
        CHECK_EQ(pthread_create(&thread, NULL, come_and_go, scan), 0);
        CHECK_EQ(drain(scan, &errors), planted);
        CHECK_EQ(errors, 0);
        pthread_join(thread, NULL);
        fo_scan_drop(scan);
        fo_scan_free(scan);
    }
}

/* Reads a scan for which memory gets short. Returns the entries, or -ENOMEM. */
static long drain_or_fail(struct fo_scan *scan) {
    struct fo_batch *batch;
    long count = 0;
    int result;
    while ((result = fo_scan_next(scan, 1000, &batch)) >= 0 && result != 2) {
        if (result == 1) {
            count += batch->count;
            CHECK_EQ(fo_batch_release(batch), 0);
        }
    }
    return result < 0 ? result : count;
}

static void memory_runs_out(uint32_t flags) {
    long planted = tree(3, 6), found = 0;
    int failures = 0;
    for (int columns = 0; found != planted; columns += 1 + columns / 4) {
        struct fo_scan *scan;
        struct fo_scan_options asked = options(flags, FO_STAT_SIZE, 1 + columns % 4);
        CHECK_EQ(fo_scan_open(&asked, &scan), 0);
        atomic_store(&columns_left, columns);
        found = drain_or_fail(scan);
        atomic_store(&columns_left, INT_MAX);
        CHECK(found == planted || found == -ENOMEM);
        failures += found < 0;
        CHECK_EQ(fo_scan_free(scan), 0);
    }
    CHECK(failures > 0);
}

TEST(short_memory_is_an_error) { memory_runs_out(0); }
TEST(short_memory_is_an_error_when_sorted) { memory_runs_out(FO_SCAN_SORT | FO_SCAN_PATHS); }

/* A chain of directories with long names: each is an entry in one with a longer path. */
TEST(batches_of_deep_directories_are_small) {
    enum { LEVELS = 400 };
    struct fo_scan *scan;
    struct fo_batch *batch;
    char name[201];
    int result, count = 0, at;
    memset(name, 'n', 200);
    name[200] = '\0';
    CHECK(mkdtemp(root) != NULL);
    CHECK((at = open(root, O_RDONLY)) >= 0);
    for (int i = 0; i < LEVELS; i++) {
        CHECK_EQ(mkdirat(at, name, 0700), 0);
        int below = openat(at, name, O_RDONLY);
        close(at);
        at = below;
    }
    struct fo_scan_options asked = options(0, 0, 1);
    CHECK_EQ(fo_scan_open(&asked, &scan), 0);
    while ((result = fo_scan_next(scan, 1000, &batch)) != 2) {
        if (result == 1) {
            count += batch->count;
            CHECK(batch->directories_size < FO_SCAN_BATCH_BYTES + LEVELS * 201);
            fo_batch_release(batch);
        }
    }
    CHECK_EQ(count, LEVELS);
    fo_scan_free(scan);
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", root);
    CHECK_EQ(system(command), 0);
}

static struct fo_worker *one_that_left(struct fo_scan *scan) {
    struct fo_worker *found = NULL;
    pthread_mutex_lock(&scan->frontier.lock);
    for (int i = 0; i < FO_SCAN_MOST_THREADS && found == NULL; i++) {
        struct fo_worker *worker = atomic_load(&scan->workers[i]);
        found = worker != NULL && worker->left ? worker : NULL;
    }
    pthread_mutex_unlock(&scan->frontier.lock);
    return found;
}

__attribute__((no_sanitize("thread"))) static bool holds(const struct fo_worker *worker) {
    return *(struct fo_directory *const volatile *)&worker->held != NULL;
}

/* The queue is full, and a worker that is one too many has a batch to put there: meanwhile it holds no descriptor. */
TEST(a_leaving_worker_that_waits_holds_nothing) {
    struct fo_scan *scan;
    struct fo_worker *worker = NULL;
    long planted = tree(3, 8), errors = 0;
    alarm(20);
    struct fo_scan_options asked = options(0, FO_STAT_SIZE, 0);
    CHECK_EQ(fo_scan_open(&asked, &scan), 0);
    scan->started = true;
    scan->started_ns = fo_clock_now();
    fo_concurrency_start(scan);
    for (int i = 0; i < FO_SCAN_QUEUE; i++) {
        fo_queue_rescue(scan, fo_batch_take(scan, 1));
    }
    wanted(scan, 2);
    CHECK(fo_worker_start(scan) > 0);
    while (atomic_load(&scan->directories) < 3) {
        usleep(100);
    }
    wanted(scan, 0);
    for (int i = 0; i < 1000 && worker == NULL; i++) { /* they may have been too quick, and wait with all they found */
        worker = one_that_left(scan);
        usleep(100);
    }
    while (worker != NULL && holds(worker)) {
        usleep(100);
    }
    CHECK_EQ(drain(scan, &errors), planted);
    CHECK_EQ(errors, 0);
    fo_scan_free(scan);
}

TEST(missing_root_is_an_error) {
    struct fo_scan *scan;
    struct fo_scan_options asked = options(0, 0, 0);
    asked.root = "/nonexistent/root";
    CHECK_EQ(fo_scan_open(&asked, &scan), -ENOENT);
    asked.root = "/etc/passwd";
    CHECK_EQ(fo_scan_open(&asked, &scan), -ENOTDIR);
}

MAIN(RUN(names), RUN(paths), RUN(columns), RUN(portable), RUN(sorted), RUN(following), RUN(one_directory_is_shared),
     RUN(closed_half_way), RUN(few_descriptors), RUN(budget_loses_nothing), RUN(a_forked_child_lets_go),
     RUN(workers_that_come_and_go_lose_nothing), RUN(short_memory_is_an_error),
     RUN(short_memory_is_an_error_when_sorted), RUN(batches_of_deep_directories_are_small),
     RUN(a_leaving_worker_that_waits_holds_nothing), RUN(missing_root_is_an_error))
