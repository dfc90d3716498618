"""What fastos does, shown on a tree of yours: python tools/demo.py [ROOT] (/usr)."""

import heapq
import os
import sys
import time
from collections import Counter

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

import fastos
from fastos import field

FIELDS = ("size", "blocks", "nlink", "ino", "dev")


def human(size: int) -> str:
    amount = float(size)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if amount < 1024 or unit == "TiB":
            break
        amount /= 1024
    return f"{amount:.1f} {unit}" if unit != "B" else f"{size} B"


def plural(kind: str, count: int) -> str:
    if count == 1:
        return kind
    return "directories" if kind == "directory" else f"{kind}s"


class Tally:
    """What a scan found: sizes of directories, the largest files, types."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.types: Counter[str] = Counter()
        self.directories: Counter[str] = Counter()  # allocated bytes of the entries in each
        self.largest: list[tuple[int, str]] = []
        self.linked: set[tuple[int, int]] = set()  # hard links count once

    def take(self, batch: fastos.Batch) -> None:
        self.types.update(batch.types())
        paths = batch.paths()
        columns = [batch.column(name) for name in FIELDS]
        sizes = zip(paths, batch.types(), *columns, strict=True)
        for path, kind, size, blocks, nlink, inode, device in sizes:
            if nlink > 1 and kind != "directory":
                if (device, inode) in self.linked:
                    continue
                self.linked.add((device, inode))
            self.directories[os.path.dirname(path)] += 512 * blocks
            if kind == "file" and (len(self.largest) < 8 or size > self.largest[0][0]):
                add = heapq.heappush if len(self.largest) < 8 else heapq.heapreplace
                add(self.largest, (size, path))
        for column in columns:
            column.release()

    def totals(self) -> Counter[str]:
        """Allocated bytes of each directory with all below it."""
        totals: Counter[str] = Counter()
        for deepest, size in self.directories.items():
            directory = deepest
            while True:
                totals[directory] += size
                if directory == self.root or "/" not in directory.strip("/"):
                    break
                directory = os.path.dirname(directory)
        return totals


def read(root: str, console: Console) -> tuple[Tally, fastos.Stats, list[OSError]]:
    """Scans a tree with a line that says how far it is."""
    tally = Tally(root)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(f"reading {root}")

        def show(stats: fastos.Stats) -> None:
            text = f"reading {root}: {stats.entries:,} entries in {stats.directories:,} directories"
            progress.update(task, description=text)

        with fastos.scan(root, fields=FIELDS, same_filesystem=True, progress=show) as scan:
            for batch in scan.batches():
                with batch:
                    tally.take(batch)
    return tally, scan.stats, scan.errors


def rates(root: str, console: Console) -> None:
    """How quick it is: the paths alone, once more, beside os.walk."""
    began = time.perf_counter()
    count = sum(1 for _ in fastos.scan(root, same_filesystem=True).paths())
    ours = time.perf_counter() - began
    began = time.perf_counter()
    walked = sum(len(directories) + len(files) for _, directories, files in os.walk(root))
    theirs = time.perf_counter() - began
    console.print(
        f"All paths: fastos.scan {count:,} in {ours:.2f} s ({count / ours:,.0f}/s); "
        f"os.walk {walked:,} in {theirs:.2f} s: [bold]{theirs / ours:.1f} times as fast[/bold]."
    )
    began = time.perf_counter()
    large = sum(1 for _ in fastos.scan(root, where=(field.size > 1 << 20) & field.name.glob("*.so*")).paths())
    seconds = time.perf_counter() - began
    console.print(f'Shared objects above 1 MiB, by where=(field.size > 1 << 20) & field.name.glob("*.so*"): '
                  f"{large:,} in {seconds:.2f} s.")  # fmt: skip


def table(title: str, rows: list[tuple[int, str]]) -> Table:
    made = Table("size", title, box=None, pad_edge=False, header_style="bold")
    made.columns[0].justify = "right"
    for size, path in rows:
        made.add_row(human(size), Text(path.encode("utf-8", "replace").decode()))
    return made


def main(root: str) -> int:
    console = Console(highlight=False)
    if not os.path.isdir(root):
        console.print(f"{root} is no directory")
        return 2
    console.print(
        f"[bold]fastos {fastos.__version__}[/bold] reads {root}: names, sizes, blocks and links of everything."
    )
    tally, stats, errors = read(root, console)
    seconds = stats.elapsed_ns / 1e9
    kinds = ", ".join(f"{count:,} {plural(kind, count)}" for kind, count in tally.types.most_common())
    console.print(
        f"{stats.entries:,} entries ({kinds}) in {seconds:.2f} s: {stats.entries / seconds:,.0f} a second, "
        f"by up to {max(stats.threads_peak, 1)} threads."
    )
    console.print()
    console.print(table("largest directories (allocated, with all below them)", [
        (size, path) for path, size in tally.totals().most_common(8)
    ]))  # fmt: skip
    console.print()
    console.print(table("largest files", sorted(tally.largest, reverse=True)))
    console.print(f"\n{len(errors):,} errors" + (":" if errors else "."))
    for error in errors[:5]:
        console.print(Text(f"  {error.filename}: {error.strerror}"))
    rates(root, console)
    console.print(
        "\nNext: .venv/bin/fastos scan --help, or in Python: for entry in fastos.scan('.'): print(entry.path)"
    )
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1].rstrip("/") or "/" if len(sys.argv) > 1 else "/usr"))
    except KeyboardInterrupt:
        sys.exit(130)
