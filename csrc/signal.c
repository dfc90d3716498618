/* Signals by process and by process group. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <signal.h>

#include "api.h"
#include "result.h"

int fo_signal_kill(int pid, int signal) {
    return fo_result(kill(pid, signal));
}

int fo_signal_killpg(int group, int signal) {
    return fo_result(killpg(group, signal));
}
