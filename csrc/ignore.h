/* What the parts of ignore.c share: pattern lists, git's index, configuration and repositories. */
#ifndef FASTOS_IGNORE_H
#define FASTOS_IGNORE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "api.h"

/* -- ignore_file.c: reading small files */

/* Reads the regular file `name` relative to dir_fd wholly, a zero byte put behind it.
 * Returns 0 and stores what to free(); -errno (-ENOENT also for what is no regular file). */
int fo_file_read(int dir_fd, const char *name, int open_flags, char **data, size_t *length);

/* Whether an error of fo_file_read() means that there is nothing to read, as git sees it. */
bool fo_file_is_absent(int error);

/* -- ignore_wildmatch.c: from git's patterns to compiled globs (glob.h) */

/* Compiles a wildmatch pattern; pathname: stars and the like stop at slashes. room has fo_wildmatch_room() bytes.
 * Returns the end of what it wrote there. */
uint8_t *fo_wildmatch_compile(const uint8_t *pattern, size_t length, bool pathname, bool ignore_case, uint8_t *room);

/* Returns an upper bound of the room that the patterns in a text need together. */
size_t fo_wildmatch_room(const char *text, size_t length);

/* -- ignore_pattern.c: lists of patterns */

struct fo_pattern {
    uint8_t flags;          /* enum fo_pattern_flag */
    uint32_t prefix_length; /* literal bytes in front */
    uint32_t code_length;   /* the glob of the rest */
    const uint8_t *prefix;
    const uint8_t *code;
};

enum fo_pattern_flag {
    FO_PATTERN_NEGATED = 1,
    FO_PATTERN_DIRECTORY = 2, /* directories only */
    FO_PATTERN_BASENAME = 4,  /* holds at any depth, for the name alone */
    FO_PATTERN_ENDS = 8,      /* prefix is a suffix: `*literal` */
    FO_PATTERN_PLAIN = 16     /* prefix is everything */
};

struct fo_pattern_list {
    struct fo_pattern *patterns;
    uint32_t count;
    bool ignore_case;
    bool has_paths;    /* a pattern looks at more than the name */
    uint8_t *storage;  /* what prefix and code point into */
    size_t base;       /* bytes of a path that lead to the list's directory, with their slash */
};

/* Reads a file's lines as gitignore(5) has them. Returns 0 and stores a list for fo_pattern_list_free(), or NULL
 * where there is no pattern; or -ENOMEM. */
int fo_pattern_list_parse(const char *text, size_t length, bool ignore_case, size_t base,
                          struct fo_pattern_list **out);

/* Frees a list. NULL is allowed. */
void fo_pattern_list_free(struct fo_pattern_list *list);

/* An entry to be matched: its path (counted from where the list's base counts; NULL if no list needs it) and name. */
struct fo_ignore_entry {
    const char *path;
    size_t path_length;
    const char *name;
    size_t name_length;
    bool is_directory;
};

/* Returns what the last matching pattern says: 1 ignore, 0 do not, -1 none matches. A NULL list has none. */
int fo_pattern_list_match(const struct fo_pattern_list *list, const struct fo_ignore_entry *entry);

/* -- ignore_index.c: the names in git's index */

struct fo_index {
    struct fo_index_name *names; /* in byte order */
    size_t count;
    char *storage;
};

struct fo_index_name {
    uint64_t offset;
    uint32_t length;
    uint32_t is_gitlink;
};

enum fo_index_state {
    FO_INDEX_NONE = 0,
    FO_INDEX_ENTRY = 1,    /* the path itself is tracked */
    FO_INDEX_GITLINK = 2,  /* it is a submodule */
    FO_INDEX_DIRECTORY = 3 /* tracked paths lie below it */
};

/* Reads git_fd/index; none is an empty one. Returns 0; -ENOMEM; -ENOTSUP for a format that is not known; -EINVAL for
 * one that is damaged; -errno. Free it with fo_index_clear() in any case. */
int fo_index_read(struct fo_index *index, int git_fd, size_t hash_size);

/* The same from bytes in memory, but for a split index, which needs git_fd. */
int fo_index_parse(struct fo_index *index, const uint8_t *data, size_t length, size_t hash_size, int git_fd);

/* Frees what an index holds. */
void fo_index_clear(struct fo_index *index);

/* Returns the enum fo_index_state of a path. */
int fo_index_find(const struct fo_index *index, const char *path, size_t length);

/* -- ignore_config.c: the few settings that matter here */

struct fo_git_config {
    char *excludes_file; /* NULL: not set */
    bool ignore_case;
    bool worktree_config;
    bool sha256;
};

/* Takes over what a configuration file sets; a missing file sets nothing. home may be NULL.
 * Returns 0, -ENOMEM, -EINVAL for files that include each other, or -errno. */
int fo_git_config_read(struct fo_git_config *config, int dir_fd, const char *name, const char *home);

/* The same from text in memory; include.path is followed relative to dir_fd. */
int fo_git_config_parse(struct fo_git_config *config, const char *text, int dir_fd, const char *home, int depth);

/* -- ignore_repository.c */

/* What holds outside of any repository: the user's settings, read once. */
struct fo_git_user {
    struct fo_git_config config;
    char *home;
    char *default_excludes;
};

struct fo_repository {
    atomic_uint holders;
    char *prefix;         /* from the top to the scan's root, with a slash at its end; empty if the top is below it */
    size_t prefix_length;
    size_t skip;          /* bytes of a scan's path that lead to the top, with their slash; 0 if the top is above */
    bool ignore_case;
    struct fo_index index;
    struct fo_pattern_list *info_exclude;
    struct fo_pattern_list *excludes_file;
};

/* Opens the directory that `.git` in top_fd is, or points to. Returns a descriptor; -ENOENT if it is no repository's;
 * or -errno. */
int fo_repository_find(int top_fd);

/* Reads what a repository says on ignoring. git_fd stays the caller's. Returns 0 and stores it, or -errno. */
int fo_repository_open(const struct fo_git_user *user, int top_fd, int git_fd, const char *prefix, size_t skip,
                       struct fo_repository **out);

/* Counts one holder less; frees it with the last. NULL is allowed. */
void fo_repository_release(struct fo_repository *repository);

#endif
