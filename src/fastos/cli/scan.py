"""`fastos scan`: list what is in directory trees, as find does, in parallel."""

import argparse
import functools
import os
import sys
from collections.abc import Iterator
from typing import Any

import fastos
from fastos._predicate import Predicate
from fastos._scan import Scan, Stats
from fastos._scan_options import FIELDS
from fastos.cli import INTERRUPTED, PIPE_CLOSED, USAGE, _filters, _listing
from fastos.cli._numbers import natural, positive, take_as_values
from fastos.cli._progress import ProgressLine

OK, ERRORS = 0, 1

_EPILOG = f"""\
Options of one kind are alternatives (--name a --name b), different kinds have to hold together.
find's -name -iname -type -size -newer -user -group -mindepth -maxdepth -xdev -print -print0 -L are taken too.

sizes    +1M above 1 MiB, -10k below 10 KiB, 512 exactly; units c (bytes, the default) k M G T P
times    2d or 90min or 1w (a time ago), 2024-01-31 or 2024-01-31T12:00, or an existing file (its mtime)
globs    * ? [a-z] [!a-z]; in a path * and ? stop at a slash and ** is any number of directories

exit codes
  {OK}    everything was read
  {ERRORS}    some errors were met; each is named on the standard error output
  {USAGE}    the command line makes no sense
  {INTERRUPTED}  interrupted (Ctrl-C); what was found so far has been written
  {PIPE_CLOSED}  whoever read the output has closed it
"""


# What else find has: nothing of it is to be taken for one of the short options with a value behind it.
_FIND = (
    "-a -amin -and -anewer -atime -cmin -cnewer -ctime -daystart -delete -depth -empty -exec -execdir -executable "
    "-false -files0-from -fls -follow -fprint -fprint0 -fprintf -fstype -gid -ilname -inum -ipath -iregex -iwholename "
    "-links -lname -ls -mmin -mount -mtime -newerXY -newermt -nogroup -noleaf -not -nouser -o -ok -okdir -or -path "
    "-perm -printf -prune -quit -readable -regex -regextype -samefile -true -uid -used -wholename -writable -xtype"
)
_INSTEAD = {
    "-path": "--path (below the root, and * stops at a slash)",
    "-wholename": "--path (below the root, and * stops at a slash)",
    "-regex": "--regex (found anywhere in the name)",
    "-prune": "--prune GLOB",
    "-empty": "--type f --size 0",
    "-mtime": "--newer or --older, with a time such as 2d",
    "-mmin": "--newer or --older, with a time such as 90min",
    "-newermt": "--newer",
    "-follow": "-L",
    "-mount": "-x",
    "-ls": "--long",
    "-exec": "fastos run: fastos scan -0 ... | fastos run -0 -- COMMAND",
}


class _NotTaken(argparse.Action):
    """An option of find's that means nothing here."""

    def __call__(self, parser: argparse.ArgumentParser, *rest: Any) -> None:
        option = rest[-1]
        instead = f"; write {_INSTEAD[option]}" if option in _INSTEAD else ""
        parser.error(f"find's {option} is not taken{instead}")


def _add(parser: Any, *names: str, find: str = "", **options: Any) -> None:
    """Adds an option, and find's spelling of it, which the help does not show."""
    parser.add_argument(*names, **options)
    if find:
        dest = options.get("dest") or next(name for name in names if name.startswith("--"))[2:].replace("-", "_")
        parser.add_argument(find, **{**options, "dest": dest, "help": argparse.SUPPRESS})


