"""The eight exec functions and system, from the compiled core."""

import errno
import os
from collections.abc import Mapping, Sequence
from sys import audit
from typing import Any, NoReturn

from fastos._backend.native import ffi, lib
from fastos._backend.native_path import FileDescriptorOrPath, StrOrBytesPath, descriptor, encode, fail, is_descriptor

Arguments = Sequence[StrOrBytesPath]
Environment = Mapping[Any, Any]


def _strings(texts: list[bytes]) -> tuple[Any, list[Any]]:
    """A NULL-terminated array of C strings, and what keeps them alive."""
    kept = [ffi.new("char[]", text) for text in texts]
    return ffi.new("char *[]", [*kept, ffi.NULL]), kept


def encode_arguments(function: str, argv: Any) -> list[bytes]:
    """The argument vector of exec and spawn. Raises as the standard functions do."""
    if not isinstance(argv, (tuple, list)):
        raise TypeError(f"{function}: argv must be a tuple or list")
    if not argv:
        raise ValueError(f"{function}: argv must not be empty")
    arguments = [encode(argument, function, "argument") for argument in argv]
    if not arguments[0]:
        raise ValueError(f"{function}: argv first element cannot be empty")
    return arguments


def encode_environment(function: str, env: Any) -> list[bytes]:
    """A mapping as NAME=value strings. Raises as the standard functions do."""
    if not hasattr(env, "keys") or not hasattr(env, "values"):
        raise TypeError(f"{function}: environment must be a mapping object")
    encoded = []
    for key, value in zip(list(env.keys()), list(env.values()), strict=True):
        name = encode(key, function, "environment key")
        if not name or b"=" in name[1:]:
            raise ValueError("illegal environment variable name")
        encoded.append(name + b"=" + encode(value, function, "environment value"))
    return encoded


def _exec(function: str, path: FileDescriptorOrPath, argv: Any, env: Environment | None) -> NoReturn:
    by_descriptor = env is not None and is_descriptor(path)
    raw = b"" if by_descriptor else encode(path, function)  # type: ignore[arg-type]
    arguments, kept = _strings(encode_arguments(function, argv))
    environment, kept_too = (ffi.NULL, []) if env is None else _strings(encode_environment(function, env))
    audit("os.exec", path, argv, env)
    if by_descriptor:
        result = lib.fo_execute_fexec(descriptor(path), arguments, environment)  # type: ignore[arg-type]
    else:
        result = lib.fo_execute_exec(raw, arguments, environment)
    del kept, kept_too
    # Without an environment the standard function names no file, and programs compare errors.
    fail(result, None if env is None else path)


def execv(path: StrOrBytesPath, argv: Arguments, /) -> NoReturn:
    _exec("execv", path, argv, None)


def execve(path: FileDescriptorOrPath, argv: Arguments, env: Environment) -> NoReturn:
    if not hasattr(env, "keys") or not hasattr(env, "values"):
        raise TypeError("execve: environment must be a mapping object")
    _exec("execve", path, argv, env)


def execl(file: StrOrBytesPath, *args: StrOrBytesPath) -> NoReturn:
    execv(file, args)


def execle(file: StrOrBytesPath, *args: Any) -> NoReturn:
    execve(file, args[:-1], args[-1])


def execlp(file: StrOrBytesPath, *args: StrOrBytesPath) -> NoReturn:
    execvp(file, args)


def execlpe(file: StrOrBytesPath, *args: Any) -> NoReturn:
    execvpe(file, args[:-1], args[-1])


def execvp(file: StrOrBytesPath, args: Arguments) -> NoReturn:
    _search("execvp", file, args, None)


def execvpe(file: StrOrBytesPath, args: Arguments, env: Environment) -> NoReturn:
    _search("execvpe", file, args, env)


def candidates(file: StrOrBytesPath, env: Environment | None) -> list[Any]:
    """Where a program may be: the file itself if it has a directory, else in each directory of PATH."""
    if os.path.dirname(file):
        return [file]
    name = os.fsencode(file)
    return [os.path.join(os.fsencode(directory), name) for directory in os.get_exec_path(env)]


def _search(function: str, file: StrOrBytesPath, args: Arguments, env: Environment | None) -> NoReturn:
    """Tries each candidate. What is there but cannot be run is a better error than what is not there."""
    telling: OSError | None = None
    last: OSError | None = None
    for candidate in candidates(file, env):
        try:
            _exec(function, candidate, args, env)
        except OSError as error:
            last = error
            if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
                telling = telling or error
    raise telling or last or FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), file)


def system(command: StrOrBytesPath) -> int:
    raw = encode(command, "system", "command")
    audit("os.system", raw)
    return lib.fo_execute_system(raw)
