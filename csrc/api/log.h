/* The log pump: moves what a service wrote from its pipe to a file that rotates, or to a shared descriptor.
 *
 * One call per ready pipe moves many lines. A handle is used by one thread at a time. No handle owns a buffer
 * while idle: the buffers stand in one scratch that all the logs of a supervisor share. */

enum fo_log_flag {
    FO_LOG_ROTATED = 1, /* the file was renamed to struct fo_log_turn.rotated and a new one begun */
    FO_LOG_BLOCKED = 2, /* the destination takes no more: wait until it does, then pump again */
    FO_LOG_EOF = 4,     /* every writer has closed the pipe */
    FO_LOG_MORE = 8     /* the budget was used up: there may be more to read at once */
};

struct fo_log_options {
    int32_t source;          /* read end, O_NONBLOCK; stays the caller's */
    int32_t destination;     /* a descriptor to write to (stays the caller's), or -1: `path` */
    const char *path;        /* opened when the first byte comes; NULL with a destination */
    int64_t max_bytes;       /* rotate before the file grows past this; 0: never */
    int64_t max_age_seconds; /* rotate when the file is older; 0: never. Looked at when bytes come */
    uint32_t mode;           /* permission bits of new files */
    int32_t stamp_digits;    /* 3 or 6 digits after the second in each line's time (ISO 8601, UTC); -1: no time */
    const char *label;       /* put before each line, after the time; NULL: none */
    int32_t whole_lines;     /* 1: hold a line back until it ends (several logs share one destination) */
};

struct fo_log_turn {
    int64_t bytes_read;
    int64_t bytes_written; /* with times and labels */
    int64_t lines;         /* line ends seen */
    int64_t bytes_lost;    /* could not be delivered: the reader of the destination is gone */
    uint32_t flags;        /* enum fo_log_flag */
    int32_t error;         /* errno of the destination's last failure, or 0 */
    const char *text;      /* with a tap: what was formatted in this turn; valid until the next call */
    int64_t text_length;
    int64_t text_skipped;  /* with a tap: bytes that did not fit into the scratch */
    char rotated[4096];    /* with FO_LOG_ROTATED: the last rotated file's path */
};

struct fo_log;
struct fo_log_scratch;

/* Makes the buffers that any number of logs used by one thread share. Returns 0 or -ENOMEM. */
int fo_log_scratch_new(struct fo_log_scratch **out);

/* Frees the scratch; NULL is allowed. */
void fo_log_scratch_free(struct fo_log_scratch *scratch);

/* Makes a log. Nothing is opened before the first byte comes.
 * Returns 0, -EINVAL (neither path nor destination, a path too long to rotate, unknown digits) or -ENOMEM. */
int fo_log_open(const struct fo_log_options *options, struct fo_log **out);

/* Moves what the pipe holds, at most about `budget` bytes. Returns 0 or the negative errno of reading; what became
 * of the destination stands in the turn. Bytes once read are kept until they are written. */
int fo_log_pump(struct fo_log *log, struct fo_log_scratch *scratch, int64_t budget, struct fo_log_turn *turn);

/* Ends a line that was left open (its writer has died) and writes what is still held. Returns as fo_log_pump. */
int fo_log_finish(struct fo_log *log, struct fo_log_scratch *scratch, struct fo_log_turn *turn);

/* Closes the file; the next byte opens `path` anew (somebody else has renamed it). Returns 0. */
int fo_log_reopen(struct fo_log *log);

/* Renames the file now and begins another. Returns 0 or -errno. */
int fo_log_rotate(struct fo_log *log, struct fo_log_turn *turn);

/* With 1, later turns also hand the formatted text to the caller. Returns 0. */
int fo_log_tap(struct fo_log *log, int on);

/* Returns the bytes that were read but not yet written. */
int64_t fo_log_pending(const struct fo_log *log);

/* Closes the file and frees the log; NULL is allowed. The source and a destination stay open. */
void fo_log_close(struct fo_log *log);
