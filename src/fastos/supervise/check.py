"""How a service is asked whether it is ready, or still healthy: plain data."""

import ipaddress
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import urlsplit

Kind = Literal["none", "notify", "fd", "exit", "command", "tcp", "unix", "http"]

KINDS: Final = ("none", "notify", "fd", "exit", "command", "tcp", "unix", "http")
HEALTH_KINDS: Final = ("none", "notify", "command", "tcp", "unix", "http")
_FORMS: Final = (
    "'none', 'notify', 'fd:NUMBER', 'exit', 'command:LINE', 'tcp:HOST:PORT', 'unix:PATH' or 'http://HOST:PORT/PATH'"
)


def positive(what: str, value: float, *, zero: bool = False) -> None:
    """Raises TypeError or ValueError unless the value is a finite number above 0 (or 0, where that is allowed)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{what} must be a number, not {value!r}")
    if not math.isfinite(value) or value < 0 or (value == 0 and not zero):
        raise ValueError(f"{what} must be {'0 or more' if zero else 'above 0'}, not {value!r}")


@dataclass(frozen=True, slots=True)
class Check:
    """One way to ask a service how it is.

    Parameters:
        kind: `none`: running is enough. `notify`: it says READY=1 to $NOTIFY_SOCKET (sd_notify(3)). `fd`: it writes
            a line to a descriptor (s6's notification). `exit`: it is ready when it has ended successfully (a migration,
            say). `command`: a command exits with 0. `tcp`, `unix`: a connection is accepted. `http`: a GET is answered
            with 2xx or 3xx.
        target: HOST:PORT, the path of a socket, or the URL (http only; no TLS).
        command: what to run (a sequence; a string goes to /bin/sh).
        fd: the service's descriptor for `fd`, 3 or more.
        interval: seconds between two attempts.
        timeout: seconds after which one attempt has failed.
        failures: attempts in a row that must fail until a running service is given up (health checks only).

    Raises TypeError or ValueError for what does not fit together.
    """

    kind: Kind = "none"
    target: str = ""
    command: str | tuple[str, ...] = ()
    fd: int = 3
    interval: float = 1.0
    timeout: float = 5.0
    failures: int = 3
    address: tuple[str, int] = field(init=False, default=("", 0), repr=False, compare=False)
    path: str = field(init=False, default="/", repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind of check {self.kind!r}; expected one of {', '.join(KINDS)}")
        positive("interval", self.interval)
        positive("timeout", self.timeout)
        if self.failures < 1:
            raise ValueError(f"failures must be 1 or more, not {self.failures!r}")
        if self.kind == "fd" and self.fd < 3:
            raise ValueError(f"the notification descriptor must be 3 or more, not {self.fd!r}")
        if not isinstance(self.command, str):
            object.__setattr__(self, "command", tuple(self.command))
        if self.kind == "command" and not self.command:
            raise ValueError("a check by command needs a command")
        if self.kind == "unix" and not self.target:
            raise ValueError("a check of kind unix needs the path of a socket")
        if self.kind == "tcp":
            object.__setattr__(self, "address", parse_address(self.target))
        if self.kind == "http":
            self._parse_url()

    def _parse_url(self) -> None:
        parts = urlsplit(self.target)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"a check of kind http needs http://HOST:PORT/PATH, not {self.target!r}")
        if re.search(r"[\x00-\x20\x7f]", self.target):
            raise ValueError(f"white space in the URL {self.target!r}")
        object.__setattr__(self, "address", (numeric_host(parts.hostname), parts.port or 80))
        query = f"?{parts.query}" if parts.query else ""
        object.__setattr__(self, "path", (parts.path or "/") + query)

    @property
    def polled(self) -> bool:
        """Whether the supervisor has to ask, rather than be told."""
        return self.kind in ("command", "tcp", "unix", "http")


def parse_address(text: str) -> tuple[str, int]:
    """HOST:PORT, [V6]:PORT or PORT alone (127.0.0.1) -> (host, port). Raises ValueError."""
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:.%\w]+)\]:|([^:\[\]]*):)?(\d{1,5})", text)
    if match is None or not 0 < int(match[3]) < 65536:
        raise ValueError(f"expected HOST:PORT, not {text!r}")
    return numeric_host(match[1] or match[2] or "127.0.0.1"), int(match[3])


def numeric_host(host: str) -> str:
    """The host as an address: asking a name server would hold up every service. Raises ValueError for other names."""
    if host == "localhost":
        return "127.0.0.1"
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise ValueError(f"expected an IP address or localhost, not {host!r}") from None
    return host


def as_check(value: "Check | str | Sequence[str]", *, health: bool = False, interval: float = 1.0) -> Check:
    """A Check from its short form, such as "notify", "fd:3", "tcp:127.0.0.1:6379", "http://127.0.0.1:8000/health"."""
    check = value if isinstance(value, Check) else _parse(value, interval)
    if health and check.kind not in HEALTH_KINDS:
        raise ValueError(f"{check.kind!r} is no health check; expected one of {', '.join(HEALTH_KINDS)}")
    return check


def _parse(text: object, interval: float) -> Check:
    if not isinstance(text, str):
        raise TypeError(f"expected a Check or a string: {_FORMS}; not {text!r}")
    if text.startswith("http://"):
        return Check("http", target=text, interval=interval)
    kind, _, rest = text.partition(":")
    if kind in ("none", "notify", "exit") and not rest:
        return Check(kind, interval=interval)  # type: ignore[arg-type]
    if kind == "fd" and (not rest or rest.isdecimal()):
        return Check("fd", fd=int(rest or 3), interval=interval)
    if kind == "command" and rest:
        return Check("command", command=rest.strip(), interval=interval)
    if kind in ("tcp", "unix") and rest:
        return Check(kind, target=rest, interval=interval)  # type: ignore[arg-type]
    raise ValueError(f"expected {_FORMS}; not {text!r}")