def _fields(text: str) -> tuple[str, ...]:
    names = tuple(each for each in text.split(",") if each)
    for name in names:
        if name not in FIELDS:
            raise argparse.ArgumentTypeError(f"{name!r} is no field; there are {', '.join(FIELDS)}")
    return names


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command line."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("roots", nargs="*", metavar="ROOT", default=["."], help="where to begin (.)")
    chosen = parser.add_argument_group("what to list")
    glob: dict[str, Any] = {"action": "append", "default": [], "metavar": "GLOB"}
    _add(chosen, "--name", find="-name", **glob, help="the name matches")
    _add(chosen, "--iname", find="-iname", **glob, help="the name matches in whatever case")
    _add(chosen, "--path", **glob, help="the path below the root matches: 'src/**/*.c'")
    _add(chosen, "--regex", **{**glob, "metavar": "RE"}, help="Python's re finds this in the name")
    chosen.add_argument("-e", "--suffix", action="append", default=[], type=_filters.suffix, help="such as py or .py")
    kinds: dict[str, Any] = {"action": "append", "default": [], "type": _filters.types, "metavar": "TYPES"}
    _add(chosen, "-t", "--type", find="-type", **kinds, help="f file, d directory, l symlink, p s c b; f,d for either")
    sizes: dict[str, Any] = {"action": "append", "default": [], "type": _filters.size, "metavar": "[+-]N"}
    _add(chosen, "-s", "--size", find="-size", **sizes, help="+1M above, -10k below; given twice: both hold")
    times: dict[str, Any] = {"type": _filters.moment, "metavar": "TIME"}
    _add(chosen, "--newer", find="-newer", **times, help="modified after: 2d (ago), a date, a file")
    chosen.add_argument("--older", **times, help="modified before")
    _add(chosen, "--user", find="-user", type=_filters.user, help="owned by, a name or a number")
    _add(chosen, "--group", find="-group", type=_filters.group, help="of this group, a name or a number")
    entered = parser.add_argument_group("where to look")
    depth: dict[str, Any] = {"type": natural, "metavar": "N"}
    _add(entered, "--min-depth", find="-mindepth", **depth, default=1, help="0 lists the root too (1)")
    _add(entered, "-d", "--max-depth", find="-maxdepth", **depth, help="1 lists the root's own entries only")
    entered.add_argument("--no-hidden", action="store_true", help="nothing whose name begins with a dot")
    entered.add_argument("-g", "--ignore-git", action="store_true", help="leave out what git would")
    entered.add_argument("-E", "--exclude", **{**glob, "metavar": "PATTERN"}, help="leave out, as a line of .gitignore")
    entered.add_argument("--prune", **glob, help="list such directories, do not enter them; with a slash: by path")
    _add(entered, "-x", "--one-file-system", find="-xdev", action="store_true", help="do not enter mount points")
    entered.add_argument("-L", "--follow", action="store_true", help="follow symbolic links")
    entered.add_argument("-j", "--threads", type=positive, metavar="N", help="workers (as many as are of use)")
    shown = parser.add_argument_group("how to write it")
    form = shown.add_mutually_exclusive_group()
    _add(form, "-0", "--print0", find="-print0", action="store_true", help="a zero byte behind each path")
    json_help = "a JSON object a line: path, type, --fields; one that is not UTF-8 also as path_bytes, in base64"
    form.add_argument("--json", action="store_true", help=json_help)
    form.add_argument("-l", "--long", action="store_true", help="mode, links, owner, size and time too")
    form.add_argument("-c", "--count", action="store_true", help="only how many there are")
    shown.add_argument("--fields", type=_fields, default=(), metavar="A,B", help="with --json: size, mtime_ns, ...")
    shown.add_argument("--sort", action="store_true", help="in byte order, once all is read")
    shown.add_argument("-print", action="store_true", help=argparse.SUPPRESS)  # find's, and what is done anyway
    shown.add_argument("--stats", action="store_true", help="at the end, on the error output: what was done")
    parser.add_argument(*_FIND.split(), nargs=0, action=_NotTaken, help=argparse.SUPPRESS)
    take_as_values(parser)


