"""The command line: one file a sub-command, each with `configure(parser)` and `main(arguments) -> exit code`."""

import argparse
import contextlib
import errno
import importlib
import sys
from collections.abc import Sequence
from typing import Any

import fastos
from fastos.cli import _streams

# sub-command -> what it does; each lives in fastos/cli/<name>.py.
COMMANDS: dict[str, str] = {
    "scan": "list what is in directory trees, as find does, in parallel",
    "run": "run many commands, some at a time: run -j4 COMMAND {} ::: ARGUMENT ...",
    "supervise": "keep services running, or be the init of a container: supervise -- COMMAND",
    "ctl": "talk to a running supervisor",
    "du": "show what takes the space in a tree",
    "install": "run a Python program with fastos in place of the standard functions",
}
FAILED, USAGE, INTERRUPTED, PIPE_CLOSED = 1, 2, 130, 141
_OF_OUTPUT = (errno.ENOSPC, errno.EBADF, errno.EIO, errno.EFBIG)


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """The parser; with `only`, the other sub-commands are named but not loaded (quick start)."""
    parser = argparse.ArgumentParser(prog="fastos", description="Python's os at the speed of the kernel.")
    parser.add_argument("--version", action="version", version=f"fastos {fastos.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        command.set_defaults(parser=command)
        if only in (None, name):
            importlib.import_module(f"fastos.cli.{name}").configure(command)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one sub-command and returns its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    named = arguments[0] if arguments and arguments[0] in COMMANDS else ""
    if named == "install":  # its streams, errors and exit code are the program's
        return _run(_parse(arguments, named))
    _streams.complete()
    _streams.escape_what_cannot_be_written()
    try:
        code = _run(_parse(arguments, named))
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        _streams.discard_output()
        return PIPE_CLOSED
    except OSError as error:
        _streams.discard_output()
        where = error.filename or ("standard output" if error.errno in _OF_OUTPUT else None)
        return _fail(named, FAILED, f"{where}: {error.strerror}" if where else error)
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        extra = {"rich": "cli", "msgspec": "supervise", "prometheus_client": "metrics"}.get(missing)
        return _fail(named, USAGE, f"this needs {missing}: pip install 'fastos[{extra}]'" if extra else error)
    except NotImplementedError as error:
        return _fail(named, USAGE, error)
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        _streams.let_go_of_errors()


def _parse(arguments: list[str], named: str) -> argparse.Namespace:
    options, unknown = build_parser(only=named).parse_known_args(arguments)
    if unknown:
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    return options


def _run(options: argparse.Namespace) -> int:
    code: int = importlib.import_module(f"fastos.cli.{options.command}").main(options)
    return code


def _fail(named: str, code: int, message: Any) -> int:
    with contextlib.suppress(OSError):
        print(f"fastos {named}: {message}", file=sys.stderr)
    return code
