/* Kills a child and its descendants. They are stopped first, parents before children, so that none starts another
 * behind our back or gets away to a new parent while the list is made. Where there is no /proc only the child is
 * killed. Descendants that were orphaned before cannot be told from strangers and are left alone. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run.h"

struct tree {
    int *pids;
    size_t count;
    size_t capacity;
};

static bool add(struct tree *tree, int pid) {
    if (tree->count == tree->capacity) {
        size_t capacity = tree->capacity ? tree->capacity * 2 : 16;
        int *pids = realloc(tree->pids, capacity * sizeof *pids);
        if (pids == NULL) {
            return false;
        }
        tree->pids = pids;
        tree->capacity = capacity;
    }
    tree->pids[tree->count++] = pid;
    return true;
}

#ifdef __linux__
#include <dirent.h>

/* The parent of a process, or -1. */
static int parent_of(int pid) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    text[length > 0 ? length : 0] = '\0';
    char *after = strrchr(text, ')');
    int parent = -1;
    return after != NULL && sscanf(after + 1, " %*c %d", &parent) == 1 ? parent : -1;
}

static bool contains(const struct tree *tree, int pid) {
    for (size_t i = 0; i < tree->count; i++) {
        if (tree->pids[i] == pid) {
            return true;
        }
    }
    return false;
}

/* Stops and adds every process whose parent is in the tree. Returns whether one was added. */
static bool grow(struct tree *tree) {
    DIR *proc = opendir("/proc");
    size_t before = tree->count;
    struct dirent *entry;
    while (proc != NULL && (entry = readdir(proc)) != NULL) {
        int pid = atoi(entry->d_name);
        if (pid > 0 && !contains(tree, pid) && contains(tree, parent_of(pid)) && add(tree, pid)) {
            kill(pid, SIGSTOP);
        }
    }
    if (proc != NULL) {
        closedir(proc);
    }
    return tree->count > before;
}

/* Whether it has no children and never had more than it has: the usual case, for one read of one file. */
static bool childless(int pid) {
    char path[64], byte;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t length = read(fd, &byte, 1);
    close(fd);
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *tasks = opendir(path);
    int count = 0;
    while (tasks != NULL && readdir(tasks) != NULL) {
        count++;
    }
    if (tasks != NULL) {
        closedir(tasks);
    }
    return length == 0 && count <= 3; /* ".", ".." and the one thread */
}
#else
static bool grow(struct tree *tree) {
    (void)tree;
    return false;
}

static bool childless(int pid) {
    (void)pid;
    return true;
}
#endif

int run_tree_kill(int pid, int pidfd) {
    struct tree tree = {0};
    int refused = 0;
    fo_wait_signal(pid, pidfd, SIGSTOP);
    if (!childless(pid) && add(&tree, pid)) {
        while (grow(&tree)) {
        }
    }
    fo_wait_signal(pid, pidfd, SIGKILL);
    for (size_t i = 1; i < tree.count; i++) {
        refused += kill(tree.pids[i], SIGKILL) < 0 && errno != ESRCH;
    }
    free(tree.pids);
    return refused;
}
