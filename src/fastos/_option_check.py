"""What each option of spawn, run and run_many takes. `spawn` and `run` ask only once something has failed, to say at
what: what is right costs nothing."""

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fastos._pty import PTY

_MOST = 2**31


def _integer(value: Any) -> bool:
    return isinstance(value, int) and -_MOST <= value < _MOST


def _whole(value: Any) -> bool:
    return isinstance(value, int)


def _path(value: Any) -> bool:
    return isinstance(value, str | bytes | os.PathLike)


def _descriptor(value: Any) -> bool:
    return _integer(value) or hasattr(value, "fileno")


def _stream(value: Any) -> bool:
    return _descriptor(value) or isinstance(value, PTY) or value is PTY


def _account(value: Any) -> bool:
    return isinstance(value, str) or hasattr(type(value), "__index__")


def _each(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, Iterable) and not isinstance(value, str) and all(map(check, value))


def _pairs(name: Callable[[Any], bool], content: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, Mapping) and all(map(name, value.keys())) and all(map(content, value.values()))
    )


def _descriptors(value: Any) -> bool:
    return (_pairs(_integer, _descriptor) if isinstance(value, Mapping) else _each(_descriptor))(value)


def _limit(value: Any) -> bool:
    return isinstance(value, int) or (isinstance(value, tuple | list) and len(value) == 2 and all(map(_whole, value)))


def _seconds(value: Any) -> bool:
    return isinstance(value, int | float) and value == value


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _data(value: Any) -> bool:
    if isinstance(value, str) or hasattr(value, "fileno"):
        return True
    try:
        return memoryview(value).contiguous
    except TypeError:
        return False


_SWITCH = "True or False", _whole

_TAKES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(("stdin", "stdout"), ("PIPE, DEVNULL, a descriptor, a file or PTY", _stream)),
    "stderr": ("PIPE, STDOUT, DEVNULL, a descriptor, a file or PTY", _stream),
    "fds": ("{number in the child: descriptor or file}, or descriptors", _descriptors),
    "cwd": ("a path or the descriptor of a directory", lambda value: _path(value) or _integer(value)),
    "env": ("a mapping of names to strings", _pairs(_path, _path)),
    **dict.fromkeys(("user", "group"), ("a name or an id", _account)),
    "groups": ("names or ids", _each(_account)),
    "umask": ("a mode such as 0o022", _integer),
    "rlimits": ("{resource: limit or (soft, hard)}", _pairs(lambda key: isinstance(key, int | str), _limit)),
    "nice": ("an integer from -20 to 19", _integer),
    "affinity": ("numbers of CPUs", _each(_integer)),
    "oom_score_adj": ("an integer from -1000 to 1000", _integer),
    "process_group": ("a process group, or 0", _integer),
    "controlling_tty": ("True, a descriptor or a file", _stream),
    "die_with_parent": ("True or a signal", _integer),
    "cgroup": ("a path or a descriptor", lambda value: _path(value) or _integer(value)),
    "signal_mask": ("signals", _each(_integer)),
    "executable": ("a path", _path),
    "input": ("bytes, str or a file", _data),
    **dict.fromkeys(("encoding", "errors"), ("the name of one", _text)),
    "timeout": ("a number of seconds", _seconds),
    "output_limit": ("a number of bytes", _whole),
    "jobs": ("a number of processes", _whole),
    "progress": ("a callable", callable),
    **dict.fromkeys(
        ("new_session", "no_new_privs", "restore_signals", "capture", "text", "kill_at_limit", "kill_tree"), _SWITCH
    ),
    **dict.fromkeys(("ordered", "stop_on_error", "check"), _SWITCH),
}


def check_options(options: Mapping[str, Any]) -> None:
    """Raises TypeError if one is not what it takes, ValueError if it is a number beyond all that it takes; None is one
    that was not given."""
    for name, value in options.items():
        if value is not None and name in _TAKES:
            takes, check = _TAKES[name]
            if not check(value):
                beyond = (isinstance(value, int) and check is _integer) or value != value
                raise (ValueError if beyond else TypeError)(f"{name} takes {takes}, not {value!r}")
