"""What a service is: plain data, checked when it is made."""

import dataclasses
import os
import re
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from fastos.supervise.check import Check, as_check, positive
from fastos.supervise.policy import Backoff, RestartLimit

NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,127}")
RESTARTS: Final = ("always", "on-failure", "never")
LogLine = Callable[[str, bytes], object]
"""What a log goes to when it is a callable: it gets the service's name and one line without its end."""


@dataclass(frozen=True, slots=True)
class Log:
    """Where a service's output goes.

    Parameters:
        to: `inherit`: the supervisor's own descriptor, untouched. `own`: the supervisor's output, each line with the
        name.
            `file`: `path`, rotated. `null`: nowhere. `syslog`: /dev/log. `journald`: systemd's journal.
            A callable gets (name, line) in the supervisor's thread.
        path: `{name}` stands for the name of the instance. Its directory must exist.
        max_bytes: rotate before the file grows beyond (0: never). max_age: rotate when it is older, in seconds (0:
        never).
        keep: how many rotated files stay (0: all). compress: gzip them.
        timestamps: digits after the second of the time put before each line: 3 or 6; 0: no time.
        mode: permission bits of the file.
    """

    to: Literal["inherit", "own", "file", "null", "syslog", "journald"] | LogLine = "inherit"
    path: str = ""
    max_bytes: int = 10 << 20
    max_age: float = 0.0
    keep: int = 10
    compress: bool = True
    timestamps: int = 3
    mode: int = 0o640

    def __post_init__(self) -> None:
        if not callable(self.to) and self.to not in ("inherit", "own", "file", "null", "syslog", "journald"):
            raise ValueError(
                f"log.to must be inherit, own, file, null, syslog, journald or a callable, not {self.to!r}"
            )
        if (self.to == "file") != bool(self.path):
            raise ValueError("log.path goes with log.to = 'file', and only with that")
        if self.timestamps not in (0, 3, 6):
            raise ValueError(f"log.timestamps must be 0, 3 or 6, not {self.timestamps!r}")
        positive("log.max_bytes", self.max_bytes, zero=True)
        positive("log.max_age", self.max_age, zero=True)
        positive("log.keep", self.keep, zero=True)


def as_log(value: object) -> Log:
    """A Log from its short form: one of its words, a path with a slash in it, or a callable."""
    if isinstance(value, Log):
        return value
    if isinstance(value, os.PathLike) or (isinstance(value, str) and "/" in value):
        return Log("file", path=os.fspath(value))
    return Log(value)  # type: ignore[arg-type]


def signal_number(value: object) -> int:
    """15, "TERM", "SIGTERM" or signal.SIGTERM -> 15. Raises ValueError."""
    if isinstance(value, str):
        found = getattr(signal, value if value.startswith("SIG") else f"SIG{value}", None)
        if isinstance(found, signal.Signals):
            return int(found)
    elif isinstance(value, int) and not isinstance(value, bool) and 0 < value < signal.NSIG:
        return int(value)
    raise ValueError(f"unknown signal {value!r}")


def _success_codes(values: Iterable[object]) -> frozenset[int]:
    """Exit codes as they are, signals as negative numbers."""
    codes = set()
    for value in values:
        if isinstance(value, str | signal.Signals):
            codes.add(-signal_number(value))
        elif isinstance(value, int) and not isinstance(value, bool) and -signal.NSIG < value < 256:
            codes.add(value)
        else:
            raise ValueError(f"success_codes holds exit codes (0-255) and names of signals, not {value!r}")
    return frozenset(codes)


