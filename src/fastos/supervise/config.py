"""Configuration: TOML or a Procfile becomes services, checked in full before anything starts.

[supervisor]
control = "/run/app/control"
groups = { workers = "one_for_all" }

[services.web]
command = ["python3", "-m", "http.server", "8000"]
requires = ["database"]
readiness = "http://127.0.0.1:8000/"
log = { to = "file", path = "/var/log/web.log" }
"""

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from fastos.supervise.check import Check, Kind
from fastos.supervise.destination import Log
from fastos.supervise.policy import Backoff, RestartLimit
from fastos.supervise.roster import check_services
from fastos.supervise.service import Service

Number = int | float
Words = str | list[str]


class ConfigError(ValueError):
    """A configuration that does not hold: the message names the file, the key, and what was expected."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a file says: the services, and arguments of Supervisor by name."""

    services: tuple[Service, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


_CHECK: Final[dict[str, Any]] = {
    "kind": Kind,
    "target": str,
    "command": Words,
    "fd": int,
    "interval": Number,
    "timeout": Number,
    "failures": int,
}
_LOG: Final[dict[str, Any]] = {
    "to": Literal["inherit", "own", "file", "null", "syslog", "journald"],
    "path": str,
    "max_bytes": int,
    "max_age": Number,
    "keep": int,
    "compress": bool,
    "timestamps": int,
    "mode": int,
}
_BACKOFF: Final[dict[str, Any]] = dict.fromkeys(("initial", "factor", "cap", "jitter", "reset_after"), Number)
_LIMIT: Final[dict[str, Any]] = {"count": int, "window": Number, "then": Literal["fail", "shutdown"]}

# Tables within a service: key -> (its own keys, the class that it becomes); each has a short form, too.
_TABLES: Final[dict[str, tuple[dict[str, Any], Any]]] = {
    "readiness": (_CHECK, Check),
    "health": (_CHECK, Check),
    "log": (_LOG, Log),
    "error_log": (_LOG, Log),
    "backoff": (_BACKOFF, Backoff),
    "restart_limit": (_LIMIT, RestartLimit),
}

_SERVICE: Final[dict[str, Any]] = {
    "command": Words,
    "restart": Literal["always", "on-failure", "never"],
    "success_codes": list[int | str],
    "backoff": Number | dict[str, Any],
    "restart_limit": dict[str, Any],
    "after": Words,
    "requires": Words,
    "readiness": str | dict[str, Any],
    "health": str | dict[str, Any],
    "watchdog": Number,
    "start_timeout": Number,
    "stop_timeout": Number,
    "stop_signal": int | str,
    "stop_scope": Literal["process", "group", "tree"],
    "reload_signal": int | str,
    "instances": int,
    "autostart": bool,
    "restart_group": str,
    "sockets": Words,
    "log": str | dict[str, Any],
    "error_log": str | dict[str, Any],
    "notify_access": Literal["main", "group"],
    "cwd": str,
    "env": dict[str, str],
    "clear_env": bool,
    "user": int | str,
    "group": int | str,
    "groups": list[int | str],
    "umask": int,
    "rlimits": dict[str, int | list[int]],
    "nice": int,
    "affinity": list[int],
    "oom_score_adj": int,
    "new_session": bool,
    "no_new_privs": bool,
    "die_with_parent": bool | int | str,
    "stdin": str,
    "controlling_tty": bool,
    "fds": dict[str, int],
    "process_group": int,
    "signal_mask": list[int | str],
    "restore_signals": bool,
    "cgroup": str,
    "executable": str,
}

_SUPERVISOR: Final[dict[str, Any]] = {
    "control": str,
    "metrics": str,
    "state_file": str,
    "runtime_directory": str,
    "groups": dict[str, Literal["one_for_one", "one_for_all", "rest_for_one"]],
    "log": str | dict[str, Any],
}


def load(path: str | os.PathLike[str]) -> Configuration:
    """Reads a configuration: TOML, or a Procfile if the name says so (`Procfile`, `Procfile.dev`, `*.procfile`).

    Raises ConfigError, and OSError if it cannot be read. Needs fastos[supervise].
    """
    path = Path(path)
    if path.name.startswith("Procfile") or path.suffix == ".procfile":
        configuration = parse_procfile(path.read_text(), str(path))
    else:
        configuration = parse_toml(path.read_bytes(), str(path))
    try:
        check_services(configuration.services, configuration.options.get("groups", {}))
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None
    return configuration


def parse_toml(text: bytes, file: str = "<toml>") -> Configuration:
    """The services of a TOML document. Raises ConfigError."""
    try:
        document = tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not TOML: {error}") from None
    _known_keys(file, "", document, ("supervisor", "services"))
    services = _convert(file, "services", document.get("services", {}), dict[str, dict[str, Any]])
    table = _convert(file, "supervisor", document.get("supervisor", {}), dict[str, Any])
    options = _table(file, "supervisor", table, _SUPERVISOR)
    default_log = _nested(file, "supervisor", "log", options.pop("log", "own"))
    return Configuration(
        tuple(_service(file, name, keys, default_log) for name, keys in services.items()),
        options,
    )


def _service(file: str, name: str, keys: dict[str, Any], default_log: Any) -> Service:
    where = f"services.{name}"
    options = _table(file, where, keys, _SERVICE)
    if "command" not in options:
        raise ConfigError(f"{file}: {where}.command: missing; expected a string or a list of strings")
    for key in _TABLES.keys() & options.keys():
        options[key] = _nested(file, where, key, options[key])
    options.setdefault("log", default_log)
    for key, value in options.items():  # lists become tuples, so that reloads compare like with like
        if isinstance(value, list):
            options[key] = tuple(value)
    try:
        return Service(name, **options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{file}: {where}: {str(error).removeprefix(f'service {name!r}: ')}") from None


def _nested(file: str, where: str, key: str, value: Any) -> Any:
    """A table within a service, as the class that it stands for; its short form as it is."""
    if not isinstance(value, dict):
        return value
    keys, kind = _TABLES[key]
    table = _table(file, f"{where}.{key}", value, keys)
    if key in ("readiness", "health") and "interval" not in table:
        table["interval"] = 0.2 if key == "readiness" else 10.0
    if key == "health" and "kind" not in table:
        raise ConfigError(f"{file}: {where}.{key}.kind: missing; expected one of {', '.join(Kind.__args__)}")  # type: ignore[attr-defined]
    if key.endswith("log") and "path" in table:
        table.setdefault("to", "file")
    try:
        return kind(**table)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{file}: {where}.{key}: {error}") from None


def _table(file: str, where: str, table: dict[str, Any], keys: Mapping[str, Any]) -> dict[str, Any]:
    _known_keys(file, where, table, tuple(keys))
    return {key: _convert(file, f"{where}.{key}", value, keys[key]) for key, value in table.items()}


def _known_keys(file: str, where: str, table: dict[str, Any], keys: tuple[str, ...]) -> None:
    for key in table:
        if key not in keys:
            place = f"{where}.{key}" if where else key
            close = difflib.get_close_matches(key, keys, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(keys)}"
            raise ConfigError(f"{file}: {place}: unknown key; {hint}")


def _convert(file: str, where: str, value: Any, kind: Any) -> Any:
    import msgspec

    try:
        return msgspec.convert(value, type=kind, strict=True)
    except msgspec.ValidationError as error:
        reason, _, inner = str(error).partition(" - at `$")
        inner = inner.rstrip("`")
        inner = inner if inner.startswith(("[", ".")) and "..." not in inner else ""
        allowed = getattr(kind, "__args__", ()) if "Invalid enum" in reason else ()
        expected = f"; expected one of {', '.join(map(str, allowed))}" if allowed else ""
        raise ConfigError(f"{file}: {where}{inner}: {reason}{expected}") from None


_PROCFILE_LINE: Final = re.compile(r"([A-Za-z0-9_-]+):\s*(\S.*)")


def parse_procfile(text: str, file: str = "Procfile", **options: Any) -> Configuration:
    """The services of a Procfile: `name: command` lines, each command for the shell. Raises ConfigError."""
    services: dict[str, Service] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _PROCFILE_LINE.fullmatch(line.strip())
        if match is None:
            raise ConfigError(f"{file}: line {number}: expected NAME: COMMAND, not {line.strip()!r}")
        name, command = match.groups()
        if name in services:
            raise ConfigError(f"{file}: line {number}: a second {name!r}")
        try:
            services[name] = Service(name, command, log="own", **options)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{file}: line {number}: {error}") from None
    return Configuration(tuple(services.values()))
