/* Removing a directory tree without recursion and without following anything.
 *
 * A directory is read to its end first: what is not a directory is unlinked on the way, the names of directories
 * are kept. Then each of these is entered by openat with O_NOFOLLOW. So one reader is enough at any depth, and
 * memory holds the names of the directories beside the path, no more.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dents.h"

enum {
    FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
    KEPT_OPEN = 32, /* ancestors with an open descriptor; those above are found again through ".." */
};

struct level {
    int fd;          /* -1 while closed to save descriptors; dev and ino then tell which directory it was */
    dev_t dev;
    ino_t ino;
    size_t name;     /* in names: its own, in its parent */
    size_t children; /* in names: where those of its directories begin */
};

struct fo_rmtree {
    int dir_fd;
    char *path;
    struct level *levels;
    size_t depth, level_capacity;
    char *names; /* a stack: name, NUL, two bytes of length */
    size_t names_length, names_capacity;
    struct fo_dents reader;
    int reading;
    _Alignas(8) char buffer[32 * 1024];
};

static void *grown(void *block, size_t *capacity, size_t needed, size_t item) {
    size_t wanted = *capacity ? *capacity : 64;
    while (wanted < needed) {
        wanted *= 2;
    }
    void *larger = realloc(block, wanted * item);
    if (larger) {
        *capacity = wanted;
    }
    return larger;
}

static int push_name(struct fo_rmtree *tree, const char *name, uint32_t length) {
    size_t needed = tree->names_length + length + 3;
    if (needed > tree->names_capacity) {
        char *names = grown(tree->names, &tree->names_capacity, needed, 1);
        if (!names) {
            return -ENOMEM;
        }
        tree->names = names;
    }
    uint16_t stored = (uint16_t)length;
    memcpy(tree->names + tree->names_length, name, length + 1);
    memcpy(tree->names + needed - 2, &stored, 2);
    tree->names_length = needed;
    return 0;
}

/* Returns where the last name on the stack begins. */
static size_t last_name(const struct fo_rmtree *tree) {
    uint16_t length;
    memcpy(&length, tree->names + tree->names_length - 2, 2);
    return tree->names_length - 3 - length;
}

static struct level *top(struct fo_rmtree *tree) {
    return &tree->levels[tree->depth - 1];
}

static void close_level(struct level *level) {
    struct stat status;
    if (fstat(level->fd, &status) == 0) {
        level->dev = status.st_dev;
        level->ino = status.st_ino;
    }
    close(level->fd);
    level->fd = -1;
}

/* Closes the highest ancestor that is still open, below the one in use. Returns 0 if there is none. */
static int close_an_ancestor(struct fo_rmtree *tree) {
    for (size_t i = 0; i + 1 < tree->depth; i++) {
        if (tree->levels[i].fd >= 0) {
            close_level(&tree->levels[i]);
            return 1;
        }
    }
    return 0;
}

/* Whether a call that failed with this errno for want of a descriptor is worth another try. */
static int can_try_again(struct fo_rmtree *tree, int error) {
    return (error == EMFILE || error == ENFILE) && close_an_ancestor(tree);
}

static int open_child(struct fo_rmtree *tree, int parent_fd, const char *name) {
    for (;;) {
        int fd = openat(parent_fd, name, FLAGS);
        if (fd >= 0) {
            return fd;
        }
        int error = errno;
        if (!can_try_again(tree, error)) {
            return -error;
        }
    }
}

/* Makes fd the deepest level and starts to read it. */
static int enter(struct fo_rmtree *tree, int fd, size_t name) {
    if (tree->depth == tree->level_capacity) {
        struct level *levels = grown(tree->levels, &tree->level_capacity, tree->depth + 1, sizeof *levels);
        if (!levels) {
            close(fd);
            return -ENOMEM;
        }
        tree->levels = levels;
    }
    tree->levels[tree->depth++] = (struct level){.fd = fd, .name = name, .children = tree->names_length};
    if (tree->depth > KEPT_OPEN && tree->levels[tree->depth - 1 - KEPT_OPEN].fd >= 0) {
        close_level(&tree->levels[tree->depth - 1 - KEPT_OPEN]);
    }
    int result;
    do {
        result = fo_dents_start(&tree->reader, fd, tree->buffer, sizeof tree->buffer);
    } while (can_try_again(tree, -result));
    tree->reading = result >= 0;
    return result;
}

