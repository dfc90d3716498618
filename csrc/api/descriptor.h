/* Descriptors. Every one that is made here is close-on-exec unless the caller says inheritable. */

/* Opens path below dir_fd (FO_DESCRIPTOR_CWD: the working directory). Returns the descriptor or -errno. */
int fo_descriptor_open(int dir_fd, const char *path, int flags, uint32_t mode);

/* The dir_fd that stands for the working directory (AT_FDCWD). */
int fo_descriptor_cwd(void);

/* Each returns the number of bytes moved, or -errno. */
int64_t fo_descriptor_read(int fd, char *out, size_t size);
int64_t fo_descriptor_write(int fd, const char *data, size_t size);

/* Returns the new offset or -errno. */
int64_t fo_descriptor_lseek(int fd, int64_t offset, int whence);

/* Returns 0 or -errno. The descriptor is gone either way, so an -EINTR is not to be retried. */
int fo_descriptor_close(int fd);

/* Closes every descriptor d with low <= d < high and ignores those that are not open. Returns 0. */
int fo_descriptor_closerange(int low, int high);

/* Each returns the new descriptor or -errno. */
int fo_descriptor_dup(int fd);
int fo_descriptor_dup2(int fd, int target, int inheritable);

/* Returns a pipe, the reading end in the upper 32 bits and the writing end in the lower, or -errno.
 * flags are those of pipe2(2); O_CLOEXEC is not implied. */
int64_t fo_descriptor_pipe2(int flags);

/* The same with O_CLOEXEC. */
int64_t fo_descriptor_pipe(void);

/* Returns 1 or 0, or -errno. */
int fo_descriptor_inheritable(int fd);

/* Returns 0 or -errno. */
int fo_descriptor_set_inheritable(int fd, int inheritable);
