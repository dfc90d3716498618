/* git's configuration files, as far as ignoring goes (git-config(1)): core.excludesFile, core.ignoreCase,
 * extensions.objectFormat, extensions.worktreeConfig and include.path. Conditional includes are not followed. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "ignore.h"

enum { INCLUDES_MAX = 10, SECTION_MAX = 64, USER_MAX = 256, ENTRY_MAX = 4096 };

struct parser {
    struct fo_git_config *config;
    const char *at;
    char section[SECTION_MAX]; /* lower case; empty for a section with a subsection */
    int dir_fd;
    const char *home;
    int depth;
};

static void skip_line(struct parser *p) {
    p->at += strcspn(p->at, "\n");
}

/* Reads `[section]` or `[section "sub"]` behind the '['. */
static void read_section(struct parser *p) {
    size_t length = 0;
    for (; *p->at && *p->at != ']' && *p->at != '\n' && *p->at != ' ' && *p->at != '\t'; p->at++)
        if (length + 1 < SECTION_MAX)
            p->section[length++] = (char)tolower((unsigned char)*p->at);
    p->section[*p->at == ']' ? length : 0] = '\0';
    bool quoted = false;
    for (; *p->at && *p->at != '\n' && (quoted || *p->at != ']'); p->at++) {
        if (*p->at == '"')
            quoted = !quoted;
        else if (*p->at == '\\' && p->at[1])
            p->at++;
    }
    if (*p->at == ']')
        p->at++;
}

/* Reads the value behind '='. Returns it for free(), or NULL without memory. */
static char *read_value(struct parser *p) {
    char *value = malloc(strlen(p->at) + 1);
    if (!value)
        return NULL;
    size_t length = 0, kept = 0;
    bool quoted = false;
    p->at += strspn(p->at, " \t");
    for (; *p->at && *p->at != '\n'; p->at++) {
        char c = *p->at;
        if (!quoted && (c == '#' || c == ';'))
            break;
        if (c == '"') {
            quoted = !quoted;
            kept = length;
            continue;
        }
        if (c == '\\' && p->at[1] == '\n') {
            p->at++;
            continue;
        }
        bool escaped = c == '\\' && p->at[1];
        if (escaped)
            c = *++p->at == 'n' ? '\n' : *p->at == 't' ? '\t' : *p->at == 'b' ? '\b' : *p->at;
        value[length++] = c;
        if (quoted || escaped || !isspace((unsigned char)c))
            kept = length;
    }
    value[kept] = '\0';
    skip_line(p);
    return value;
}

static bool is_true(const char *value) {
    return !value || strcasecmp(value, "true") == 0 || strcasecmp(value, "yes") == 0 || strcasecmp(value, "on") == 0 ||
           atoi(value) != 0;
}

/* Returns `directory` and `rest` joined, for free(), or NULL without memory. */
static char *join(const char *directory, const char *rest) {
    char *joined = malloc(strlen(directory) + strlen(rest) + 1);
    if (joined)
        sprintf(joined, "%s%s", directory, rest);
    return joined;
}

/* Puts the home directory in place of a leading ~ or ~user. Returns what to free(), or NULL without memory. */
static char *expand_home(const char *path, const char *home) {
    size_t length = path[0] == '~' ? strcspn(path, "/") : 0;
    if (length <= 1)
        return join(length && home ? home : "", path + (home ? length : 0));
    char name[USER_MAX], text[ENTRY_MAX];
    struct passwd entry, *found = NULL;
    if (length <= USER_MAX) {
        memcpy(name, path + 1, length - 1);
        name[length - 1] = '\0';
        getpwnam_r(name, &entry, text, sizeof text, &found);
    }
    return join(found ? entry.pw_dir : "", path + (found ? length : 0));
}

static int read_file(struct fo_git_config *config, int dir_fd, const char *name, const char *home, int depth);

