"""What a service is: plain data, checked when it is made."""

import dataclasses
import os
import re
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from fastos.supervise.check import Check
from fastos.supervise.destination import Log
from fastos.supervise.policy import Backoff, RestartLimit
from fastos.supervise.values import NORMALISE, as_command

NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,127}")


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
        put(self, "command", self._checked("command", command, as_command))
        for option, default in OPTIONS.items():
            value = options.get(option, default)
            if value is not default:
                normal = NORMALISE.get(option)
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


OPTIONS: Final[dict[str, Any]] = {
    spec.name: _EMPTY if spec.name == "env" else spec.default for spec in dataclasses.fields(_Options)
}
"""Every option of a service and its default, in one object each: ten thousand services share them."""

SPAWN_OPTIONS: Final = (
    *("cwd", "user", "group", "groups", "umask", "nice", "affinity", "oom_score_adj", "new_session", "process_group"),
    *("no_new_privs", "die_with_parent", "signal_mask", "restore_signals", "cgroup"),
)
"""Those that go to spawn as they are."""
