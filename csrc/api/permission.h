/* File modes, owners and access checks. Each path is below dir_fd (fo_descriptor_cwd() for the working directory). */

enum fo_permission_flag {
    FO_PERMISSION_EFFECTIVE = 1, /* check with the effective ids, not the real ones */
    FO_PERMISSION_NOFOLLOW = 2   /* the symbolic link, not its target */
};

/* Returns 0 if the access (F_OK, or R_OK | W_OK | X_OK) is allowed, or -errno. */
int fo_permission_access(int dir_fd, const char *path, int mode, int flags);

/* Each returns 0 or -errno; -EOPNOTSUPP where a link's own mode cannot be set. */
int fo_permission_chmod(int dir_fd, const char *path, uint32_t mode, int flags);
int fo_permission_fchmod(int fd, uint32_t mode);
int fo_permission_chown(int dir_fd, const char *path, uint32_t uid, uint32_t gid, int flags);
int fo_permission_fchown(int fd, uint32_t uid, uint32_t gid);

/* Sets the mask of the process for new files. Returns the former mask. */
int fo_permission_umask(int mask);
