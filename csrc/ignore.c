/* Contexts: which pattern lists hold in a directory, and what they say together with git's index. */
#include "ignore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BUFFER = 4096 };

#ifndef O_PATH
#define O_PATH O_RDONLY
#endif

/* What all contexts of a scan share; the root's context owns it. */
struct shared {
    struct fo_pattern_list *given;
    struct fo_git_user user;
    bool git;
};

struct fo_ignore {
    atomic_uint holders;
    struct fo_ignore *parent; /* held; of the nearest directory above that differs, or NULL */
    struct shared *shared;
    bool owns_shared;
    bool excluded;   /* the directory is ignored, and was entered for the sake of what is tracked in it */
    bool needs_path; /* a list that holds here looks at more than names */
    struct fo_repository *repository; /* held, or NULL */
    struct fo_pattern_list *list;     /* of this directory's .gitignore, or NULL */
};

/* -- contexts */

static void free_shared(struct shared *shared) {
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
            free_shared(context->shared);
        free(context);
        context = parent;
    }
}

static bool list_has_paths(const struct fo_pattern_list *list) {
    return list && list->has_paths;
}

/* Makes a context below `parent`, which it holds, with what a repository (held too) adds; list becomes its own.
 * Returns NULL without memory. */
static struct fo_ignore *new_context(struct fo_ignore *parent, struct shared *shared,
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

/* What git's ignore files say, the nearest first: 1, 0 or -1. */
static int ask_git(const struct fo_ignore *context, const struct fo_ignore_entry *entry) {
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
    if (!q->context->excluded && ask_git(q->context, &q->entry) <= 0)
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

/* Makes the context of a repository's top directory. Returns 0 or -errno. */
static int enter_top(struct fo_ignore *parent, int top_fd, int git_fd, const char *prefix, size_t skip,
                     struct fo_ignore **out) {
    struct fo_repository *repository = NULL;
    struct fo_pattern_list *list = NULL;
    int result = fo_repository_open(&parent->shared->user, top_fd, git_fd, prefix, skip, &repository);
    if (result == 0)
        result = read_list(top_fd, repository->ignore_case, 0, &list);
    if (result == 0 && !(*out = new_context(parent, parent->shared, repository, list))) {
        fo_pattern_list_free(list);
        result = -ENOMEM;
    }
    fo_repository_release(repository);
    return result;
}

/* Makes the context of a directory inside of a repository, from its path as the repository sees it. */
static int enter_inside(struct fo_ignore *parent, int dir_fd, size_t path_length, unsigned hints, bool excluded,
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
    *out = new_context(parent, parent->shared, parent->repository, list);
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
    bool excluded = parent->excluded || ask_git(parent, &q->entry) > 0;
    return enter_inside(parent, dir_fd, q->entry.path_length, hints, excluded, out);
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
    int result = enter_top(parent, dir_fd, git_fd, "", path_length + 1, out);
    close(git_fd);
    return result;
}

static size_t name_start(const char *path, size_t length) {
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
    size_t start = name_start(path, path_length);
    struct query q = {.context = parent, .directory = path, .directory_length = start ? start - 1 : 0,
                      .entry = {NULL, 0, path + start, path_length - start, true}, .buffer = buffer};
    int result = enter_known(parent, dir_fd, &q, hints, out);
    free(q.allocated);
    return result;
}

/* -- the root */

static int copy_string(const char *from, char **to) {
    if (from && !(*to = strdup(from)))
        return -ENOMEM;
    return 0;
}

/* Reads the settings that hold outside of any repository. Returns 0 or -errno. */
static int read_user(struct fo_git_user *user, const struct fo_ignore_request *request) {
    const char *files[] = {request->system_config, request->user_config_xdg, request->user_config};
    if (copy_string(request->home, &user->home) < 0 ||
        copy_string(request->default_excludes, &user->default_excludes) < 0)
        return -ENOMEM;
    int result = 0;
    for (size_t i = 0; i < 3 && result == 0; i++)
        if (files[i])
            result = fo_git_config_read(&user->config, AT_FDCWD, files[i], user->home);
    return result;
}

static int read_shared(struct shared *shared, const struct fo_ignore_request *request) {
    shared->git = request->git != 0;
    int result = 0;
    if (request->patterns)
        result = fo_pattern_list_parse(request->patterns, strlen(request->patterns), request->ignore_case != 0, 0,
                                       &shared->given);
    return result == 0 && shared->git ? read_user(&shared->user, request) : result;
}

/* Opens the first `length` bytes of an absolute path, piece by piece since it may be longer than PATH_MAX; where the
 * platform can, without asking for the right to list it.
 * Returns a descriptor or -errno. */
static int open_prefix(const char *path, size_t length) {
    int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    char piece[256];
    for (size_t at = 1; fd >= 0 && at < length;) {
        size_t size = strcspn(path + at, "/");
        if (size >= sizeof(piece) || at + size > length) {
            close(fd);
            return -ENAMETOOLONG;
        }
        memcpy(piece, path + at, size);
        piece[size] = '\0';
        int next = size ? openat(fd, piece, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW) : dup(fd);
        int error = errno;
        close(fd);
        errno = error;
        fd = next;
        at += size + 1;
    }
    return fd < 0 ? -errno : fd;
}

/* Goes from a repository's top down to the scan's root, directory by directory. *context becomes the root's. */
static int descend(struct fo_ignore **context, const char *root, size_t top_length) {
    const char *inside = root + (top_length > 1 ? top_length + 1 : 1);
    for (const char *at = inside; *at;) {
        at += strcspn(at, "/");
        int fd = open_prefix(root, (size_t)(at - root));
        if (fd < 0)
            return fd;
        size_t length = (size_t)(at - inside), start = name_start(inside, length);
        struct fo_ignore_entry entry = {inside, length, inside + start, length - start, true};
        bool excluded = (*context)->excluded || ask_git(*context, &entry) > 0;
        struct fo_ignore *next = NULL;
        int result = enter_inside(*context, fd, length, FO_IGNORE_HAS_FILE, excluded, &next);
        close(fd);
        if (result < 0)
            return result;
        fo_ignore_release(*context);
        *context = next;
        at += *at == '/';
    }
    return 0;
}

static bool is_inside_git_directory(const char *path) {
    for (; *path; path += strcspn(path, "/"), path += *path == '/')
        if (strncmp(path, ".git", 4) == 0 && (path[4] == '/' || path[4] == '\0'))
            return true;
    return false;
}

/* A repository was found at the first top_length bytes of the root's path: makes its contexts down to the root. */
static int enter_from_above(struct fo_ignore **context, const char *root, size_t top_length, int top_fd, int git_fd) {
    const char *inside = root + (top_length > 1 ? top_length : 1);
    inside += *inside == '/';
    size_t length = strlen(inside);
    if (is_inside_git_directory(inside))
        return 0;
    char *prefix = malloc(length + 2);
    if (!prefix)
        return -ENOMEM;
    memcpy(prefix, inside, length);
    memcpy(prefix + length, length ? "/" : "", length ? 2 : 1);
    struct fo_ignore *top = NULL;
    int result = enter_top(*context, top_fd, git_fd, prefix, 0, &top);
    free(prefix);
    if (result < 0)
        return result;
    fo_ignore_release(*context);
    *context = top;
    return length ? descend(context, root, top_length) : 0;
}

static size_t parent_length(const char *path, size_t length) {
    while (length > 1 && path[length - 1] != '/')
        length--;
    return length > 1 ? length - 1 : 1;
}

static dev_t device_of(int fd) {
    struct stat status;
    return fstat(fd, &status) == 0 ? status.st_dev : 0;
}

/* Looks for a repository at the root and above it, on the same file system as git does. Returns 0 or -errno. */
static int find_above(struct fo_ignore **context, const char *root) {
    dev_t device = 0;
    size_t full = strlen(root);
    for (size_t length = full;; length = parent_length(root, length)) {
        int fd = open_prefix(root, length);
        if (fd < 0)
            return fo_file_is_absent(fd) ? 0 : fd;
        if (length == full)
            device = device_of(fd);
        int git_fd = device_of(fd) == device ? fo_repository_find(fd) : -ENOENT;
        int result = git_fd >= 0 ? enter_from_above(context, root, length, fd, git_fd) : 0;
        close(fd);
        if (git_fd >= 0)
            close(git_fd);
        if (git_fd >= 0 || length <= 1)
            return result;
    }
}

int fo_ignore_new(const struct fo_ignore_request *request, struct fo_ignore **out) {
    *out = NULL;
    struct shared *shared = calloc(1, sizeof(*shared));
    if (!shared)
        return -ENOMEM;
    int result = read_shared(shared, request);
    struct fo_ignore *context = result == 0 ? new_context(NULL, shared, NULL, NULL) : NULL;
    if (!context) {
        free_shared(shared);
        return result < 0 ? result : -ENOMEM;
    }
    context->owns_shared = true;
    if (request->git && request->root && request->root[0] == '/')
        result = find_above(&context, request->root);
    if (result < 0)
        fo_ignore_release(context);
    else
        *out = context;
    return result;
}
