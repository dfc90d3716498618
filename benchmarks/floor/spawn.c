/* The floor of spawn(): vfork, exec, waitpid in one loop, and nothing else.
 *
 *     spawn COUNT PROGRAM [ARGUMENT...]      prints nanoseconds per child, the median
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000 + time.tv_nsec;
}

static int compare(const void *left, const void *right) {
    long a = *(const long *)left, b = *(const long *)right;
    return (a > b) - (a < b);
}

static void spawn_once(char **command) {
    int status = 0;
    pid_t pid = vfork();
    if (pid == 0) {
        execve(command[0], command, environ);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        exit(1);
    }
}

int main(int argc, char **argv) {
    int count = argc > 2 ? atoi(argv[1]) : 0;
    long *times = count > 0 ? calloc((size_t)count, sizeof(long)) : NULL;
    if (times == NULL) {
        fprintf(stderr, "usage: spawn COUNT PROGRAM [ARGUMENT...]\n");
        return 2;
    }
    for (int i = 0; i < count; i++) {
        long start = now();
        spawn_once(argv + 2);
        times[i] = now() - start;
    }
    qsort(times, (size_t)count, sizeof(long), compare);
    printf("%ld\n", times[count / 2]);
    return 0;
}
