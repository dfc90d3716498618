/* The context that a scan begins with: the user's settings, and the repository that the root is in. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ignore_context.h"

#ifndef O_PATH
#define O_PATH O_RDONLY
#endif

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

static int read_shared(struct fo_ignore_shared *shared, const struct fo_ignore_request *request) {
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
        size_t length = (size_t)(at - inside), start = fo_ignore_name_start(inside, length);
        struct fo_ignore_entry entry = {inside, length, inside + start, length - start, true};
        bool excluded = (*context)->excluded || fo_ignore_ask_git(*context, &entry) > 0;
        struct fo_ignore *next = NULL;
        int result = fo_ignore_enter_inside(*context, fd, length, FO_IGNORE_HAS_FILE, excluded, &next);
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
    int result = fo_ignore_enter_top(*context, top_fd, git_fd, prefix, 0, &top);
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
    struct fo_ignore_shared *shared = calloc(1, sizeof(*shared));
    if (!shared)
        return -ENOMEM;
    int result = read_shared(shared, request);
    struct fo_ignore *context = result == 0 ? fo_ignore_context(NULL, shared, NULL, NULL) : NULL;
    if (!context) {
        fo_ignore_free_shared(shared);
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
