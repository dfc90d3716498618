/* The parallel reading of a directory tree, delivered as columnar batches. */

struct fo_scan;

enum fo_scan_flag {
    FO_SCAN_FOLLOW_SYMLINKS = 1,
    FO_SCAN_SAME_FILESYSTEM = 2,
    FO_SCAN_SORT = 4, /* by the bytes of the whole path: nothing is delivered before everything is read */
    FO_SCAN_PATHS = 8, /* batches hold whole paths; otherwise names and a dictionary of directories */
    FO_SCAN_PICKLE = 16, /* with FO_SCAN_PATHS: batches hold them as a pickle, from which Python makes its objects quickest */
    FO_SCAN_TEXT = 32 /* with FO_SCAN_PICKLE: those that are UTF-8 as str, others as bytes; otherwise all as bytes */
};

/* What to read. Everything is copied; the predicates and the ignore context become the scan's own once it
 * is open, and are freed with it, after the last worker that could use them. */
struct fo_scan_options {
    const char *root;
    int32_t dir_fd; /* what a relative root is relative to, or AT_FDCWD */
    uint32_t flags; /* FO_SCAN_* */
    uint32_t fields; /* FO_STAT_* of the columns to fill; the type needs none */
    int32_t min_depth;
    int32_t max_depth; /* -1: no limit */
    int32_t threads;   /* 0: as many as the file system is found to need */
    uint64_t max_entries; /* 0: no limit */
    int64_t max_nanoseconds; /* 0: no limit */
    struct fo_predicate *where; /* NULL: every entry */
    struct fo_predicate *prune; /* NULL: every directory is entered */
    struct fo_ignore *ignore;   /* NULL: nothing is ignored */
    const char *frontier; /* directories below the root to begin with, each ended by NUL; NULL: the root itself */
    uint64_t frontier_size;
    const uint64_t *visited; /* pairs of device and inode that are not to be entered again */
    uint64_t visited_count;
};

/* Entries found together. Offsets are Arrow's: entry i of a heap is [offsets[i], offsets[i + 1]). */
struct fo_batch {
    int32_t count;
    int32_t directory_count;
    int32_t error_count;
    int32_t *name_offsets;      /* names layout: count + 1; NULL in the paths layout */
    char *names;                /* paths layout: count paths, each ended by NUL; or the pickle of a tuple of them */
    int64_t names_size;
    int32_t *directory;         /* names layout: index into the dictionary of each entry */
    int32_t *directory_offsets; /* directory_count + 1 */
    char *directories;
    int32_t *directory_depths;  /* of the entries in them */
    uint8_t *type;              /* FO_TYPE_* */
    void *columns[13];          /* by the number of the FO_STAT_* bit; NULL if not asked for */
    char *error_paths;          /* each ended by NUL */
    int64_t error_paths_size;
    int32_t *error_numbers;     /* errno */
    int32_t pickled;            /* names is a pickle */
    int32_t undecoded;          /* paths in it that are bytes although text was asked for */
    /* The rest is the engine's. */
    struct fo_scan *scan;
    struct fo_batch *next;
    int32_t capacity;
    int32_t limit;
    int32_t text;
    int64_t names_capacity;
    int64_t directories_size;
    int64_t directories_capacity;
    int32_t directory_capacity;
    int32_t error_capacity;
    int64_t error_paths_capacity;
    int64_t born_ns;
};

struct fo_scan_stats {
    uint64_t entries;     /* put into batches */
    uint64_t directories; /* read */
    uint64_t errors;
    int32_t threads;      /* workers now */
    int32_t threads_peak;
    int32_t stalled;      /* directories in which a worker has been waiting for seconds */
    int64_t elapsed_ns;
    int64_t pending;      /* directories found and not yet read */
    int32_t finished;
    int32_t exhausted;    /* the budget ended the scan */
};

/* Opens the root and prepares a scan; no thread starts yet. Returns 0 with *out set, or -errno (of opening the root). */
int fo_scan_open(const struct fo_scan_options *options, struct fo_scan **out);

/* Changes the layout of the batches, FO_SCAN_PATHS and so on, before the first one is asked for. What is to be sorted
 * keeps its own. Returns 0, or -EBUSY if the scan has begun. */
int fo_scan_lay_out(struct fo_scan *scan, uint32_t flags);

/* Waits up to milliseconds for the next batch. Returns 1 with *out set (to be released), 0 if the time ran out, 2 at
 * the end of the scan, -ENOMEM if memory is short (what was not delivered by then is lost), -ECHILD in a process that was
 * forked from the scan's own. */
int fo_scan_next(struct fo_scan *scan, int milliseconds, struct fo_batch **out);

/* Gives a batch back to its scan's pool. Returns 0, or -ECHILD in a forked process, which keeps it. */
int fo_batch_release(struct fo_batch *batch);

/* Makes a copy of a batch's whole paths, each ended by NUL, from the names layout. Returns 0 with *out to be freed
 * by fo_batch_free_paths and *size set, or -ENOMEM. */
int fo_batch_paths(const struct fo_batch *batch, char **out, int64_t *size);

/* Frees what fo_batch_paths made. Returns 0. */
int fo_batch_free_paths(char *paths);

/* Fills *out with what was done so far. Returns 0, or -ECHILD in a forked process. */
int fo_scan_stats(struct fo_scan *scan, struct fo_scan_stats *out);

/* Writes the paths of the stalled directories, each ended by NUL, as far as they fit. Returns the bytes written. */
int fo_scan_stalled(struct fo_scan *scan, char *buffer, int size);

/* Writes the directories below the root that a finished scan has not entered, each ended by NUL.
 * Returns the bytes needed; nothing is written if size is less; -EBUSY before the end, -ECHILD in a forked process. */
int64_t fo_scan_frontier(struct fo_scan *scan, char *buffer, int64_t size);

/* Writes the pairs of device and inode entered so far by a scan that follows symbolic links.
 * Returns the count of pairs; nothing is written if count is less. */
int64_t fo_scan_visited(struct fo_scan *scan, uint64_t *buffer, int64_t count);

/* Ends the scan: workers stop at their next entry, a worker that hangs in the kernel is left behind. The batches
 * handed out stay valid until they are released. Callable from any thread, at any time, again and again. Returns 0. */
int fo_scan_close(struct fo_scan *scan);

/* Closes the scan if it is not yet, and gives up the handle: nobody may use it any more. Returns 0. */
int fo_scan_free(struct fo_scan *scan);
