/* Which of the two engines runs: the platform's own system calls, or the portable files. */

enum fo_engine {
    FO_ENGINE_NATIVE = 0, /* getdents64, statx, clone: *_linux.c where there is one */
    FO_ENGINE_POSIX = 1   /* readdir, fstatat, fork: *_posix.c, what macOS and the BSDs run */
};

/* Chooses the engine for the whole process; call it before any other function.
 * Returns 0, or -EINVAL for an unknown engine. */
int fo_platform_use(int engine);

/* Returns the engine in use: FO_ENGINE_NATIVE or FO_ENGINE_POSIX. */
int fo_platform_engine(void);
