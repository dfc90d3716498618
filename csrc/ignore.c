/* Contexts: which pattern lists hold in a directory, and what they say together with git's index. */
#include "ignore_context.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { PATH_BUFFER = 4096 };

/* -- contexts */

void fo_ignore_free_shared(struct fo_ignore_shared *shared) {
    if (!shared)
        return;
    fo_pattern_list_free(shared->given);
    free(shared->user.config.excludes_file);
    free(shared->user.home);
    free(shared->user.default_excludes);
    free(shared);
}

struct fo_ignore *fo_ignore_hold(struct fo_ignore *context) {
    atomic_fetch_add_explicit(&context->holders, 1, memory_order_relaxed);
    return context;
}

void fo_ignore_release(struct fo_ignore *context) {
    /* A loop, since a chain can be as long as a tree is deep. */
    while (context && atomic_fetch_sub_explicit(&context->holders, 1, memory_order_acq_rel) == 1) {
        struct fo_ignore *parent = context->parent;
        fo_pattern_list_free(context->list);
        fo_repository_release(context->repository);
        if (context->owns_shared)
            fo_ignore_free_shared(context->shared);
        free(context);
        context = parent;
    }
}

static bool list_has_paths(const struct fo_pattern_list *list) {
    return list && list->has_paths;
}

struct fo_ignore *fo_ignore_context(struct fo_ignore *parent, struct fo_ignore_shared *shared,
                                     struct fo_repository *repository, struct fo_pattern_list *list) {
    struct fo_ignore *context = calloc(1, sizeof(*context));
    if (!context)
        return NULL;
    atomic_init(&context->holders, 1);
    context->shared = shared;
    context->parent = parent ? fo_ignore_hold(parent) : NULL;
    context->repository = repository;
    context->list = list;
    context->needs_path = (parent && parent->needs_path) || list_has_paths(list) || list_has_paths(shared->given);
    if (repository) {
        atomic_fetch_add_explicit(&repository->holders, 1, memory_order_relaxed);
        context->needs_path |= list_has_paths(repository->info_exclude) || list_has_paths(repository->excludes_file);
    }
    return context;
}

/* -- asking */

/* A question: an entry of a context's directory, and its path once it is needed. */
struct query {
    const struct fo_ignore *context;
    const char *directory;
    size_t directory_length;
    struct fo_ignore_entry entry; /* path: as the repository sees it */
    char *full;                   /* from the repository's top or the scan's root, whichever is higher */
    size_t full_length;
    char *buffer, *allocated;
};

/* Puts the path together. Returns 0 or -ENOMEM. */
static int build_path(struct query *q) {
    if (q->full)
        return 0;
    const struct fo_repository *repository = q->context->repository;
    size_t prefix = repository ? repository->prefix_length : 0, slash = q->directory_length != 0;
    q->full_length = prefix + q->directory_length + slash + q->entry.name_length;
    q->full = q->full_length <= PATH_BUFFER ? q->buffer : (q->allocated = malloc(q->full_length));
    if (!q->full)
        return -ENOMEM;
    char *at = q->full;
    if (prefix)
        memcpy(at, repository->prefix, prefix);
    at += prefix;
    if (slash) {
        memcpy(at, q->directory, q->directory_length);
        at += q->directory_length;
        *at++ = '/';
    }
    memcpy(at, q->entry.name, q->entry.name_length);
    size_t skip = repository ? repository->skip : 0;
    q->entry.path = q->full + skip;
    q->entry.path_length = q->full_length - skip;
    return 0;
}

/* What the patterns given with the scan say: 1, 0 or -1. Their paths count from the scan's root. */
static int ask_given(const struct query *q) {
    struct fo_ignore_entry entry = q->entry;
    if (q->full && q->context->repository) {
        entry.path = q->full + q->context->repository->prefix_length;
        entry.path_length = q->full_length - q->context->repository->prefix_length;
    }
    return fo_pattern_list_match(q->context->shared->given, &entry);
}

int fo_ignore_ask_git(const struct fo_ignore *context, const struct fo_ignore_entry *entry) {
    const struct fo_repository *repository = context->repository;
    int answer = -1;
    for (const struct fo_ignore *c = context; answer < 0 && c && c->repository == repository; c = c->parent)
        answer = fo_pattern_list_match(c->list, entry);
    if (answer < 0)
        answer = fo_pattern_list_match(repository->info_exclude, entry);
    return answer < 0 ? fo_pattern_list_match(repository->excludes_file, entry) : answer;
}

static bool is_dot_git(const struct query *q) {
    return q->entry.name_length == 4 && (q->context->repository->ignore_case ? strncasecmp(q->entry.name, ".git", 4)
                                                                             : memcmp(q->entry.name, ".git", 4)) == 0;
}

/* Whether the index keeps an entry that the patterns ignore. */
static int is_tracked(struct query *q) {
    const struct fo_index *index = &q->context->repository->index;
    if (!index->count)
        return 0;
    if (build_path(q) < 0)
        return -ENOMEM;
    int state = fo_index_find(index, q->entry.path, q->entry.path_length);
    return q->entry.is_directory ? state == FO_INDEX_DIRECTORY || state == FO_INDEX_GITLINK
                                 : state == FO_INDEX_ENTRY;
}

