"""The process owner. What changes ids runs in a child process."""

import errno
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="user ids")

from tests.forked import in_child  # noqa: E402

from fastos import _backend, owner  # noqa: E402

NOBODY = 65534


def test_current_is_what_the_single_calls_say() -> None:
    me = owner.current()
    assert (me.real_uid, me.effective_uid, me.saved_uid) == os.getresuid()
    assert (me.real_gid, me.effective_gid, me.saved_gid) == os.getresgid()
    assert sorted(me.groups) == sorted(os.getgroups())
    try:
        assert me.login == os.getlogin()
    except OSError:
        assert me.login is None
    assert me.is_root == (os.geteuid() == 0)


@pytest.mark.root
def test_current_with_many_groups() -> None:
    """More than the first call has room for."""
    wanted = list(range(1000, 1300))

    def work() -> None:
        os.setgroups(wanted)
        assert sorted(owner.current().groups) == wanted

    assert in_child(work) == 0


@pytest.mark.root
@pytest.mark.parametrize("user", ["nobody", NOBODY])
def test_drop_is_for_good(user: str | int) -> None:
    def work() -> None:
        import pwd

        entry = pwd.getpwnam("nobody")
        owner.drop_privileges(user)
        assert os.getresuid() == (entry.pw_uid,) * 3
        assert os.getresgid() == (entry.pw_gid,) * 3
        assert set(os.getgroups()) == set(os.getgrouplist("nobody", entry.pw_gid))
        for back in (os.setuid, os.seteuid, os.setgid, os.setegid):
            with pytest.raises(PermissionError):
                back(0)

    assert in_child(work) == 0


@pytest.mark.root
def test_drop_with_groups_named_or_none() -> None:
    def named() -> None:
        owner.drop_privileges("nobody", "daemon", ["daemon", 12345])
        me = owner.current()
        assert me.real_gid == me.saved_gid == 1
        assert sorted(me.groups) == [1, 12345]

    def none() -> None:
        owner.drop_privileges(12345, 12346, ())
        assert owner.current() == owner.Owner(12345, 12345, 12345, 12346, 12346, 12346, (), owner.current().login)

    assert in_child(named) == 0
    assert in_child(none) == 0


@pytest.mark.root
def test_drop_reaches_every_thread() -> None:
    def work() -> None:
        go, seen = threading.Event(), []

        def look() -> None:
            go.wait()
            text = Path(f"/proc/self/task/{threading.get_native_id()}/status").read_text()
            seen.append(text.split("Uid:")[1].split()[:4])

        thread = threading.Thread(target=look)
        thread.start()
        owner.drop_privileges("nobody")
        go.set()
        thread.join()
        assert seen == [[str(NOBODY)] * 4]

    assert in_child(work) == 0


@pytest.mark.root
@pytest.mark.skipif(sys.platform != "linux", reason="capabilities")
def test_drop_notices_that_root_can_be_regained() -> None:
    """With SECBIT_NO_SETUID_FIXUP the kernel leaves the capability to become root again."""

    def work() -> None:
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(28, 1 << 2, 0, 0, 0) != 0:  # PR_SET_SECUREBITS: no permission in some containers
            return
        with pytest.raises(PermissionError, match="verifying that root cannot be regained") as caught:
            owner.drop_privileges("nobody")
        assert caught.value.errno == errno.EPERM

    assert in_child(work) == 0


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (("fastos-nobody-is-called-so",), ValueError, "no user is named"),
        ((54321,), ValueError, "say group="),
        (("nobody", "fastos-no-such-group"), ValueError, "no group is named"),
        (("nobody", -1), ValueError, "no user or group id"),
        (("nobody", None, [1 << 32]), ValueError, "no user or group id"),
        (((1,),), TypeError, "user should be"),
        ((True,), TypeError, "user should be"),
        (("root",), ValueError, "no privilege would be dropped"),
    ],
)
def test_wrong_arguments_change_nothing(arguments: tuple[object, ...], error: type[Exception], text: str) -> None:
    before = owner.current()
    with pytest.raises(error, match=text):
        owner.drop_privileges(*arguments)  # type: ignore[arg-type]
    assert owner.current() == before


