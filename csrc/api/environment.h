/* The C library's environment, which child processes inherit. It is process-wide and unlocked against readers in C:
 * do not change it while other threads run code that calls getenv(3). */

/* Each returns 0 or -errno; a name that is empty or holds '=' is -EINVAL. */
int fo_environment_putenv(const char *name, const char *value);
int fo_environment_unsetenv(const char *name);

/* POSIX's variable. It is read from Python, which holds the interpreter's lock meanwhile, as os.putenv does when it
 * changes it. */
extern char **environ;
