/* Single calls on ids, groups and the login name; owner_change.c composes them. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api.h"
#include "result.h"

int64_t fo_owner_getuid(void) {
    return getuid();
}

int64_t fo_owner_geteuid(void) {
    return geteuid();
}

int64_t fo_owner_getgid(void) {
    return getgid();
}

int64_t fo_owner_getegid(void) {
    return getegid();
}

int fo_owner_setuid(uint32_t uid) {
    return fo_result(setuid(uid));
}

int fo_owner_seteuid(uint32_t uid) {
    return fo_result(seteuid(uid));
}

int fo_owner_setgid(uint32_t gid) {
    return fo_result(setgid(gid));
}

int fo_owner_setegid(uint32_t gid) {
    return fo_result(setegid(gid));
}

int fo_owner_setreuid(uint32_t real, uint32_t effective) {
    return fo_result(setreuid(real, effective));
}

int fo_owner_setregid(uint32_t real, uint32_t effective) {
    return fo_result(setregid(real, effective));
}

#ifdef __APPLE__
/* There is no setresuid: setuid by root sets all three, and only that use is offered. */
int fo_owner_setresuid(uint32_t real, uint32_t effective, uint32_t saved) {
    return real == effective && effective == saved ? fo_result(setuid(real)) : -ENOSYS;
}

int fo_owner_setresgid(uint32_t real, uint32_t effective, uint32_t saved) {
    return real == effective && effective == saved ? fo_result(setgid(real)) : -ENOSYS;
}

/* The saved id cannot be read: the effective one stands in, and fo_owner_drop proves the rest by trying. */
int fo_owner_getresuid(uint32_t *out) {
    out[0] = getuid();
    out[1] = out[2] = geteuid();
    return 0;
}

int fo_owner_getresgid(uint32_t *out) {
    out[0] = getgid();
    out[1] = out[2] = getegid();
    return 0;
}
#else
int fo_owner_setresuid(uint32_t real, uint32_t effective, uint32_t saved) {
    return fo_result(setresuid(real, effective, saved));
}

int fo_owner_setresgid(uint32_t real, uint32_t effective, uint32_t saved) {
    return fo_result(setresgid(real, effective, saved));
}

int fo_owner_getresuid(uint32_t *out) {
    return fo_result(getresuid(&out[0], &out[1], &out[2]));
}

int fo_owner_getresgid(uint32_t *out) {
    return fo_result(getresgid(&out[0], &out[1], &out[2]));
}
#endif

int fo_owner_getgroups(uint32_t *out, int capacity) {
    return fo_result(getgroups(capacity, out));
}

int fo_owner_setgroups(const uint32_t *groups, size_t count) {
    return fo_result(setgroups(count, groups));
}

int fo_owner_initgroups(const char *user, uint32_t group) {
    return fo_result(initgroups(user, group));
}

int fo_owner_grouplist(const char *user, uint32_t group, uint32_t *out, int capacity, int *needed) {
    *needed = capacity;
#ifdef __APPLE__
    int found = getgrouplist(user, (int)group, (int *)out, needed);
#else
    int found = getgrouplist(user, group, out, needed);
#endif
    return found < 0 ? -ERANGE : *needed;
}

int fo_owner_getlogin(char *out, size_t size) {
    return -getlogin_r(out, size);
}

int fo_owner_current(struct fo_owner *out, uint32_t *groups, int capacity) {
    int result = fo_owner_getresuid(out->uid);
    if (result == 0) {
        result = fo_owner_getresgid(out->gid);
    }
    if (result < 0) {
        return result;
    }
    if (getlogin_r(out->login, sizeof(out->login)) != 0) {
        out->login[0] = '\0';
    }
    result = fo_owner_getgroups(groups, capacity);
    return result == -EINVAL ? fo_owner_getgroups(NULL, 0) : result;
}
