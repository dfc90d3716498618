"""du equals GNU du, whatever the tree and however many threads."""

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import fastos


def gnu(*arguments: str | os.PathLike[str]) -> int:
    done = subprocess.run(["du", *arguments], check=False, capture_output=True, text=True)
    return int(done.stdout.split()[0])


def assert_equals_gnu(root: Path, *options: str) -> fastos.Usage:
    usages = [fastos.du(root, same_filesystem="-x" in options, threads=n) for n in (None, 1, 7)]
    for usage in usages:
        assert usage.allocated == gnu("-s", "-B1", *options, root)
        assert -(-usage.allocated // 1024) == gnu("-s", *options, root)
        assert usage.apparent == gnu("-sb", *options, root)
        assert figures(usage) == figures(usages[0])
        assert usage.top(1000) == usages[0].top(1000)
    return usages[0]


def figures(usage: fastos.Usage) -> list[tuple[str, int, int, int, int]]:
    return [(u.path, u.allocated, u.apparent, u.files, u.directories) for u in usage.walk()]


def plain(root: Path) -> None:
    for i in range(5):
        (root / f"d{i}" / "below").mkdir(parents=True)
        for j in range(10):
            (root / f"d{i}" / "below" / f"f{j}").write_bytes(b"x" * 1000 * i * j)


def hard_links(root: Path) -> None:
    plain(root)
    for i in range(4):
        os.link(root / "d4" / "below" / "f9", root / f"d{i}" / "again")
        os.link(root / "d4" / "below" / "f8", root / f"d{i}" / "below" / "again")


def sparse(root: Path) -> None:
    root.mkdir()
    with open(root / "sparse", "wb") as file:
        file.seek(1 << 32)
        file.write(b"end")


def special(root: Path) -> None:
    plain(root)
    os.mkfifo(root / "fifo")
    (root / "broken").symlink_to("x" * 200)
    (root / "loop").symlink_to(".")
    (root / "to").symlink_to("d1")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(root)
        server.bind("socket")
        os.chdir(here)


def any_name(root: Path) -> None:
    root.mkdir()
    for byte in {*range(1, 256)} - {ord("/"), ord(".")}:
        directory = os.fsencode(root) + b"/" + bytes([byte])
        os.mkdir(directory)
        with open(directory + b"/" + bytes([byte]), "wb") as file:
            file.write(b"x" * 5000)


def empty(root: Path) -> None:
    root.mkdir()


@pytest.mark.parametrize("build", [plain, hard_links, sparse, special, any_name, empty])
def test_equals_gnu_du(tmp_path: Path, build: Callable[[Path], None]) -> None:
    build(tmp_path / "tree")
    usage = assert_equals_gnu(tmp_path / "tree")
    assert usage.errors == []
    for below in usage.walk():
        assert below.files == sum(len(files) + links(p, d) for p, d, files in os.walk(os.fsencode(below.path)))
        assert below.directories == sum(len(d) - links(p, d) for p, d, _ in os.walk(os.fsencode(below.path)))


def links(path: bytes, dirs: list[bytes]) -> int:
    return sum(os.path.islink(os.path.join(path, name)) for name in dirs)


def test_each_directory_without_links_equals_gnu(tmp_path: Path) -> None:
    plain(tmp_path / "tree")
    for usage in fastos.du(tmp_path / "tree").walk():
        assert usage.allocated == gnu("-s", "-B1", usage.path)


def test_a_link_counts_where_the_path_comes_first(tmp_path: Path) -> None:
    for name in ("a/z", "a-b", "b"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "b" / "file").write_bytes(b"x" * 10_000)
    os.link(tmp_path / "b" / "file", tmp_path / "a-b" / "file")
    os.link(tmp_path / "b" / "file", tmp_path / "a" / "z" / "file")
    usage = fastos.du(tmp_path, apparent=True)
    with_it = {u.name for u in usage.walk() if u.apparent >= 10_000}
    assert with_it == {tmp_path.name, "a", "z"}  # name by name: a before a-b, though "/" comes after "-"
    assert usage.top(1)[0].path == str(tmp_path / "a" / "z" / "file")


def test_roots_that_are_no_directories(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 5000)
    (tmp_path / "link").symlink_to("file")
    for name in ("file", "link"):
        usage = assert_equals_gnu(tmp_path / name)
        assert (usage.files, usage.directories, usage.children) == (1, 0, [])
    assert [item.path for item in fastos.du(tmp_path / "file").top(3)] == [str(tmp_path / "file")]
    with pytest.raises(FileNotFoundError) as caught:
        fastos.du(tmp_path / "missing")
    assert caught.value.filename == str(tmp_path / "missing")


def test_usage_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="max_depth"):
        fastos.du(tmp_path, max_depth=-1)
    with pytest.raises(ValueError, match="threads"):
        fastos.du(tmp_path, threads=0)
    with pytest.raises(TypeError):
        fastos.du(7)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="null"):
        fastos.du("a\0b")


