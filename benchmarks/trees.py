"""The trees that the benchmarks read: deterministic, made once, kept in FASTOS_TREES (or /var/tmp/fastos-trees).

    python benchmarks/trees.py            lists the trees and says which are made
    python benchmarks/trees.py million    makes one (nothing is done if its stamp says that it is complete)
    python benchmarks/trees.py --remove wide

Every tree is the same on every machine: the same names, types and sizes. A stamp beside the tree holds the counts that
each benchmark asserts. `cold` is the tree `million` on an ext4 image of its own (root only): its caches can be dropped
without those of the machine being in the way, and it is a real disk format whatever the machine's own is.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

VERSION = 1  # raise it when a shape changes: trees with another stamp are made anew
BASE = Path(os.environ.get("FASTOS_TREES", "/var/tmp/fastos-trees"))

STEMS = (
    *("report", "IMG", "index", "test_module", "main", "README", "invoice", "backup", "model", "train", "photo"),
    *("__init__", "config", "data", "notes", "draft", "logo", "styles", "utils_io", "session", "über", "données"),
)
SUFFIXES = (".py", ".txt", ".jpg", ".json", ".c", ".h", ".html", ".csv", ".md", ".png", ".log", ".parquet", ".rs", "")
LARGE = 4 << 20  # the size of one file in a hundred, for selective predicates


@dataclass(frozen=True)
class Counts:
    """What stands below the root of a tree (the root itself not counted)."""

    files: int = 0
    directories: int = 0
    symlinks: int = 0
    others: int = 0
    large: int = 0  # files of LARGE bytes
    bytes: int = 0  # apparent size of the files

    @property
    def entries(self) -> int:
        return self.files + self.directories + self.symlinks + self.others

    def __add__(self, other: "Counts") -> "Counts":
        mine, theirs = asdict(self), asdict(other)
        return Counts(**{name: mine[name] + theirs[name] for name in mine})


# A shape yields (path below the root, number of files in it), parents first. "" is the root.
Shape = Iterator[tuple[str, int]]


def million() -> Shape:
    """1,000,000 files in 51,020 directories, three levels: 20 × 50 × 50, 20 files in each of the last."""
    for top in range(20):
        yield f"volume{top:02d}", 0
        for middle in range(50):
            yield f"volume{top:02d}/project-{middle:03d}", 0
            for leaf in range(50):
                yield f"volume{top:02d}/project-{middle:03d}/batch_{leaf:04d}", 20


def wide() -> Shape:
    """20,000 directories side by side, five files in each."""
    for directory in range(20_000):
        yield f"user-{directory:05d}", 5


def flat() -> Shape:
    """300,000 files in one directory."""
    yield "", 300_000


def deep() -> Shape:
    """100 chains of 300 levels, two files on each."""
    for chain in range(100):
        path = f"chain{chain:02d}"
        yield path, 2
        for level in range(299):
            path += f"/n{level:03d}"
            yield path, 2


def skewed() -> Shape:
    """Sizes by a power law: one directory holds a third of all files, most hold a few."""
    for rank in range(4_000):
        yield f"rank{rank:04d}", 60_000 // (rank + 1) + 2


def mixed() -> Shape:
    """What a working machine holds: levels and sizes of every kind, links and pipes."""
    for package in range(400):
        yield f"package-{package:03d}", 3 + package % 11
        for module in range(package % 23):
            yield f"package-{package:03d}/module_{module}", 5 + (package * module) % 37
            if module % 3 == 0:
                yield f"package-{package:03d}/module_{module}/tests", module % 13
                yield f"package-{package:03d}/module_{module}/tests/data", (package + module) % 101


SHAPES: dict[str, Callable[[], Shape]] = {
    "million": million,
    "wide": wide,
    "flat": flat,
    "deep": deep,
    "skewed": skewed,
    "mixed": mixed,
}
DIVERSE = {"mixed"}  # trees that also hold symlinks, hard links and FIFOs


def file_name(directory: int, number: int) -> str:
    stem = STEMS[(directory * 7 + number) % len(STEMS)]
    return f"{stem}_{directory % 1000:03d}{number:04d}{SUFFIXES[(directory + number * 5) % len(SUFFIXES)]}"


def make_file(name: str, serial: int, directory_fd: int) -> Counts:
    if serial % 100 == 42:
        descriptor = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644, dir_fd=directory_fd)
        os.truncate(descriptor, LARGE)  # a hole: the size is real, the blocks are not
        os.close(descriptor)
        return Counts(files=1, large=1, bytes=LARGE)
    if serial % 50 == 7:
        descriptor = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644, dir_fd=directory_fd)
        size = os.write(descriptor, b"x" * (1 + serial % 9000))
        os.close(descriptor)
        return Counts(files=1, bytes=size)
    os.mknod(name, 0o100644, dir_fd=directory_fd)
    return Counts(files=1)


def make_special(name: str, serial: int, directory_fd: int) -> Counts | None:
    """Something other than a plain file, for some serial numbers of a diverse tree."""
    if serial % 20 == 3:
        target = ("..", "missing", "../..", "/dev/null")[serial // 20 % 4]
        os.symlink(target, name, dir_fd=directory_fd)
        return Counts(symlinks=1)
    if serial % 500 == 11:
        os.mkfifo(name, dir_fd=directory_fd)
        return Counts(others=1)
    if serial % 100 == 19:
        os.mknod("linked_" + name, 0o100644, dir_fd=directory_fd)
        os.link("linked_" + name, name, src_dir_fd=directory_fd, dst_dir_fd=directory_fd)
        return Counts(files=2)
    return None


def fill(work: tuple[str, bool, list[tuple[int, int, str, int]]]) -> dict[str, int]:
    """Makes the files of some directories: (number of the directory, serial of its first file, path, files)."""
    root, diverse, share = work
    files = large = size = symlinks = others = 0
    for directory, first, path, count in share:
        directory_fd = os.open(os.path.join(root, path), os.O_RDONLY | os.O_DIRECTORY)
        for number in range(count):
            name, serial = file_name(directory, number), first + number
            made = (make_special(name, serial, directory_fd) if diverse else None) or make_file(
                name, serial, directory_fd
            )
            files, large, size = files + made.files, large + made.large, size + made.bytes
            symlinks, others = symlinks + made.symlinks, others + made.others
        os.close(directory_fd)
    return asdict(Counts(files=files, symlinks=symlinks, others=others, large=large, bytes=size))


def make_directories(root: Path, shape: Shape) -> list[tuple[int, int, str, int]]:
    plan, first = [], 0
    for directory, (path, count) in enumerate(shape):
        if path:
            os.mkdir(root / path)
        plan.append((directory, first, path, count))
        first += count
    return plan


def shares(plan: list[tuple[int, int, str, int]], parts: int) -> list[list[tuple[int, int, str, int]]]:
    """Cuts the plan into runs of neighbours: directories near each other on disk belong to one process."""
    length = -(-len(plan) // parts)
    return [plan[start : start + length] for start in range(0, len(plan), length)]


def build(root: Path, name: str) -> Counts:
    root.mkdir(parents=True)
    plan = make_directories(root, SHAPES[name]())
    work = [(str(root), name in DIVERSE, share) for share in shares(plan, 64)]
    counts = Counts(directories=sum(1 for _, _, path, _ in plan if path))
    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
        for made in pool.imap_unordered(fill, work):
            counts += Counts(**made)
    return counts


def stamp_of(name: str) -> Path:
    return BASE / f".{name}.stamp"


def counts_of(name: str) -> Counts | None:
    """The counts of a tree that is complete and of this version, else None."""
    try:
        stamp = json.loads(stamp_of(name).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return Counts(**stamp["counts"]) if stamp["version"] == VERSION else None


def write_stamp(name: str, counts: Counts) -> None:
    draft = stamp_of(name).with_suffix(".new")
    draft.write_text(json.dumps({"version": VERSION, "counts": asdict(counts)}))
    draft.replace(stamp_of(name))


def ensure(name: str) -> tuple[Path, Counts]:
    """The tree's path and counts; made if it is not there."""
    root = BASE / name
    if counts := counts_of(name):
        return root, counts
    BASE.mkdir(parents=True, exist_ok=True)
    if root.exists():
        shutil.rmtree(root)
    print(f"trees: making {name} in {root}", file=sys.stderr, flush=True)
    begin = time.monotonic()
    counts = build(root, name)
    write_stamp(name, counts)
    print(f"trees: {name}: {counts.entries:,} entries in {time.monotonic() - begin:.1f} s", file=sys.stderr)
    return root, counts


