"""walk and fwalk yield what os.walk and os.fwalk yield, whatever happens to the tree meanwhile."""

import gc
import os
import shutil
import sys
import tempfile
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import fastos
from conftest import descriptors, native_threads, settle

GROUPS, LEAVES = 30, 40


@pytest.fixture
def bushy(tmp_path: Path) -> Path:
    """Large enough for the read-ahead threads, old enough for its times to be trusted."""
    root = tmp_path / "bushy"
    for i in range(GROUPS):
        for j in range(LEAVES):
            leaf = root / f"group{i}" / f"leaf{j}"
            leaf.mkdir(parents=True)
            (leaf / "file").touch()
        (root / f"group{i}" / "link").symlink_to("leaf0")
    age(root)
    return root


def age(root: Path) -> None:
    """Waits until the last change under root is older than the clock tick that a second change could hide in."""
    latest = max(os.stat(path).st_ctime_ns for path, _, _ in os.walk(root))
    probe = root.parent / "probe"

    def passed() -> bool:
        probe.touch()
        return os.stat(probe).st_ctime_ns - latest > 60_000_000

    assert settle(passed, 10)


ways = pytest.mark.parametrize(
    "options",
    [{"topdown": topdown, "followlinks": follow} for topdown in (True, False) for follow in (True, False)],
    ids=str,
)


@ways
@pytest.mark.parametrize("convert", [str, os.fsencode, Path], ids=["str", "bytes", "PathLike"])
def test_same_as_os_walk(bushy: Path, options: Any, convert: Callable[[Path], Any]) -> None:
    top = convert(bushy)
    assert list(fastos.walk(top, **options)) == list(os.walk(top, **options))


@pytest.mark.native
def test_threads_help_and_end(bushy: Path) -> None:
    from fastos._backend.native import lib

    walk = fastos.walk(bushy)
    for _ in walk:
        if lib.fo_walk_threads():
            break
    walk.close()
    assert settle(lambda: lib.fo_walk_threads() == 0)


@pytest.mark.native
def test_no_thread_for_a_small_tree(tmp_path: Path) -> None:
    for i in range(20):
        (tmp_path / f"d{i}").mkdir()
    threads = native_threads()
    for _ in fastos.walk(tmp_path):
        assert native_threads() <= threads + 0


def test_many_living_walks_hold_no_descriptor_and_few_threads(bushy: Path) -> None:
    before, threads = set(descriptors()), native_threads()
    walks = [fastos.walk(bushy) for _ in range(100)]
    for _ in range(50):
        for walk in walks:
            next(walk)
    assert settle(lambda: set(descriptors()) == before)
    assert native_threads() - threads <= 32
    del walk, walks
    gc.collect()


def test_it_is_a_generator(tmp_path: Path) -> None:
    walk = fastos.walk(tmp_path)
    assert isinstance(walk, types.GeneratorType)
    assert walk.send(None) == (str(tmp_path) if isinstance(tmp_path, str) else os.fspath(tmp_path), [], [])
    with pytest.raises(StopIteration):
        next(walk)
    walk.close()


def test_type_errors_come_when_os_walk_raises_them() -> None:
    for function in (os.walk, fastos.walk):
        with pytest.raises(TypeError):
            next(iter(function(7)))  # type: ignore[call-overload]
    if sys.version_info < (3, 12):
        with pytest.raises(TypeError):
            fastos.walk(7)
    else:
        fastos.walk(7)


@pytest.mark.parametrize("top", ["a\0b", "missing", "\udcff\ud800"], ids=ascii)
def test_impossible_tops(top: str) -> None:
    def outcome(function: Any) -> Any:
        errors: list[Any] = []
        try:
            found = list(function(top, onerror=errors.append))
        except ValueError as error:
            return type(error), str(error)
        return found, [(type(e), e.errno, e.filename, e.strerror) for e in errors]

    assert outcome(fastos.walk) == outcome(os.walk)


