"""`fastos install -- script.py ...`: runs a Python program with fastos in place of the standard functions."""

import argparse
import json
import os
import runpy
import sys
from collections import Counter
from types import ModuleType

from fastos._install import install, uninstall

EPILOG = """\
examples:
  fastos install -- script.py --option        run a script
  fastos install -- -m pytest -q              run a module
  fastos install -- -c "import os; print(os.walk)"

exit code: that of the program; 2 if the command line is wrong.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--count", metavar="FILE", help="write how often each swapped function was called (JSON)")
    parser.add_argument(
        "program", nargs=argparse.REMAINDER, metavar="-- PROGRAM", help="script.py, -m module or -c code"
    )


def main(options: argparse.Namespace) -> int:
    program = options.program[1:] if options.program[:1] == ["--"] else options.program
    if not program or (program[0] in ("-m", "-c") and len(program) < 2):
        print("fastos install: no program; try: fastos install -- script.py", file=sys.stderr)
        return 2
    try:
        counts = open(options.count, "w", encoding="utf-8") if options.count else None  # noqa: SIM115  (closed below)
    except OSError as error:
        print(f"fastos install: {options.count}: {error.strerror}", file=sys.stderr)
        return 2
    calls: Counter[str] = Counter()
    swapped = install(count=None if counts is None else calls)
    try:
        _run(program)
    except Exception as error:
        return _fail(program, error)
    finally:
        uninstall()
        if counts is not None:
            with counts:
                json.dump({name: calls[name] for name in swapped}, counts)
    return 0


def _run(program: list[str]) -> None:
    """Runs the program as the interpreter would: as __main__, with its own sys.argv and sys.path."""
    kind, *rest = program
    if kind == "-m":
        sys.argv = rest
        _begin_path_with(os.getcwd())
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.argv = ["-c", *rest[1:]]
        _begin_path_with("")
        sys.modules["__main__"] = main_module = ModuleType("__main__")
        exec(compile(rest[0], "<string>", "exec"), main_module.__dict__)
    else:
        sys.argv = program
        if os.path.isfile(kind):  # for a directory or an archive runpy does it
            _begin_path_with(os.path.dirname(os.path.realpath(kind)))
        runpy.run_path(kind, run_name="__main__")


def _begin_path_with(directory: str) -> None:
    """The first entry of sys.path is that of this command; the program has its own there."""
    if not sys.flags.safe_path:
        sys.path[0] = directory


def _fail(program: list[str], error: Exception) -> int:
    """What the program raised, without the calls that led to it; or why there is no program."""
    trace = error.__traceback__
    while trace is not None and _is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    if trace is None and not isinstance(error, SyntaxError):
        reason = error.strerror if isinstance(error, OSError) else error
        print(f"fastos install: {program[program[0] == '-m']}: {reason}", file=sys.stderr)
        return 2
    sys.excepthook(type(error), error.with_traceback(trace), trace)
    return 1


def _is_ours(filename: str) -> bool:
    return filename == __file__ or os.path.basename(filename) in ("<frozen runpy>", "runpy.py")
