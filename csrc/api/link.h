/* Symbolic and hard links. Each path is below its dir_fd (fo_descriptor_cwd() for the working directory). */

/* Each returns 0 or -errno. */
int fo_link_symlink(const char *target, int dir_fd, const char *path);
int fo_link_link(int from_fd, const char *from, int to_fd, const char *to, int follow_symlinks);

/* Writes the link's target, without an ending NUL. Returns its length (equal to size: it may have been cut), or -errno. */
int fo_link_readlink(int dir_fd, const char *path, char *out, size_t size);