_EMPTY: Final[Mapping[str, str]] = {}
_BACKOFF: Final = Backoff()
_NO_CHECK: Final = Check()
_INHERIT: Final = Log()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    """Everything but the name and the command; see Service."""

    restart: Literal["always", "on-failure", "never"] = "always"
    success_codes: frozenset[int] = frozenset({0})
    backoff: Backoff = _BACKOFF
    restart_limit: RestartLimit | None = None
    after: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    readiness: Check = _NO_CHECK
    health: Check = _NO_CHECK
    watchdog: float = 0.0
    start_timeout: float = 90.0
    stop_timeout: float = 10.0
    stop_signal: int = signal.SIGTERM
    stop_scope: Literal["process", "group", "tree"] = "group"
    reload_signal: int = getattr(signal, "SIGHUP", 1)
    instances: int = 1
    autostart: bool = True
    restart_group: str = ""
    sockets: tuple[str, ...] = ()
    log: Log = _INHERIT
    error_log: Log | None = None
    notify_access: Literal["main", "group"] = "group"
    stdin: Any = "null"
    controlling_tty: bool = False
    fds: Mapping[int, Any] | None = None
    # -- what spawn takes
    cwd: str | int | None = None
    env: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    clear_env: bool = False
    user: str | int | None = None
    group: str | int | None = None
    groups: tuple[str | int, ...] | None = None
    umask: int | None = None
    rlimits: Mapping[int | str, Any] | None = None
    nice: int | None = None
    affinity: tuple[int, ...] | None = None
    oom_score_adj: int | None = None
    new_session: bool = False
    no_new_privs: bool = False
    die_with_parent: bool | int = False
    process_group: int | None = None
    signal_mask: tuple[int, ...] = ()
    restore_signals: bool = True
    cgroup: str | None = None
    executable: str | None = None


@dataclass(frozen=True, slots=True, init=False)
class Service(_Options):
    """One service: what to run, and what to do when it ends. Plain data: it can be shared, compared and copied.

    Parameters:
        name: letters, digits and `_.@-`; with `instances` above 1 they are called NAME.1, NAME.2, …
        command: a sequence is executed as it is; a string goes to `/bin/sh -c "exec …"`-like: the shell is given it
        whole.
        restart: `always`, `on-failure` or `never`. success_codes: exit codes, and names of signals, that count as
        success.
        backoff: a Backoff, or the initial delay in seconds (0: none). restart_limit: a RestartLimit, (count,
        window), or None.
        after: names of services that must be ready (or over) before this starts, if they are wanted too.
        requires: as `after`; they are started with this one, and stopping one of them stops this one first.
        readiness, health: a Check or its short form. watchdog: seconds within which the service must send WATCHDOG=1
        (0: off).
        start_timeout: seconds to become ready (0: no limit). stop_timeout: seconds from the stop signal to SIGKILL.
        stop_signal, reload_signal: numbers or names.
        stop_scope: whom the stop reaches: the `process`, its process `group`, or the whole `tree` below it.
        instances: how many of it. autostart: start with the supervisor.
        restart_group: services of one name are restarted together; how is said by the Supervisor's `groups`.
        sockets: addresses to listen on (HOST:PORT, /path, @abstract) and to pass as LISTEN_FDS (sd_listen_fds(3)).
        log, error_log: a Log or its short form; without `error_log` both streams go to `log`.
        notify_access: who may notify: the `main` process or any of its process `group`.
        stdin: `null`, `inherit`, a path (opened at each start), a descriptor or a file. controlling_tty: that stdin
        becomes the controlling terminal of a new session. fds: {number in the child: descriptor or file here}; they
        must stay open.
        cgroup: as fastos.spawn has it; `{name}` stands for the name of the instance. process_group: 0, or with
        stop_scope `process` one to join.
        cwd, env (added to the supervisor's, or alone with clear_env), user, group, groups, umask, rlimits,
        nice, affinity, oom_score_adj, new_session, no_new_privs, die_with_parent, signal_mask (empty: nothing is
        blocked), restore_signals, executable: as fastos.spawn has them.

    Raises TypeError or ValueError, naming the service and the option.
    """

    name: str
    command: str | tuple[str, ...]

    def __init__(self, name: str, command: str | Sequence[str | os.PathLike[str]], **options: Any) -> None:
        unknown = options.keys() - OPTIONS.keys()
        if unknown:
            raise TypeError(f"service {name!r}: unknown option {', '.join(sorted(unknown))}")
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise ValueError(f"service {name!r}: a name has letters, digits and _.@-, and begins with none of .@-")
        put = object.__setattr__
        put(self, "name", name)
        put(self, "command", self._checked("command", command, _command))
        for option, default in OPTIONS.items():
            value = options.get(option, default)
            if value is not default:
                normal = _NORMALISE.get(option)
                value = value if normal is None else self._checked(option, value, normal)
            put(self, option, value)
        self._check_together()

    def _checked(self, option: str, value: Any, normal: Callable[[Any], Any]) -> Any:
        try:
            return normal(value)
        except (TypeError, ValueError) as error:
            raise type(error)(f"service {self.name!r}: {option}: {error}") from None

    def _check_together(self) -> None:
        problem = None
        if self.name in self.after or self.name in self.requires:
            problem = "it cannot come after itself"
        elif self.readiness.kind == "exit" and self.restart == "always":
            problem = "readiness 'exit' (ready when it has ended well) excludes restart 'always'"
        elif self.instances > 1 and any(
            log is not None and log.path and "{name}" not in log.path for log in (self.log, self.error_log)
        ):
            problem = "the log of several instances needs {name} in its path"
        elif self.instances > 1 and self.sockets:
            problem = "several instances cannot listen on the same sockets"
        elif self.process_group and self.stop_scope != "process":
            problem = "process_group: to join another group goes only with stop_scope 'process'"
        elif self.controlling_tty and self.stdin == "null":
            problem = "controlling_tty needs a terminal as stdin"
        elif self.instances > 1 and self.stop_scope == "tree" and self.cgroup and "{name}" not in self.cgroup:
            problem = "the cgroup of several instances that are stopped by tree needs {name} in its path"
        elif self.fds and (taken := self.fds.keys() & self._numbers()):
            problem = f"fds: {min(taken)} is taken by sockets or readiness"
        if problem:
            raise ValueError(f"service {self.name!r}: {problem}")

    def _numbers(self) -> set[int]:
        """The descriptors that the child gets from the supervisor itself."""
        own = {0, 1, 2, *range(3, 3 + len(self.sockets))}
        return own | {self.readiness.fd} if self.readiness.kind == "fd" else own

    def unit_names(self) -> tuple[str, ...]:
        """The names of its instances."""
        if self.instances == 1:
            return (self.name,)
        return tuple(f"{self.name}.{number}" for number in range(1, self.instances + 1))


