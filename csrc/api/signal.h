/* Signals by process and by process group. A pid may have been given to another process since: a handle of
 * fo_spawn's, which holds a pidfd, cannot hit a stranger. */

/* Each returns 0 or -errno. Signal 0 only checks that the process is there and may be signalled. */
int fo_signal_kill(int pid, int signal);
int fo_signal_killpg(int group, int signal);
