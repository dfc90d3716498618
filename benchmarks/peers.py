"""The others: programs and libraries that do the same work, asked to do all of it (hidden and ignored files too)."""

import importlib
import os
import shutil
import subprocess
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.measure import Implementation, Missing, Sample, timed

PACKAGES = {  # program -> its Debian package
    "fdfind": "fd-find",
    "bfs": "bfs",
    "find": "findutils",
    "xargs": "findutils",
    "du": "coreutils",
    "gdu": "gdu",
    "rg": "ripgrep",
    "parallel": "parallel",
    "runsvdir": "runit",
    "s6-svscan": "s6",
}


def tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise Missing(f"{name} is missing: apt-get install {PACKAGES[name]}")
    return path


def library(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Missing(f"{name} is missing: pip install 'fastos[bench]'") from None


def run(command: list[str], **options: Any) -> float:
    """Seconds that a command takes, its output thrown away: what is cheapest for it."""
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **options)
    return time.perf_counter() - begin


def count_records(command: list[str], separator: bytes) -> int:
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        count, kept = 0, b""
        while block := process.stdout.read(1 << 20):
            block = kept + block  # a separator may lie across two blocks
            count += block.count(separator)
            kept = block[len(block) - len(separator) + 1 :]
    return count


def command(
    program: str,
    *arguments: str,
    separator: bytes = b"\0",
    extra: int = 0,
    proof: tuple[str, ...] | None = None,
) -> Implementation:
    """A program as an implementation; "{}" among its arguments stands for the place.

    On its first run for a place its records are counted (less `extra`, such as the root that it prints): the work it
    did. That is not repeated, since the timed runs write to /dev/null. `proof` are other arguments for that count,
    with which a program that prints a summary only prints a record for each entry.
    """
    counted: dict[str, int] = {}

    def implementation(place: Any) -> Sample:
        def words(template: tuple[str, ...]) -> list[str]:
            return [tool(program), *(word.replace("{}", str(place)) for word in template)]

        if str(place) not in counted:
            counted[str(place)] = count_records(words(proof or arguments), separator) - extra
        return Sample(run(words(arguments)), counted[str(place)])

    return implementation


# -- Python's own and the registry's ways to list a tree ----------------------------------------------


def walk_names(root: Path) -> int:
    """os.walk as its users write it when they need the names only."""
    return sum(len(directories) + len(files) for _, directories, files in os.walk(root))


def walk_paths(root: Path) -> list[str]:
    """os.walk and the path of each entry."""
    return [os.path.join(where, name) for where, directories, files in os.walk(root) for name in (*directories, *files)]


def scandir_paths(root: Path) -> list[str]:
    found, waiting = [], [os.fspath(root)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                found.append(entry.path)
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
    return found


def scandir_stat(root: Path) -> list[tuple[str, int, int]]:
    found, waiting = [], [os.fspath(root)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                found.append((entry.path, status.st_size, status.st_mtime_ns))
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
    return found


def rglob_paths(root: Path) -> list[Path]:
    return list(root.rglob("*"))


def powerwalk_paths(root: Path) -> list[str]:
    walk = library("powerwalk").walk
    everything = {
        "ignore_hidden": False,
        "respect_git_ignore": False,
        "respect_global_git_ignore": False,
        "respect_git_exclude": False,
        "respect_ignore": False,
        "min_depth": 1,
    }
    return [entry.path_str for entry in walk(root, **everything)]


def scandir_rs_paths(root: Path) -> Any:
    return library("scandir_rs").Walk(str(root), skip_hidden=False).collect()


def scandir_rs_count(toc: Any) -> int:
    return len(toc.dirs) + len(toc.files) + len(toc.symlinks) + len(toc.other)


def scandir_rs_stat(root: Path) -> Any:
    entries, errors = library("scandir_rs").Scandir(str(root), skip_hidden=False).collect()
    assert not errors, errors[:3]
    return entries


EVERYTHING: dict[str, Implementation] = {
    "os.walk": timed(walk_names, count=int),
    "os.walk + join": timed(walk_paths),
    "os.scandir": timed(scandir_paths),
    "pathlib": timed(rglob_paths),
    "scandir-rs": timed(scandir_rs_paths, count=scandir_rs_count),
    "powerwalk": timed(powerwalk_paths),
    "fd": command("fdfind", "-uu", "--print0", ".", "{}"),
    "bfs": command("bfs", "{}", "-mindepth", "1", "-print0"),
    "find": command("find", "{}", "-mindepth", "1", "-print0"),
}
SIZES: dict[str, Implementation] = {
    "os.scandir + stat": timed(scandir_stat),
    "scandir-rs": timed(scandir_rs_stat),
    "bfs -size": command("bfs", "{}", "-mindepth", "1", "-size", "-99999999999c", "-print0"),
    "du": command("du", "-s", "{}", proof=("-a0", "{}"), extra=1),
    "gdu": command("gdu", "-npc", "{}", proof=("-no-", "{}"), separator=b'"name":', extra=1),
}


def chosen(*names: str, among: dict[str, Implementation] = EVERYTHING) -> dict[str, Implementation]:
    return {name: among[name] for name in names}
