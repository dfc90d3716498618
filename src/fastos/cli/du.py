"""`fastos du`: what takes the space, as a tree.

Exit codes: 0 all was measured, 1 something could not be read (it is named on standard error), 2 wrong usage, 130
interrupted (with the counts so far on standard error), 141 whoever read the output closed it.
"""

import argparse
import json
import os
import stat
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from rich import filesize
from rich.table import Table
from rich.text import Text

from fastos._usage import Usage, UsageCounts, measure
from fastos.cli._listing import named, printable
from fastos.cli._numbers import natural, take_as_values
from fastos.cli._streams import console

_BAR = 20


class _Glyphs(NamedTuple):
    """What the tree is drawn with."""

    full: str
    free: str
    branch: str
    last: str
    line: str
    dots: str


_DRAWN = _Glyphs("█", "░", "├─ ", "└─ ", "│  ", "…")
_PLAIN = _Glyphs("#", ".", "|- ", "`- ", "|  ", "...")


def _glyphs() -> _Glyphs:
    """Those that the output's encoding has."""
    try:
        "".join(_DRAWN).encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        return _PLAIN
    return _DRAWN


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("roots", nargs="*", default=["."], metavar="ROOT", help="what to measure (default: .)")
    parser.add_argument("-s", "--summary", action="store_true", help="one line a root")
    parser.add_argument("-d", "--max-depth", type=natural, default=2, metavar="N", help="levels to show (default: 2)")
    parser.add_argument(
        "-n", "--children", type=natural, default=8, metavar="N", help="directories to show in each (default: 8)"
    )
    parser.add_argument("--top", type=natural, default=0, metavar="N", help="show the N largest files (at most 1000)")
    parser.add_argument("--apparent", action="store_true", help="sizes of files, not the blocks that they occupy")
    parser.add_argument("-x", "--same-filesystem", action="store_true", help="stay on each root's file system")
    parser.add_argument("-0", "--null", action="store_true", help="plain lines 'BYTES<TAB>PATH' ended by NUL, no tree")
    parser.add_argument("--json", action="store_true", help="JSON, sizes in bytes")
    take_as_values(parser)
    parser.epilog = __doc__.split("\n\n", 1)[1]


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
        counted: set[tuple[int, int]] = set()
        for root in options.roots:
            try:
                if _lies_in(root, counted, options.same_filesystem):
                    continue
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
    return code


def _lies_in(root: str, counted: set[tuple[int, int]], same_filesystem: bool) -> bool:
    """Whether a root is, or lies in, one that was measured before; else notes it among them. Raises OSError."""
    status = os.lstat(root)
    holders = [status]
    if counted:
        inner = os.path.realpath(root if stat.S_ISDIR(status.st_mode) else os.path.dirname(root) or ".")
        holders += [os.stat(path) for path in _itself_and_above(inner)]
    identities = {(each.st_dev, each.st_ino) for each in holders if not same_filesystem or each.st_dev == status.st_dev}
    found = not identities.isdisjoint(counted)
    counted.add((status.st_dev, status.st_ino))
    return found


def _itself_and_above(path: str) -> Iterator[str]:
    while True:
        yield path
        above = os.path.dirname(path)
        if above == path:
            return
        path = above


def _complain(error: OSError) -> None:
    print(f"fastos du: {named(error.filename)}: {error.strerror}", file=sys.stderr)


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
        screen = console(highlight=False, soft_wrap=True)
        for usage in measured:
            screen.print(_table(usage, options))
            if options.top:
                screen.print(_top(usage, options.top))


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
    whole, glyphs = max(usage.total, 1), _glyphs()
    for name, size, style in _rows(usage, options, glyphs, "", ""):
        share = size / whole
        full = round(share * _BAR)
        bar = Text(glyphs.full * full, "cyan") + Text(glyphs.free * (_BAR - full), "dim")
        table.add_row(Text(_human(size), "bold"), Text(f"{share:4.0%}"), bar, Text(name, style))
    counts = f"{usage.files:,} files, {usage.directories:,} directories"
    table.add_row("", "", "", Text(counts + (f", {len(usage.errors)} errors" if usage.errors else ""), "dim"))
    return table


def _rows(
    usage: Usage, options: argparse.Namespace, glyphs: _Glyphs, lead: str, below: str
) -> Iterator[tuple[str, int, str]]:
    name = usage.path if usage.depth == 0 else usage.name + "/"
    yield lead + printable(os.fsencode(name)), usage.total, "bold blue" if usage.depth == 0 else ""
    if options.summary:
        return
    children = usage.children
    shown, rest = children[: options.children], children[options.children :]
    for index, child in enumerate(shown):
        last = index == len(shown) - 1 and not rest
        head, rest_of_it = (glyphs.last, "   ") if last else (glyphs.branch, glyphs.line)
        yield from _rows(child, options, glyphs, below + head, below + rest_of_it)
    if rest:
        yield f"{below}{glyphs.last}{glyphs.dots} {len(rest):,} more", sum(child.total for child in rest), "dim"


def _top(usage: Usage, count: int) -> Table:
    table = _grid()
    table.add_row("", "", "", Text(f"largest files of {printable(os.fsencode(usage.path))}", "bold"))
    for item in usage.top(count):
        share = f"{item.size / max(usage.total, 1):4.0%}"
        table.add_row(Text(_human(item.size), "bold"), Text(share), "", Text(printable(os.fsencode(item.path))))
    return table