static int enter_last_child(struct fo_rmtree *tree) {
    size_t name = last_name(tree);
    int fd = open_child(tree, top(tree)->fd, tree->names + name);
    if (fd == -ENOENT) {
        tree->names_length = name; /* somebody else removed it */
        return 0;
    }
    return fd < 0 ? fd : enter(tree, fd, name);
}

/* Unlinks an entry, or keeps its name if it is a directory. */
static int remove_entry(struct fo_rmtree *tree, const struct fo_dent *entry) {
    if (entry->type == FO_TYPE_DIRECTORY) {
        return push_name(tree, entry->name, entry->name_length);
    }
    if (unlinkat(top(tree)->fd, entry->name, 0) == 0 || errno == ENOENT) {
        return 0;
    }
    int error = errno;
    struct fo_stat status;
    /* unlink of a directory says EISDIR on Linux, EPERM elsewhere: ask what it is. */
    if ((error == EISDIR || error == EPERM) &&
        fo_stat_at(top(tree)->fd, entry->name, AT_SYMLINK_NOFOLLOW, FO_STAT_TYPE, &status) == 0 &&
        S_ISDIR(status.mode)) {
        return push_name(tree, entry->name, entry->name_length);
    }
    return -error;
}

static int read_entry(struct fo_rmtree *tree) {
    struct fo_dent entry;
    int result = fo_dents_next(&tree->reader, &entry);
    if (result > 0) {
        return remove_entry(tree, &entry);
    }
    fo_dents_stop(&tree->reader);
    tree->reading = 0;
    return result;
}

/* Opens the parent of the deepest level again, and makes sure that it is the directory it was. */
static int reopen_parent(struct fo_rmtree *tree) {
    struct level *parent = &tree->levels[tree->depth - 2];
    if (parent->fd >= 0) {
        return 0;
    }
    struct stat status;
    int fd = open_child(tree, top(tree)->fd, "..");
    if (fd < 0) {
        return fd;
    }
    if (fstat(fd, &status) != 0 || status.st_dev != parent->dev || status.st_ino != parent->ino) {
        close(fd);
        return -ESTALE;
    }
    parent->fd = fd;
    return 0;
}

/* Removes the deepest directory, empty by now. Returns 1, 0 when it was the root, or -errno. */
static int leave(struct fo_rmtree *tree) {
    int root = tree->depth == 1;
    int result = root ? 0 : reopen_parent(tree);
    if (result < 0) {
        return result;
    }
    struct level left = *top(tree);
    int parent_fd = root ? tree->dir_fd : tree->levels[tree->depth - 2].fd;
    close(left.fd);
    tree->depth--;
    if (unlinkat(parent_fd, root ? tree->path : tree->names + left.name, AT_REMOVEDIR) != 0 &&
        (root || errno != ENOENT)) {
        return -errno;
    }
    tree->names_length = left.name;
    return root ? 0 : 1;
}

int fo_rmtree_open(int dir_fd, const char *path, struct fo_rmtree **out) {
    *out = NULL;
    int fd = openat(dir_fd, path, FLAGS);
    if (fd < 0) {
        return -errno;
    }
    struct fo_rmtree *tree = calloc(1, sizeof *tree);
    char *copy = strdup(path);
    if (!tree || !copy) {
        close(fd);
        free(tree);
        free(copy);
        return -ENOMEM;
    }
    tree->dir_fd = dir_fd;
    tree->path = copy;
    int result = enter(tree, fd, 0);
    if (result < 0) {
        fo_rmtree_close(tree);
        return result;
    }
    *out = tree;
    return 0;
}

int fo_rmtree_step(struct fo_rmtree *tree, int entries) {
    for (int done = 0; done < entries; done++) {
        int result = 1;
        if (tree->depth == 0) {
            return 0;
        }
        if (tree->reading) {
            result = read_entry(tree);
        } else if (tree->names_length > top(tree)->children) {
            result = enter_last_child(tree);
        } else if ((result = leave(tree)) == 0) {
            return 0;
        }
        if (result < 0) {
            return result;
        }
    }
    return 1;
}

void fo_rmtree_close(struct fo_rmtree *tree) {
    if (!tree) {
        return;
    }
    if (tree->reading) {
        fo_dents_stop(&tree->reader);
    }
    while (tree->depth > 0) {
        struct level *level = &tree->levels[--tree->depth];
        if (level->fd >= 0) {
            close(level->fd);
        }
    }
    free(tree->levels);
    free(tree->names);
    free(tree->path);
    free(tree);
}
