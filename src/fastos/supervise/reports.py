"""What services say about themselves by sd_notify: whose message it is, and what it means."""

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from fastos.supervise.notify import NotifySocket
from fastos.supervise.states import Event, State
from fastos.supervise.unit import Unit

if TYPE_CHECKING:
    from fastos.supervise.supervisor import Supervisor


class Reports:
    """The notification socket of a supervisor, made when the first service needs it."""

    def __init__(self, supervisor: "Supervisor") -> None:
        self._supervisor = supervisor
        self.socket: NotifySocket | None = None
        self.directory: str | None = None  # made by us, and removed by us

    def path(self) -> str:
        """The value of NOTIFY_SOCKET."""
        if self.socket is None:
            directory = self._supervisor.runtime_directory
            if directory is None:
                directory = self.directory = tempfile.mkdtemp(prefix="fastos-")
                os.chmod(directory, 0o711)  # services of any user may send
            path = Path(directory) / f"notify-{os.getpid()}"
            self.socket = NotifySocket(self._supervisor.loop, str(path), self.received)
        return self.socket.path

    def take_over(self, path: str, fd: int, directory: str | None) -> None:
        """The socket of an earlier image of this process."""
        self.directory = directory
        self.socket = NotifySocket(self._supervisor.loop, path, self.received, fd)

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None
        if self.directory is not None:
            with contextlib.suppress(OSError):
                os.rmdir(self.directory)

    def _sender(self, pid: int) -> Unit | None:
        """The unit that a process belongs to: its main process, or one of its process group or session."""
        by_pid = self._supervisor.by_pid
        unit = by_pid.get(pid)
        if unit is None:
            with contextlib.suppress(OSError):
                unit = by_pid.get(os.getpgid(pid)) or by_pid.get(os.getsid(pid))
        if unit is not None and unit.service.notify_access == "main" and pid not in (unit.pid, unit.main_pid):
            return None
        return unit

    def received(self, pid: int, fields: dict[str, str]) -> None:
        """A message of a process, as the kernel says. One of a stranger is ignored."""
        unit = self._sender(pid)
        if unit is None:
            return
        post = self._supervisor.conductor.post
        if "STATUS" in fields:
            unit.message = fields["STATUS"][:1000]
        if fields.get("MAINPID", "").isdecimal():
            self._main_pid(unit, fields["MAINPID"])
        if fields.get("RELOADING") == "1":
            post(unit, Event.RELOAD)
        if fields.get("READY") == "1" and (unit.service.readiness.kind == "notify" or unit.state is State.RELOADING):
            post(unit, Event.READY)
        if fields.get("WATCHDOG") == "1":
            self._supervisor.asker.pet(unit)
        elif fields.get("WATCHDOG") == "trigger":
            post(unit, Event.UNHEALTHY)

    @staticmethod
    def _main_pid(unit: Unit, text: str) -> None:
        """MAINPID is believed only of a process of the same group: a service cannot have a stranger signalled."""
        with contextlib.suppress(OSError, OverflowError, ValueError):  # Python refuses 5,000 digits
            pid = int(text)
            if os.getpgid(pid) == unit.pid or os.getsid(pid) == unit.pid:
                unit.main_pid = pid
