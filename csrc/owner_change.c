/* Changes of owner made of several steps: each step in the one order that works, each result checked. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api.h"
#include "result.h"

static int compare_ids(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

/* Sorts ids and drops the repeated. Returns how many are left. */
static size_t sort_unique(uint32_t *ids, size_t count) {
    size_t kept = 0;
    qsort(ids, count, sizeof(*ids), compare_ids);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || ids[kept - 1] != ids[i]) {
            ids[kept++] = ids[i];
        }
    }
    return kept;
}

/* Returns whether two lists hold the same ids; sorts both. */
static int same_ids(uint32_t *left, size_t left_count, uint32_t *right, size_t right_count) {
    left_count = sort_unique(left, left_count);
    right_count = sort_unique(right, right_count);
    return left_count == right_count && memcmp(left, right, left_count * sizeof(*left)) == 0;
}

/* Returns 0 if the process's groups are those wanted, -EPERM if not, or another -errno. */
static int verify_groups(const uint32_t *wanted, size_t count) {
    int now = getgroups(0, NULL);
    if (now < 0) {
        return -errno;
    }
    /* One spare element: an empty list is no reason for malloc to answer NULL. */
    uint32_t *lists = malloc(((size_t)now + count + 1) * sizeof(*lists));
    if (lists == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        lists[(size_t)now + i] = wanted[i];
    }
    int found = now == 0 ? 0 : getgroups(now, lists);
    int result = found < 0 ? -errno : 0;
    if (result == 0 && !same_ids(lists, (size_t)found, lists + now, count)) {
        result = -EPERM;
    }
    free(lists);
    return result;
}

static int all_three(const uint32_t *ids, uint32_t wanted) {
    return ids[0] == wanted && ids[1] == wanted && ids[2] == wanted;
}

static int verify_ids(uint32_t uid, uint32_t gid) {
    uint32_t uids[3], gids[3];
    if (fo_owner_getresuid(uids) < 0 || fo_owner_getresgid(gids) < 0) {
        return -EPERM;
    }
    return all_three(uids, uid) && all_three(gids, gid) ? 0 : -EPERM;
}

/* Returns 0 if every way back to root is shut, else -EPERM. Kept capabilities and securebits show here too. */
static int verify_root_is_gone(uint32_t uid, uint32_t gid) {
    if (uid != 0 && (setuid(0) == 0 || seteuid(0) == 0 || setreuid(0, (uid_t)-1) == 0)) {
        return -EPERM;
    }
    if (uid != 0 && gid != 0 && (setgid(0) == 0 || setegid(0) == 0)) {
        return -EPERM;
    }
    return 0;
}

/* Notes the step and returns the result, so that a sequence reads as one. */
static int at_step(int *step, int which, int result) {
    *step = result < 0 ? which : FO_OWNER_STEP_NONE;
    return result;
}

int fo_owner_drop(uint32_t uid, uint32_t gid, const uint32_t *groups, size_t count, int *step) {
    int result = at_step(step, FO_OWNER_STEP_GROUPS, fo_owner_setgroups(groups, count));
    if (result == 0) {
        result = at_step(step, FO_OWNER_STEP_GID, fo_owner_setresgid(gid, gid, gid));
    }
    if (result == 0) {
        result = at_step(step, FO_OWNER_STEP_UID, fo_owner_setresuid(uid, uid, uid));
    }
    if (result == 0) {
        result = at_step(step, FO_OWNER_STEP_VERIFY_IDS, verify_ids(uid, gid));
    }
    if (result == 0) {
        result = at_step(step, FO_OWNER_STEP_VERIFY_GROUPS, verify_groups(groups, count));
    }
    if (result == 0) {
        result = at_step(step, FO_OWNER_STEP_VERIFY_ROOT, verify_root_is_gone(uid, gid));
    }
    return result;
}

/* The three steps of fo_owner_act, with nothing undone. */
static int become(uint32_t uid, uint32_t gid, const uint32_t *groups, size_t count, int *step) {
    int result = at_step(step, FO_OWNER_STEP_GROUPS, fo_owner_setgroups(groups, count));
    if (result == 0) {
        result = at_step(step, FO_OWNER_STEP_GID, fo_result(setegid(gid)));
    }
    if (result == 0) {
        result = at_step(step, FO_OWNER_STEP_UID, fo_result(seteuid(uid)));
    }
    return result;
}

int fo_owner_act(uint32_t uid, uint32_t gid, const uint32_t *groups, size_t count, int *step) {
    uint32_t old_gid = getegid();
    int old_count = getgroups(0, NULL);
    uint32_t *old = malloc(((size_t)(old_count > 0 ? old_count : 0) + 1) * sizeof(*old));
    if (old == NULL) {
        return at_step(step, FO_OWNER_STEP_GROUPS, -ENOMEM);
    }
    if (old_count > 0) {
        old_count = getgroups(old_count, old);
    }
    int result = old_count < 0 ? at_step(step, FO_OWNER_STEP_GROUPS, -errno) : become(uid, gid, groups, count, step);
    if (result < 0 && *step > FO_OWNER_STEP_GROUPS) {
        int undone = setegid(old_gid) == 0 && setgroups((size_t)old_count, old) == 0;
        *step = undone ? *step : FO_OWNER_STEP_VERIFY_GROUPS;
    }
    free(old);
    return result;
}

int fo_owner_restore(uint32_t uid, uint32_t gid, const uint32_t *groups, size_t count, int *step) {
    int result = at_step(step, FO_OWNER_STEP_UID, fo_result(seteuid(uid)));
    if (result == 0) {
        result = at_step(step, FO_OWNER_STEP_GID, fo_result(setegid(gid)));
    }
    if (result == 0) {
        result = at_step(step, FO_OWNER_STEP_GROUPS, fo_owner_setgroups(groups, count));
    }
    return result;
}