def _command(value: Any) -> str | tuple[str, ...]:
    if isinstance(value, str):
        words: Any = value
    elif isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        words = tuple(os.fspath(word) for word in value)
        if not all(isinstance(word, str) for word in words):
            raise TypeError("expected strings")
    else:
        raise TypeError("expected a string (for the shell) or a sequence of strings")
    if not words or not words[0].strip() or any("\0" in word for word in words):
        raise ValueError("it is empty or has a NUL in it")
    return words  # type: ignore[no-any-return]


def _choice(*choices: str) -> Callable[[Any], str]:
    def normal(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"expected one of {', '.join(choices)}; not {value!r}")
        return str(value)

    return normal


def _names(value: Any) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else tuple(value)
    if not all(isinstance(name, str) for name in names):
        raise TypeError("expected names")
    return names


def _seconds(value: Any) -> float:
    positive("the time", value, zero=True)
    return float(value)


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"expected true or false, not {value!r}")
    return value


def _backoff(value: Any) -> Backoff:
    return value if isinstance(value, Backoff) else Backoff(initial=value)


def _limit(value: Any) -> RestartLimit | None:
    return value if value is None or isinstance(value, RestartLimit) else RestartLimit(*value)


def _stdin(value: Any) -> Any:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str) and value not in ("null", "inherit") and not value.startswith("/"):
        raise ValueError(f"expected null, inherit or an absolute path, not {value!r}")
    return value if isinstance(value, str) else _descriptor(value)


def _descriptor(value: Any) -> Any:
    if isinstance(value, bool) or not (hasattr(value, "fileno") or (isinstance(value, int) and value >= 0)):
        raise TypeError(f"expected a descriptor or a file, not {value!r}")
    return value


def _descriptors(value: Any) -> Mapping[int, Any] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        value = {fd: fd for fd in value}
    for number in value:
        if not str(number).isdecimal():
            raise ValueError(f"expected descriptors' numbers, not {number!r}")
    return {int(number): _descriptor(source) for number, source in value.items()}


