/* Repositories: where their directory is (gitrepository-layout(5)) and what in it bears on ignoring. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ignore.h"

static int open_directory(int dir_fd, const char *name) {
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

/* Opens the directory that a file of one line names, behind `key`. Returns a descriptor or -errno. */
static int follow(int dir_fd, const char *name, const char *key) {
    char *text;
    size_t length;
    int result = fo_file_read(dir_fd, name, 0, &text, &length);
    if (result < 0)
        return result;
    text[strcspn(text, "\r\n")] = '\0';
    size_t skip = strlen(key);
    result = strncmp(text, key, skip) == 0 ? open_directory(dir_fd, text + skip) : -ENOENT;
    free(text);
    return result;
}

/* Opens what a worktree shares with its repository; for the repository itself, itself. Returns a descriptor or -errno. */
static int open_common(int git_fd) {
    int fd = follow(git_fd, "commondir", "");
    return fd == -ENOENT ? open_directory(git_fd, ".") : fd;
}

static bool is_directory(int dir_fd, const char *name) {
    struct stat status;
    return fstatat(dir_fd, name, &status, 0) == 0 && S_ISDIR(status.st_mode);
}

static bool has_head(int git_fd) {
    struct stat status;
    if (fstatat(git_fd, "HEAD", &status, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    if (S_ISLNK(status.st_mode))
        return true;
    char *text;
    size_t length;
    if (fo_file_read(git_fd, "HEAD", 0, &text, &length) < 0)
        return false;
    bool valid = strncmp(text, "ref:", 4) == 0 || strspn(text, "0123456789abcdef") >= 40;
    free(text);
    return valid;
}

static bool is_git_directory(int git_fd) {
    int common = has_head(git_fd) ? open_common(git_fd) : -ENOENT;
    if (common < 0)
        return false;
    bool valid = is_directory(common, "objects") && is_directory(common, "refs");
    close(common);
    return valid;
}

int fo_repository_find(int top_fd) {
    int fd = open_directory(top_fd, ".git");
    if (fd == -ENOTDIR)
        fd = follow(top_fd, ".git", "gitdir: ");
    if (fd < 0)
        return fo_file_is_absent(fd) ? -ENOENT : fd;
    if (is_git_directory(fd))
        return fd;
    close(fd);
    return -ENOENT;
}

/* Reads a file of patterns; none gives none. Returns 0 or -errno. */
static int read_patterns(int dir_fd, const char *name, bool ignore_case, struct fo_pattern_list **out) {
    char *text;
    size_t length;
    int result = fo_file_read(dir_fd, name, 0, &text, &length);
    if (result < 0)
        return fo_file_is_absent(result) ? 0 : result;
    result = fo_pattern_list_parse(text, length, ignore_case, 0, out);
    free(text);
    return result;
}

/* The user's settings, then the repository's over them. Returns 0 or -errno. */
static int read_config(const struct fo_git_user *user, int git_fd, int common_fd, struct fo_git_config *config) {
    *config = user->config;
    if (config->excludes_file && !(config->excludes_file = strdup(config->excludes_file)))
        return -ENOMEM;
    int result = fo_git_config_read(config, common_fd, "config", user->home);
    if (result == 0 && config->worktree_config)
        result = fo_git_config_read(config, git_fd, "config.worktree", user->home);
    return result;
}

/* Fills in a repository whose path is set. Returns 0 or -errno. */
static int read_repository(struct fo_repository *repository, const struct fo_git_user *user, int top_fd, int git_fd,
                           int common_fd) {
    struct fo_git_config config;
    int result = read_config(user, git_fd, common_fd, &config);
    repository->ignore_case = config.ignore_case;
    const char *excludes = config.excludes_file ? config.excludes_file : user->default_excludes;
    if (result == 0)
        result = fo_index_read(&repository->index, git_fd, config.sha256 ? 32 : 20);
    if (result == 0)
        result = read_patterns(common_fd, "info/exclude", config.ignore_case, &repository->info_exclude);
    if (result == 0 && excludes && *excludes)
        result = read_patterns(top_fd, excludes, config.ignore_case, &repository->excludes_file);
    free(config.excludes_file);
    return result;
}

int fo_repository_open(const struct fo_git_user *user, int top_fd, int git_fd, const char *prefix, size_t skip,
                       struct fo_repository **out) {
    int common_fd = open_common(git_fd);
    if (common_fd < 0)
        return common_fd;
    struct fo_repository *repository = calloc(1, sizeof(*repository));
    int result = -ENOMEM;
    if (repository && (repository->prefix = strdup(prefix))) {
        atomic_init(&repository->holders, 1);
        repository->prefix_length = strlen(prefix);
        repository->skip = skip;
        result = read_repository(repository, user, top_fd, git_fd, common_fd);
    }
    close(common_fd);
    if (result < 0) {
        if (repository)
            atomic_init(&repository->holders, 1), fo_repository_release(repository);
        return result;
    }
    *out = repository;
    return 0;
}

void fo_repository_release(struct fo_repository *repository) {
    if (!repository || atomic_fetch_sub_explicit(&repository->holders, 1, memory_order_acq_rel) != 1)
        return;
    fo_index_clear(&repository->index);
    fo_pattern_list_free(repository->info_exclude);
    fo_pattern_list_free(repository->excludes_file);
    free(repository->prefix);
    free(repository);
}
