/* The floor of spawning: vfork, exec, waitpid in one loop, and nothing else.
 *
 *     spawn COUNT PROGRAM [ARGUMENT...]      prints the microseconds of one spawn, the median of COUNT
 *     spawn --pipe COUNT PROGRAM ...         with standard output read from a pipe to its end
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static int compare(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static void drain(int fd) {
    char buffer[65536];
    while (read(fd, buffer, sizeof(buffer)) > 0) {
    }
    close(fd);
}

static void spawn_once(char **command, int with_pipe) {
    int ends[2] = {-1, -1}, status = 0;
    if (with_pipe && pipe2(ends, O_CLOEXEC) < 0) {
        exit(1);
    }
    pid_t pid = vfork();
    if (pid == 0) {
        if (with_pipe) {
            dup2(ends[1], 1);
        }
        execve(command[0], command, environ);
        _exit(127);
    }
    if (with_pipe) {
        close(ends[1]);
        drain(ends[0]);
    }
    if (waitpid(pid, &status, 0) != pid || status != 0) {
        exit(1);
    }
}

int main(int argc, char **argv) {
    int with_pipe = argc > 1 && strcmp(argv[1], "--pipe") == 0;
    int count = argc > 2 + with_pipe ? atoi(argv[1 + with_pipe]) : 0;
    double *times = count > 0 ? calloc((size_t)count, sizeof(double)) : NULL;
    if (times == NULL) {
        fprintf(stderr, "usage: spawn [--pipe] COUNT PROGRAM [ARGUMENT...]\n");
        return 2;
    }
    for (int i = 0; i < count; i++) {
        double start = now();
        spawn_once(argv + 2 + with_pipe, with_pipe);
        times[i] = now() - start;
    }
    qsort(times, (size_t)count, sizeof(double), compare);
    printf("%.2f\n", times[count / 2]);
    return 0;
}
