/* The floor of starting services: vfork and exec, COUNT times, without waiting for any; they are killed afterwards.
 *
 *     start COUNT PROGRAM [ARGUMENT...]      prints nanoseconds for all
 */
#include <signal.h>
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

static pid_t start(char **command) {
    pid_t pid = vfork();
    if (pid == 0) {
        execve(command[0], command, environ);
        _exit(127);
    }
    return pid;
}

int main(int argc, char **argv) {
    int count = argc > 2 ? atoi(argv[1]) : 0;
    pid_t *children = count > 0 ? calloc((size_t)count, sizeof(pid_t)) : NULL;
    if (children == NULL) {
        fprintf(stderr, "usage: start COUNT PROGRAM [ARGUMENT...]\n");
        return 2;
    }
    long begin = now();
    for (int i = 0; i < count; i++) {
        children[i] = start(argv + 2);
    }
    long took = now() - begin;
    int started = 0;
    for (int i = 0; i < count; i++) {
        started += children[i] > 0 && kill(children[i], SIGKILL) == 0;
    }
    while (wait(NULL) > 0) {
    }
    printf("{\"ns\": %ld, \"count\": %d}\n", took, started);
    free(children);
    return 0;
}
