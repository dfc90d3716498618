"""`fastos du`: what takes the space, as a tree.

Exit codes: 0 all was measured, 1 something could not be read (it is named on standard error), 2 wrong usage, 130
interrupted (with the counts so far on standard error).
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

from rich import filesize
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fastos._usage import Usage, UsageCounts, measure

_BAR = 20


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("roots", nargs="*", default=["."], metavar="ROOT", help="what to measure (default: .)")
    parser.add_argument("-s", "--summary", action="store_true", help="one line a root")
    parser.add_argument("-d", "--max-depth", type=_natural, default=2, metavar="N", help="levels to show (default: 2)")
    parser.add_argument(
        "-n", "--children", type=_natural, default=8, metavar="N", help="directories to show in each (default: 8)"
    )
    parser.add_argument("--top", type=_natural, default=0, metavar="N", help="show the N largest files (at most 1000)")
    parser.add_argument("--apparent", action="store_true", help="sizes of files, not the blocks that they occupy")
    parser.add_argument("-x", "--same-filesystem", action="store_true", help="stay on each root's file system")
    parser.add_argument("-0", "--null", action="store_true", help="plain lines 'BYTES<TAB>PATH' ended by NUL, no tree")
    parser.add_argument("--json", action="store_true", help="JSON, sizes in bytes")
    parser.epilog = __doc__.split("\n\n", 1)[1]


def _natural(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return number


class _ProgressLine:
    """A line on standard error while it works; nothing where that is no terminal."""

    def __init__(self) -> None:
        self.counts = UsageCounts(0, 0, 0, 0, 0)
        self.shown = sys.stderr.isatty()

    def __call__(self, counts: UsageCounts) -> None:
        self.counts = counts
        if self.shown:
            sys.stderr.write(f"\r\x1b[K{self.describe()}")
            sys.stderr.flush()

    def describe(self) -> str:
        c = self.counts
        return f"{c.files:,} files, {c.directories:,} directories, {_human(c.allocated)}, {c.errors:,} errors"

    def clear(self) -> None:
        if self.shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def main(options: argparse.Namespace) -> int:
    line = _ProgressLine()
    code = 0
    try:
        measured: list[Usage] = []
        for root in options.roots:
            try:
                depth = None if options.null and not options.summary else options.max_depth
                earlier = measured[-1] if measured else None
                usage = measure(root, earlier, options.apparent, options.same_filesystem, depth, None, line)
            except OSError as error:
                line.clear()
                _complain(error)
                code = 1
                continue
            line.clear()
            for unread in usage.errors:
                _complain(unread)
            code = 1 if usage.errors else code
            measured.append(usage)
        _show(measured, options)
    except KeyboardInterrupt:
        line.clear()
        print(f"fastos du: interrupted; so far {line.describe()}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _complain(error: OSError) -> None:
    print(f"fastos du: {_printable(str(error.filename))}: {error.strerror}", file=sys.stderr)


def _printable(path: str) -> str:
    """What a terminal can show: no control characters, no bytes that are no text."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in path)


def _human(size: int) -> str:
    unit, suffix = filesize.pick_unit_and_suffix(size, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"], 1024)
    return f"{size} B" if unit == 1 else f"{size / unit:.1f} {suffix}"


def _show(measured: list[Usage], options: argparse.Namespace) -> None:
    if options.json:
        data = [_as_data(usage, options) for usage in measured]
        json.dump(data if len(data) != 1 else data[0], sys.stdout, indent=2)
        sys.stdout.write("\n")
    elif options.null:
        for usage in measured:
            for found in [usage] if options.summary else usage.walk():
                sys.stdout.buffer.write(b"%d\t%s\0" % (found.total, os.fsencode(found.path)))
        sys.stdout.flush()
    else:
        console = Console(highlight=False, soft_wrap=True)
        for usage in measured:
            console.print(_table(usage, options))
            if options.top:
                console.print(_top(usage, options.top))


def _as_data(usage: Usage, options: argparse.Namespace) -> dict[str, Any]:
    data = {
        "path": usage.path,
        "total": usage.total,
        "allocated": usage.allocated,
        "apparent": usage.apparent,
        "files": usage.files,
        "directories": usage.directories,
    }
    if usage.depth == 0:
        data["errors"] = [{"path": str(e.filename), "errno": e.errno, "error": e.strerror} for e in usage.errors]
        if options.top:
            data["top"] = [{"path": item.path, "size": item.size} for item in usage.top(options.top)]
    if not options.summary:
        data["children"] = [_as_data(child, options) for child in usage.children]
    return data


def _grid() -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    return table


def _table(usage: Usage, options: argparse.Namespace) -> Table:
    table = _grid()
    whole = max(usage.total, 1)
    for name, size, style in _rows(usage, options, "", ""):
        share = size / whole
        full = round(share * _BAR)
        bar = Text("█" * full, "cyan") + Text("░" * (_BAR - full), "dim")
        table.add_row(Text(_human(size), "bold"), Text(f"{share:4.0%}"), bar, Text(name, style))
    counts = f"{usage.files:,} files, {usage.directories:,} directories"
    table.add_row("", "", "", Text(counts + (f", {len(usage.errors)} errors" if usage.errors else ""), "dim"))
    return table


def _rows(usage: Usage, options: argparse.Namespace, lead: str, below: str) -> Iterator[tuple[str, int, str]]:
    name = usage.path if usage.depth == 0 else usage.name + "/"
    yield lead + _printable(name), usage.total, "bold blue" if usage.depth == 0 else ""
    if options.summary:
        return
    children = usage.children
    shown, rest = children[: options.children], children[options.children :]
    for index, child in enumerate(shown):
        last = index == len(shown) - 1 and not rest
        yield from _rows(child, options, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  "))
    if rest:
        yield f"{below}└─ … {len(rest):,} more", sum(child.total for child in rest), "dim"


def _top(usage: Usage, count: int) -> Table:
    table = _grid()
    table.add_row("", "", "", Text(f"largest files of {_printable(usage.path)}", "bold"))
    for item in usage.top(count):
        share = f"{item.size / max(usage.total, 1):4.0%}"
        table.add_row(Text(_human(item.size), "bold"), Text(share), "", Text(_printable(item.path)))
    return table