def remove(name: str) -> None:
    stamp_of(name).unlink(missing_ok=True)
    if name == "cold":
        (BASE / "cold.ext4").unlink(missing_ok=True)
    elif (BASE / name).exists():
        shutil.rmtree(BASE / name)


# -- trees that need a mount -----------------------------------------------------------------------------


def why_not_mount() -> str | None:
    return None if os.geteuid() == 0 else "needs root (mount)"


@contextlib.contextmanager
def repeated(name: str, times: int) -> Iterator[tuple[Path, int]]:
    """A tree that holds another one so many times (bind mounts; root only unless times is 1), and its entries."""
    root, counts = ensure(name)
    if times == 1:
        yield root, counts.entries
        return
    with contextlib.ExitStack() as stack:
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fastos-repeated-")))
        for number in range(times):
            point = base / f"copy{number}"
            point.mkdir()
            subprocess.run(["mount", "--bind", root, point], check=True)
            stack.callback(subprocess.run, ["umount", point], check=True)
        yield base, times * (counts.entries + 1)


def why_not_cold() -> str | None:
    """What the cold tree lacks on this machine, or None."""
    if reason := why_not_mount():
        return reason
    if not os.path.exists("/dev/loop-control"):
        return "needs loop devices"
    if shutil.which("mkfs.ext4") is None:
        return "needs mkfs.ext4 (apt-get install e2fsprogs)"
    return None


