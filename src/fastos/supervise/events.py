"""What a program that embeds the supervisor is told."""

from dataclasses import dataclass

from fastos.supervise.unit import Exit


@dataclass(frozen=True, slots=True)
class ServiceEvent:
    """What `on_event` is told: service `name` went from `previous` to `state`.

    `pid` is its child's, 0 without one; `exit` how the last one ended; `message` says more where there is more to say;
    `kind` is `state`, or `adopted` for a child that an earlier supervisor left; `time_ns` by the wall clock.
    """

    kind: str
    name: str
    state: str
    previous: str
    pid: int
    exit: Exit | None
    message: str
    time_ns: int
