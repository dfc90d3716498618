"""`fastos install -- script.py ...`: runs a Python program with fastos in place of the standard functions."""

import argparse
import builtins
import json
import os
import pkgutil
import runpy
import sys
from collections import Counter
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import Any

from fastos._install import install

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
        # It stays installed: threads of the program may still run, and what it registered with atexit.
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
        exec(compile(rest[0], "<string>", "exec", dont_inherit=True), _main_module())
    else:
        sys.argv = program
        path = os.path.abspath(kind)
        if kind.endswith(".pyc") or not os.path.isfile(kind) or pkgutil.get_importer(path) is not None:
            runpy.run_path(path if os.path.exists(path) else kind, run_name="__main__")
            return
        _begin_path_with(os.path.dirname(os.path.realpath(kind)))
        loader = SourceFileLoader("__main__", path)
        namespace = _main_module()
        namespace.update(__file__=path, __cached__=None, __loader__=loader)
        exec(compile(loader.get_data(path), path, "exec", dont_inherit=True), namespace)


def _main_module() -> dict[str, Any]:
    """The namespace of a new __main__, which stays: what runs at the end of the program looks for it."""
    module = sys.modules["__main__"] = ModuleType("__main__")
    namespace = vars(module)
    if sys.version_info < (3, 14):
        namespace["__annotations__"] = {}
    namespace["__builtins__"] = builtins
    return namespace


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
