"""What the values of a service's options may be: each is made normal, or refused with a word on what was expected."""

import os
import re
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from fastos.supervise.check import as_check, positive
from fastos.supervise.destination import as_log
from fastos.supervise.policy import Backoff, RestartLimit


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


def as_command(value: Any) -> str | tuple[str, ...]:
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


NORMALISE: Final[dict[str, Callable[[Any], Any]]] = {
    "restart": _choice("always", "on-failure", "never"),
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
"""Option -> what makes its value normal. Raises TypeError or ValueError. One that is not here is taken as it is."""
