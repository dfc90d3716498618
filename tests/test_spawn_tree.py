"""Process.kill_tree: everything that descends from a process, by cgroup and by walking."""

import ctypes
import os
import select
import signal
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

import fastos
from fastos import _backend, _kill_tree
from spawned import SH, output

pytestmark = pytest.mark.native


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def subreaper() -> int:
    value = ctypes.c_int(-1)
    ctypes.CDLL(None).prctl(37, ctypes.byref(value), 0, 0, 0)
    return value.value


# A tree: children in sessions of their own, a stopped one, one whose parent is gone, one that ignores SIGTERM.
TREE = """
trap '' HUP
(sleep 1000 & echo $!; wait) &
setsid sh -c 'echo $$; sleep 1000 & echo $!; wait' &
sh -c 'echo $$; kill -STOP $$' &
sh -c 'trap "" TERM; echo $$; while :; do sleep 0.05; done' &
wait
"""


def start_tree(**options: object) -> tuple[fastos.Process, list[int]]:
    process = fastos.spawn([SH, "-c", TREE], stdout=fastos.PIPE, **options)
    return process, [int(process.stdout.readline()) for _ in range(5)]


@pytest.mark.parametrize("grace", [0.0, 0.1])
@pytest.mark.parametrize("options", [{}, {"new_session": True}], ids=["", "new session"])
def test_the_whole_tree_dies(grace: float, options: dict[str, object]) -> None:
    before = subreaper()
    process, pids = start_tree(**options)
    with process:
        assert process.kill_tree(grace=grace) == []
        assert process.stdout.read() == b""  # ends once nobody has the pipe any more
    assert not [pid for pid in pids if is_there(pid)]
    assert process.wait().signal in (signal.SIGTERM, signal.SIGKILL)
    assert subreaper() == before


def test_the_tree_of_a_process_that_ended() -> None:
    """Its session tells whose they are."""
    with fastos.spawn([SH, "-c", "sleep 1000 & echo $!"], stdout=fastos.PIPE, new_session=True) as process:
        pid = int(process.stdout.readline())
        process.wait()
        assert is_there(pid)
        assert process.kill_tree() == []
        assert not is_there(pid)


def test_a_tree_that_grows() -> None:
    """Processes that are replaced by their children all the time are caught as well."""
    script = "import os, time\nwhile True:\n    if os.fork(): time.sleep(0.002); os._exit(0)\n"
    code = f"import os\nif os.fork(): os.wait()\nelse:\n    exec({script!r})"
    keep = "import ctypes, time; ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\n"  # adopts, so that the chain stays a tree
    with fastos.spawn(
        [
            sys.executable,
            "-c",
            keep + "import os\nif os.fork():\n    time.sleep(1000)\n" + f"else:\n    exec({code!r})",
        ],
        stdout=fastos.PIPE,
    ) as process:
        assert process.kill_tree(timeout=20) == []
        assert process.stdout.read() == b""


def test_a_child_made_by_a_member_that_ended_before_it_was_stopped() -> None:
    script = """setsid sh -c 'echo $$; read go; sleep 1000 & echo $!'; wait"""
    with fastos.spawn([SH, "-c", script], stdin=fastos.PIPE, stdout=fastos.PIPE) as process:
        member = int(process.stdout.readline())
        with _kill_tree._adopting():
            tree = _kill_tree._Tree(process)
            assert tree._collect() == 1
            process.stdin.raw.write(b"\n")
            orphan = int(process.stdout.readline())
            while is_there(member):
                select.select([tree.members[member].pidfd], [], [])
            process.wait()  # its reaper: from now on the orphan is ours
            assert tree._collect() == 1
            assert orphan in tree.members
            assert tree.kill(0, 5) == []
    assert not is_there(orphan)


def test_strangers_are_left_alone() -> None:
    with fastos.spawn(["cat"], stdin=fastos.PIPE) as stranger, fastos.spawn(["true"]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        process, _ = start_tree()
        with process:
            assert process.kill_tree() == []
        assert stranger.poll() is None
        assert ended.wait().code == 0  # not reaped by the walk


def test_many_trees_at_once() -> None:
    survivors: list[list[int]] = []

    def work() -> None:
        process, _ = start_tree()
        with process:
            survivors.append(process.kill_tree())

    before = subreaper()
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert survivors == [[]] * 4
    assert subreaper() == before


# -- cgroups


def unified() -> Path | None:
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind = line.split()[:3]
        if kind == "cgroup2":
            return Path(where)
    return None


@pytest.fixture
def cgroup() -> Iterator[Path]:
    root = unified()
    if root is None or os.geteuid() != 0:
        pytest.skip("needs root and a cgroup v2 hierarchy")
    path = root / f"fastos-test-{os.environ.get('FASTOS_CI_RUN', '0')}-{uuid.uuid4().hex[:8]}"
    path.mkdir()
    yield path
    path.rmdir()


def members(cgroup: Path) -> list[int]:
    return [int(line) for line in (cgroup / "cgroup.procs").read_text().split()]


@pytest.mark.root
def test_born_in_a_cgroup(cgroup: Path) -> None:
    with fastos.spawn(["cat", "/proc/self/cgroup"], stdout=fastos.PIPE, cgroup=cgroup) as process:
        assert f"0::/{cgroup.name}\n" in process.stdout.read().decode()
    fd = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert f"0::/{cgroup.name}\n" in output(["cat", "/proc/self/cgroup"], cgroup=fd)
    finally:
        os.close(fd)


@pytest.mark.root
@pytest.mark.parametrize("grace", [0.0, 0.1])
def test_a_cgroup_dies_as_a_whole(cgroup: Path, grace: float) -> None:
    """Even those whose parent has gone, in a session of their own."""
    script = "setsid sh -c 'sleep 1000 & echo $!' ; " + TREE
    with fastos.spawn([SH, "-c", script], stdout=fastos.PIPE, cgroup=cgroup) as process:
        pids = [int(process.stdout.readline()) for _ in range(6)]
        assert set(pids) <= set(members(cgroup))
        assert process.kill_tree(grace=grace) == []
        assert not [pid for pid in pids if is_there(pid)]
    assert members(cgroup) == []


@pytest.mark.root
def test_cgroup_that_fails(cgroup: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        fastos.spawn(["true"], cgroup=cgroup / "missing")
    assert isinstance(caught.value, fastos.SpawnError)
    assert (caught.value.step, caught.value.filename) == ("cgroup", cgroup / "missing")
    with pytest.raises(fastos.SpawnError) as caught:
        fastos.spawn(["true"], cgroup=tmp_path)
    assert caught.value.step == "cgroup"


def test_backend_is_compiled() -> None:
    assert _backend.COMPILED
