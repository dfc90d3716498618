"""fts visits what libc's fts_read visits, entry for entry."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import cffi
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import fastos

ffi = cffi.FFI()
ffi.cdef(
    """
    typedef struct _ftsent {
        struct _ftsent *fts_cycle, *fts_parent, *fts_link;
        long fts_number;
        void *fts_pointer;
        char *fts_accpath, *fts_path;
        int fts_errno, fts_symfd;
        unsigned short fts_pathlen, fts_namelen;
        uint64_t fts_ino, fts_dev, fts_nlink;
        short fts_level;
        unsigned short fts_info, fts_flags, fts_instr;
        void *fts_statp;
        char fts_name[1];
    } FTSENT;
    void *fts_open(char **, int, void *);
    FTSENT *fts_read(void *);
    int fts_set(void *, FTSENT *, int);
    int fts_close(void *);
    """
)
LOGICAL, NOCHDIR, PHYSICAL, XDEV = 2, 4, 0x10, 0x40
INSTRUCTIONS = {"again": 1, "follow": 2, "skip": 4}
glibc = sys.platform == "linux" and sys.maxsize > 1 << 32

Plan = dict[tuple[str, int], str]  # (name, info) -> what to do when it first comes


def libcs(roots: list[bytes], logical: bool, xdev: bool, plan: Plan) -> list[Any]:
    libc = ffi.dlopen(None)
    paths = [ffi.new("char[]", root) for root in roots]
    stream = libc.fts_open(
        ffi.new("char *[]", [*paths, ffi.NULL]),
        (LOGICAL if logical else PHYSICAL) | NOCHDIR | (XDEV if xdev else 0),
        ffi.NULL,
    )
    assert stream
    seen, left = [], dict(plan)
    while (entry := libc.fts_read(stream)) != ffi.NULL:
        path, info = ffi.string(entry.fts_path), entry.fts_info
        name = ffi.string(ffi.cast("char *", ffi.addressof(entry, "fts_name")))
        error = entry.fts_errno if info in (4, 7, 10) else 0
        cycle = ffi.string(entry.fts_cycle.fts_path)[: entry.fts_cycle.fts_pathlen] if info == 2 else None
        seen.append((info, path, name, entry.fts_level, error, entry.fts_ino if info in (1, 6) else 0, cycle))
        instruction = left.pop((os.fsdecode(name), info), None)
        if instruction:
            libc.fts_set(stream, entry, INSTRUCTIONS[instruction])
    libc.fts_close(stream)
    return seen


def ours(roots: list[bytes], logical: bool, xdev: bool, plan: Plan) -> list[Any]:
    seen, left = [], dict(plan)
    for entry in fastos.fts(roots, logical=logical, same_filesystem=xdev):
        info = int(entry.info)
        error = entry.errno if info in (4, 7, 10) else 0
        cycle = entry.cycle.path if entry.cycle else None
        seen.append((info, entry.path, entry.name, entry.level, error, entry.ino if info in (1, 6) else 0, cycle))
        assert entry.accpath == entry.path
        instruction = left.pop((os.fsdecode(entry.name), info), None)
        if instruction:
            getattr(entry, instruction)()
    return seen


def build(root: Path) -> None:
    for i in range(4):
        (root / f"d{i}" / "below" / "deeper").mkdir(parents=True)
        (root / f"d{i}" / "below" / "file").write_text("x")
    (root / "empty").mkdir()
    (root / "loop").symlink_to(".")
    (root / "d1" / "up").symlink_to("..")
    (root / "d2" / "to").symlink_to("../d3")
    (root / "broken").symlink_to("nowhere")
    (root / "self").symlink_to("self")
    os.mkfifo(root / "fifo")
    (root / "d3" / "below" / "link").symlink_to("file")


@pytest.mark.skipif(not glibc, reason="the layout of FTSENT above is that of 64-bit glibc")
@pytest.mark.parametrize("logical", [False, True])
@pytest.mark.parametrize("xdev", [False, True])
@pytest.mark.parametrize(
    "plan",
    [
        {},
        {("d1", 1): "skip", ("below", 1): "again"},
        {("loop", 12): "follow", ("to", 12): "follow", ("broken", 12): "follow"},
        {("d2", 6): "again", ("fifo", 3): "again", ("broken", 13): "follow"},
    ],
    ids=str,
)
def test_equals_libc(tmp_path: Path, logical: bool, xdev: bool, plan: Plan) -> None:
    build(tmp_path / "tree")
    tree = os.fsencode(tmp_path / "tree")
    for roots in ([tree], [tree + b"/"], [tree + b"/d1", tree + b"/missing", tree + b"/fifo", tree + b"/loop"]):
        assert ours(roots, logical, xdev, plan) == libcs(roots, logical, xdev, plan)


@pytest.mark.skipif(not glibc, reason="the layout of FTSENT above is that of 64-bit glibc")
def test_equals_libc_on_odd_roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tmp_path / "tree")
    monkeypatch.chdir(tmp_path / "tree" / "d1")
    for roots in ([b"."], [b"..", b"."], [b"below//"], [b"./below"]):
        assert ours(roots, False, False, {}) == libcs(roots, False, False, {})


@pytest.mark.skipif(not glibc, reason="the layout of FTSENT above is that of 64-bit glibc")
def test_unreadable_as_libc_says_it(tmp_path: Path, ordinary_user: tuple[int, int]) -> None:
    build(tmp_path / "tree")
    (tmp_path / "tree" / "d2").chmod(0)
    (tmp_path / "tree" / "d3").chmod(0o444)
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import os, test_fts, fastos; fastos.fts\n"
    if os.geteuid() == 0:
        for path in (tmp_path, *tmp_path.parents):
            if path.stat().st_uid == 0 and path != Path("/"):
                path.chmod(path.stat().st_mode | 0o711)
        code += f"os.setgroups([]); os.setgid({ordinary_user[1]}); os.setuid({ordinary_user[0]})\n"
    code += (
        "for logical in (False, True):\n"
        "    a, b = (f([b'tree'], logical, False, {}) for f in (test_fts.ours, test_fts.libcs))\n"
        "    assert a == b, (a, b)\n"
        "assert {step[0] for step in a} >= {4, 10}, a\n"
    )
    try:
        subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    finally:
        (tmp_path / "tree" / "d2").chmod(0o755)
        (tmp_path / "tree" / "d3").chmod(0o755)


def test_a_list_stays_true_and_numbers_add_up(tmp_path: Path) -> None:
    build(tmp_path / "tree")
    entries = []
    for entry in fastos.fts(str(tmp_path / "tree")):
        entries.append(entry)
        if entry.info == fastos.FTS_D:
            entry.number = 0
        elif entry.parent is not None:
            entry.parent.number += entry.number if entry.info == fastos.FTS_DP else 1
    assert entries[0].info == fastos.FTS_D
    assert entries[-1].info == fastos.FTS_DP
    assert entries[-1].number == sum(e.info not in (fastos.FTS_D, fastos.FTS_DP) for e in entries)
    assert entries[0].nlink == os.stat(tmp_path / "tree").st_nlink
    with pytest.raises(AttributeError):
        entries[0].colour  # noqa: B018


def test_sort(tmp_path: Path) -> None:
    build(tmp_path / "tree")
    paths = [e.path for e in fastos.fts(tmp_path / "tree", sort=True) if e.info != fastos.FTS_DP and e.level == 1]
    assert paths == sorted(paths)
    sizes = [e.size for e in fastos.fts(tmp_path / "tree", sort=lambda e: e.size) if e.level == 1 and e.info == 8]
    assert sizes == sorted(sizes)


def test_usage_errors() -> None:
    with pytest.raises(TypeError):
        fastos.fts(7)
    with pytest.raises(FileNotFoundError):
        fastos.fts("")
    assert list(fastos.fts([])) == []
    (entry,) = fastos.fts("/missing")
    assert (entry.info, entry.errno, entry.size) == (fastos.FTS_NS, 2, 0)


def test_dropped_half_way(tmp_path: Path) -> None:
    build(tmp_path / "tree")
    with fastos.fts(tmp_path / "tree") as tree:
        next(tree)
        next(tree)
    assert list(tree) == []
    tree = fastos.fts(tmp_path / "tree")
    next(tree)
    next(tree)
    del tree


def test_ten_thousand_levels(tmp_path: Path) -> None:
    root, levels = tmp_path / "deep", 10_000
    root.mkdir()
    descriptor = os.open(root, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=descriptor)
        os.close(os.open("file", os.O_CREAT, dir_fd=descriptor))
        below = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)
    try:
        most = count = 0
        for entry in fastos.fts(root):
            count += 1
            if entry.level % 1000 == 0:
                most = max(most, len(os.listdir("/proc/self/fd")))
            assert entry.errno == 0
        assert count == 2 * (levels + 1) + levels
        assert most < 64
    finally:
        subprocess.run(["rm", "-rf", root], check=True)


names = st.text(st.characters(exclude_characters="/\0.", exclude_categories=["Cs"]), min_size=1, max_size=4)
trees = st.recursive(st.none(), lambda below: st.dictionaries(names, below, max_size=4), max_leaves=25)


@hypothesis_settings(deadline=None, max_examples=25)
@given(tree=trees)
def test_any_tree_as_os_walk_sees_it(tree: Any) -> None:
    def make(path: str, below: Any) -> None:
        if below is None:
            open(path, "w").close()
            return
        os.mkdir(path)
        for name, deeper in below.items():
            make(os.path.join(path, name), deeper)

    with tempfile.TemporaryDirectory() as top:
        make(top + "/t", tree or {})
        entries = list(fastos.fts(top + "/t"))
        assert [e.path for e in entries if e.info == fastos.FTS_D] == [p for p, _, _ in os.walk(top + "/t")]
        after = [e.path for e in entries if e.info == fastos.FTS_DP]
        assert after == [p for p, _, _ in os.walk(top + "/t", topdown=False)]
