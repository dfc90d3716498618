"""spawn: running as somebody else, and as nobody more than asked."""

import ctypes
import grp
import os
import pwd
import sys
import threading
from pathlib import Path

import pytest

import fastos
from spawned import SH, output, shell

ROOT = pytest.mark.root


def ids(**options: object) -> dict[str, list[int]]:
    """Real, effective, saved and file system ids and the groups, as the kernel shows them."""
    lines = dict(line.split(":", 1) for line in output(["cat", "/proc/self/status"], **options).splitlines())
    return {name: [int(word) for word in lines[name].split()] for name in ("Uid", "Gid", "Groups")}


@ROOT
def test_all_ids_change(ordinary_user: tuple[int, int]) -> None:
    uid, gid = ordinary_user
    assert ids(user=uid, group=gid, groups=[]) == {"Uid": [uid] * 4, "Gid": [gid] * 4, "Groups": []}


@ROOT
def test_a_user_alone_leaves_nothing_of_root(ordinary_user: tuple[int, int]) -> None:
    uid, gid = ordinary_user
    own = sorted(set(os.getgrouplist("nobody", gid)))
    os.setgroups([0, 4, 5])
    try:
        for user in (uid, "nobody"):
            assert ids(user=user) == {"Uid": [uid] * 4, "Gid": [gid] * 4, "Groups": own}
    finally:
        os.setgroups([])


@ROOT
def test_no_groups_means_none(ordinary_user: tuple[int, int]) -> None:
    os.setgroups([4, 5])
    try:
        assert ids(groups=[])["Groups"] == []
        assert ids(group=ordinary_user[1])["Groups"] == [4, 5]
        assert ids(user=ordinary_user[0], groups=[])["Groups"] == []
        assert ids(groups=["daemon", 7, 7, 3])["Groups"] == sorted({grp.getgrnam("daemon").gr_gid, 7, 3})
    finally:
        os.setgroups([])


@ROOT
@pytest.mark.native
def test_many_groups() -> None:
    wanted = list(range(1000, 4000))
    assert ids(user=12345, group=54321, groups=reversed(wanted))["Groups"] == wanted


@ROOT
def test_a_user_without_an_entry() -> None:
    with pytest.raises(ValueError, match="say group= as well"):
        fastos.spawn(["true"], user=987654)
    assert ids(user=987654, group=1)["Groups"] == []


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"user": "no-such-user"}, "user 'no-such-user' is not known"),
        ({"group": "no-such-group"}, "group 'no-such-group' is not known"),
        ({"groups": ["no-such-group"]}, "is not known"),
        ({"user": -1, "group": 0}, "not an id"),
        ({"group": 2**32 - 1}, "not an id"),
    ],
)
def test_ids_that_are_none(option: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fastos.spawn(["true"], **option)


@ROOT
def test_program_that_only_root_may_run(tmp_path: Path, ordinary_user: tuple[int, int]) -> None:
    program = tmp_path / "tool"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    with pytest.raises(PermissionError) as caught:
        fastos.spawn([program], user=ordinary_user[0], group=ordinary_user[1])
    if isinstance(caught.value, fastos.SpawnError) and caught.value.filename is not None:
        assert caught.value.step == "exec"


@ROOT
@pytest.mark.native
def test_the_directory_is_entered_as_the_parent(tmp_path: Path, ordinary_user: tuple[int, int]) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    options = {"user": ordinary_user[0], "group": ordinary_user[1]}
    assert shell("pwd -P 2>/dev/null || echo inside", cwd=private, **options)


AS_NOBODY = """
import fastos, os, sys
os.setgroups([]); os.setresgid({gid}, {gid}, {gid}); os.setresuid({uid}, {uid}, {uid})
for options in ({{"user": 0, "group": 0}}, {{"group": 0}}, {{"groups": [0]}}, {{"user": {uid} + 1, "group": {gid}}}):
    try: fastos.spawn(["true"], **options)
    except PermissionError as error: print(error.step)
print(fastos.spawn(["true"], user={uid}, group={gid}, groups=[]).wait().code)
"""


@ROOT
@pytest.mark.native
def test_an_ordinary_user_is_told(ordinary_user: tuple[int, int]) -> None:
    """And may "become" what it is already."""
    uid, gid = ordinary_user
    code = AS_NOBODY.format(uid=uid, gid=gid)
    # Loaded before the ids change: the interpreter's files may be out of an ordinary user's reach.
    code = "import fastos, pwd, grp; fastos.spawn(['true']).wait()\n" + code
    lines = output([sys.executable, "-c", code]).split()
    assert lines == ["setgroups", "setresgid(0)", "setgroups", f"setresuid({uid + 1})", "0"]


def dumpable() -> int:
    return int(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))


