/* The working directory; making, listing and removing directories and names. Paths are below dir_fd where there is one. */

/* The names of a directory, each ended by a NUL, one after the other. */
struct fo_directory_names {
    char *names;
    size_t length; /* bytes, with the ending NULs */
    size_t count;
    size_t capacity; /* bytes allocated */
};

/* Each returns 0 or -errno. */
int fo_directory_chdir(const char *path);
int fo_directory_fchdir(int fd);
int fo_directory_mkdir(int dir_fd, const char *path, uint32_t mode);
int fo_directory_rmdir(int dir_fd, const char *path);
int fo_directory_unlink(int dir_fd, const char *path);
int fo_directory_rename(int from_fd, const char *from, int to_fd, const char *to);

/* Writes the working directory's path. Returns its length, or -errno (-ERANGE: size is too small). */
int fo_directory_getcwd(char *out, size_t size);

/* Reads every name but . and .. into *out, which fo_directory_free gives back. The second reads from a descriptor, from
 * its directory's beginning, and leaves it open. Returns 0 or -errno, with nothing to free then. */
int fo_directory_list(const char *path, struct fo_directory_names *out);
int fo_directory_list_fd(int fd, struct fo_directory_names *out);

/* Frees the names. Returns 0. */
int fo_directory_free(struct fo_directory_names *names);