class Listing:
    """One run of the command."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.where: Predicate | None = _filters.where(options)
        self.prune: Predicate | None = _filters.prune(options)
        self.ignore = _filters.ignore(options)
        self.terminal = sys.stdout.isatty()
        self.fd = sys.stdout.fileno()
        self.progress = ProgressLine(enabled=sys.stderr.isatty() and not self.terminal)
        self.entries = self.errors = 0
        self.done: list[Stats] = []
        self.scan: Scan | None = None

    def complain(self, path: object, message: str) -> None:
        """Names an error as find does."""
        self.errors += 1
        name = _listing.named(path) if isinstance(path, (str, bytes, os.PathLike)) else str(path)
        self.progress.hide()
        print(f"fastos scan: {name}: {message}", file=sys.stderr)

    def report(self, error: OSError) -> None:
        """Takes an error of the scan."""
        self.complain(error.filename, error.strerror or str(error))

    def open(self, root: str) -> Scan:
        options = self.options
        fields = _listing.LONG_FIELDS if options.long else options.fields
        return fastos.scan(
            os.fsencode(root),
            where=self.where,
            fields=fields,
            follow_symlinks=options.follow,
            min_depth=options.min_depth,
            max_depth=options.max_depth,
            same_filesystem=options.one_file_system,
            prune=self.prune,
            ignore=self.ignore,
            sort=options.sort,
            threads=options.threads,
            on_error=self.report,
            progress=self.progress.show if self.progress.enabled else None,
        )

    def blocks(self, scan: Scan) -> Iterator[bytes]:
        """The output, piece by piece."""
        options = self.options
        if options.json:
            return _listing.text_blocks(scan.entry_lists(), functools.partial(_listing.json_line, names=options.fields))
        if options.long:
            show = _listing.printable if self.terminal else os.fsdecode
            return _listing.text_blocks(scan.entry_lists(), functools.partial(_listing.long_line, show=show))
        return _listing.lines(scan.path_blocks(), zero=options.print0, terminal=self.terminal)

    def count(self, scan: Scan) -> None:
        for batch in scan.batches():
            with batch:
                self.entries += len(batch)

    def write(self, scan: Scan) -> None:
        separator = b"\0" if self.options.print0 else b"\n"
        for block in self.blocks(scan):
            self.progress.hide()
            _listing.write_all(self.fd, block)
            self.entries += block.count(separator)

    def list(self, root: str) -> None:
        """Lists one tree."""
        try:
            self.scan = self.open(root)
        except OSError as error:
            self.complain(root, error.strerror or str(error))
            return
        with self.scan as scan:
            self.count(scan) if self.options.count else self.write(scan)
        self.done.append(scan.stats)
        self.scan = None

    def summary(self) -> str:
        return f"{self.entries:,} entries, {self.errors:,} errors"

    def statistics(self) -> None:
        """The line of --stats."""
        directories = sum(stats.directories for stats in self.done)
        seconds = sum(stats.elapsed_ns for stats in self.done) / 1e9
        threads = max((stats.threads_peak for stats in self.done), default=0)
        print(
            f"fastos scan: {self.summary()}, {directories:,} directories read in {seconds:.3f} s "
            f"by up to {max(threads, 1)} threads",
            file=sys.stderr,
        )

    def interrupt(self) -> int:
        """Ends what is under way and says how far it came."""
        if self.scan is not None:
            self.scan.close()
        self.progress.hide()
        print(f"fastos scan: interrupted: {self.summary()}", file=sys.stderr)
        return INTERRUPTED

    def run(self) -> int:
        for root in self.options.roots:
            self.list(root)
        self.progress.hide()
        if self.options.count:
            _listing.write_all(self.fd, b"%d\n" % self.entries)
        if self.options.stats:
            self.statistics()
        return ERRORS if self.errors else OK


def main(options: argparse.Namespace) -> int:
    """Lists the trees; returns the exit code."""
    try:
        listing = Listing(options)
    except (TypeError, ValueError) as error:
        options.parser.error(str(error))
    if options.fields and not options.json:
        options.parser.error("--fields is for --json")
    try:
        return listing.run()
    except KeyboardInterrupt:
        return listing.interrupt()
