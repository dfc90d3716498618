"""Starting a process: `spawn`, and `prepare` for what is started many times."""

import os
import signal
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from fastos import _backend
from fastos import _spawn_options as options
from fastos._process import Process
from fastos._pty import PTY

if TYPE_CHECKING:
    from fastos._backend import native_spawn as backend
else:
    backend = _backend.topic("spawn")

PIPE = options.PIPE
STDOUT = options.STDOUT
DEVNULL = options.DEVNULL


def spawn(
    args: options.Arguments,
    *,
    stdin: options.Stream = None,
    stdout: options.Stream = None,
    stderr: options.Stream = None,
    fds: options.Descriptors | None = None,
    cwd: "str | bytes | os.PathLike[str] | os.PathLike[bytes] | int | None" = None,
    env: options.Environment | None = None,
    user: str | int | None = None,
    group: str | int | None = None,
    groups: Iterable[str | int] | None = None,
    umask: int | None = None,
    rlimits: options.Limits | None = None,
    nice: int | None = None,
    affinity: Iterable[int] | None = None,
    oom_score_adj: int | None = None,
    new_session: bool = False,
    process_group: int | None = None,
    controlling_tty: "bool | int | options.HasFileno" = False,
    no_new_privs: bool = False,
    die_with_parent: "bool | signal.Signals" = False,
    cgroup: "str | os.PathLike[str] | int | None" = None,
    signal_mask: Iterable[int] | None = None,
    restore_signals: bool = True,
    executable: options.Argument | None = None,
) -> Process:
    """Starts a program, with what its process shall be like said as data. No shell, no Python code in the child.

    The child inherits what is not said, but of the descriptors only 0, 1, 2 and `fds`, and no signal handler.

    Args:
        args: the program and its arguments. A program without a slash is looked for in the PATH of the child's
            environment, as execvp(3) does.
        stdin, stdout, stderr: PIPE (the attributes of the same name are then files), DEVNULL, a descriptor, a file,
            PTY or PTY(rows, columns) for a pseudo-terminal (`Process.pty`); stderr=STDOUT goes where stdout goes.
        fds: further descriptors, {number in the child: descriptor or file here}, any permutation; or those to be kept
            at their number.
        cwd: the directory to start in: a path or an open directory. Entered before the ids are changed; a relative
            program is looked for from there.
        env: the whole environment, in place of os.environ as it is.
        user, group, groups: names or ids to run as. A user alone brings the group of the passwd entry and the groups
            of the group database (whose answer holds for a second); groups=[] means none. Names are looked up here,
            not in the child. The child checks that all ids are set and that root is out of reach.
        umask: the file mode creation mask.
        rlimits: {resource.RLIMIT_NOFILE or "NOFILE": limit or (soft, hard)}; -1 is unlimited.
        nice: the nice value itself, -20 to 19 (not an increment).
        affinity: the CPUs to run on.
        oom_score_adj: -1000 to 1000: how early the kernel chooses it when memory is short.
        new_session: setsid(2).
        process_group: the process group to join, 0: one of its own.
        controlling_tty: True: the child's stdin, or the terminal given, becomes the controlling terminal of a
            new session.
        no_new_privs: no set-user-id program gives it privileges.
        die_with_parent: True: SIGKILL when this *process* ends, whichever thread spawned it; or the signal.
            A program that changes its ids or is set-user-id undoes it.
        cgroup: a cgroup v2 directory (path or descriptor) to be born in; `kill_tree` then kills all in it.
        signal_mask: the signals blocked in it, in place of those that the calling thread blocks.
        restore_signals: SIGPIPE and SIGXFSZ, which Python ignores, get their default action back.
        executable: the file to execute, in place of args[0], which is then but a name.

    Returns:
        The process, which is running its program: what fails before that, or in exec, is raised here.

    Raises:
        SpawnError: an OSError (FileNotFoundError, PermissionError, ...) whose `step` says what failed. Nothing is left.
        TypeError, ValueError: something that no process could be started with.
        NotImplementedError: an option that this platform or backend does not have; the message names it.

    See clone(2), execve(2), and docs/spawn.md for the order of the steps.
    """
    more: dict[str, Any] | None = None
    if (
        not (
            fds is None
            and cwd is None
            and user is None
            and group is None
            and groups is None
            and umask is None
            and rlimits is None
            and nice is None
            and affinity is None
            and oom_score_adj is None
            and process_group is None
            and cgroup is None
            and signal_mask is None
            and restore_signals
        )
        or new_session
        or controlling_tty is not False
        or no_new_privs
        or die_with_parent
    ):
        more = {
            "fds": fds,
            "cwd": cwd,
            "user": user,
            "group": group,
            "groups": groups,
            "umask": umask,
            "rlimits": rlimits,
            "nice": nice,
            "affinity": affinity,
            "oom_score_adj": oom_score_adj,
            "new_session": new_session,
            "process_group": process_group,
            "controlling_tty": controlling_tty,
            "no_new_privs": no_new_privs,
            "die_with_parent": die_with_parent,
            "cgroup": cgroup,
            "signal_mask": signal_mask,
            "restore_signals": restore_signals,
        }
    sys.audit("fastos.spawn", args, cwd, env)
    try:
        return Process(backend.prepare(args, env, executable, (stdin, stdout, stderr), more), args)
    except options.UNUSUAL:
        _check(env, executable, (stdin, stdout, stderr), more)
        raise


def _check(env: Any, executable: Any, streams: tuple[Any, Any, Any], more: dict[str, Any] | None) -> None:
    """TypeError: the option that is not what it takes."""
    from fastos._option_check import check_options

    named = dict(zip(("stdin", "stdout", "stderr"), streams, strict=True), env=env, executable=executable)
    check_options({**named, **(more or {})})


def prepare(
    args: options.Arguments,
    *,
    env: options.Environment | None = None,
    executable: options.Argument | None = None,
    stdin: options.Stream = None,
    stdout: options.Stream = None,
    stderr: options.Stream = None,
    **more: Any,
) -> "backend.Request":
    """The same options as `spawn`, encoded once to be started many times: `Process(request, args)`.

    Two options only here, for the drop-ins: keep_descriptors (as close_fds=False), keep_groups (user= changes the user
    alone). What the streams name is looked at again at each start, so it must be open then.
    """
    try:
        return backend.prepare(args, env, executable, (stdin, stdout, stderr), more or None)
    except options.UNUSUAL:
        _check(env, executable, (stdin, stdout, stderr), more)
        raise


__all__ = ["DEVNULL", "PIPE", "PTY", "STDOUT", "Process", "prepare", "spawn"]
