/* Reading a tree one directory at a time, as os.walk does, with validated read-ahead.
 *
 * A walk knows the order in which os.walk would visit the tree if nothing changed, and a small process-wide pool of
 * threads reads on in that order. It hands out runs of directories. The first of a run is as it was at the moment of
 * the call; each further one is used only after fo_walk_confirm() has seen, at the moment of use, that it is still what
 * was read. The caller alone decides what comes next: it names the path that it wants.
 * No descriptor stays open between two calls. */

struct fo_walk;

enum fo_walk_flag {
    FO_WALK_FOLLOW = 1 /* what has become a symbolic link by the time of its visit is followed; the top always is */
};

/* In a run's error: the path is a symbolic link that is not to be followed. */
enum fo_walk_special { FO_WALK_IS_LINK = -1 };

/* A run of directories. names: for each its path, the directories in it, the other entries, each ended by a NUL.
 * meta: three numbers for each, counting names: the first name in it, the first that is no directory, the end. */
struct fo_walk_batch {
    const char *names;
    size_t length;
    const int32_t *meta;
    int32_t error; /* of the first, which then has no names: errno or FO_WALK_IS_LINK */
    int32_t links; /* 1 if symbolic links stand among the directories of the first; the others have none */
};

/* Returns a new walk with nothing in it, or NULL when out of memory. */
struct fo_walk *fo_walk_open(int flags);

/* Makes a walk as new. Returns 0; -EBUSY while a thread reads ahead for it, -ECHILD in a forked child: close it then. */
int fo_walk_reset(struct fo_walk *walk, int flags);

/* Hands out the directory at path, read now or confirmed now, and with it those that come next and are read already.
 * Those of the last run that were not confirmed are put back. With fresh, all that is to come is forgotten and the walk
 * begins anew at path. What out points to is valid until the next call on this walk.
 * Returns the number of directories, 0 when path is not what comes next, -EAGAIN when another thread is still at it
 * (handle signals, call again), -ECHILD in a forked child, -ENOMEM. */
int fo_walk_next(struct fo_walk *walk, const char *path, size_t length, int fresh, struct fo_walk_batch *out);

/* Goes on to the next directory of the run. Returns 1 if it is still as it was read, or 0: then call fo_walk_next. */
int fo_walk_confirm(struct fo_walk *walk);

/* Returns 1 if the directory confirmed last is still as it was read. */
int fo_walk_unchanged(struct fo_walk *walk);

/* Tells in which order the directories below the one confirmed last will be wanted: their paths, each ended by a NUL.
 * Only what is read ahead depends on it. Call fo_walk_next afterwards. Returns 0, -ECHILD or -ENOMEM. */
int fo_walk_choose(struct fo_walk *walk, const char *paths, size_t length);

/* Lists an open directory from its beginning, and rewinds it; the path is empty. Returns 1 or -errno. */
int fo_walk_list(struct fo_walk *walk, int fd, struct fo_walk_batch *out);

/* Ends the walk; threads still reading for it are not waited for. Returns 0. */
int fo_walk_close(struct fo_walk *walk);

/* Returns how many read-ahead threads live in this process. */
int fo_walk_threads(void);