@contextlib.contextmanager
def mounted(image: Path, point: Path) -> Iterator[Path]:
    point.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-o", "loop,noatime", image, point], check=True)
    try:
        yield point
    finally:
        subprocess.run(["umount", point], check=True)
        point.rmdir()


@contextlib.contextmanager
def cold() -> Iterator[tuple[Path, Counts]]:
    """Mounts the image with the tree (made on first use); yields the tree's path and counts."""
    if reason := why_not_cold():
        raise RuntimeError(reason)
    image, point = BASE / "cold.ext4", BASE / f"cold.mount.{os.getpid()}"
    counts = counts_of("cold")
    if counts is None:
        BASE.mkdir(parents=True, exist_ok=True)
        image.unlink(missing_ok=True)
        with image.open("wb") as file:
            file.truncate(2 << 30)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-N", "1150000", image], check=True)
    with mounted(image, point):
        if counts is None:
            print(f"trees: making cold in {image}", file=sys.stderr, flush=True)
            counts = build(point / "tree", "million")
            write_stamp("cold", counts)
        yield point / "tree", counts


def drop_caches() -> None:
    """Forgets every cached page, directory entry and inode (root only)."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")


def main() -> int:
    parser = argparse.ArgumentParser(description="make the trees that the benchmarks read")
    parser.add_argument("names", nargs="*", choices=[*SHAPES, "cold", []])
    parser.add_argument("--remove", action="store_true", help="remove them instead")
    options = parser.parse_args()
    for name in options.names:
        if options.remove:
            remove(name)
        elif name == "cold":
            with cold() as (path, counts):
                print(f"{path}: {counts}")
        else:
            path, counts = ensure(name)
            print(f"{path}: {counts}")
    if not options.names:
        for name in [*SHAPES, "cold"]:
            print(f"{name:8} {counts_of(name) or 'not made'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
