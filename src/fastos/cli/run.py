"""fastos run: many commands, some at a time.

Exit code, as xargs documents it: 0 if all succeeded; 123 if any failed with 1 to 125 (or ran out of time); 124 if one
exited with 255; 125 if one was killed by a signal; 126 if one could not be run; 127 if one was not found; 130 after
Ctrl-C; 141 when whoever read the output closed it; 2 if the command line makes no sense; 1 for anything else.
"""

import argparse
import contextlib
import itertools
import json
import os
import shlex
import signal
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from typing import IO, Any, NamedTuple

from fastos._completed import Completed
from fastos._run_many import Progress, run_many
from fastos.cli import INTERRUPTED
from fastos.cli._listing import printable
from fastos.cli._numbers import natural, positive, seconds, take_as_values

_EXAMPLES = """\
examples:
  fastos run -j4 gzip -9 {} ::: *.log           one command an argument; {} is the argument, else it is appended
  fastos run -j4 -a files.txt -- wc -l          one command a line of files.txt
  find . -print0 | fastos run -0 -- md5sum      NUL-terminated arguments from standard input
  fastos run < commands.txt                     each line is a command, # a comment (--shell: for sh)
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EXAMPLES + "\n" + (__doc__ or "").split("\n\n", 1)[1]
    add = parser.add_argument
    add("-j", "--jobs", type=positive, metavar="N", help="processes at a time (default: one a CPU)")
    add("-a", "--arg-file", metavar="FILE", help="read arguments from FILE instead of standard input")
    add("-0", "--null", action="store_true", help="arguments end in NUL instead of newline")
    add("--timeout", type=seconds, metavar="SECONDS", help="kill a command and its descendants after so long")
    add("--retries", type=natural, default=0, metavar="N", help="run a command that failed up to N times more")
    add("-k", "--keep-order", action="store_true", help="print output in the order of the commands")
    add("--shell", action="store_true", help="give each command to /bin/sh -c, arguments quoted")
    add("--halt", action="store_true", help="after the first failure (of the last try) start no more")
    add("--results", metavar="FILE", help="write a JSON line for each command, with its output, to FILE")
    add("--dry-run", action="store_true", help="print the commands instead of running them")
    add("--no-progress", action="store_true", help="no progress bar on a terminal")
    add("--summary", action="store_true", help="print a table of what ran (the default on a terminal)")
    take_as_values(parser)
    add("words", nargs=argparse.REMAINDER, metavar="COMMAND ... [::: ARGUMENT ...]", help="see the examples")


@contextlib.contextmanager
def _naming(file: str) -> Iterator[None]:
    """Says in which file an error was met."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, file) from None


def _lines(options: argparse.Namespace) -> Iterator[str]:
    """The arguments from the file or from standard input, as they come."""
    stream: IO[bytes] = sys.stdin.buffer
    if options.arg_file:
        stream = open(options.arg_file, "rb")  # noqa: SIM115  (closed below, whichever it is)
    with stream, _naming(options.arg_file or "standard input"):
        if not options.null:
            for line in stream:
                if text := os.fsdecode(line.rstrip(b"\n")):
                    yield text
            return
        rest = b""
        while block := stream.read1(65536) if hasattr(stream, "read1") else stream.read(65536):
            *whole, rest = (rest + block).split(b"\0")
            yield from map(os.fsdecode, whole)
        if rest:
            yield os.fsdecode(rest)


def _fill_in(words: list[str], argument: str) -> list[str]:
    if any("{}" in word for word in words):
        return [word.replace("{}", argument) for word in words]
    return [*words, argument]


def commands(options: argparse.Namespace) -> Iterable[list[str]]:
    """What the command line asks for."""
    words = list(options.words)
    if words[:1] == ["--"]:
        words = words[1:]
    arguments: Iterable[str] | None = None
    if ":::" in words:
        at = words.index(":::")
        words, arguments = words[:at], words[at + 1 :]
    if arguments is None:
        arguments = _lines(options)
    for argument in arguments:
        if options.shell:
            line = " ".join(_fill_in(words, shlex.quote(argument))) if words else argument
            yield ["/bin/sh", "-c", line]
        elif words:
            yield _fill_in(words, argument)
        elif command := _split(argument):
            yield command


