"""Process owner: who the process is, and acting as somebody else for a while.

As root it acts as the user given (default: nobody); otherwise it says why it cannot.
"""

import sys

from fastos import owner

TEST_USER = sys.argv[1] if len(sys.argv) > 1 else "nobody"


def show_user_info() -> None:
    me = owner.current()
    print("Effective User  :", me.effective_uid)
    print("Effective Group :", me.effective_gid)
    print("Actual User     :", me.real_uid, me.login or "")
    print("Actual Group    :", me.real_gid)
    print("Actual Groups   :", list(me.groups))


print("BEFORE CHANGE:")
show_user_info()
print()

try:
    # Groups, then the group, then the user: once the user is changed, the groups no longer can be.
    with owner.acting_as(TEST_USER):
        print("CHANGED USER:")
        show_user_info()
        print()
except PermissionError as error:
    print("ERROR:", error)
else:
    print("AFTERWARDS:")
    show_user_info()
