/* The process owner: user and group ids, supplementary groups, the login name.
 *
 * The setters are the C library's, which change every thread of the process (credentials(7)); the raw system calls
 * would change one. An id of UINT32_MAX leaves that id as it is, where the call knows such an argument. */

enum fo_owner_step {
    FO_OWNER_STEP_NONE = 0,
    FO_OWNER_STEP_GROUPS = 1,  /* setgroups */
    FO_OWNER_STEP_GID = 2,     /* setresgid or setegid */
    FO_OWNER_STEP_UID = 3,     /* setresuid or seteuid */
    FO_OWNER_STEP_VERIFY_IDS = 4,
    FO_OWNER_STEP_VERIFY_GROUPS = 5,
    FO_OWNER_STEP_VERIFY_ROOT = 6 /* root could be regained */
};

/* Who the process is: real, effective and saved ids in that order. */
struct fo_owner {
    uint32_t uid[3];
    uint32_t gid[3];
    char login[256]; /* empty where the session has no login name */
};

/* Each returns the id. */
int64_t fo_owner_getuid(void);
int64_t fo_owner_geteuid(void);
int64_t fo_owner_getgid(void);
int64_t fo_owner_getegid(void);

/* Each returns 0 or -errno. */
int fo_owner_setuid(uint32_t uid);
int fo_owner_seteuid(uint32_t uid);
int fo_owner_setgid(uint32_t gid);
int fo_owner_setegid(uint32_t gid);
int fo_owner_setreuid(uint32_t real, uint32_t effective);
int fo_owner_setregid(uint32_t real, uint32_t effective);
int fo_owner_setresuid(uint32_t real, uint32_t effective, uint32_t saved);
int fo_owner_setresgid(uint32_t real, uint32_t effective, uint32_t saved);

/* Write the real, effective and saved id to out[0..2]; return 0 or -errno. */
int fo_owner_getresuid(uint32_t *out);
int fo_owner_getresgid(uint32_t *out);

/* Writes up to capacity supplementary groups. Returns how many there are (with capacity 0 too), or -EINVAL if they
 * are more than a capacity above 0. */
int fo_owner_getgroups(uint32_t *out, int capacity);

/* Returns 0 or -errno. */
int fo_owner_setgroups(const uint32_t *groups, size_t count);

/* Sets the supplementary groups to those of the user by that name, and group. Returns 0 or -errno. */
int fo_owner_initgroups(const char *user, uint32_t group);

/* Writes the groups of the user by that name, with group among them. Returns how many, or -ERANGE if they are more than
 * capacity; *needed then says how many there are. */
int fo_owner_grouplist(const char *user, uint32_t group, uint32_t *out, int capacity, int *needed);

/* Writes the login name of the session. Returns 0 or -errno (-ENXIO or -ENOTTY without a login). */
int fo_owner_getlogin(char *out, size_t size);

/* Fills *out and up to capacity groups. Returns the number of groups there are (call again if it is above capacity), or
 * -errno. */
int fo_owner_current(struct fo_owner *out, uint32_t *groups, int capacity);

/* Gives up every privilege for good: groups, then the three group ids, then the three user ids; then checks that all of
 * them are what was asked for and that root cannot be had back. Returns 0, or -errno with *step saying what failed;
 * -EPERM from a verification means that the process is in a state in which it must not go on. */
int fo_owner_drop(uint32_t uid, uint32_t gid, const uint32_t *groups, size_t count, int *step);

/* Sets groups, effective group and effective user, in that order. Returns 0, or -errno with *step saying what failed;
 * what was done before that step is undone. */
int fo_owner_act(uint32_t uid, uint32_t gid, const uint32_t *groups, size_t count, int *step);

/* The way back from fo_owner_act: effective user, effective group, groups. Returns 0, or -errno with *step set. */
int fo_owner_restore(uint32_t uid, uint32_t gid, const uint32_t *groups, size_t count, int *step);
