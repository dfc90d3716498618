/* Waiting for children by pid, as wait(2) and wait4(2) do. wait.h, on pidfds, is the way that cannot lose a status. */

/* What a child used, as getrusage(2) gives it. Sizes in the kernel's unit for each (ru_maxrss: KiB on Linux). */
struct fo_child_usage {
    int64_t user_us, system_us;
    int64_t maxrss, ixrss, idrss, isrss, minflt, majflt, nswap, inblock, oublock, msgsnd, msgrcv, nsignals, nvcsw, nivcsw;
};

/* Returns the child's pid in the upper 32 bits and its status in the lower (0: WNOHANG, and none is ready), or -errno;
 * -EINTR when a signal came, so that the caller can run its handler before it calls again. */
int64_t fo_child_waitpid(int pid, int options);

/* The same, with what the child used in *usage. */
int64_t fo_child_wait4(int pid, int options, struct fo_child_usage *usage);
