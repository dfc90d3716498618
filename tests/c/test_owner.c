/* owner.c and owner_change.c. What needs root is checked where the tests run as root. */
#include <errno.h>
#include <grp.h>
#include <unistd.h>

#include "api.h"
#include "check.h"

TEST(ids_are_those_of_the_c_library) {
    CHECK_EQ(fo_owner_getuid(), getuid());
    CHECK_EQ(fo_owner_geteuid(), geteuid());
    CHECK_EQ(fo_owner_getgid(), getgid());
    CHECK_EQ(fo_owner_getegid(), getegid());
}

TEST(current_is_all_of_them) {
    struct fo_owner owner;
    uint32_t groups[64];
    CHECK_EQ(fo_owner_current(&owner, groups, 64), getgroups(0, NULL));
    CHECK_EQ(owner.uid[0], getuid());
    CHECK_EQ(owner.gid[1], getegid());
}

TEST(too_little_room_for_groups_tells_how_many) {
    if (geteuid() != 0) {
        return;
    }
    uint32_t wanted[3] = {7, 8, 9}, room[1];
    struct fo_owner owner;
    CHECK_EQ(fo_owner_setgroups(wanted, 3), 0);
    CHECK_EQ(fo_owner_getgroups(room, 1), -EINVAL);
    CHECK_EQ(fo_owner_current(&owner, room, 1), 3);
}

TEST(group_list_grows) {
    uint32_t groups[64];
    int needed = 0;
    CHECK(fo_owner_grouplist("root", 0, groups, 64, &needed) >= 1);
    CHECK_EQ(fo_owner_grouplist("root", 12345, groups, 0, &needed), -ERANGE);
    CHECK(needed >= 1);
}

TEST(drop_is_verified_and_final) {
    uint32_t groups[3] = {30, 20, 30};
    int step = -1;
    if (geteuid() != 0) {
        CHECK_EQ(fo_owner_drop(1000, 1000, groups, 3, &step), -EPERM);
        CHECK_EQ(step, FO_OWNER_STEP_GROUPS);
        return;
    }
    CHECK_EQ(fo_owner_drop(1000, 1001, groups, 3, &step), 0);
    CHECK_EQ(step, FO_OWNER_STEP_NONE);
    CHECK_EQ(getuid(), 1000);
    CHECK_EQ(getegid(), 1001);
    CHECK_EQ(setuid(0), -1);
}

TEST(drop_to_no_groups) {
    int step = -1;
    if (geteuid() == 0) {
        CHECK_EQ(fo_owner_drop(1000, 1000, NULL, 0, &step), 0);
        CHECK_EQ(getgroups(0, NULL), 0);
    }
}

TEST(act_and_restore) {
    uint32_t before[1] = {5}, groups[2] = {20, 30};
    int step = -1;
    if (geteuid() != 0) {
        CHECK_EQ(fo_owner_act(1000, 1000, groups, 2, &step), -EPERM);
        return;
    }
    CHECK_EQ(setgroups(1, before), 0);
    CHECK_EQ(fo_owner_act(1000, 1001, groups, 2, &step), 0);
    CHECK_EQ(geteuid(), 1000);
    CHECK_EQ(getegid(), 1001);
    CHECK_EQ(getgroups(0, NULL), 2);
    CHECK_EQ(fo_owner_restore(0, 0, before, 1, &step), 0);
    CHECK_EQ(geteuid(), 0);
    CHECK_EQ(getgroups(0, NULL), 1);
}

TEST(a_step_that_fails_is_undone) {
    uint32_t before[1] = {5}, groups[1] = {20};
    int step = -1;
    if (geteuid() != 0) {
        return;
    }
    CHECK_EQ(setgroups(1, before), 0);
    /* UINT32_MAX is no user: seteuid refuses it, after groups and group id were changed. */
    CHECK_EQ(fo_owner_act(UINT32_MAX, 1001, groups, 1, &step), -EINVAL);
    CHECK_EQ(step, FO_OWNER_STEP_UID);
    uint32_t now[1];
    CHECK_EQ(getgroups(1, now), 1);
    CHECK_EQ(now[0], 5);
    CHECK_EQ(getegid(), 0);
}

MAIN(RUN(ids_are_those_of_the_c_library), RUN(current_is_all_of_them), RUN(too_little_room_for_groups_tells_how_many),
     RUN(group_list_grows), RUN(drop_is_verified_and_final), RUN(drop_to_no_groups), RUN(act_and_restore),
     RUN(a_step_that_fails_is_undone))