def test_max_depth_and_top(tmp_path: Path) -> None:
    plain(tmp_path / "tree")
    usage = fastos.du(tmp_path / "tree", max_depth=1, apparent=True)
    assert {u.depth for u in usage.walk()} == {0, 1}
    assert usage.total == usage.apparent == gnu("-sb", tmp_path / "tree")
    sizes = sorted((path.stat().st_size for path in (tmp_path / "tree").rglob("f*")), reverse=True)
    assert [item.size for item in usage.top(7)] == sizes[:7]
    directories = usage.top(2, directories=True)
    assert [item.path for item in directories] == [str(tmp_path / "tree" / "d4"), str(tmp_path / "tree" / "d3")]
    assert usage.children[0].children == []


@pytest.mark.root
def test_one_file_system(tmp_path: Path) -> None:
    plain(tmp_path / "tree")
    mounted = tmp_path / "tree" / "d1"
    if subprocess.run(["mount", "-t", "tmpfs", "none", mounted], check=False, capture_output=True).returncode:
        pytest.skip("this machine lets root mount nothing")
    try:
        (mounted / "big").write_bytes(b"x" * 100_000)
        assert_equals_gnu(tmp_path / "tree")
        without = assert_equals_gnu(tmp_path / "tree", "-x")
        assert "d1" not in {child.name for child in without.children}
    finally:
        subprocess.run(["umount", mounted], check=True)


def test_ten_thousand_levels(tmp_path: Path) -> None:
    levels = 10_000 if fastos._backend.COMPILED else 500
    root = tmp_path / "deep"
    root.mkdir()
    descriptor = os.open(root, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=descriptor)
        below = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)
    try:
        usage = fastos.du(root)
        assert usage.errors == []
        assert usage.directories == levels
        assert usage.allocated == gnu("-s", "-B1", root)
    finally:
        subprocess.run(["rm", "-rf", root], check=True)


def test_unreadable_directories(tmp_path: Path, ordinary_user: tuple[int, int]) -> None:
    plain(tmp_path / "tree")
    (tmp_path / "tree" / "d3").chmod(0)
    code = (
        "import fastos\n"
        "usage = fastos.du('tree')\n"
        "print(usage.allocated, [(e.errno, e.filename) for e in usage.errors])\n"
    )
    if os.geteuid() == 0:
        for path in (tmp_path, *tmp_path.parents):
            if path.stat().st_uid == 0 and path != Path("/"):
                path.chmod(path.stat().st_mode | 0o711)
        code = f"import os, fastos; fastos.du; os.setgid({ordinary_user[1]}); os.setuid({ordinary_user[0]})\n" + code
        options = {"user": ordinary_user[0], "group": ordinary_user[1]}
    else:
        options = {}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    expected = subprocess.run(
        ["du", "-s", "-B1", "tree"],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        extra_groups=[] if options else None,
        **options,  # type: ignore[arg-type]
    )
    (tmp_path / "tree" / "d3").chmod(0o755)
    assert done.stdout.split(" ", 1) == [expected.stdout.split()[0], f"[(13, {os.path.join('tree', 'd3')!r})]\n"]


def test_progress_is_told_the_end(tmp_path: Path) -> None:
    plain(tmp_path / "tree")
    seen: list[object] = []
    usage = fastos.du(tmp_path / "tree", progress=seen.append)
    assert seen[-1] == (usage.files, usage.directories + 1, 0, usage.allocated, usage.apparent)


