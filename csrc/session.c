/* Process groups, sessions and the controlling terminal. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api.h"
#include "result.h"

int fo_session_getpid(void) {
    return getpid();
}

int fo_session_getppid(void) {
    return getppid();
}

int fo_session_getpgrp(void) {
    return getpgrp();
}

int fo_session_getpgid(int pid) {
    return fo_result(getpgid(pid));
}

int fo_session_setpgid(int pid, int group) {
    return fo_result(setpgid(pid, group));
}

int fo_session_setpgrp(void) {
    return fo_result(setpgid(0, 0));
}

int fo_session_getsid(int pid) {
    return fo_result(getsid(pid));
}

int fo_session_setsid(void) {
    return fo_result(setsid());
}

int fo_session_tcgetpgrp(int fd) {
    return fo_result(tcgetpgrp(fd));
}

int fo_session_tcsetpgrp(int fd, int group) {
    return fo_result(tcsetpgrp(fd, group));
}

int fo_session_ctermid(char *out, size_t size) {
    if (size < L_ctermid) {
        return -ERANGE;
    }
    return ctermid(out) == NULL ? -EINVAL : (int)strlen(out);
}
