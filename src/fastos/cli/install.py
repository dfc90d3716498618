"""`fastos install -- script.py ...`: runs a Python program with fastos in place of the standard functions."""

import argparse
import json
import runpy
import sys
from collections import Counter

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
    calls: Counter[str] = Counter()
    swapped = install(count=calls if options.count else None)
    try:
        _run(program)
    finally:
        uninstall()
        if options.count:
            with open(options.count, "w", encoding="utf-8") as file:
                json.dump({name: calls[name] for name in swapped}, file)
    return 0


def _run(program: list[str]) -> None:
    """Runs the program as the interpreter would: as __main__, with its own sys.argv."""
    kind, *rest = program
    if kind == "-m":
        sys.argv = rest
        sys.path.insert(0, "")
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.argv = ["-c", *rest[1:]]
        sys.path.insert(0, "")
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__", "__builtins__": __builtins__})
    else:
        import os

        sys.argv = program
        sys.path.insert(0, os.path.dirname(os.path.abspath(kind)))
        runpy.run_path(kind, run_name="__main__")