def test_an_ordinary_user_is_told_why() -> None:
    def work() -> None:
        before = owner.current()
        with pytest.raises(PermissionError, match="drop_privileges: only root can change groups and ids, and the eff"):
            owner.drop_privileges("nobody")
        with pytest.raises(PermissionError, match=f"the effective user is {os.geteuid()}$"), owner.acting_as("nobody"):
            raise AssertionError("entered")
        assert owner.current() == before

    assert in_child(work, user=54321) == 0


@pytest.mark.root
def test_acting_as_comes_back_on_every_exit(tmp_path: Path) -> None:
    def work() -> None:
        os.setgroups([1, 2, 3])
        os.setegid(7)
        before = owner.current()
        with owner.acting_as("nobody") as inside:
            assert inside.effective_uid == NOBODY
            assert (inside.real_uid, inside.saved_uid) == (0, 0)
            assert 1 not in os.getgroups()
            with pytest.raises(PermissionError):
                (tmp_path / "file").touch()
        assert owner.current() == before
        with pytest.raises(ZeroDivisionError), owner.acting_as(12345, "daemon"):
            assert (os.geteuid(), os.getegid()) == (12345, 1)
            raise ZeroDivisionError
        assert owner.current() == before

    tmp_path.chmod(0o700)
    assert in_child(work) == 0


@pytest.mark.root
def test_acting_as_comes_back_after_an_interrupt() -> None:
    """Just behind the change, before the block."""

    def work() -> None:
        before, act = owner.current(), owner.backend.act

        def interrupted(*ids: Any) -> None:
            act(*ids)
            raise KeyboardInterrupt

        owner.backend.act = interrupted
        with pytest.raises(KeyboardInterrupt), owner.acting_as("nobody"):
            pass
        assert owner.current() == before

    assert in_child(work) == 0


@pytest.mark.root
def test_acting_as_does_not_nest_and_says_why() -> None:
    def work() -> None:
        with owner.acting_as("nobody"):
            with pytest.raises(PermissionError, match="leave acting_as first"), owner.acting_as("daemon"):
                raise AssertionError("entered")
            with pytest.raises(PermissionError, match="leave acting_as first"):
                owner.drop_privileges("daemon")
            assert os.geteuid() == NOBODY
        assert os.geteuid() == 0

    assert in_child(work) == 0


@pytest.mark.root
def test_acting_as_says_when_there_is_no_way_back() -> None:
    def work() -> None:
        with pytest.raises(PermissionError, match="going back: setting the user id"), owner.acting_as("nobody"):
            os.seteuid(0)
            os.setresuid(NOBODY, NOBODY, NOBODY)

    assert in_child(work) == 0


@pytest.mark.root
@pytest.mark.skipif(sys.platform != "linux", reason="a capability to take away")
def test_a_failed_step_is_named_and_undone() -> None:
    def work() -> None:
        import ctypes

        # CAP_SETUID out of the effective set: groups and group id can change, the user id cannot.
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        data = (ctypes.c_uint32 * 6)()
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.capget(header, data) == 0
        data[0] &= ~(1 << 7)
        data[1] &= ~(1 << 7)
        assert libc.capset(header, data) == 0
        os.setgroups([5])
        before = owner.current()
        with pytest.raises(PermissionError, match="acting_as: setting the user id"), owner.acting_as("nobody"):
            raise AssertionError("entered")
        assert owner.current() == before
        with pytest.raises(PermissionError, match="drop_privileges: setting the user id"):
            owner.drop_privileges("nobody")

    assert in_child(work) == 0


def test_one_call_of_the_core() -> None:
    if not _backend.COMPILED:
        assert _backend.topic("owner").__name__.endswith("stdlib_owner")
        return
    from fastos._backend import native_owner

    calls = []

    class Counting:
        def __getattr__(self, name: str) -> object:
            calls.append(name)
            return getattr(lib, name)

    lib = native_owner.lib
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native_owner, "lib", Counting())
        owner.current()
    assert calls == ["fo_owner_current"]
