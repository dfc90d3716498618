/* The child's ids: groups, then gid, then uid, since each step needs the privilege that the last one gives up.
 * Each is verified, down to the saved ids, and root must not be had again. */
#include "spawn.h"
#include "spawn_system.h"

#ifndef __linux__
#include <grp.h>
#endif

/* Returns 0 if the groups are those asked for. */
FO_CHILD static int check_groups(const struct fo_spawn_plan *plan) {
    int wanted = plan->request->group_count;
    int count = fo_sys_getgroups(0, NULL);
    if (count != wanted || (count > 0 && fo_sys_getgroups(count, plan->groups_seen) != wanted)) {
        return -1;
    }
    for (int i = 0; i < wanted; i++) {
        if (plan->groups_seen[i] != plan->request->groups[i]) {
            return -1;
        }
    }
    return 0;
}

FO_CHILD static int set_groups(struct fo_spawn_plan *plan) {
    int count = plan->request->group_count;
    /* An ordinary user may not set groups, not even to what they are; that is no failure. */
    if (count < 0 || check_groups(plan) == 0) {
        return 0;
    }
    if (fo_sys_setgroups(count, plan->request->groups) < 0) {
        return fo_spawn_fail(plan, FO_STEP_GROUPS, 0);
    }
    errno = EPERM;
    return check_groups(plan) < 0 ? fo_spawn_fail(plan, FO_STEP_GROUPS, 0) : 0;
}

#ifdef __linux__

FO_CHILD static int set_group(struct fo_spawn_plan *plan) {
    if (plan->request->group < 0) {
        return 0;
    }
    uint32_t wanted = (uint32_t)plan->request->group, real, effective, saved;
    if (fo_sys_setresgid(wanted, wanted, wanted) < 0) {
        return fo_spawn_fail(plan, FO_STEP_GROUP, 0);
    }
    errno = EPERM;
    if (fo_sys_getresgid(&real, &effective, &saved) < 0 || real != wanted || effective != wanted || saved != wanted) {
        return fo_spawn_fail(plan, FO_STEP_GROUP, 0);
    }
    return 0;
}

/* Returns 0 if all three ids are the one wanted and, unless that is root, root is out of reach. */
FO_CHILD static int check_user(uint32_t wanted) {
    uint32_t real, effective, saved;
    if (fo_sys_getresuid(&real, &effective, &saved) < 0 || real != wanted || effective != wanted || saved != wanted) {
        return -1;
    }
    return wanted != 0 && (fo_sys_setresuid(-1, 0, -1) == 0 || fo_sys_setresuid(0, 0, 0) == 0) ? -1 : 0;
}

FO_CHILD static int set_user(struct fo_spawn_plan *plan) {
    if (plan->request->user < 0) {
        return 0;
    }
    uint32_t wanted = (uint32_t)plan->request->user;
    if (fo_sys_setresuid(wanted, wanted, wanted) < 0) {
        return fo_spawn_fail(plan, FO_STEP_USER, 0);
    }
    if (check_user(wanted) < 0) {
        errno = EPERM;
        return fo_spawn_fail(plan, FO_STEP_USER, 0);
    }
    return 0;
}

#else

FO_CHILD static int set_group(struct fo_spawn_plan *plan) {
    gid_t wanted = (gid_t)plan->request->group;
    if (plan->request->group < 0) {
        return 0;
    }
    if (setregid(wanted, wanted) < 0) {
        return fo_spawn_fail(plan, FO_STEP_GROUP, 0);
    }
    errno = EPERM;
    return getgid() != wanted || getegid() != wanted ? fo_spawn_fail(plan, FO_STEP_GROUP, 0) : 0;
}

FO_CHILD static int set_user(struct fo_spawn_plan *plan) {
    uid_t wanted = (uid_t)plan->request->user;
    if (plan->request->user < 0) {
        return 0;
    }
    if (setreuid(wanted, wanted) < 0) {
        return fo_spawn_fail(plan, FO_STEP_USER, 0);
    }
    bool kept = getuid() != wanted || geteuid() != wanted || (wanted != 0 && setuid(0) == 0);
    errno = EPERM;
    return kept ? fo_spawn_fail(plan, FO_STEP_USER, 0) : 0;
}

#endif

FO_CHILD int fo_spawn_drop_owner(struct fo_spawn_plan *plan) {
    return set_groups(plan) < 0 || set_group(plan) < 0 || set_user(plan) < 0 ? -1 : 0;
}