static int ask(struct query *q) {
    if (q->context->needs_path && build_path(q) < 0)
        return -ENOMEM;
    int answer = ask_given(q);
    if (answer >= 0 || !q->context->repository)
        return answer > 0;
    if (is_dot_git(q))
        return 1;
    if (!q->context->excluded && fo_ignore_ask_git(q->context, &q->entry) <= 0)
        return 0;
    int tracked = is_tracked(q);
    return tracked < 0 ? tracked : !tracked;
}

int fo_ignore_match(const struct fo_ignore *context, const char *directory, size_t directory_length,
                    const char *name, size_t name_length, int is_directory) {
    if (!context)
        return 0;
    char buffer[PATH_BUFFER];
    struct query q = {.context = context, .directory = directory, .directory_length = directory_length,
                      .entry = {NULL, 0, name, name_length, is_directory != 0}, .buffer = buffer};
    int answer = ask(&q);
    free(q.allocated);
    return answer;
}

/* -- entering directories */

/* Reads the .gitignore of an open directory. base: bytes of a repository's path that lead there, with their slash.
 * Returns 0 and stores a list, or NULL where there is none; or -errno. */
static int read_list(int dir_fd, bool ignore_case, size_t base, struct fo_pattern_list **list) {
    char *text;
    size_t length;
    *list = NULL;
    /* As git since 2.32: an ignore file that is a symbolic link is not followed. */
    int result = fo_file_read(dir_fd, ".gitignore", O_NOFOLLOW, &text, &length);
    if (result < 0)
        return fo_file_is_absent(result) ? 0 : result;
    result = fo_pattern_list_parse(text, length, ignore_case, base, list);
    free(text);
    return result;
}

int fo_ignore_enter_top(struct fo_ignore *parent, int top_fd, int git_fd, const char *prefix, size_t skip,
                     struct fo_ignore **out) {
    struct fo_repository *repository = NULL;
    struct fo_pattern_list *list = NULL;
    int result = fo_repository_open(&parent->shared->user, top_fd, git_fd, prefix, skip, &repository);
    if (result == 0)
        result = read_list(top_fd, repository->ignore_case, 0, &list);
    if (result == 0 && !(*out = fo_ignore_context(parent, parent->shared, repository, list))) {
        fo_pattern_list_free(list);
        result = -ENOMEM;
    }
    fo_repository_release(repository);
    return result;
}

int fo_ignore_enter_inside(struct fo_ignore *parent, int dir_fd, size_t path_length, unsigned hints, bool excluded,
                        struct fo_ignore **out) {
    struct fo_pattern_list *list = NULL;
    if ((hints & FO_IGNORE_HAS_FILE) && !excluded) {
        int result = read_list(dir_fd, parent->repository->ignore_case, path_length + 1, &list);
        if (result < 0)
            return result;
    }
    if (!list && excluded == parent->excluded) {
        *out = fo_ignore_hold(parent);
        return 0;
    }
    *out = fo_ignore_context(parent, parent->shared, parent->repository, list);
    if (!*out) {
        fo_pattern_list_free(list);
        return -ENOMEM;
    }
    (*out)->excluded = excluded;
    return 0;
}

/* Whether an open directory is the top of a repository. */
static bool is_top(int dir_fd, unsigned hints) {
    int git_fd = hints & FO_IGNORE_HAS_GIT ? fo_repository_find(dir_fd) : -ENOENT;
    if (git_fd >= 0)
        close(git_fd);
    return git_fd >= 0;
}

/* A directory in a repository: another repository in it is git's border. */
static int enter_known(struct fo_ignore *parent, int dir_fd, struct query *q, unsigned hints,
                       struct fo_ignore **out) {
    if (build_path(q) < 0)
        return -ENOMEM;
    int state = fo_index_find(&parent->repository->index, q->entry.path, q->entry.path_length);
    if (state == FO_INDEX_GITLINK || (state != FO_INDEX_DIRECTORY && is_top(dir_fd, hints)))
        return FO_IGNORE_NESTED;
    bool excluded = parent->excluded || fo_ignore_ask_git(parent, &q->entry) > 0;
    return fo_ignore_enter_inside(parent, dir_fd, q->entry.path_length, hints, excluded, out);
}

static int enter_unknown(struct fo_ignore *parent, int dir_fd, size_t path_length, unsigned hints,
                         struct fo_ignore **out) {
    int git_fd = hints & FO_IGNORE_HAS_GIT ? fo_repository_find(dir_fd) : -ENOENT;
    if (git_fd == -ENOENT) {
        *out = fo_ignore_hold(parent);
        return 0;
    }
    if (git_fd < 0)
        return git_fd;
    int result = fo_ignore_enter_top(parent, dir_fd, git_fd, "", path_length + 1, out);
    close(git_fd);
    return result;
}

size_t fo_ignore_name_start(const char *path, size_t length) {
    while (length && path[length - 1] != '/')
        length--;
    return length;
}

int fo_ignore_enter(struct fo_ignore *parent, int dir_fd, const char *path, size_t path_length, unsigned hints,
                    struct fo_ignore **out) {
    *out = NULL;
    if (!parent->shared->git) {
        *out = fo_ignore_hold(parent);
        return 0;
    }
    if (!parent->repository)
        return enter_unknown(parent, dir_fd, path_length, hints, out);
    char buffer[PATH_BUFFER];
    size_t start = fo_ignore_name_start(path, path_length);
    struct query q = {.context = parent, .directory = path, .directory_length = start ? start - 1 : 0,
                      .entry = {NULL, 0, path + start, path_length - start, true}, .buffer = buffer};
    int result = enter_known(parent, dir_fd, &q, hints, out);
    free(q.allocated);
    return result;
}
