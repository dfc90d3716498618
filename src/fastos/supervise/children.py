"""Making, signalling and reaping the processes of services."""

import contextlib
import errno
import os
import secrets
import select
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastos._backend import topic
from fastos._spawn_options import EncodedEnvironment, limits
from fastos.supervise import tree
from fastos.supervise.log import Logs
from fastos.supervise.loop import Loop, Watcher
from fastos.supervise.service import OPTIONS, SPAWN_OPTIONS, Service
from fastos.supervise.unit import Exit, Unit

if TYPE_CHECKING:
    from fastos._backend import native_supervise as backend
else:
    backend = topic("supervise")

PIDFD_SIGNAL_PROCESS_GROUP = 4  # pidfd_send_signal(2), Linux 6.9

# $$ is the pid that the program will have: the shell becomes it.
_WITH_LISTEN_PID = ("/bin/sh", "-c", 'LISTEN_PID=$$; export LISTEN_PID; exec "$@"', "sh")


def _is_plain(service: Service) -> bool:
    """Whether its environment is the supervisor's own."""
    return (
        service.readiness.kind == "none"
        and not service.watchdog
        and service.health.kind == "none"
        and not service.sockets
        and service.instances == 1
        and service.stop_scope != "tree"
    )


def argument_words(command: str | tuple[str, ...]) -> tuple[str, ...]:
    """A string is for the shell."""
    return ("/bin/sh", "-c", command) if isinstance(command, str) else command


