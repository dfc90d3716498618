"""One instance of a service while it is supervised: what changes, apart from the plain data of its Service."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from fastos.supervise.policy import History
from fastos.supervise.service import Service
from fastos.supervise.states import ALIVE, LEAVING, State

if TYPE_CHECKING:
    from fastos.supervise.log import Stream
    from fastos.supervise.supervisor import Supervisor


class Exit(NamedTuple):
    """How a child ended: its exit code, or the signal; `lost` where nobody can know (adopted, or reaped by others)."""

    code: int | None = None
    signal: int | None = None
    core_dumped: bool = False
    lost: bool = False
    user_us: int = 0
    system_us: int = 0
    max_rss: int = 0

    def __str__(self) -> str:
        if self.lost:
            return "ended, status unknown"
        return f"exit code {self.code}" if self.signal is None else f"signal {self.signal}"


@dataclass(frozen=True, slots=True)
class Status:
    """A service's status at one moment.

    `state` is one of the names of `fastos.supervise.State` in lower case; `since_ns` when it was entered (wall clock);
    `pid` is 0 without a process; `uptime` in seconds; `restarts` counts those without being asked for; `exit_code` and
    `exit_signal` are of the last end; `message` is what the service said by STATUS=, or why it is where it is;
    `waiting_for` names what is not ready yet; times of CPU in seconds and `max_rss` in KiB are of ended children.
    """

    name: str
    service: str
    state: str
    pid: int
    ready: bool
    since_ns: int
    uptime: float
    restarts: int
    exit_code: int | None
    exit_signal: int | None
    message: str
    adopted: bool
    wanted: bool
    waiting_for: tuple[str, ...] = ()
    cpu_user: float = 0.0
    cpu_system: float = 0.0
    max_rss: int = 0


class RestartGroup:
    """Services that are restarted together. `unsettled` counts members on their way down or in their delay."""

    __slots__ = ("members", "name", "strategy", "unsettled")

    def __init__(self, name: str, strategy: str) -> None:
        self.name = name
        self.strategy = strategy
        self.members: list[Unit] = []
        self.unsettled = 0

    @property
    def together(self) -> bool:
        """Whether one member's fate is the others'."""
        return self.strategy != "one_for_one"

    def holds(self) -> bool:
        """Whether nobody of the group may start now: some are still on their way down, or have their delay."""
        return self.together and (self.unsettled > 0 or any(member.is_leaving() for member in self.members))

    def adopt(self, unit: "Unit") -> None:
        self.members.append(unit)
        self.unsettled += unit.state in UNSETTLED

    def fellows(self, unit: "Unit") -> list["Unit"]:
        """Who is restarted when this one fails."""
        if self.strategy == "one_for_all":
            return [member for member in self.members if member is not unit]
        if self.strategy == "rest_for_one":
            return self.members[self.members.index(unit) + 1 :]
        return []


UNSETTLED = frozenset({State.RESTARTING, State.ABORTING, State.BACKOFF})


class Unit:
    """One instance. Ten thousand of them idle cost little: what is rarely needed is None until it is."""

    __slots__ = (
        "adopted",
        "befores",
        "dependents",
        "group",
        "health",
        "history",
        "last_exit",
        "main_pid",
        "message",
        "name",
        "number",
        "owner",
        "pid",
        "pidfd",
        "process",
        "readiness",
        "requires",
        "restarts",
        "service",
        "since_ns",
        "spawned_ns",
        "start_ticks",
        "state",
        "stop_pending",
        "streams",
        "survivors",
        "usage",
        "wanted",
    )

    def __init__(self, owner: "Supervisor", service: Service, name: str, number: int) -> None:
        self.owner = owner
        self.service = service
        self.name = name
        self.number = number  # of the instance, from 1
        self.state = State.STOPPED
        self.wanted = False
        # To be stopped, or if wanted restarted, as soon as those that go before it are down.
        self.stop_pending = False
        self.pid = 0
        self.pidfd = -1
        self.process: Any = None  # the backend's own handle, where it needs one
        self.main_pid = 0  # by MAINPID=
        self.start_ticks = 0
        self.adopted = False
        self.since_ns = 0
        self.spawned_ns = 0
        self.restarts = 0
        self.last_exit: Exit | None = None
        self.usage: tuple[int, int, int] | None = None  # user µs, system µs, max RSS of all children so far
        self.history: History | None = None
        self.message = ""
        self.befores: tuple[Unit, ...] = ()  # what it comes after
        self.requires: tuple[Unit, ...] = ()
        self.dependents: list[Unit] | None = None
        self.group: RestartGroup | None = None
        self.streams: tuple[Stream, ...] = ()
        self.readiness: Any = None  # a running probe
        self.health: Any = None
        self.survivors: Any = None  # the processes of its tree, while it is being stopped by tree

    def __repr__(self) -> str:
        return f"<{self.name} {self.state.name.lower()} pid={self.pid}>"

    def is_leaving(self) -> bool:
        """Whether it has a process, and is told to stop or will be as soon as those before it are down."""
        return (self.stop_pending and self.state in ALIVE) or self.state in LEAVING

    def on_ready(self, events: int) -> None:
        """Its pidfd says that the child has ended."""
        self.owner.child_ended(self)
