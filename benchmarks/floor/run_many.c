/* The floor of run_many(): the loop of run.c from several threads at once. Nothing else.
 *
 *     run_many COUNT THREADS PROGRAM [ARGUMENT...]      prints nanoseconds of wall time per child
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static char **arguments;
static long per_thread;

static void run_once(char *buffer, size_t size) {
    int ends[2], status;
    if (pipe2(ends, O_CLOEXEC) < 0) {
        _exit(1);
    }
    pid_t pid = vfork();
    if (pid == 0) {
        dup2(ends[1], 1);
        execve(arguments[0], arguments, environ);
        _exit(127);
    }
    close(ends[1]);
    while (read(ends[0], buffer, size) > 0) {
    }
    close(ends[0]);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        _exit(1);
    }
}

static void *loop(void *unused) {
    char buffer[65536];
    for (long i = 0; i < per_thread; i++) {
        run_once(buffer, sizeof buffer);
    }
    return unused;
}

int main(int argc, char **argv) {
    long count = argc > 3 ? atol(argv[1]) : 0, threads = argc > 3 ? atol(argv[2]) : 0;
    if (count <= 0 || threads <= 0 || threads > 1024) {
        return 1;
    }
    pthread_t started[1024];
    struct timespec begin, end;
    arguments = argv + 3;
    per_thread = count / threads;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (long i = 0; i < threads; i++) {
        if (pthread_create(&started[i], NULL, loop, NULL) != 0) {
            return 1;
        }
    }
    for (long i = 0; i < threads; i++) {
        pthread_join(started[i], NULL);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%.0f\n", ((end.tv_sec - begin.tv_sec) * 1e9 + (end.tv_nsec - begin.tv_nsec)) / (per_thread * threads));
    return 0;
}