class Processes:
    """Children of one supervisor. `sockets(service)` gives the descriptors that it listens on, `notify()` the
    socket's name."""

    def __init__(
        self,
        loop: Loop,
        logs: Logs,
        sockets: Callable[[Service], list[int]],
        notify: Callable[[], str],
        spawned: Callable[[Unit], None],
    ) -> None:
        self._loop = loop
        self._logs = logs
        self._sockets = sockets
        self._notify = notify
        self._spawned = spawned
        self._requests: dict[int, tuple[Service, Any]] = {}  # by id of the service, which is kept alive
        self._environments: dict[object, Any] = {}
        self.result = backend.new_result()
        self.wait = backend.new_wait()
        self.limits: list[tuple[int, int, int]] = []
        self.mark = f"{os.getpid()}-{secrets.token_hex(4)}"
        self.notify_ends: dict[str, int] = {}
        self.corpses: set[object] = set()  # killed check commands that have not ended yet
        self.checks: dict[int, Watcher] = {}  # commands of checks by pid, and who takes their status

    # -- requests

    def _variables(self, unit: Unit) -> tuple[tuple[str, str], ...]:
        """What the supervisor itself adds to the environment of this unit."""
        service, added = unit.service, []
        if _is_plain(service):
            return ()
        if service.watchdog or "notify" in (service.readiness.kind, service.health.kind):
            added.append(("NOTIFY_SOCKET", self._notify()))
        if service.watchdog:
            added.append(("WATCHDOG_USEC", str(int(service.watchdog * 1e6))))
        if service.sockets:
            added += [("LISTEN_FDS", str(len(service.sockets)))]
        if service.instances > 1:
            added.append(("FASTOS_INSTANCE", str(unit.number)))
        if service.stop_scope == "tree":
            added.append((tree.MARK, self.unit_mark(unit)))
        return tuple(added)

    def unit_mark(self, unit: Unit) -> str:
        return f"{self.mark}/{unit.name}"

    def environment(self, service: Service, added: tuple[tuple[str, str], ...]) -> Any:
        """The environment, encoded once for all that have the same."""
        key = (service.clear_env, id(service.env) if service.env else 0, added)
        found = self._environments.get(key)
        if found is None or found[0] is not service.env:
            base: Mapping[str, str] = {} if service.clear_env else os.environ
            found = (service.env, EncodedEnvironment({**base, **service.env, **dict(added)}))
            if len(self._environments) < 64:
                self._environments[key] = found
        return found[1]

    def _request(self, unit: Unit) -> Any:
        service = unit.service
        shared = service.instances == 1 and service.stop_scope != "tree"  # else each unit's differs
        if shared and (found := self._requests.get(id(service))) is not None:
            return found[1]
        words = argument_words(service.command)
        if service.sockets:
            words = (*_WITH_LISTEN_PID, *words)
        environment = self.environment(service, self._variables(unit))
        request = backend.prepare(words, environment, service.executable, self._options(unit))
        if shared:
            self._requests[id(service)] = (service, request)
        return request

    def _options(self, unit: Unit) -> dict[str, Any]:
        """What is to be said to spawn: every option of the service that differs from the default."""
        service = unit.service
        given = {name: value for name in SPAWN_OPTIONS if (value := getattr(service, name)) is not OPTIONS[name]}
        if service.cgroup is not None:
            given["cgroup"] = service.cgroup.replace("{name}", unit.name)
        if service.new_session or service.controlling_tty:
            given["new_session"] = True
        elif service.stop_scope != "process":
            given.setdefault("process_group", 0)
        if self.limits or service.rlimits:
            # What the service does not limit is as it was before the supervisor raised its own limit.
            own = [] if service.rlimits is None else limits(dict(service.rlimits))
            given["rlimits"] = {number: (soft, hard) for number, soft, hard in (*self.limits, *own)}
        return given

    def check_request(self, service: Service, words: Sequence[str]) -> Any:
        """For the command of a check: where and as whom the service runs, in a process group of its own."""
        given = {name: getattr(service, name) for name in ("cwd", "user", "group", "groups")}
        given["process_group"] = 0
        if self.limits:
            given["rlimits"] = {number: (soft, hard) for number, soft, hard in self.limits}
        return backend.prepare(words, self.environment(service, ()), None, given)

    def forget(self, service: Service) -> None:
        self._requests.pop(id(service), None)

    # -- what the conductor asks for

    def spawn(self, unit: Unit) -> None:
        """Starts the unit's child and watches it. Raises OSError; nothing is left behind then."""
        service = unit.service
        special = service.sockets or service.fds or service.readiness.kind == "fd" or service.stdin != "null"
        if not (unit.streams or special):
            # The common case: nothing to open, and nothing to close afterwards.
            log, errors = service.log.to, service.error_log
            stdout = backend.NULL if log == "null" else backend.INHERIT
            stderr = stdout if errors is None else (backend.NULL if errors.to == "null" else backend.INHERIT)
            self._start(unit, (backend.NULL, stdout, stderr), -1, ())
            return
        with contextlib.ExitStack() as stack:
            try:
                streams = (_input(service, stack), *self._outputs(unit, stack))
                terminal = max(streams[0], 0) if service.controlling_tty else -1
                descriptors = self._descriptors(unit, stack)
                self._start(unit, streams, terminal, descriptors)
            except Exception as error:
                if unit.name in self.notify_ends:
                    os.close(self.notify_ends.pop(unit.name))
                raise _as_os_error(error) from None

    def _descriptors(self, unit: Unit, stack: contextlib.ExitStack) -> list[tuple[int, int]]:
        """What the child gets beyond its three streams, (here, there) each."""
        service = unit.service
        found = [(fd, 3 + index) for index, fd in enumerate(self._sockets(service))] if service.sockets else []
        if service.readiness.kind == "fd":
            reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            os.set_blocking(writer, True)
            stack.callback(os.close, writer)
            self.notify_ends[unit.name] = reader
            found.append((writer, service.readiness.fd))
        if service.fds:
            found += [
                (source if isinstance(source, int) else source.fileno(), to) for to, source in service.fds.items()
            ]
        return found

    def _start(
        self, unit: Unit, streams: tuple[int, int, int], terminal: int, descriptors: Sequence[tuple[int, int]]
    ) -> None:
        try:
            request = self._request(unit)
            pid, pidfd, process = backend.spawn(request, streams, terminal, descriptors, self.result)
        except Exception as error:
            raise _as_os_error(error) from None
        try:
            self._loop.watch(pidfd, unit)
        except OSError:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOWAIT)  # nobody else would ever be told of its end
            backend.reap(pid, pidfd, process, self.wait)
            os.close(pidfd)
            raise
        unit.pid, unit.pidfd, unit.process = pid, pidfd, process
        unit.adopted = False
        unit.main_pid = 0
        self._spawned(unit)

    def _outputs(self, unit: Unit, stack: contextlib.ExitStack) -> tuple[int, int]:
        service = unit.service
        ends = []
        for stream in unit.streams:
            end = stream.child_end()
            stack.callback(os.close, end)
            ends.append(end)
        first = ends.pop(0) if unit.streams and not unit.streams[0].stderr else None
        stdout = first if first is not None else (backend.NULL if service.log.to == "null" else backend.INHERIT)
        if service.error_log is None:
            return stdout, backend.INHERIT if stdout == backend.INHERIT else backend.SAME_AS_STDOUT
        if ends:
            return stdout, ends[0]
        return stdout, backend.NULL if service.error_log.to == "null" else backend.INHERIT

    def terminate(self, unit: Unit) -> None:
        if unit.service.stop_scope == "tree":
            self._remember_tree(unit)
        self.signal(unit, unit.service.stop_signal)
        if unit.service.stop_signal != signal.SIGKILL:
            self.signal(unit, signal.SIGCONT)  # a stopped process would not see the signal

    def kill(self, unit: Unit) -> None:
        if unit.service.stop_scope == "tree":
            self._kill_tree(unit)
        self.signal(unit, signal.SIGKILL)

    def signal(self, unit: Unit, number: int) -> None:
        """To the process, or to its group where the service has one of its own."""
        if not unit.pid:
            return  # 0 would be our own group
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if unit.main_pid and unit.main_pid != unit.pid:
                tree.send(unit.main_pid, number)
            if self._has_group(unit):
                with contextlib.suppress(ProcessLookupError):
                    self._signal_group(unit, number)
                    return
                # It leads no group: it was started before the configuration said so.
            if unit.pidfd >= 0:
                signal.pidfd_send_signal(unit.pidfd, number)

    def signal_main(self, unit: Unit, number: int) -> None:
        """To the main process alone: a reload, or what an operator sends."""
        if unit.main_pid and unit.main_pid != unit.pid:
            tree.send(unit.main_pid, number)
        elif unit.pidfd >= 0:
            signal.pidfd_send_signal(unit.pidfd, number)

    @staticmethod
    def _has_group(unit: Unit) -> bool:
        service = unit.service
        return service.stop_scope != "process" or service.new_session or service.controlling_tty

    @staticmethod
    def _signal_group(unit: Unit, number: int) -> None:
        """To the process group that the child leads. Raises OSError."""
        if not unit.adopted:
            os.killpg(unit.pid, number)
            return
        # Nobody keeps an adopted child's pid from being reused: its group is named by the pidfd, else by nothing.
        try:
            signal.pidfd_send_signal(unit.pidfd, number, None, PIDFD_SIGNAL_PROCESS_GROUP)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            if not has_ended(unit.pidfd) and os.getpgid(unit.pid) == unit.pid:  # before Linux 6.9
                os.killpg(unit.pid, number)

    # -- the end

    def reap(self, unit: Unit) -> Exit | None:
        """Takes the status of a child that has ended, and ends what it leaves of its group or tree; None: it lives."""
        if unit.pid == 0:
            return None
        if unit.adopted:
            end = Exit(lost=True) if has_ended(unit.pidfd) else None
            if end is not None and unit.service.stop_scope != "process":
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    self._signal_group(unit, signal.SIGKILL)
        else:
            if not has_ended(unit.pidfd):
                return None
            # The pid is still held by the zombie, and so is the number of its group: no stranger can be hit.
            if unit.service.stop_scope != "process":
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(unit.pid, signal.SIGKILL)
            end = backend.reap(unit.pid, unit.pidfd, unit.process, self.wait)
        if end is not None:
            if unit.service.stop_scope == "tree":
                self._kill_tree(unit)
                unit.survivors = None
            self._release(unit, end)
        return end

    def _release(self, unit: Unit, end: Exit) -> None:
        self._loop.unwatch(unit.pidfd)
        os.close(unit.pidfd)
        if unit.name in self.notify_ends:
            if unit.readiness is not None:
                unit.readiness.close()
                unit.readiness = None
            os.close(self.notify_ends.pop(unit.name))
        unit.pid, unit.pidfd, unit.process, unit.main_pid = 0, -1, None, 0
        unit.adopted = False
        before = unit.usage or (0, 0, 0)
        if not end.lost:
            unit.usage = (before[0] + end.user_us, before[1] + end.system_us, max(before[2], end.max_rss))
        for stream in unit.streams:
            stream.drain()

    def _remember_tree(self, unit: Unit) -> None:
        unit.survivors = {pid: tree.start_ticks(pid) for pid in tree.members([unit.pid], self.unit_mark(unit))}

    def _kill_tree(self, unit: Unit) -> None:
        if unit.service.cgroup is not None:
            directory = unit.service.cgroup.replace("{name}", unit.name)
            with contextlib.suppress(OSError), open(os.path.join(directory, "cgroup.kill"), "w") as file:
                file.write("1")
        known = dict(unit.survivors or {})
        known.pop(os.getpid(), None)
        unit.survivors = tree.kill_all(known, [unit.pid] if unit.pid else [], self.unit_mark(unit))


def _as_os_error(error: Exception) -> OSError:
    """An option that makes no sense here ends its service, never the others."""
    return error if isinstance(error, OSError) else OSError(errno.EINVAL, f"{type(error).__name__}: {error}")


def has_ended(pidfd: int) -> bool:
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    return bool(poller.poll(0))


def _input(service: Service, stack: contextlib.ExitStack) -> int:
    """What the child's stdin is: a descriptor, or one of the backend's words. Raises OSError."""
    stdin = service.stdin
    if stdin == "null":
        return int(backend.NULL)
    if stdin == "inherit":
        return int(backend.INHERIT)
    if not isinstance(stdin, str):
        return stdin if isinstance(stdin, int) else int(stdin.fileno())
    access = os.O_RDWR if service.controlling_tty else os.O_RDONLY
    fd = os.open(stdin, access | os.O_NOCTTY | os.O_CLOEXEC)
    stack.callback(os.close, fd)
    return fd
