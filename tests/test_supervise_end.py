"""The beginning and the end of a supervisor: threads, shutdown at any moment, what comes too late."""

import signal
import subprocess
import threading
from pathlib import Path

import pytest

from fastos.supervise import Service, Supervisor, children
from fastos.supervise.loop import Loop
from supervising import FOREVER, PYTHON, states, step_until

STUBBORN = {"stop_signal": signal.SIGURG, "stop_timeout": 20.0}


def run_program(code: str) -> None:
    """In a process of its own, for what would hang or leave children."""
    subprocess.run([PYTHON, "-c", f"import fastos, os, signal, sys, threading\n{code}"], check=True, timeout=60)


def test_shutdown_before_run() -> None:
    run_program("s = fastos.Supervisor([fastos.Service('a', ['sleep', '100'])])\ns.shutdown(3)\nassert s.run() == 3")


def test_what_was_asked_for_just_before_the_end_does_not_start() -> None:
    with Supervisor() as supervisor:
        supervisor.start_all()
        supervisor.add(Service("a", FOREVER, **STUBBORN))
        supervisor.shutdown()
        for _ in range(5):
            supervisor.step(0)
        assert states(supervisor) == {"a": "stopped"}


def test_commands_are_refused_once_the_end_has_begun() -> None:
    services = [Service("a", FOREVER, **STUBBORN), Service("b", FOREVER)]
    with Supervisor(services) as supervisor:
        supervisor.start_all()
        supervisor.shutdown()
        step_until(supervisor, lambda: states(supervisor) == {"a": "stopping", "b": "stopped"})
        calls = (
            lambda: supervisor.start("b"),
            lambda: supervisor.restart("a"),
            lambda: supervisor.add(Service("c", FOREVER)),
            lambda: supervisor.reload([]),
            lambda: supervisor.remove("b"),
        )
        for call in calls:
            with pytest.raises(RuntimeError, match="shutting down"):
                call()
        supervisor.signal("a", signal.SIGKILL)
        step_until(supervisor, lambda: set(states(supervisor).values()) == {"stopped"})


def test_a_closed_supervisor_starts_nothing() -> None:
    with Supervisor([Service("a", FOREVER)]) as supervisor:
        pass
    with pytest.raises(RuntimeError, match="closed"):
        supervisor.start("a")
    assert states(supervisor) == {"a": "stopped"}


def test_deadlines_are_touched_under_the_lock_alone() -> None:
    """Another thread may set a deadline while this one is about to sleep."""
    with Supervisor([Service("a", "exit 1", backoff=0.01)]) as supervisor:
        timers, held = supervisor.loop.timers, []
        look = timers.next_deadline

        class Watched(type(timers)):  # type: ignore[misc]
            __slots__ = ()

            def next_deadline(self) -> int | None:
                held.append(supervisor._lock._is_owned())  # type: ignore[attr-defined]
                return look()

        timers.__class__ = Watched
        supervisor.start_all()
        step_until(supervisor, lambda: supervisor.status()["a"].restarts > 2)
        timers.__class__ = Watched.__base__
    assert held
    assert all(held)


def test_leaving_the_block_while_a_thread_runs_it() -> None:
    run_program(
        "for _ in range(50):\n"
        "    with fastos.Supervisor([fastos.Service('a', ['sleep', '100'])]) as s:\n"
        "        thread = threading.Thread(target=s.run)\n"
        "        thread.start()\n"
        "    thread.join()\n"
    )


def test_commands_while_another_thread_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    entered, go = threading.Event(), threading.Event()

    class SlowLoop(Loop):
        __slots__ = ()

        def __init__(self) -> None:
            entered.set()
            assert go.wait(30)
            super().__init__()

    monkeypatch.setattr("fastos.supervise.supervisor.Loop", SlowLoop)
    supervisor = Supervisor([Service("a", FOREVER, autostart=False)])
    thread = threading.Thread(target=supervisor.run)
    errors: list[BaseException] = []

    def ask() -> None:
        try:
            supervisor.status()
            supervisor.start("a")
        except BaseException as error:
            errors.append(error)

    thread.start()
    assert entered.wait(30)
    asker = threading.Thread(target=ask)
    asker.start()
    supervisor.shutdown()
    go.set()
    asker.join()
    thread.join()
    assert all(isinstance(error, RuntimeError) for error in errors), errors


def test_an_interrupt_in_the_middle_of_a_start_loses_no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    spawn = children.backend.spawn

    def interrupted(*arguments: object) -> object:
        made = spawn(*arguments)  # type: ignore[arg-type]
        signal.raise_signal(signal.SIGINT)
        return made

    monkeypatch.setattr(children.backend, "spawn", interrupted)
    supervisor = Supervisor([Service("a", FOREVER), Service("b", FOREVER)])
    with pytest.raises(KeyboardInterrupt), supervisor:
        supervisor.run()
    assert states(supervisor) == {"a": "stopped", "b": "stopped"}
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_interrupt_ends_at_once() -> None:
    class Stubborn(Supervisor):
        def shutdown(self, exit_code: int = 0, *, now: bool = False) -> None:
            super().shutdown(exit_code, now=now)
            signal.raise_signal(signal.SIGINT)

    supervisor = Stubborn(
        [Service("a", FOREVER, **STUBBORN)],
        on_event=lambda event: event.state == "running" and signal.raise_signal(signal.SIGINT),
    )
    with pytest.raises(KeyboardInterrupt):
        supervisor.run()
    assert states(supervisor)["a"] in ("stopped", "failed", "exited")


def test_a_run_that_cannot_begin_leaves_nothing_open(tmp_path: Path) -> None:
    supervisor = Supervisor([Service("a", FOREVER)], control=tmp_path / "missing" / "control")
    with pytest.raises(FileNotFoundError):
        supervisor.run()
    with pytest.raises(RuntimeError, match="closed"):
        supervisor.run()
