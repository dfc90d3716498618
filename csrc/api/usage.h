/* Disk usage of a tree, added up per directory, on a scan (scan.h).
 *
 * A file with several hard links counts once, by (dev, ino), for the directory among those that hold it whose path is
 * the smallest in byte order: the same under any number of threads. */

struct fo_usage_tree;

enum fo_usage_flag {
    FO_USAGE_ONE_FILESYSTEM = 1, /* what is on another file system than the root does not count */
    FO_USAGE_APPARENT = 2        /* the largest files are those with the largest size, not the most blocks */
};

/* One directory with all below it; sizes in bytes. parent is -1 for the root. */
struct fo_usage_directory {
    const char *name;
    int64_t parent;
    int64_t allocated, apparent;
    int64_t files, directories; /* below it; itself not counted */
    int64_t own_allocated, own_apparent; /* it and the files in it */
    int32_t depth;
    int32_t error; /* errno if it could not be read, else 0 */
};

/* How far it is; after the end, the whole. */
struct fo_usage_progress {
    int64_t files, directories, errors, allocated, apparent;
};

/* One thing that could not be read, or one of the largest files; path is below the root, "" for the root itself. */
struct fo_usage_item {
    const char *path;
    int64_t allocated, apparent;
    int32_t error;
};

/* Begins to read the tree at root with so many threads (0: as many as the file system is found to need), keeping the
 * largest files that many. What counted in the earlier measurements (NULL: there are none; kept alive by the caller)
 * under another name does not count again. Returns 0 or -errno: of the root, if it is not there. */
int fo_usage_start(const char *root, int flags, int threads, int largest, const struct fo_usage_tree *earlier,
                   struct fo_usage_tree **out);

/* Adds up what is found, for so many milliseconds or to the end. Returns 1 at the end, 0 before it, -errno. */
int fo_usage_wait(struct fo_usage_tree *usage, int milliseconds, struct fo_usage_progress *out);

/* After the end: how many directories there are, 0 is the root. Sums are right only after this. */
int64_t fo_usage_directories(struct fo_usage_tree *usage);

/* Describes one directory. Returns 0 or -EINVAL. */
int fo_usage_directory(const struct fo_usage_tree *usage, int64_t index, struct fo_usage_directory *out);

/* Writes the indices of the directories right below one, at most count. Returns how many there are, or -EINVAL. */
int64_t fo_usage_children(const struct fo_usage_tree *usage, int64_t index, int64_t *out, size_t count);

/* Writes the indices of the directories with the most below them, largest first. Returns how many, or -ENOMEM. */
int64_t fo_usage_top(const struct fo_usage_tree *usage, int apparent, int max_depth, int64_t *out, size_t count);

/* The i-th largest file; the i-th error. Return 1, or 0 past the last. */
int fo_usage_file(struct fo_usage_tree *usage, size_t index, struct fo_usage_item *out);
int fo_usage_error(const struct fo_usage_tree *usage, size_t index, struct fo_usage_item *out);

/* Frees it, ending it first if need be; a thread that hangs in the kernel is left behind. */
void fo_usage_free(struct fo_usage_tree *usage);