@ROOT
@pytest.mark.native
def test_dumpable_flag_is_as_before(ordinary_user: tuple[int, int]) -> None:
    """A change of ids in a child that shares the memory clears it; afterwards it is what it was."""
    options = {"user": ordinary_user[0], "group": ordinary_user[1]}
    assert dumpable() == 1
    assert fastos.spawn(["true"], **options).wait().code == 0
    assert dumpable() == 1
    with pytest.raises(FileNotFoundError):
        fastos.spawn(["/nonexistent"], **options)
    assert dumpable() == 1
    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
    try:
        assert fastos.spawn(["true"], **options).wait().code == 0
        assert dumpable() == 0
    finally:
        ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)


@ROOT
@pytest.mark.native
def test_dumpable_flag_with_many_threads(ordinary_user: tuple[int, int]) -> None:
    def work() -> None:
        for _ in range(20):
            fastos.spawn(["true"], user=ordinary_user[0], group=ordinary_user[1]).wait()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert dumpable() == 1


@ROOT
@pytest.mark.native
def test_ids_of_the_parent_stay(ordinary_user: tuple[int, int]) -> None:
    before = Path("/proc/self/status").read_text().split("Uid:")[1].split("FDSize")[0]
    fastos.spawn(["true"], user=ordinary_user[0], group=ordinary_user[1]).wait()
    assert Path("/proc/self/status").read_text().split("Uid:")[1].split("FDSize")[0] == before
    assert os.geteuid() == 0


@ROOT
@pytest.mark.native
def test_root_that_can_be_had_again_is_refused() -> None:
    """A process with CAP_SETUID that is not root keeps it across a change of ids: the child must not run."""
    code = (
        "import ctypes, fastos, os\n"
        "libc = ctypes.CDLL(None)\n"
        "fastos.spawn(['true']).wait()\n"
        "assert libc.prctl(8, 1, 0, 0, 0) == 0\n"  # PR_SET_KEEPCAPS
        "os.setresgid(1, 1, 1); os.setresuid(1, 1, 1)\n"
        "header = (ctypes.c_uint32 * 2)(0x20080522, 0)\n"
        "caps = (ctypes.c_uint32 * 6)(0x1c0, 0x1c0, 0, 0, 0, 0)\n"  # KILL.. no: SETGID, SETUID and SETPCAP
        "assert libc.capset(header, caps) == 0\n"
        "try: fastos.spawn(['true'], user=2, group=2, groups=[])\n"
        "except PermissionError as error: print(error.step)\n"
    )
    assert output([sys.executable, "-c", code]) == "setresuid(2)\n"


@ROOT
def test_names(ordinary_user: tuple[int, int]) -> None:
    group = grp.getgrgid(ordinary_user[1]).gr_name
    assert pwd.getpwnam("nobody").pw_uid == ordinary_user[0]
    assert ids(user="nobody", group=group)["Uid"][0] == ordinary_user[0]
    assert shell("id -un", user="nobody") == "nobody"
    assert output([SH, "-c", "umask"], user="nobody", umask=0o77) == "0077\n"