static int include(struct parser *p, const char *value) {
    if (p->depth >= INCLUDES_MAX)
        return -EINVAL; /* as in git: files that include each other end it all, or it would take forever */
    char *path = expand_home(value, p->home);
    if (!path)
        return -ENOMEM;
    int result = read_file(p->config, p->dir_fd, path, p->home, p->depth + 1);
    free(path);
    return result;
}

/* Takes one setting; value NULL stands for a key without '='. Returns 0 or -errno. */
static int take(struct parser *p, const char *key, const char *value) {
    struct fo_git_config *config = p->config;
    if (strcmp(p->section, "core") == 0 && strcasecmp(key, "excludesfile") == 0 && value) {
        char *path = expand_home(value, p->home);
        if (!path)
            return -ENOMEM;
        free(config->excludes_file);
        config->excludes_file = path;
    } else if (strcmp(p->section, "core") == 0 && strcasecmp(key, "ignorecase") == 0) {
        config->ignore_case = is_true(value);
    } else if (strcmp(p->section, "extensions") == 0 && strcasecmp(key, "worktreeconfig") == 0) {
        config->worktree_config = is_true(value);
    } else if (strcmp(p->section, "extensions") == 0 && strcasecmp(key, "objectformat") == 0) {
        config->sha256 = value && strcasecmp(value, "sha256") == 0;
    } else if (strcmp(p->section, "include") == 0 && strcasecmp(key, "path") == 0 && value) {
        return include(p, value);
    }
    return 0;
}

/* Reads `key`, `key = value`. Returns 0 or -errno. */
static int read_setting(struct parser *p) {
    char key[SECTION_MAX];
    size_t length = 0;
    for (; isalnum((unsigned char)*p->at) || *p->at == '-'; p->at++)
        if (length + 1 < SECTION_MAX)
            key[length++] = *p->at;
    key[length] = '\0';
    p->at += strspn(p->at, " \t");
    if (*p->at != '=') {
        skip_line(p);
        return length ? take(p, key, NULL) : 0;
    }
    p->at++;
    char *value = read_value(p);
    if (!value)
        return -ENOMEM;
    int result = take(p, key, value);
    free(value);
    return result;
}

int fo_git_config_parse(struct fo_git_config *config, const char *text, int dir_fd, const char *home, int depth) {
    struct parser p = {.config = config, .at = text, .dir_fd = dir_fd, .home = home, .depth = depth};
    int result = 0;
    while (result == 0) {
        p.at += strspn(p.at, " \t\r\n");
        if (!*p.at)
            break;
        if (*p.at == '#' || *p.at == ';')
            skip_line(&p);
        else if (*p.at == '[')
            p.at++, read_section(&p);
        else
            result = read_setting(&p);
    }
    return result;
}

/* Opens the directory that a file is in, for the relative paths it includes. Returns a descriptor or -errno. */
static int open_directory_of(int dir_fd, const char *name) {
    const char *slash = strrchr(name, '/');
    char *directory = slash ? strndup(name, (size_t)(slash - name) + 1) : strdup(".");
    if (!directory)
        return -ENOMEM;
    int fd = openat(dir_fd, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        fd = -errno;
    free(directory);
    return fd;
}

/* As fo_git_config_read, of a file included by so many. */
static int read_file(struct fo_git_config *config, int dir_fd, const char *name, const char *home, int depth) {
    char *text;
    size_t length;
    int result = fo_file_read(dir_fd, name, 0, &text, &length);
    if (result < 0)
        return fo_file_is_absent(result) ? 0 : result;
    int fd = open_directory_of(dir_fd, name);
    result = fd < 0 ? fd : fo_git_config_parse(config, text, fd, home, depth);
    if (fd >= 0)
        close(fd);
    free(text);
    return fo_file_is_absent(result) ? 0 : result;
}

int fo_git_config_read(struct fo_git_config *config, int dir_fd, const char *name, const char *home) {
    return read_file(config, dir_fd, name, home, 0);
}
