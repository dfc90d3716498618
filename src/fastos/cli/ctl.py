"""`fastos ctl`: talks to a running supervisor over its control socket (docs/supervise.md has the protocol)."""

import argparse
import contextlib
import errno
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from typing import Any

from fastos.cli._numbers import natural, seconds, take_as_values
from fastos.cli._streams import console

VERSION = 1
NO_SUPERVISOR = 3
DEFAULT_SOCKET = "fastos.control"
_LONGEST_TIMEOUT = 2_000_000.0  # seconds
_COLOURS = {
    "running": "green",
    "starting": "yellow",
    "reloading": "yellow",
    "waiting": "yellow",
    "backoff": "red",
    "failed": "bold red",
    "exited": "blue",
    "stopped": "dim",
}


class Failed(Exception):
    """The supervisor's answer was an error; its text says which."""


class Gone(ConnectionError):
    """The supervisor has closed the connection, or ended."""


class Client:
    """One connection to a supervisor. Raises OSError if there is none."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            number = error.errno or errno.ENAMETOOLONG  # Python itself refuses a long path, without an errno
            raise OSError(number, os.strerror(number), path) from None
        self._lines = self._socket.makefile("rb")
        self._number = 0

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exception: object) -> None:
        self._lines.close()
        self._socket.close()

    def stream(self, command: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        """Sends a request and gives its answers, as many as come. Raises Failed, Gone, TimeoutError."""
        self._number += 1
        request = {"v": VERSION, "id": self._number, "cmd": command, **arguments}
        with self._said_plainly():
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        while line := self._line():
            answer = json.loads(line)
            if answer.get("id") != self._number:
                continue
            if not answer.get("ok"):
                raise Failed(answer.get("error", "unknown error"))
            yield answer
        if command not in ("shutdown", "upgrade"):
            raise Gone("the supervisor closed the connection")

    def _line(self) -> bytes:
        with self._said_plainly():
            return self._lines.readline()

    @contextlib.contextmanager
    def _said_plainly(self) -> Iterator[None]:
        try:
            yield
        except ConnectionError as error:
            raise Gone(error.errno, error.strerror) from None

    def give_up_after(self, seconds: float) -> None:
        """Answers that are not there by then raise TimeoutError."""
        # 0 would mean: do not wait for the socket itself; of more than INT_MAX milliseconds a socket knows nothing.
        self._socket.settimeout(max(seconds, 1e-6) if seconds < _LONGEST_TIMEOUT else None)

    def ask(self, command: str, **arguments: Any) -> Any:
        """The result of a request that has one answer."""
        for answer in self.stream(command, **arguments):
            return answer.get("result")
        return None


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Exit codes: 0 done; 1 the supervisor refused, or a service has failed; 2 wrong usage; 3 no supervisor there; "
        "4 wait-ready ran out of time."
    )
    parser.add_argument(
        "--socket",
        "-S",
        metavar="PATH",
        default=os.environ.get("FASTOS_CONTROL", DEFAULT_SOCKET),
        help="control socket (default: $FASTOS_CONTROL, else %(default)s)",
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print the answer as JSON")
    commands = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def add(name: str, summary: str, names: str = "*") -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=summary, description=summary, parents=[common])
        take_as_values(command)
        if names:
            command.add_argument("names", nargs=names, metavar="SERVICE", help="service, or one instance of it")
        return command

    status = add("status", "show the services; exit code 1 if one has failed")
    status.add_argument("--watch", "-w", action="store_true", help="a table that stays up to date")
    status.add_argument("--interval", type=seconds, default=1.0, help=argparse.SUPPRESS)
    add("start", "start services and what they require", "+")
    add("stop", "stop services, after those that require them", "+")
    add("restart", "stop and start services", "+")
    add("reload", "read the configuration again; with names: send these their reload signal")
    signals = commands.add_parser("signal", help="send a signal to the main process", parents=[common])
    signals.add_argument("signal", help="name or number")
    signals.add_argument("names", nargs="+", metavar="SERVICE")
    logs = add("logs", "show the last lines of log files")
    logs.add_argument("--follow", "-f", action="store_true", help="and go on with what comes")
    logs.add_argument(
        "--lines", "-n", type=natural, metavar="N", default=10, help="how many of each file (default: %(default)s)"
    )
    wait = add("wait-ready", "wait until the services are ready; exit code 1 if one fails")
    wait.add_argument("--timeout", type=seconds, help="seconds; exit code 4 when they are over")
    add("reopen-logs", "open the log files anew", "")
    stop = add("shutdown", "stop everything and end the supervisor", "")
    stop.add_argument("--now", action="store_true", help="by SIGKILL")
    add("upgrade", "execute the supervisor anew, keeping its children", "")


def main(options: argparse.Namespace) -> int:
    try:
        client = Client(options.socket)
    except OSError as error:
        return no_supervisor(options, error)
    try:
        with client:
            return int(_ACTIONS.get(options.action, simple)(client, options))
    except Failed as error:
        print(f"fastos ctl: {error}", file=sys.stderr)
        return 1
    except TimeoutError:
        print("fastos ctl: not ready in time", file=sys.stderr)
        return 4
    except Gone as error:
        return no_supervisor(options, error)


def no_supervisor(options: argparse.Namespace, error: OSError) -> int:
    said = error.strerror or error
    print(f"fastos ctl: no supervisor answers at {options.socket!r} ({said}); see --socket", file=sys.stderr)
    return NO_SUPERVISOR


def simple(client: Client, options: argparse.Namespace) -> int:
    """The actions with one answer and nothing to show but that."""
    arguments = {"names": options.names} if getattr(options, "names", None) else {}
    if options.action == "signal":
        number = options.signal
        arguments["signal"] = int(number) if number.isdecimal() else number.upper()
    if options.action == "shutdown":
        arguments["now"] = options.now
    result = client.ask(options.action, **arguments)
    if options.json:
        print(json.dumps(result))
    elif options.action == "reload" and result and "added" in result:
        for kind in ("added", "removed", "restarted", "updated"):
            if result[kind]:
                print(f"{kind}: {', '.join(result[kind])}")
    return 0


def wait_ready(client: Client, options: argparse.Namespace) -> int:
    if options.timeout is not None:
        client.give_up_after(options.timeout)
    return simple(client, options)


def status(client: Client, options: argparse.Namespace) -> int:
    if options.watch:
        return watch(client, options)
    services = client.ask("status", names=options.names)
    show(services, options)
    return 1 if any(service["state"] == "failed" for service in services) else 0


def show(services: list[dict[str, Any]], options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps(services), flush=True)
    else:
        console().print(table(services))


def watch(client: Client, options: argparse.Namespace) -> int:
    """The table, until the supervisor ends or the user has seen enough; where no terminal is, one table after the
    other, and with --json a line each time."""
    if options.json or not sys.stdout.isatty():
        while True:
            show(client.ask("status", names=options.names), options)
            time.sleep(options.interval)
    from rich.live import Live

    with Live(table(client.ask("status", names=options.names)), auto_refresh=False) as live:
        while True:
            time.sleep(options.interval)
            live.update(table(client.ask("status", names=options.names)), refresh=True)


def table(services: list[dict[str, Any]]) -> Any:
    """The services as rich shows them."""
    from rich.markup import escape
    from rich.table import Table

    shown = Table(box=None, pad_edge=False)
    for heading in ("SERVICE", "STATE", "PID", "UPTIME", "RESTARTS", "LAST EXIT", "MESSAGE"):
        shown.add_column(heading, justify="right" if heading in ("PID", "UPTIME", "RESTARTS") else "left")
    for service in services:
        state = service["state"]
        colour = _COLOURS.get(state, "default")
        shown.add_row(
            escape(service["name"]),
            f"[{colour}]{state}[/]{' (adopted)' if service['adopted'] else ''}",
            str(service["pid"] or "-"),
            duration(service["uptime"]) if service["pid"] else "-",
            str(service["restarts"]),
            last_exit(service),
            escape(message(service)),
        )
    return shown


def last_exit(service: dict[str, Any]) -> str:
    if service["exit_signal"] is not None:
        return f"signal {service['exit_signal']}"
    return "-" if service["exit_code"] is None else f"code {service['exit_code']}"


def message(service: dict[str, Any]) -> str:
    if service["waiting_for"]:
        return f"waits for {', '.join(service['waiting_for'])}"
    return str(service["message"])


def duration(seconds: float) -> str:
    """3 s, 4 m 05 s, 2 h 03 m, 5 d 04 h."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} m"
    return f"{whole // 86400} d {whole % 86400 // 3600:02} h"


def logs(client: Client, options: argparse.Namespace) -> int:
    arguments = {"names": options.names, "lines": options.lines, "follow": options.follow}
    for answer in client.stream("logs", **arguments):
        if "result" in answer:
            break
        if options.json:
            print(json.dumps({key: answer[key] for key in ("name", "text", "skipped") if key in answer}), flush=True)
        elif "skipped" in answer:
            print(f"fastos ctl: {answer['skipped']} bytes skipped", file=sys.stderr)
        else:
            sys.stdout.write(answer["text"])
            sys.stdout.flush()
    return 0


_ACTIONS = {"status": status, "logs": logs, "wait-ready": wait_ready}
