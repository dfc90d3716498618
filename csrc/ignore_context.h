/* What ignore.c and ignore_root.c share: the context of a directory. */
#ifndef FASTOS_IGNORE_CONTEXT_H
#define FASTOS_IGNORE_CONTEXT_H

#include "ignore.h"

/* What all contexts of a scan share; the root's context owns it. */
struct fo_ignore_shared {
    struct fo_pattern_list *given;
    struct fo_git_user user;
    bool git;
};

struct fo_ignore {
    atomic_uint holders;
    struct fo_ignore *parent; /* held; of the nearest directory above that differs, or NULL */
    struct fo_ignore_shared *shared;
    bool owns_shared;
    bool excluded;   /* the directory is ignored, and was entered for the sake of what is tracked in it */
    bool needs_path; /* a list that holds here looks at more than names */
    struct fo_repository *repository; /* held, or NULL */
    struct fo_pattern_list *list;     /* of this directory's .gitignore, or NULL */
};

/* Frees what the contexts of a scan share. NULL is allowed. */
void fo_ignore_free_shared(struct fo_ignore_shared *shared);

/* Makes a context below `parent`, which it holds, with what a repository (held too) adds; list becomes its own.
 * Returns NULL without memory. */
struct fo_ignore *fo_ignore_context(struct fo_ignore *parent, struct fo_ignore_shared *shared,
                                    struct fo_repository *repository, struct fo_pattern_list *list);

/* What git's ignore files say, the nearest first: 1, 0 or -1. */
int fo_ignore_ask_git(const struct fo_ignore *context, const struct fo_ignore_entry *entry);

/* Makes the context of a repository's top directory. Returns 0 or -errno. */
int fo_ignore_enter_top(struct fo_ignore *parent, int top_fd, int git_fd, const char *prefix, size_t skip,
                        struct fo_ignore **out);

/* Makes the context of a directory inside of a repository, from its path as the repository sees it. */
int fo_ignore_enter_inside(struct fo_ignore *parent, int dir_fd, size_t path_length, unsigned hints, bool excluded,
                           struct fo_ignore **out);

/* Returns where the last component of a path begins. */
size_t fo_ignore_name_start(const char *path, size_t length);

#endif
