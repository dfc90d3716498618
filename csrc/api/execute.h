/* Replacing the program of this process, and running a shell command. */

/* Replaces the program of this process; does not return if it can. environment NULL: that of the process.
 * Returns -errno. */
int fo_execute_exec(const char *path, char *const *arguments, char *const *environment);

/* The same with the program open as fd. */
int fo_execute_fexec(int fd, char *const *arguments, char *const *environment);

/* Runs a command with the shell, as system(3). Returns the wait status, which can be negative only as -errno. */
int64_t fo_execute_system(const char *command);
