/* Reading a tree one directory at a time, as os.walk does, with validated read-ahead.
 *
 * A walk is a stack of directories that are still to be visited. The caller names the one it wants next; a small
 * process-wide pool of threads reads those below it meanwhile. A directory that was read ahead is used only after
 * fo_walk_confirm() has seen, at the moment of use, that it is still what was read.
 * No descriptor stays open between two calls. */

struct fo_walk;

enum fo_walk_flag {
    FO_WALK_FOLLOW = 1, /* the path itself may be a symbolic link to a directory */
    FO_WALK_LAZY = 2    /* whether a child is a symbolic link is found out when it is visited, not by descend */
};

/* In a batch item's error: the path is a symbolic link that is not to be followed. */
enum fo_walk_special { FO_WALK_IS_LINK = -1 };

/* Directories as they were read, the one asked for first.
 * meta holds four numbers an item: id, errno (0: read), number of directories, number of other entries.
 * names holds the items' names in this order, directories before the others, each ended by a NUL. */
struct fo_walk_batch {
    const char *names;
    size_t length;
    const int64_t *meta;
};

/* The directories below one that was visited: first, first + 1, ... are their ids, in the order of their names.
 * links counts those that are symbolic links and were left out; skipped then has one byte a name, 1 for those. */
struct fo_walk_children {
    int64_t first;
    size_t links;
    const uint8_t *skipped;
};

/* Returns a new walk with an empty stack, or NULL when out of memory. */
struct fo_walk *fo_walk_open(int flags);

/* Puts a directory on top of the stack. Returns its id (> 0) or -errno. */
int64_t fo_walk_push(struct fo_walk *walk, const char *path, size_t length, int flags);

/* Hands out a directory that is read now or was confirmed now, and with it those that come next and are read already
 * (these need fo_walk_confirm before use). All leave the stack. What out points to is valid until the next call on
 * this walk. Returns the number of items (>= 1), -EAGAIN when another thread is still at it (handle signals, call
 * again), -ENOENT for an unknown id, -ENOMEM. */
int fo_walk_take(struct fo_walk *walk, int64_t id, struct fo_walk_batch *out);

/* Returns 1 if the directory is still as it was read, 0 if it has to be taken again. */
int fo_walk_confirm(struct fo_walk *walk, int64_t id);

/* Puts the directories below one that was taken on the stack, the first on top, after leaving out symbolic links as
 * os.walk does. Returns how many names were looked at, or -errno. */
int fo_walk_descend(struct fo_walk *walk, int64_t id, struct fo_walk_children *out);

/* Takes a directory, visited or not, out of the walk. Returns 0. */
int fo_walk_discard(struct fo_walk *walk, int64_t id);

/* Lists an open directory from its beginning, and rewinds it. Returns 1 (one item) or -errno. */
int fo_walk_list(struct fo_walk *walk, int fd, struct fo_walk_batch *out);

/* Ends the walk; threads still reading for it are not waited for. Returns 0. */
int fo_walk_close(struct fo_walk *walk);

/* Returns how many read-ahead threads live in this process. */
int fo_walk_threads(void);
