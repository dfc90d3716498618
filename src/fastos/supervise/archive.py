"""Old log files: compressed, and the oldest removed, without the supervisor's thread waiting for it."""

import contextlib
import gzip
import os
import re
import shutil
import threading
from pathlib import Path
from typing import Final

_DATED: Final = re.compile(r"(.+)\.\d{8}T\d{6}\.\d{6}Z(\.gz)?")


class Compressor:
    """Tidies rotated files up in a thread of low priority that ends when there is nothing to do."""

    def __init__(self) -> None:
        self._jobs: dict[str, tuple[bool, int]] = {}  # by the log's own path: one job, however many rotations wait
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def put(self, rotated: str, compress: bool, keep: int) -> None:
        """`rotated` is the newest of a log's old files; what stands beside it from earlier is dealt with, too."""
        with self._lock:
            self._jobs[log_of(rotated)] = (compress, keep)
            if self._thread is None:
                thread = threading.Thread(target=self._work, name="fastos-compress", daemon=True)
                with contextlib.suppress(RuntimeError):  # no room for a thread: the next rotation tries again
                    thread.start()
                    self._thread = thread

    def _work(self) -> None:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 15)
        while True:
            with self._lock:
                if not self._jobs:
                    self._thread = None
                    return
                path, (compress, keep) = self._jobs.popitem()
            with contextlib.suppress(OSError):
                if keep:
                    remove_oldest(path, keep)
                if compress:
                    for old in old_files(path):
                        if not old.endswith(".gz"):
                            compress_file(old)

    def close(self) -> None:
        """Waits until everything is done."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()


def log_of(rotated: str) -> str:
    """The path of the log that a dated file belongs to."""
    match = _DATED.fullmatch(rotated)
    return match[1] if match is not None else rotated


def old_files(path: str) -> list[str]:
    """The rotated files of a log, oldest first."""
    name, directory = os.path.basename(path), Path(path).parent
    found = [entry for entry in os.listdir(directory) if (match := _DATED.fullmatch(entry)) and match[1] == name]
    return [str(directory / entry) for entry in sorted(found)]


def compress_file(path: str) -> None:
    """PATH becomes PATH.gz; whoever looks sees either the one or the other, whole."""
    partial = f"{path}.gz.partial"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(partial)  # of one that was killed
    with open(path, "rb") as source, open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as raw:
        os.fchmod(raw.fileno(), os.fstat(source.fileno()).st_mode & 0o7777)
        with gzip.GzipFile("", "wb", 6, raw) as target:
            shutil.copyfileobj(source, target, 1 << 20)
    os.rename(partial, f"{path}.gz")
    os.unlink(path)


def remove_oldest(path: str, keep: int) -> None:
    """Of the rotated files of a log, all but the `keep` newest go."""
    for old in old_files(path)[:-keep]:
        os.unlink(old)
