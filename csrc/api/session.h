/* Process ids, process groups, sessions and the controlling terminal. */

/* Each returns the id. */
int fo_session_getpid(void);
int fo_session_getppid(void);
int fo_session_getpgrp(void);

/* Each returns an id or 0, or -errno. */
int fo_session_getpgid(int pid);
int fo_session_setpgid(int pid, int group);
int fo_session_setpgrp(void);
int fo_session_getsid(int pid);
int fo_session_setsid(void);
int fo_session_tcgetpgrp(int fd);
int fo_session_tcsetpgrp(int fd, int group);

/* Writes the controlling terminal's path; size must be at least L_ctermid. Returns its length, or -errno. */
int fo_session_ctermid(char *out, size_t size);
