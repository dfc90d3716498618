"""From the options of a run to jobs: looked at once, for one command or for a whole batch."""

import locale
import os
import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from fastos import _backend, _spawn
from fastos import _spawn_options as options
from fastos._option_check import check_options
from fastos._pty import PTY
from fastos._run_job import Job
from fastos._timeout import nanoseconds

if TYPE_CHECKING:
    from fastos._backend import native_run as backend
    from fastos._backend import native_spawn as spawning
else:
    backend = _backend.topic("run")
    spawning = _backend.topic("spawn")

PIPE = options.PIPE
DEVNULL = options.DEVNULL

Input: TypeAlias = "str | bytes | bytearray | memoryview | options.HasFileno | None"

# The options of a run beside those of a spawn and the input; the first of them comes first in `common_job`.
OWN_OPTIONS = ("capture", "text", "encoding", "errors", "timeout", "output_limit", "kill_at_limit", "kill_tree")
_RUN_OPTIONS = frozenset(OWN_OPTIONS) | {"input", "stdin", "stdout", "stderr"}
_SPAWN_OPTIONS = frozenset(_spawn.spawn.__kwdefaults__ or ()) - _RUN_OPTIONS


# subprocess's names for what is called otherwise here.
_INSTEAD = {
    "capture_output": "capture=True",
    "shell": 'the arguments ["/bin/sh", "-c", command]',
    "universal_newlines": "text=True",
    "pass_fds": "fds=",
    "start_new_session": "new_session=True",
    "extra_groups": "groups=",
    "preexec_fn": "the options of fastos.spawn: rlimits=, nice=, umask=, cgroup=, ...",
}


def check_names(names: Mapping[str, Any]) -> None:
    for name in names:
        if name not in _RUN_OPTIONS and name not in _SPAWN_OPTIONS:
            instead = f"; use {_INSTEAD[name]}" if name in _INSTEAD else ""
            raise TypeError(f"unexpected option {name!r}{instead}")


class Command:
    """Arguments together with options of their own, for `run_many` and `pipeline`.

    Command(["sort", "-u"], input=names, timeout=10, env={"LC_ALL": "C"}): every option of `run` but check.
    """

    __slots__ = ("args", "options")

    def __init__(self, args: options.Arguments, **options: Any) -> None:
        check_names(options)
        self.args = args
        self.options = options

    def __repr__(self) -> str:
        more = "".join(f", {name}={value!r}" for name, value in self.options.items())
        return f"Command({self.args!r}{more})"


AnyCommand: TypeAlias = "options.Arguments | Command | Mapping[str, Any]"


_NOTHING: Mapping[str, Any] = {}


def args_and_options(command: AnyCommand) -> tuple[Any, Mapping[str, Any]]:
    if type(command) is list or type(command) is tuple:
        return command, _NOTHING
    if isinstance(command, Command):
        return command.args, command.options
    if isinstance(command, Mapping):
        own = dict(command)
        try:
            args = own.pop("args")
        except KeyError:
            raise TypeError('a command given as a mapping needs "args"') from None
        check_names(own)
        return args, own
    if isinstance(command, str | bytes | os.PathLike):
        raise TypeError(f"a command is a sequence of arguments, such as [{command!r}]; fastos runs no shell")
    return command, _NOTHING