def _whole(low: int, high: int) -> Callable[[Any], int | None]:
    def normal(value: Any) -> int | None:
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high):
            raise ValueError(f"expected a whole number from {low} to {high}, not {value!r}")
        return value

    return normal


def _optional_path(value: Any) -> Any:
    return value if value is None else os.fspath(value)


def _environment(value: Any) -> Mapping[str, str]:
    for name, text in value.items():
        if not isinstance(name, str) or not isinstance(text, str):
            raise TypeError("expected strings")
        if not name or "=" in name or "\0" in name + text:
            raise ValueError(f"{name!r} is no variable")
    return dict(value)


def _rlimits(value: Any) -> Mapping[int | str, Any] | None:
    if value is None:
        return None
    limits: dict[int | str, Any] = {}
    for name, limit in value.items():
        if isinstance(name, str) and not re.fullmatch(r"(RLIMIT_)?[A-Za-z]+", name):
            raise ValueError(f"{name!r} is no resource")
        known = _resource_names()
        if isinstance(name, str) and known and f"RLIMIT_{name.upper().removeprefix('RLIMIT_')}" not in known:
            raise ValueError(f"unknown resource {name!r}")
        pair = (limit, limit) if isinstance(limit, int) else tuple(limit)
        if len(pair) != 2 or not all(isinstance(part, int) for part in pair):
            raise ValueError(f"{name}: expected a number or (soft, hard), not {limit!r}")
        limits[name] = pair
    return limits


def _resource_names() -> frozenset[str]:
    try:
        import resource
    except ImportError:
        return frozenset()
    return frozenset(dir(resource))


def _instances(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"expected a whole number above 0, not {value!r}")
    return value


_NORMALISE: Final[dict[str, Callable[[Any], Any]]] = {
    "restart": _choice(*RESTARTS),
    "success_codes": _success_codes,
    "backoff": _backoff,
    "restart_limit": _limit,
    "after": _names,
    "requires": _names,
    "sockets": _names,
    "readiness": lambda value: as_check(value, interval=0.2),
    "health": lambda value: as_check(value, health=True, interval=10.0),
    "watchdog": _seconds,
    "start_timeout": _seconds,
    "stop_timeout": _seconds,
    "stop_signal": signal_number,
    "reload_signal": signal_number,
    "stop_scope": _choice("process", "group", "tree"),
    "notify_access": _choice("main", "group"),
    "instances": _instances,
    "autostart": _truth,
    "clear_env": _truth,
    "new_session": _truth,
    "no_new_privs": _truth,
    "die_with_parent": lambda value: value if isinstance(value, bool) else signal_number(value),
    "controlling_tty": _truth,
    "restore_signals": _truth,
    "stdin": _stdin,
    "fds": _descriptors,
    "signal_mask": lambda value: tuple(map(signal_number, (value,) if isinstance(value, str) else value)),
    "process_group": _whole(0, 2**31 - 1),
    "nice": _whole(-20, 19),
    "oom_score_adj": _whole(-1000, 1000),
    "umask": _whole(0, 0o7777),
    "restart_group": str,
    "log": as_log,
    "error_log": lambda value: None if value is None else as_log(value),
    "cwd": lambda value: value if isinstance(value, int) else _optional_path(value),
    "cgroup": _optional_path,
    "executable": _optional_path,
    "env": _environment,
    "rlimits": _rlimits,
    "groups": lambda value: None if value is None else tuple(value),
    "affinity": lambda value: None if value is None else tuple(value),
}

OPTIONS: Final[dict[str, Any]] = {
    spec.name: _EMPTY if spec.name == "env" else spec.default for spec in dataclasses.fields(_Options)
}
"""Every option of a service and its default, in one object each: ten thousand services share them."""

SPAWN_OPTIONS: Final = (
    *("cwd", "user", "group", "groups", "umask", "nice", "affinity", "oom_score_adj", "new_session", "process_group"),
    *("no_new_privs", "die_with_parent", "signal_mask", "restore_signals", "cgroup"),
)
"""Those that go to spawn as they are."""
