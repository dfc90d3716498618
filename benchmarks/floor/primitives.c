/* The system calls under the primitives of os, each in a bare loop: primitives OPERATION COUNT FILE.
 * FILE is opened and its mode is changed: give it a scratch file.
 * Prints one line of JSON: nanoseconds in all, and how many times the operation was done. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char file[4096], other[4200], buffer[4096];
static int null_fd;

static void op_getuid(void) { (void)getuid(); }
static void op_getpid(void) { (void)getpid(); }
static void op_kill(void) { kill(getpid(), 0); }
static void op_access(void) { access(file, R_OK); }
static void op_chmod(void) { chmod(file, 0600); }
static void op_umask(void) { umask(022); }
static void op_open(void) { close(open(file, O_RDONLY | O_CLOEXEC)); }
static void op_write(void) { if (write(null_fd, "x", 1) != 1) abort(); }
static void op_getcwd(void) { if (getcwd(buffer, sizeof(buffer)) == NULL) abort(); }

static void op_pipe(void) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) abort();
    close(ends[0]);
    close(ends[1]);
}

static void op_mkdir(void) {
    if (mkdir(other, 0777) != 0) abort();
    rmdir(other);
}

static void op_symlink(void) {
    if (symlink(file, other) != 0) abort();
    unlink(other);
}

static void op_fork(void) {
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    waitpid(pid, NULL, 0);
}

static const struct { const char *name; void (*run)(void); } operations[] = {
    {"getuid", op_getuid}, {"getpid", op_getpid}, {"kill", op_kill}, {"access", op_access}, {"chmod", op_chmod},
    {"umask", op_umask}, {"open", op_open}, {"write", op_write}, {"getcwd", op_getcwd}, {"pipe", op_pipe},
    {"mkdir", op_mkdir}, {"symlink", op_symlink}, {"fork", op_fork},
};

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main(int count, char **arguments) {
    if (count < 4) {
        fprintf(stderr, "usage: primitives OPERATION COUNT FILE\n");
        return 2;
    }
    snprintf(file, sizeof(file), "%s", arguments[3]);
    snprintf(other, sizeof(other), "%s.floor", file);
    null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    long times = atol(arguments[2]);
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        if (strcmp(operations[i].name, arguments[1]) != 0) continue;
        int64_t begin = now();
        for (long n = 0; n < times; n++) operations[i].run();
        printf("{\"ns\": %lld, \"entries\": %ld}\n", (long long)(now() - begin), times);
        return 0;
    }
    fprintf(stderr, "primitives: no operation %s\n", arguments[1]);
    return 2;
}