class Plan:
    """Options that have been looked at once, for one command or for all of a batch."""

    __slots__ = ("decode", "encoding", "errors", "given", "job", "stderr", "stdout")

    def __init__(self, given: Mapping[str, Any], capture: bool, stdin: Any = None) -> None:
        check_names(given)
        check_options(given)
        self.given = dict(given)
        text, self.encoding, errors = given.get("text"), given.get("encoding"), given.get("errors")
        self.decode = bool(text or self.encoding or errors)
        self.errors = errors or "strict"
        if given.get("capture", capture):
            if "stdout" in given or "stderr" in given:
                raise ValueError("capture collects stdout and stderr: say stdout=PIPE or stderr=PIPE for one of them")
            self.given["stdout"] = self.given["stderr"] = PIPE
        self._streams(stdin)
        self.job = self._job()

    def _streams(self, stdin: Any) -> None:
        given = self.given
        if given.get("stdin") == PIPE and given.get("input") is None:
            raise ValueError("stdin=PIPE is for input=; a process to talk with is what fastos.spawn starts")
        if given.get("input") is not None:
            if given.get("stdin") not in (None, PIPE):
                raise ValueError("stdin and input exclude each other")
            value = given["input"]
            given["stdin"] = value if hasattr(value, "fileno") else PIPE
        elif given.get("stdin") is None:
            given["stdin"] = stdin
        for name in ("stdin", "stdout", "stderr"):
            if isinstance(given.get(name), PTY) or given.get(name) is PTY:
                raise ValueError(f"{name}: a pseudo-terminal needs somebody to talk to: fastos.spawn")
        self.stdout = given.get("stdout") == PIPE
        self.stderr = given.get("stderr") == PIPE

    def _job(self) -> Job:
        """The numbers that are the same for every command."""
        given, job = self.given, Job()
        timeout, limit = given.get("timeout"), given.get("output_limit")
        job.timeout_ns = -1 if timeout is None else nanoseconds(timeout)
        if limit is not None and limit < 0:
            raise ValueError("output_limit must not be negative")
        job.output_limit = -1 if limit is None else min(limit, 2**63 - 1)
        job.kill_at_limit = bool(given.get("kill_at_limit", False))
        job.kill_tree = bool(given.get("kill_tree", True))
        job.input = self.encode_input(given.get("input"))
        job.plan, job.keep, job.shared = self, None, False
        return job

    def encode_input(self, value: Input) -> Any:
        if value is None or hasattr(value, "fileno"):
            return None
        if isinstance(value, str):
            return value.encode(self.encoding or locale.getpreferredencoding(False), self.errors)
        return bytes(value) if isinstance(value, memoryview) else value

    def make_request(self, args: options.Arguments) -> Any:
        more = {name: value for name, value in self.given.items() if name in _SPAWN_OPTIONS}
        streams = {name: self.given.get(name) for name in ("stdin", "stdout", "stderr")}
        return _spawn.prepare(args, **streams, **more)

    def job_for(self, args: options.Arguments, token: int) -> Job:
        """A job with a request of its own."""
        sys.audit("fastos.spawn", args, self.given.get("cwd"), self.given.get("env"))
        job = self.job
        job.args, job.token, job.request = args, token, self.make_request(args)
        return job

    def shared_job(self, args: options.Arguments) -> Job:
        """What all jobs have in common that differ in their arguments alone; made with those of the first."""
        sys.audit("fastos.spawn", args, self.given.get("cwd"), self.given.get("env"))
        job = self.job
        if not job.shared:
            job.request = self.make_request(args)
            job.args, job.token, job.shared = args, 0, True
        return job

    def text_of(self, output: bytes) -> str:
        text = output.decode(self.encoding or locale.getpreferredencoding(False), self.errors)
        return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _kind(stream: Any) -> Any:
    """What a plan wants to know of a stream: any file or descriptor is as good as 0."""
    if stream is None or type(stream) is int:
        return stream
    return PTY if isinstance(stream, PTY) or stream is PTY else 0


@lru_cache(maxsize=64)
def _common_plan(fed: bool, stdin: Any, stdout: Any, stderr: Any, own: tuple[Any, ...]) -> Plan:
    """The plan of runs that differ in their arguments, input and environment alone."""
    given = dict(zip(OWN_OPTIONS, own, strict=True), stdin=stdin, stdout=stdout, stderr=stderr)
    if fed:
        given["input"] = b""
    return Plan({name: value for name, value in given.items() if value is not None}, False)


def common_job(args: options.Arguments, input: "str | bytes | None", given: Mapping[str, Any], own: Any) -> Job:
    """The job of a run with no further options than streams, environment and executable; `own` are OWN_OPTIONS."""
    get = given.get
    stdin, stdout, stderr, env = get("stdin"), get("stdout"), get("stderr"), get("env")
    plan = _common_plan(input is not None, _kind(stdin), _kind(stdout), _kind(stderr), own)
    if input is not None:
        stdin = PIPE
    if own[0]:
        stdout = stderr = PIPE
    sys.audit("fastos.spawn", args, None, env)
    job, model = Job(), plan.job
    job.plan, job.args, job.token = plan, args, 0
    job.request = spawning.prepare(args, env, get("executable"), (stdin, stdout, stderr), None)
    job.timeout_ns, job.output_limit = model.timeout_ns, model.output_limit
    job.kill_at_limit, job.kill_tree = model.kill_at_limit, model.kill_tree
    job.input = None if input is None else plan.encode_input(input)
    job.keep, job.shared = None, False
    return job
