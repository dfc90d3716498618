/* What a scan leaves out: patterns in the syntax of gitignore(5), and git's own rules with its ignore files.
 *
 * A context belongs to one directory and never changes once it is made, so any number of threads may use it at
 * once; it is counted, and holds its parent's. Paths are relative to the scan's root, without a slash at the end. */

struct fo_ignore;

/* From where a context begins. Nothing is kept of it. All strings end in a zero byte; NULL means none. */
struct fo_ignore_request {
    const char *patterns;         /* lines of gitignore(5) that hold at the root, before all others */
    int git;                      /* 1: git's rules, wherever the scan is in a repository */
    int ignore_case;              /* 1: patterns match without regard to ASCII case (git's own setting: core.ignoreCase) */
    const char *root;             /* the root's absolute path, symbolic links resolved: repositories are looked for above it */
    const char *home;             /* what ~/ stands for in core.excludesFile */
    const char *system_config;    /* git's configuration files outside of any repository, in their order */
    const char *user_config_xdg;
    const char *user_config;
    const char *default_excludes; /* the file used where core.excludesFile is not set */
};

/* What a directory's own entries say to fo_ignore_enter(), if they are known already. */
enum fo_ignore_hint {
    FO_IGNORE_HAS_FILE = 1, /* there is, or may be, a .gitignore */
    FO_IGNORE_HAS_GIT = 2   /* there is, or may be, a .git */
};

enum { FO_IGNORE_NESTED = 1 };

/* Makes the context of the root directory: finds the repository around it, its index, configuration and ignore files.
 * Returns 0 and stores a context for fo_ignore_release(); -ENOMEM; -ENOTSUP for an index in a format that is not
 * known; -errno of a file that is there and cannot be read. */
int fo_ignore_new(const struct fo_ignore_request *request, struct fo_ignore **out);

/* Makes the context of a directory below `parent`'s, that dir_fd is open on, from its relative path. hints is
 * FO_IGNORE_HAS_FILE | FO_IGNORE_HAS_GIT where its entries are not known yet.
 * Returns 0 and stores a context for fo_ignore_release() (maybe the parent's, held once more); FO_IGNORE_NESTED,
 * storing NULL, where git does not look inside (a submodule or another repository): it is listed and not read;
 * or an error as fo_ignore_new(). */
int fo_ignore_enter(struct fo_ignore *parent, int dir_fd, const char *path, size_t path_length, unsigned hints,
                    struct fo_ignore **out);

/* Asks for an entry of the context's directory, whose relative path is given too (empty for the root).
 * Returns 1 if the entry is to be left out (a directory: with all below it), 0 if not, or -ENOMEM. */
int fo_ignore_match(const struct fo_ignore *context, const char *directory, size_t directory_length,
                    const char *name, size_t name_length, int is_directory);

/* Counts one holder more. Returns the context. */
struct fo_ignore *fo_ignore_hold(struct fo_ignore *context);

/* Counts one holder less, and frees the context with the last. NULL is allowed. */
void fo_ignore_release(struct fo_ignore *context);
