"""`fastos du`: what takes the space, as a tree.

Exit codes: 0 all was measured, 1 something could not be read (it is named on standard error), 2 wrong usage, 130
interrupted (with the counts so far on standard error), 141 whoever read the output closed it.
"""

import argparse
import json
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from rich import filesize
from rich.text import Text

from fastos._usage import Usage, UsageCounts, measure
from fastos.cli._listing import named, path_record, printable
from fastos.cli._numbers import natural, take_as_values
from fastos.cli._streams import console

_BAR, _ROOM_FOR_BAR = 20, 60  # columns
_LEVELS = 2


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
    parser.add_argument(
        "-d", "--max-depth", type=natural, metavar="N", help=f"levels to show (default: {_LEVELS}; with -0 all)"
    )
    parser.add_argument(
        "-n",
        "--children",
        type=natural,
        default=8,
        metavar="N",
        help="of the tree: directories to show in each (default: 8)",
    )
    parser.add_argument("--top", type=natural, default=0, metavar="N", help="show the N largest files (at most 1000)")
    parser.add_argument("--apparent", action="store_true", help="sizes of files, not the blocks that they occupy")
    parser.add_argument("-x", "--same-filesystem", action="store_true", help="stay on each root's file system")
    parser.add_argument("-0", "--null", action="store_true", help="plain lines 'BYTES<TAB>PATH' ended by NUL, no tree")
    parser.add_argument("--json", action="store_true", help="JSON, sizes in bytes; of several roots an array")
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
            sys.stderr.write(f"\r\x1b[K{self.describe()[: shutil.get_terminal_size().columns - 1]}")
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
                earlier = measured[-1] if measured else None
                usage = measure(root, earlier, options.apparent, options.same_filesystem, _depth(options), None, line)
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


def _depth(options: argparse.Namespace) -> int | None:
    """How many levels are shown."""
    if options.summary:
        return 0
    if options.max_depth is None and not options.null:
        return _LEVELS
    depth: int | None = options.max_depth
    return depth


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
        json.dump(data if len(options.roots) > 1 else data[0] if data else None, sys.stdout, indent=2)
        sys.stdout.write("\n")
    elif options.null:
        for usage in measured:
            for found in [usage] if options.summary else usage.walk():
                sys.stdout.buffer.write(b"%d\t%s\0" % (found.total, os.fsencode(found.path)))
        sys.stdout.flush()
    else:
        screen = console(highlight=False, soft_wrap=True)
        bar = _BAR if screen.width >= _ROOM_FOR_BAR and not options.summary else 0
        for usage in measured:
            screen.print(Text("\n").join(_lines(usage, options, bar)))


def _as_data(usage: Usage, options: argparse.Namespace) -> dict[str, Any]:
    data: dict[str, Any] = {
        **path_record(os.fsencode(usage.path)),
        "total": usage.total,
        "allocated": usage.allocated,
        "apparent": usage.apparent,
        "files": usage.files,
        "directories": usage.directories,
    }
    if usage.depth == 0:
        data["errors"] = [
            {**path_record(os.fsencode(e.filename)), "errno": e.errno, "error": e.strerror} for e in usage.errors
        ]
        if options.top:
            data["top"] = [{**path_record(os.fsencode(i.path)), "size": i.size} for i in usage.top(options.top)]
    if not options.summary:
        data["children"] = [_as_data(child, options) for child in usage.children]
    return data


def _lines(usage: Usage, options: argparse.Namespace, bar: int) -> Iterator[Text]:
    """What is shown of one root."""
    glyphs = _glyphs()
    whole = None if options.summary else max(usage.total, 1)
    for name, size, style in _rows(usage, options, glyphs, "", ""):
        full = round(size / max(usage.total, 1) * bar)
        yield _line(
            size, whole, Text(glyphs.full * full, "cyan") + Text(glyphs.free * (bar - full), "dim"), name, style
        )
    if not options.summary:
        indent = " " * len(_line(0, whole, Text(" " * bar), "", ""))
        errors = f", {len(usage.errors)} errors" if usage.errors else ""
        yield Text(f"{indent}{usage.files:,} files, {usage.directories:,} directories{errors}", "dim")
    if options.top:
        yield Text(f"largest files of {printable(os.fsencode(usage.path))}", "bold")
        for item in usage.top(options.top):
            yield _line(item.size, max(usage.total, 1), Text(), printable(os.fsencode(item.path)), "")


def _line(size: int, whole: int | None, bar: Text, name: str, style: str) -> Text:
    """Size, share of the whole, bar and name, in columns; never cut off."""
    share = "" if whole is None else f" {size / whole:4.0%}"
    return Text.assemble((f"{_human(size):>10}", "bold"), share, " " if bar else "", bar, " ", (name, style))


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
