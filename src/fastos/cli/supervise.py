"""`fastos supervise FILE`: keeps the services of a file running; `fastos supervise -- COMMAND`: the init of a
container."""

import argparse
import contextlib
import errno
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

CONFIGURATION_ERROR = 2
EPILOG = """\
signals: TERM and INT stop everything in order, a second time at once; HUP reads the file again; USR1 opens the log
files anew; USR2 executes the supervisor anew, keeping its children.
exit codes: 0 ended as asked; 1 a restart limit said to shut down, or it could not start; 2 the configuration or the
arguments are wrong; with COMMAND: its own code, or 128 + the number of the signal that killed it.
The file is described in docs/supervise.md.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog, parser.formatter_class = EPILOG, argparse.RawDescriptionHelpFormatter
    parser.add_argument("file", nargs="?", help="TOML file or Procfile (default: services.toml, else Procfile)")
    parser.add_argument("--check", action="store_true", help="check the file and start nothing")
    parser.add_argument("--control", metavar="PATH", help="control socket (default: the file's, or $FASTOS_CONTROL)")
    parser.add_argument("--metrics", metavar="ADDRESS", help="Prometheus metrics on a path or 127.0.0.1:PORT")
    parser.add_argument("--state-file", metavar="PATH", help="remember children here, and adopt those found there")
    parser.add_argument("--colour", choices=("auto", "always", "never"), default="auto", help="names in the output")
    parser.add_argument("--quiet", "-q", action="store_true", help="do not report changes of state on stderr")
    parser.add_argument("--until-idle", action="store_true", help="end when every service has ended for good")
    parser.add_argument("--subreaper", "-s", action="store_true", help="reap orphans though not PID 1")
    parser.add_argument("--group", "-g", action="store_true", help="with COMMAND: forward signals to its process group")
    parser.add_argument(
        "--expect",
        "-e",
        metavar="CODE",
        type=int,
        action="append",
        default=[],
        help="with COMMAND: this code counts as 0",
    )
    parser.usage = (
        "fastos supervise [options] [file]\n       fastos supervise [-s] [-g] [-e CODE] -- COMMAND [argument ...]"
    )
    parse = parser.parse_known_args

    def parse_up_to_command(arguments: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """What comes after -- is the command's, options included."""
        given = list(arguments or ())
        end = given.index("--") if "--" in given else len(given)
        parsed, rest = parse(given[:end], namespace)
        parsed.words = given[end + 1 :] if end < len(given) else None
        return parsed, rest

    parser.parse_known_args = parse_up_to_command  # type: ignore[assignment,method-assign]


def main(options: argparse.Namespace) -> int:
    if options.words is None:
        return run_services(options)
    if not options.words or options.file is not None:
        print("fastos supervise: expected either a file, or -- and a command", file=sys.stderr)
        return CONFIGURATION_ERROR
    return run_command(options.words, options)


def run_command(words: list[str], options: argparse.Namespace) -> int:
    from fastos.supervise.init import run_command as run

    return run(words, subreaper=options.subreaper, forward_to_group=options.group, expected=frozenset(options.expect))


def find_file(named: str | None) -> str:
    """The file to read. Raises FileNotFoundError."""
    for name in [named] if named else ["services.toml", "Procfile"]:
        if os.path.exists(name):
            return name
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), named or "services.toml or Procfile")


def plainly(error: Exception) -> str:
    """What went wrong, in the words that every command has for it."""
    return f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)


def run_services(options: argparse.Namespace) -> int:
    from fastos.supervise import Supervisor, config, upgrade

    try:
        path = os.path.abspath(find_file(options.file))
        configuration = config.load(path)
    except (config.ConfigError, OSError) as error:
        print(f"fastos supervise: {plainly(error)}", file=sys.stderr)
        return CONFIGURATION_ERROR
    if options.check:
        print(f"{path}: {len(configuration.services)} services")
        return 0
    arguments = dict(configuration.options)
    arguments["control"] = options.control or arguments.get("control") or os.environ.get("FASTOS_CONTROL")
    for name, value in (("metrics", options.metrics), ("state_file", options.state_file)):
        if value:
            arguments[name] = value
    colour = None if options.colour == "auto" else options.colour == "always"
    supervisor = Supervisor(
        configuration.services, on_event=None if options.quiet else report, colour=colour, **arguments
    )
    supervisor.inherited = upgrade.inherited()

    def reload() -> Any:
        fresh = config.load(path)
        return supervisor.reload(fresh.services, fresh.options.get("groups", {}))

    supervisor.reloader = reload
    command = [sys.executable, *sys.orig_argv[1:]]

    def upgrade_now() -> None:
        if supervisor.is_ending():
            raise ValueError("the supervisor is shutting down")
        upgrade.rehearse([*command, "--check"])
        supervisor.later(lambda: upgrade.execute(supervisor, command))

    supervisor.upgrader = upgrade_now
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(supervisor)
        except (OSError, ValueError) as error:
            print(f"fastos supervise: {plainly(error)}", file=sys.stderr)
            return 1 if isinstance(error, OSError) else CONFIGURATION_ERROR
        handle_signals(supervisor, reload, options)
        return supervisor.run(until_idle=options.until_idle)


def handle_signals(supervisor: Any, reload: Callable[[], Any], options: argparse.Namespace) -> None:
    """TERM, INT: end in order (a second time: at once). HUP: reload. USR1: reopen the logs. USR2: upgrade."""
    from fastos.supervise.upgrade import SIGNALS

    def end(number: int, frame: FrameType | None) -> None:
        supervisor.shutdown(now=supervisor.is_ending())

    def told(what: str, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except (ValueError, OSError) as error:
            print(f"fastos supervise: {what}: {plainly(error)}", file=sys.stderr)

    def reload_now() -> None:
        if change := told("reload", reload):
            print(f"fastos supervise: reload: {summary(change)}", file=sys.stderr)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    signal.signal(signal.SIGHUP, lambda number, frame: supervisor.later(reload_now))
    signal.signal(signal.SIGUSR1, lambda number, frame: supervisor.later(supervisor.reopen_logs))
    signal.signal(signal.SIGUSR2, lambda number, frame: supervisor.later(lambda: told("upgrade", supervisor.upgrader)))
    if os.getpid() == 1 or options.subreaper:
        from fastos.supervise.init import OrphanReaper, become_subreaper

        if os.getpid() != 1:
            become_subreaper()
        reaper = OrphanReaper(supervisor)
        signal.signal(signal.SIGCHLD, lambda number, frame: supervisor.later(reaper.reap))
        supervisor.later(reaper.reap)  # those that ended before
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # blocked by the image before this one


def summary(change: Any) -> str:
    """One line of what a reload did."""
    parts = [f"{name} {', '.join(getattr(change, name))}" for name in ("added", "removed", "restarted", "updated")]
    told = [part for part in parts if not part.endswith(" ")]
    return "; ".join(told) or "nothing has changed"


def report(event: Any) -> None:
    """A change of state, for people."""
    if event.kind == "adopted":
        text = f"adopted pid {event.pid}; its exit status will be unknown"
    elif event.state == "running":
        text = f"running, pid {event.pid}"
    elif event.state in ("backoff", "exited", "failed"):
        text = f"{event.state}: {event.exit}{f'; {event.message}' if event.message else ''}"
    elif event.state in ("stopping", "aborting", "stopped"):
        text = f"{event.state}{f': {event.message}' if event.message else ''}"
    else:
        return
    print(f"fastos: {event.name}: {text}", file=sys.stderr, flush=True)
