/* exec in the calling process, and system(3). */
#define _GNU_SOURCE 1
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "api.h"
#include "result.h"

int fo_execute_exec(const char *path, char *const *arguments, char *const *environment) {
    return fo_result(execve(path, arguments, environment != NULL ? environment : environ));
}

int fo_execute_fexec(int fd, char *const *arguments, char *const *environment) {
#ifdef __APPLE__
    (void)fd, (void)arguments, (void)environment;
    return -ENOSYS;
#else
    return fo_result(fexecve(fd, arguments, environment != NULL ? environment : environ));
#endif
}

int64_t fo_execute_system(const char *command) {
    return fo_result64(system(command));
}