def test_audit_events_are_os_walks(tmp_path: Path) -> None:
    """A hook cannot be taken back, so a child process has it."""
    import subprocess

    (tmp_path / "a" / "b").mkdir(parents=True)
    code = (
        "import os, sys, fastos\n"
        "seen = []\n"
        "list(fastos.walk('.')); list(os.walk('.'))\n"
        "if hasattr(os, 'fwalk'): list(fastos.fwalk('.')); list(os.fwalk('.'))\n"
        "sys.addaudithook(lambda name, args: seen.append((name, args)) if name in "
        "('os.walk', 'os.fwalk', 'os.scandir', 'open') else None)\n"
        "def events(function, **options):\n"
        "    seen.clear(); list(function('.', **options)); return list(seen)\n"
        "for topdown in (True, False):\n"
        "    assert events(fastos.walk, topdown=topdown) == events(os.walk, topdown=topdown) != []\n"
        "    a, b = events(fastos.fwalk, topdown=topdown), events(os.fwalk, topdown=topdown)\n"
        "    assert a == b != [], (a, b)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


def test_a_denying_hook_is_heard(tmp_path: Path) -> None:
    import subprocess

    (tmp_path / "a").mkdir()
    code = (
        "import os, sys, fastos\n"
        "def deny(name, args):\n"
        "    if name == 'os.scandir' and str(args[0]).endswith('a'): raise RuntimeError('denied')\n"
        "list(fastos.walk('.'))\n"
        "sys.addaudithook(deny)\n"
        "try: list(fastos.walk('.'))\n"
        "except RuntimeError: pass\n"
        "else: raise SystemExit('not heard')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


# -- changes between two yields: the same script of changes, played to both, on equal trees ---------------------------

Change = Callable[[str, list[str], list[str]], None]


def add_below(path: str, dirs: list[str], files: list[str]) -> None:
    for name in dirs[:1]:
        Path(path, name, "late").touch()


def swap_for_link(path: str, dirs: list[str], files: list[str]) -> None:
    if dirs and not os.path.islink(os.path.join(path, dirs[0])):
        shutil.rmtree(os.path.join(path, dirs[0]))
        os.symlink(tempfile.gettempdir(), os.path.join(path, dirs[0]))


def remove_next(path: str, dirs: list[str], files: list[str]) -> None:
    if len(dirs) > 1 and not os.path.islink(os.path.join(path, dirs[1])):
        shutil.rmtree(os.path.join(path, dirs[1]))


def prune(path: str, dirs: list[str], files: list[str]) -> None:
    del dirs[::2]


def order(path: str, dirs: list[str], files: list[str]) -> None:
    dirs.sort(reverse=True)


def append_files(path: str, dirs: list[str], files: list[str]) -> None:
    dirs.extend(files)


def repeat(path: str, dirs: list[str], files: list[str]) -> None:
    if path.count("group") < 1:
        dirs.extend(dirs[:2])


def forbid(path: str, dirs: list[str], files: list[str]) -> None:
    for name in dirs[:1]:
        os.chmod(os.path.join(path, name), 0)


CHANGES = [add_below, swap_for_link, remove_next, prune, order, append_files, repeat, forbid]


def play(function: Any, top: Path, change: Change, **options: Any) -> Any:
    errors: list[tuple[int | None, str]] = []
    steps = []
    cwd = os.getcwd()
    os.chdir(top)
    try:
        walk = function(".", onerror=lambda e: errors.append((e.errno, e.filename)), **options)
        for count, (path, dirs, files) in enumerate(walk):
            steps.append((path, list(dirs), list(files)))
            if count % 7 == 0:
                change(path, dirs, files)
    finally:
        os.chdir(cwd)
    return steps, errors


def by_name(outcome: Any) -> Any:
    """Two trees made alike need not list alike: compare what was seen, not in which order."""
    steps, errors = outcome
    return sorted((path, sorted(dirs), sorted(files)) for path, dirs, files in steps), sorted(errors)


@pytest.mark.parametrize("change", [add_below, prune, order, append_files, repeat])
def test_changes_that_leave_the_tree_alone_give_the_same_walk(bushy: Path, change: Change) -> None:
    if change is add_below:
        for path, dirs, files in os.walk(bushy):  # so that both walks find the files there
            change(path, dirs, files)
        age(bushy)
    assert play(fastos.walk, bushy, change) == play(os.walk, bushy, change)


@pytest.mark.parametrize("followlinks", [False, True])
@pytest.mark.parametrize("late", ["pop", "append", "reverse", "clear", "insert", "absolute"])
def test_lists_changed_late(bushy: Path, late: str, followlinks: bool) -> None:
    """A list is changed again while the walk is below its directory: up to 3.11 that counts, from 3.12 on not."""

    def steps(function: Any) -> Any:
        held: list[tuple[str, list[str]]] = []
        seen = []
        for count, (path, dirs, files) in enumerate(function(bushy, followlinks=followlinks)):
            seen.append((path, list(dirs), list(files)))
            if count > 2500:
                break
            if dirs:
                held.append((path, dirs))
            if count % 11 == 5 and held:
                above, names = held[-1]
                if late == "pop":
                    names.pop()
                elif late == "append" and names:
                    names.append(names[0])
                elif late == "insert":
                    names.insert(0, "leaf3")
                elif late == "absolute":
                    names.append(os.path.join(above, "leaf1"))
                else:
                    getattr(names, late)()
                held.pop()
        return seen

    assert steps(fastos.walk) == steps(os.walk)


@pytest.mark.parametrize("topdown", [True, False])
def test_every_list_sorted_and_thinned(bushy: Path, topdown: bool) -> None:
    def steps(function: Any) -> Any:
        seen = []
        for path, dirs, files in function(bushy, topdown=topdown):
            dirs.sort(key=lambda name: name[::-1])
            dirs[:] = [name for name in dirs if not name.endswith("7")]
            seen.append((path, list(dirs), files))
        return seen

    assert steps(fastos.walk) == steps(os.walk)


@pytest.mark.parametrize("change", CHANGES)
def test_the_tree_as_it_is_at_each_yield(bushy: Path, change: Change) -> None:
    """Each step shows the directory as it is at that moment, read ahead or not."""
    cwd = os.getcwd()
    os.chdir(bushy)
    try:
        for count, (path, dirs, files) in enumerate(fastos.walk(".")):
            now = list(os.scandir(path))
            assert sorted(dirs) == sorted(entry.name for entry in now if entry.is_dir())
            assert sorted(files) == sorted(entry.name for entry in now if not entry.is_dir())
            if count % 7 == 0:
                change(path, dirs, files)
    finally:
        os.chdir(cwd)


def test_symlink_targets_are_looked_at_at_the_yield(tmp_path: Path) -> None:
    root, target = tmp_path / "root", tmp_path / "target"
    for i in range(100):
        (root / f"d{i}").mkdir(parents=True)
        (root / f"d{i}" / "link").symlink_to(target)
    age(root)
    for count, (path, dirs, files) in enumerate(fastos.walk(root)):
        if path != str(root):
            assert (dirs, files) == ((["link"], []) if target.exists() else ([], ["link"]))
        target.rmdir() if target.exists() else target.mkdir()
        assert count < 101


def test_fork_in_mid_walk(bushy: Path) -> None:
    if not hasattr(os, "fork"):
        return
    expected = list(os.walk(bushy))
    walk = fastos.walk(bushy)
    begun = [next(walk) for _ in range(300)]
    child = os.fork()
    if child == 0:
        code = 1
        try:
            same = begun + list(walk) == expected and list(fastos.walk(bushy)) == expected
            code = 0 if same else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert begun + list(walk) == expected


def test_a_long_path_is_an_error_as_for_os_walk(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        for _ in range(30):
            os.mkdir("d" * 200, dir_fd=descriptor)
            below = os.open("d" * 200, os.O_RDONLY, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
    finally:
        os.close(descriptor)

    def outcome(function: Any) -> Any:
        errors: list[tuple[int | None, str]] = []
        return list(function(tmp_path, onerror=lambda e: errors.append((e.errno, e.filename)))), errors

    assert outcome(fastos.walk) == outcome(os.walk)


def test_any_byte_in_names(tmp_path: Path) -> None:
    for byte in {*range(1, 256)} - {ord("/"), ord(".")}:
        os.mkdir(os.fsencode(tmp_path) + b"/" + bytes([byte]))
        os.close(os.open(os.fsencode(tmp_path) + b"/" + bytes([byte]) + b"/" + bytes([byte]) * 3, os.O_CREAT))
    for top in (str(tmp_path), os.fsencode(tmp_path)):
        assert list(fastos.walk(top)) == list(os.walk(top))
        assert [step[:3] for step in fastos.fwalk(top)] == [step[:3] for step in os.fwalk(top)]


@pytest.mark.parametrize("change", [prune, order, repeat])
def test_fwalk_with_changes(bushy: Path, change: Change) -> None:
    def without_descriptor(function: Any) -> Callable[..., Iterator[Any]]:
        return lambda top, onerror: (step[:3] for step in function(top, onerror=onerror))

    assert play(without_descriptor(fastos.fwalk), bushy, change) == play(without_descriptor(os.fwalk), bushy, change)


names = st.text(st.characters(exclude_characters="/\0.", exclude_categories=["Cs"]), min_size=1, max_size=4)
trees = st.recursive(st.none(), lambda below: st.dictionaries(names, below, max_size=4), max_leaves=25)
decisions = st.lists(st.sampled_from(["keep", "clear", "reverse", "extend", "remove", "grow"]), max_size=12)


def make(path: str, tree: Any) -> None:
    if tree is None:
        open(path, "w").close()
        return
    os.mkdir(path)
    for name, below in tree.items():
        make(os.path.join(path, name), below)


@hypothesis_settings(deadline=None, max_examples=40)
@given(tree=trees, script=decisions, topdown=st.booleans())
def test_any_tree_any_changes(tree: Any, script: list[str], topdown: bool) -> None:
    def outcome(function: Any) -> Any:
        with tempfile.TemporaryDirectory() as top:
            make(os.path.join(top, "t"), tree or {})
            cwd = os.getcwd()
            os.chdir(top)
            errors: list[int | None] = []
            seen = []
            try:
                walk = function("t", topdown=topdown, onerror=lambda e: errors.append(e.errno))
                for count, (path, dirs, files) in enumerate(walk):
                    dirs.sort()
                    seen.append((path, list(dirs), sorted(files)))
                    act(script[count] if count < len(script) else "keep", path, dirs, sorted(files))
            finally:
                os.chdir(cwd)
            return seen if topdown else sorted(seen), sorted(map(str, errors))

    assert outcome(fastos.walk) == outcome(os.walk)


def act(decision: str, path: str, dirs: list[str], files: list[str]) -> None:
    if decision == "clear":
        dirs.clear()
    elif decision == "reverse":
        dirs.reverse()
    elif decision == "extend":
        dirs.extend(files)
    elif decision == "remove" and dirs and os.path.isdir(os.path.join(path, dirs[0])):
        shutil.rmtree(os.path.join(path, dirs[0]))
    elif decision == "grow" and dirs and os.path.isdir(os.path.join(path, dirs[0])):
        os.makedirs(os.path.join(path, dirs[0], "grown", "more"), exist_ok=True)
