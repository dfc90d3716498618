"""Reloads that meet what is under way: other reloads, slow stops, commands, dependencies that change."""

import os
import signal
from pathlib import Path

from fastos.supervise import Check, Service, Supervisor
from supervising import FOREVER, is_state, states, step_until

# Ends only when the test kills it: the stop is under way for as long as the test wants.
STUBBORN = {"stop_signal": signal.SIGURG, "stop_timeout": 20.0}


def words(supervisor: Supervisor, name: str) -> str:
    """What the service's process was started with."""
    path = Path(f"/proc/{supervisor.status()[name].pid}/cmdline")
    while not (text := path.read_text()):
        pass  # in the middle of its exec
    return text.replace("\0", " ").strip()


def pids(supervisor: Supervisor) -> dict[str, int]:
    return {name: status.pid for name, status in supervisor.status().items()}


def is_killed_and_stays_stopped(supervisor: Supervisor) -> None:
    os.kill(supervisor.status()["a"].pid, signal.SIGKILL)
    step_until(supervisor, is_state(supervisor, "a", "stopped"))
    for _ in range(5):
        supervisor.step(0)
    assert states(supervisor) == {"a": "stopped"}


def test_all_that_changes_at_once_comes_back_changed() -> None:
    with Supervisor([Service("db", FOREVER), Service("web", FOREVER, requires="db")]) as supervisor:
        supervisor.start_all()
        supervisor.reload([Service("db", [*FOREVER, "1"]), Service("web", [*FOREVER, "2"], requires="db")])
        step_until(supervisor, supervisor.reloads.is_over)
        step_until(supervisor, lambda: states(supervisor) == {"db": "running", "web": "running"})
        assert words(supervisor, "db") == "/bin/sleep 1000 1"
        assert words(supervisor, "web") == "/bin/sleep 1000 2"


def test_a_second_reload_before_the_first_is_over() -> None:
    with Supervisor([Service("a", FOREVER, **STUBBORN)]) as supervisor:
        supervisor.start_all()
        supervisor.reload([Service("a", [*FOREVER, "1"], **STUBBORN)])
        supervisor.reload([Service("a", [*FOREVER, "2"], **STUBBORN)])
        os.kill(supervisor.status()["a"].pid, signal.SIGKILL)
        step_until(supervisor, is_state(supervisor, "a", "running"))
        assert words(supervisor, "a") == "/bin/sleep 1000 2"
        os.kill(supervisor.status()["a"].pid, signal.SIGKILL)


def test_a_stop_during_a_reload_holds() -> None:
    with Supervisor([Service("a", FOREVER, **STUBBORN)]) as supervisor:
        supervisor.start_all()
        supervisor.reload([Service("a", [*FOREVER, "1"], **STUBBORN)])
        supervisor.stop("a")
        is_killed_and_stays_stopped(supervisor)
        supervisor.start("a")
        assert words(supervisor, "a") == "/bin/sleep 1000 1"
        os.kill(supervisor.status()["a"].pid, signal.SIGKILL)


def test_a_start_during_a_reload_starts_what_is_new() -> None:
    with Supervisor([Service("a", FOREVER, **STUBBORN)]) as supervisor:
        supervisor.start_all()
        before = supervisor.status()["a"].pid
        supervisor.reload([Service("a", [*FOREVER, "1"], **STUBBORN)])
        supervisor.start("a")
        os.kill(before, signal.SIGKILL)
        step_until(supervisor, lambda: supervisor.status()["a"].pid not in (0, before))
        assert words(supervisor, "a") == "/bin/sleep 1000 1"
        supervisor.stop("a")
        is_killed_and_stays_stopped(supervisor)


def test_what_required_a_removed_service_goes_on() -> None:
    with Supervisor([Service("db", FOREVER), Service("web", FOREVER, requires="db")]) as supervisor:
        supervisor.start_all()
        before = pids(supervisor)["web"]
        supervisor.reload([Service("web", FOREVER)])
        step_until(supervisor, lambda: "db" not in supervisor.status())
        assert states(supervisor) == {"web": "running"}
        assert pids(supervisor)["web"] == before


def test_fewer_instances_leave_alone_who_requires_them() -> None:
    web = Service("web", FOREVER, requires="db")
    with Supervisor([Service("db", FOREVER, instances=3), web]) as supervisor:
        supervisor.start_all()
        before = pids(supervisor)
        supervisor.reload([Service("db", FOREVER, instances=2), web])
        step_until(supervisor, lambda: "db.3" not in supervisor.status())
        assert set(states(supervisor).values()) == {"running"}
        assert {name: pid for name, pid in before.items() if name != "db.3"} == pids(supervisor)


def test_a_dependency_that_comes_with_a_change_is_heeded() -> None:
    with Supervisor([Service("web", FOREVER)]) as supervisor:
        supervisor.start_all()
        db = Service("db", FOREVER, autostart=False)
        supervisor.reload([db, Service("web", [*FOREVER, "1"], requires="db")])
        step_until(supervisor, supervisor.reloads.is_over)
        step_until(supervisor, is_state(supervisor, "web", "running"))
        assert states(supervisor) == {"db": "running", "web": "running"}
        supervisor.stop("db")
        step_until(supervisor, lambda: states(supervisor) == {"db": "stopped", "web": "stopped"})


def test_who_waits_goes_when_the_reason_is_gone() -> None:
    never = Service("never", FOREVER, readiness=Check("command", command="false"))
    with Supervisor([never, Service("web", FOREVER, after="never")]) as supervisor:
        supervisor.start_all()
        assert states(supervisor) == {"never": "starting", "web": "waiting"}
        supervisor.reload([never, Service("web", FOREVER)])
        step_until(supervisor, is_state(supervisor, "web", "running"))
        assert states(supervisor)["never"] == "starting"


def test_a_stop_that_waits_goes_on_when_the_reason_is_gone() -> None:
    with Supervisor([Service("db", FOREVER), Service("web", FOREVER, requires="db", **STUBBORN)]) as supervisor:
        supervisor.start_all()
        supervisor.stop("db")
        assert states(supervisor) == {"db": "running", "web": "stopping"}
        supervisor.reload([Service("db", FOREVER), Service("web", FOREVER, **STUBBORN)])
        step_until(supervisor, is_state(supervisor, "db", "stopped"))
        assert states(supervisor)["web"] == "stopping"
        os.kill(supervisor.status()["web"].pid, signal.SIGKILL)


def test_a_health_check_that_comes_with_a_reload_is_asked() -> None:
    bad = Check("command", command="false", interval=0.01, failures=1)
    with Supervisor([Service("a", FOREVER)]) as supervisor:
        supervisor.start_all()
        change = supervisor.reload([Service("a", FOREVER, health=bad)])
        assert change.updated == ("a",)
        step_until(supervisor, lambda: supervisor.status()["a"].restarts > 0)
