"""`subprocess.run` in one go: what needs no Popen is started, fed, read and waited for by the core alone."""

import signal
import subprocess as standard
import sys
from typing import TYPE_CHECKING, Any

from fastos import _backend
from fastos._errors import SpawnError
from fastos._run_job import INTERRUPT_GRACE_NS, Job, Outcome
from fastos._subprocess_popen import argument_list, standard_error

if TYPE_CHECKING:
    from fastos._backend import native_run as backend
    from fastos._backend import native_spawn as spawning
else:
    backend = _backend.topic("run")
    spawning = _backend.topic("spawn")

_PIPE = standard.PIPE
# The options with which a run can be done in one go; with any other one, Popen does it.
_KNOWN = frozenset(("stdin", "stdout", "stderr", "env", "text", "universal_newlines", "encoding", "errors", "shell"))


def runs_at_once(popenargs: tuple[Any, ...], input: Any, capture_output: bool, timeout: Any, options: Any) -> bool:
    """Whether `complete` does this run just as Popen would. Whatever is odd about the arguments is for Popen to say."""
    if timeout is not None or len(popenargs) != 1 or sys.flags.warn_default_encoding:
        return False
    if not options and input is None:
        return True
    if not _KNOWN.issuperset(options):
        return False
    if capture_output and ("stdout" in options or "stderr" in options):
        return False
    if input is not None and ("stdin" in options or type(input) is not (str if _is_text(options) else bytes)):
        return False
    return bool(options.get("stdout") != standard.STDOUT)


def _is_text(options: Any) -> bool:
    if not options:
        return False
    get = options.get
    return bool(get("encoding") or get("errors") or get("text") or get("universal_newlines"))


def complete(args: Any, input: Any, capture_output: bool, check: bool, options: Any) -> Any:
    """Runs it to its end. Returns a CompletedProcess; raises what subprocess.run raises."""
    get = options.get
    stdin, stdout, stderr = get("stdin"), get("stdout"), get("stderr")
    if capture_output:
        stdout = stderr = _PIPE
    if input is not None:
        stdin = _PIPE
    codec = (get("encoding") or standard._text_encoding(), get("errors") or "strict") if _is_text(options) else None  # type: ignore[attr-defined]
    arguments = argument_list(args, None, get("shell"))
    env = get("env")
    sys.audit("subprocess.Popen", arguments[0], arguments, None, env)
    request = spawning.prepare(arguments, env, None, (stdin, stdout, stderr), None)
    output = errors = None
    if _PIPE in (stdin, stdout, stderr):
        outcome = _exchange(request, arguments, input.encode(*codec) if codec and input is not None else input)
        code = outcome.code
        output = _text(outcome.output, codec) if stdout == _PIPE else None
        errors = _text(outcome.errors, codec) if stderr == _PIPE else None
    else:
        code = _run(request, arguments)
    if check and code:
        raise standard.CalledProcessError(code, args, output=output, stderr=errors)
    return standard.CompletedProcess(args, code, output, errors)


def _run(request: Any, arguments: Any) -> int:
    """Starts what has nothing to read or to write, and waits for it. Returns its returncode."""
    child = spawning.Child()
    try:
        child.start(request)
        while child.wait(-1) <= 0:  # a signal came, and its handler has run
            pass
    except SpawnError as error:
        raise standard_error(error, arguments[0], None) from None
    except BaseException as error:
        if child.started():
            _end(child, error)
        raise
    return child.returncode()


def _end(child: "spawning.Child", error: BaseException) -> None:
    """Kills it; after Ctrl-C, which it may have had as well, it first has a moment to end by itself."""
    try:
        if isinstance(error, KeyboardInterrupt):
            child.wait(INTERRUPT_GRACE_NS)
    finally:
        child.send_signal(signal.SIGKILL)
        while child.wait(-1) <= 0:
            pass


def _exchange(request: Any, arguments: Any, data: bytes | None) -> Outcome:
    """Starts, feeds, reads and waits, in one call."""
    job = Job()
    job.request, job.token, job.args, job.input = request, 0, arguments, data
    job.timeout_ns = job.output_limit = -1
    job.kill_at_limit = job.kill_tree = job.shared = False
    job.keep = job.plan = None
    outcome = backend.run_alone(job)
    error, step, index = outcome.failure
    if error:
        raise standard_error(backend.spawn_failure(job, step, error, index), arguments[0], None)
    return outcome


def _text(data: bytes, codec: tuple[str, str] | None) -> Any:
    """As Popen decodes and translates newlines."""
    if codec is None:
        return data
    text = data.decode(*codec)
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


__all__ = ["complete", "runs_at_once"]
