"""Mounts the file system of fuse_delay.c: a tree whose every operation takes a settable time. Always unmounts it.

with slow_tree(delay_us=1000) as (root, entries): ...
"""

import contextlib
import functools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).resolve().parent / "fuse_delay.c"


def why_not() -> str | None:
    """What this machine lacks for it, or None."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "needs /dev/fuse"
    for tool, package in (("fusermount3", "fuse3"), ("pkg-config", "pkg-config"), ("cc", "gcc")):
        if shutil.which(tool) is None:
            return f"needs {tool} (apt-get install {package})"
    if subprocess.run(["pkg-config", "--exists", "fuse3"], check=False).returncode:
        return "needs libfuse3's headers (apt-get install libfuse3-dev)"
    return None


@functools.cache
def program() -> Path:
    """Compiles fuse_delay.c, anew when it has changed since."""
    built = SOURCE.parent / "floor" / "build" / "fuse_delay"
    if built.exists() and built.stat().st_mtime > SOURCE.stat().st_mtime:
        return built
    built.parent.mkdir(exist_ok=True)
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "fuse3"], check=True, stdout=subprocess.PIPE, text=True)
    draft = built.with_suffix(f".{os.getpid()}")
    warnings = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wshadow", "-Wstrict-prototypes", "-pthread"]
    subprocess.run(["cc", *warnings, "-o", draft, SOURCE, *flags.stdout.split()], check=True)
    draft.replace(built)
    return built


def wait_until_mounted(point: Path, server: subprocess.Popen[bytes]) -> None:
    device = point.parent.stat().st_dev
    for _ in range(2000):
        if server.poll() is not None:
            raise RuntimeError(f"the FUSE server ended with {server.returncode}")
        if point.stat().st_dev != device:
            return
        time.sleep(0.005)
    raise RuntimeError("the FUSE server did not mount within 10 s")


@contextlib.contextmanager
def slow_tree(
    delay_us: int = 1000,
    *,
    unknown: bool = False,
    hang: str | None = None,
    tops: int = 20,
    subs: int = 66,
    files: int = 15,
) -> Iterator[tuple[Path, int]]:
    """Yields the mounted tree's root and its number of entries (21,440 by default).

    delay_us: microseconds that each lookup, getattr, opendir and readdir takes.
    unknown: readdir gives every entry the type DT_UNKNOWN.
    hang: the name of a top directory (top0000, …) whose opendir never answers, or of a file (file00000.dat, …) whose
        lookup in top0000 never does.
    """
    if reason := why_not():
        raise RuntimeError(reason)
    choices = [f"delay_us={delay_us}", f"tops={tops}", f"subs={subs}", f"files={files}"]
    choices += ["unknown"] * unknown + ([f"hang={hang}"] if hang else [])
    with tempfile.TemporaryDirectory(prefix="fastos-fuse-", ignore_cleanup_errors=True) as base:
        point = Path(base) / "mount"
        point.mkdir()
        server = subprocess.Popen([program(), "-f", "-o", ",".join(choices), point])
        try:
            wait_until_mounted(point, server)
            yield point, tops * (1 + subs) * (1 + files)
        finally:
            server.terminate()
            server.wait()
            # Nothing is mounted by now, unless the server was killed from outside.
            if os.path.ismount(point):
                subprocess.run(["fusermount3", "-u", "-z", point], check=False)