def _split(line: str) -> list[str]:
    """A line's words; none where it is blank or a comment."""
    if line.lstrip().startswith("#"):
        return []
    try:
        return shlex.split(line)
    except ValueError as error:
        raise SystemExit(f"fastos run: {line!r}: {error}") from None


# -- what comes out ---------------------------------------------------------------------------------------------------


class Report:
    """Passes output on, writes results, counts, and knows the exit code."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._results: IO[str] | None = None
        if options.results:
            self._results = open(options.results, "w", encoding="utf-8")  # noqa: SIM115  (closed in close)
        self.finished = self.failed = self.timed_out = 0
        self.code = 0
        self.seconds = self.cpu = 0.0
        self.slowest: Completed | None = None
        self.failures: list[Completed] = []

    def take(self, completed: Completed, attempts: int) -> None:
        self.finished += 1
        self.seconds += completed.duration
        if (usage := _usage(completed)) is not None:
            self.cpu += usage["user_s"] + usage["system_s"]
        if self.slowest is None or completed.duration > self.slowest.duration:
            self.slowest = completed
        for data, stream in ((completed.stdout, sys.stdout.buffer), (completed.stderr, sys.stderr.buffer)):
            if data:
                stream.write(data)
                stream.flush()
        if not completed.success:
            self._failure(completed)
        if self._results is not None:
            with _naming(self._results.name):
                self._results.write(json.dumps(_as_json(completed, attempts)) + "\n")
                self._results.flush()

    def _failure(self, completed: Completed) -> None:
        self.failed += 1
        self.timed_out += completed.timed_out
        self.code = max(self.code, exit_code(completed))
        if len(self.failures) < 20:
            self.failures.append(completed)
        if completed.error is not None or completed.timed_out:
            what = completed.error or f"killed after {completed.duration:.1f} s"
            print(f"fastos run: {_words(completed)}: {what}", file=sys.stderr)

    def close(self) -> None:
        if self._results is not None:
            with contextlib.suppress(OSError):  # what could not be written has been told
                self._results.close()


def exit_code(completed: Completed) -> int:
    """What one command adds to the exit code; the greatest wins."""
    if completed.success:
        return 0
    if completed.error is not None:
        return 127 if isinstance(completed.error, FileNotFoundError) else 126
    if completed.timed_out:
        return 123
    if completed.returncode < 0:
        return 125
    return 124 if completed.returncode == 255 else 123


def _usage(completed: Completed) -> dict[str, float] | None:
    try:
        usage = completed.rusage
    except NotImplementedError:
        return None
    if usage is None:
        return None
    return {"user_s": usage.ru_utime, "system_s": usage.ru_stime, "max_rss_kib": usage.ru_maxrss}


def _as_json(completed: Completed, attempts: int) -> dict[str, Any]:
    return {
        "index": completed.index,
        "command": [os.fsencode(word).decode(errors="backslashreplace") for word in completed.args],
        "returncode": completed.returncode,
        "error": None if completed.error is None else str(completed.error),
        "timed_out": completed.timed_out,
        "attempts": attempts,
        "pid": completed.pid,
        "duration_s": round(completed.duration, 6),
        "rusage": _usage(completed),
        "stdout": (completed.stdout or b"").decode(errors="backslashreplace"),
        "stderr": (completed.stderr or b"").decode(errors="backslashreplace"),
    }


def _print_summary(report: Report) -> None:
    rows = [
        ("commands", str(report.finished)),
        ("failed", str(report.failed)),
        ("out of time", str(report.timed_out)),
        ("run time, all", f"{report.seconds:.3f} s"),
        ("CPU time, all", f"{report.cpu:.3f} s"),
    ]
    if report.slowest is not None:
        rows.append(("slowest", f"{report.slowest.duration:.3f} s: {_words(report.slowest)}"))
    rows += [("failed", f"{completed.returncode}: {_words(completed)}") for completed in report.failures]
    print(*(f"{name:13}  {value}" for name, value in rows), sep="\n", file=sys.stderr)


def _words(completed: Completed) -> str:
    return printable(os.fsencode(shlex.join(map(os.fsdecode, completed.args))))


class _Bar:
    """A live progress bar on standard error; nothing where it is not wanted or rich is missing."""

    def __init__(self, wanted: bool) -> None:
        self._progress: Any = None
        self.total: int | None = None
        if wanted:
            try:
                from rich.console import Console
                from rich.progress import Progress as Live
            except ImportError:
                return
            self._progress = Live(console=Console(stderr=True), transient=True)
            self._task = self._progress.add_task("running", total=None)
            self._progress.start()

    def show(self, progress: Progress) -> None:
        if self._progress is not None:
            text = f"{progress.running} running, {progress.failed} failed"
            self._progress.update(self._task, completed=progress.finished, total=self.total, description=text)

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *exception: object) -> None:
        self.hide()

    def hide(self) -> None:
        if self._progress is not None:
            self._progress.stop()


class _Try(NamedTuple):
    """A command on its way."""

    number: int
    args: list[str]
    attempt: int


class _Rounds:
    """Runs all, in rounds: what has failed, and may be tried again, is at the beginning of the next."""

    def __init__(self, options: argparse.Namespace, report: Report, bar: _Bar) -> None:
        self._options, self._report, self._bar = options, report, bar
        self._held: dict[int, tuple[Completed, int]] = {}  # --keep-order: those whose turn has not come
        self._turn = 0
        self._waiting: deque[_Try] = deque()

    def run(self) -> None:
        source: Iterable[list[str]] = commands(self._options)
        if ":::" in self._options.words:
            source = list(source)
            self._bar.total = len(source)
        fresh = map(_Try, itertools.count(), source, itertools.repeat(1))  # no generator: a round's end closes those
        while True:
            again, unstarted = self._round(self._read(fresh))
            self._waiting.extendleft(reversed(sorted(again) + unstarted))
            if not self._waiting or (self._options.halt and self._report.failed):
                break
        for number in sorted(self._held):
            self._report.take(*self._held[number])

    def _read(self, fresh: Iterator[_Try]) -> Iterator[_Try]:
        while self._waiting:
            yield self._waiting.popleft()
        yield from fresh

    def _round(self, tries: Iterable[_Try]) -> tuple[list[_Try], list[_Try]]:
        """Returns those to be tried again, and those that --halt kept from being started."""
        on_their_way: dict[int, _Try] = {}
        again: list[_Try] = []

        def reading() -> Iterator[list[str]]:
            for index, each in enumerate(tries):
                on_their_way[index] = each
                yield each.args

        options = self._options
        with run_many(
            reading(),
            jobs=options.jobs,
            timeout=options.timeout,
            ordered=options.keep_order,
            stop_on_error=options.halt,
            progress=self._bar.show,
        ) as results:
            for completed in results:
                this = on_their_way.pop(completed.index)
                hopeless = this.attempt > options.retries or isinstance(completed.error, FileNotFoundError)
                if completed.success or hopeless:
                    completed.index = this.number
                    self._take(completed, this.attempt)
                else:
                    again.append(this._replace(attempt=this.attempt + 1))
        return again, list(on_their_way.values())

    def _take(self, completed: Completed, attempts: int) -> None:
        if not self._options.keep_order:
            self._report.take(completed, attempts)
            return
        self._held[completed.index] = completed, attempts
        while self._turn in self._held:
            self._report.take(*self._held.pop(self._turn))
            self._turn += 1


def main(options: argparse.Namespace) -> int:
    if options.arg_file and ":::" in options.words:
        options.parser.error("either ::: or --arg-file")
    if options.dry_run:
        for command in commands(options):
            sys.stdout.buffer.write(os.fsencode(shlex.join(command)) + b"\n")
        return 0
    terminal = sys.stderr.isatty()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.closing(Report(options)) as report, _Bar(terminal and not options.no_progress) as bar:
        try:
            _Rounds(options, report, bar).run()
        except KeyboardInterrupt:
            bar.hide()
            counts = f"{report.finished} finished, {report.failed} of them failed; what ran was killed"
            print(f"fastos run: interrupted: {counts}", file=sys.stderr)
            return INTERRUPTED
    if options.summary or (terminal and report.finished > 1):
        _print_summary(report)
    return report.code