def test_an_exception_in_progress_ends_it(tmp_path: Path) -> None:
    plain(tmp_path / "tree")

    def refuse(counts: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fastos.du(tmp_path / "tree", progress=refuse)


def test_top_takes_no_negative_count(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must not be negative, it is -1"):
        fastos.du(tmp_path).top(-1)


def command(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fastos", "du", *arguments],
        check=False,
        capture_output=True,
        text=True,
        **options,  # type: ignore[call-overload]
    )


def test_command(tmp_path: Path) -> None:
    plain(tmp_path / "tree")
    done = command("-n", "2", "--top", "1", "tree", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "├─ d4/" in done.stdout
    assert "… 3 more" in done.stdout
    assert "largest files of tree" in done.stdout
    data = json.loads(command("--json", "tree", cwd=tmp_path).stdout)
    assert data["allocated"] == fastos.du(tmp_path / "tree").allocated
    assert len(data["children"]) == 5
    lines = command("-0", "-s", "tree", cwd=tmp_path).stdout
    assert lines == f"{data['allocated']}\ttree\0"
    missing = command("missing", "tree", cwd=tmp_path)
    assert missing.returncode == 1
    assert missing.stderr == "fastos du: missing: No such file or directory\n"
    assert command("--top", "x").returncode == 2


def test_command_cuts_nothing_off(tmp_path: Path) -> None:
    """However long a name and however narrow the terminal: there are sizes, and names to go on with."""
    name = "n" * 200
    (tmp_path / "tree" / name).mkdir(parents=True)
    (tmp_path / "tree" / name / ("f" * 200)).write_bytes(b"x" * 10000)
    for columns in ("5", "80"):
        done = command("--apparent", "--top", "1", "tree", cwd=tmp_path, env={**os.environ, "COLUMNS": columns})
        lines = [line for line in done.stdout.splitlines() if "largest" not in line and "files" not in line]
        assert [line.split()[1] for line in lines] == ["KiB"] * 3
        assert not any(line.endswith(" ") for line in done.stdout.splitlines())


def test_command_levels_and_lines(tmp_path: Path) -> None:
    (tmp_path / "a" / "b" / "c" / "d").mkdir(parents=True)
    every = command("-0", "a", cwd=tmp_path).stdout.split("\0")
    assert [line.partition("\t")[2] for line in every] == ["a", "a/b", "a/b/c", "a/b/c/d", ""]
    one = command("-0", "-d", "1", "a", cwd=tmp_path).stdout.split("\0")
    assert one == [*every[:2], ""]
    assert len(command("-s", "a", "a/..", cwd=tmp_path).stdout.splitlines()) == 2


def test_command_json_of_some_roots(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff")).mkdir()
    one = json.loads(command("--json", ".", cwd=tmp_path).stdout)
    assert base64.b64decode(one["children"][0]["path_bytes"]) == b"./\xff"
    assert one["children"][0]["path"] == "./\ufffd"
    assert json.loads(command("--json", "missing", cwd=tmp_path).stdout) is None
    assert [usage["path"] for usage in json.loads(command("--json", "missing", ".", cwd=tmp_path).stdout)] == ["."]


def test_command_without_rich() -> None:
    code = "import sys; sys.modules['rich'] = None; from fastos.cli import main; sys.exit(main(['du']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "fastos du: this needs rich: pip install 'fastos[cli]'\n")


def test_a_file_linked_from_two_roots_counts_once(tmp_path: Path) -> None:
    for name in ("one", "two"):
        plain(tmp_path / name)
    (tmp_path / "one" / "big").write_bytes(b"x" * 500_000)
    os.link(tmp_path / "one" / "big", tmp_path / "two" / "big")
    for roots in (("one", "two"), ("two", "one")):
        lines = command("-0", "-s", *roots, cwd=tmp_path).stdout.split("\0")[:-1]
        expected = subprocess.run(
            ["du", "-s", "-B1", "-0", *roots], check=True, capture_output=True, text=True, cwd=tmp_path
        ).stdout.split("\0")[:-1]
        assert lines == expected


def test_roots_that_lie_in_one_another(tmp_path: Path) -> None:
    plain(tmp_path / "a" / "b")
    (tmp_path / "link").symlink_to("a")
    file = next(path for path in (tmp_path / "a" / "b").rglob("*") if path.is_file())
    inside = str(file.relative_to(tmp_path))
    for roots in (
        ("a", "a/b"),
        ("a", "a"),
        ("a/b", "a/../a/b/"),
        ("a", inside),
        (inside, inside),
        ("link", "a", "link/b"),
    ):
        lines = command("-0", "-s", *roots, cwd=tmp_path).stdout.split("\0")[:-1]
        expected = subprocess.run(
            ["du", "-s", "-B1", "-0", *roots], check=True, capture_output=True, text=True, cwd=tmp_path
        ).stdout.split("\0")[:-1]
        assert lines == expected, roots


def test_command_interrupted(tmp_path: Path) -> None:
    """The signal comes while it works, whenever that is: the measurement raises it itself."""
    code = (
        "import os, signal, sys, fastos._usage\n"
        "from fastos import cli\n"
        "real = fastos._usage.backend.Tree\n"
        "def tree(*arguments):\n"
        "    *rest, tell = arguments\n"
        "    tell((1, 2, 0, 4096, 4096)); os.kill(os.getpid(), signal.SIGINT); return real(*arguments)\n"
        "fastos._usage.backend.Tree = tree\n"
        "sys.exit(cli.main(['du', '.']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 128 + signal.SIGINT
    assert done.stderr == "fastos du: interrupted; so far 1 files, 2 directories, 4.0 KiB, 0 errors\n"
    shutil.rmtree(tmp_path / "tree", ignore_errors=True)
