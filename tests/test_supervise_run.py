"""Services as real processes: restarts, order, readiness, health, stops."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from fastos import _backend
from fastos.supervise import Backoff, Check, RestartLimit, Service, ServiceEvent, Supervisor
from fastos.supervise.tree import members
from supervising import FOREVER, PYTHON, is_state, python, states, step_until


def test_runs_until_shutdown_and_leaves_nothing() -> None:
    events: list[ServiceEvent] = []
    with Supervisor([Service("a", FOREVER)], on_event=events.append) as supervisor:
        threading.Timer(0.2, supervisor.shutdown).start()
        assert supervisor.run() == 0
    assert [event.state for event in events] == ["waiting", "starting", "running", "stopping", "stopped"]
    assert events[-1].exit is not None
    assert events[-1].exit.signal == signal.SIGTERM


def test_restarts_what_dies_and_counts() -> None:
    with Supervisor([Service("a", FOREVER, backoff=0)]) as supervisor:
        supervisor.start_all()
        seen = set()
        for restarts in range(1, 6):
            pid = supervisor.status()["a"].pid
            seen.add(pid)
            os.kill(pid, signal.SIGKILL)
            step_until(supervisor, lambda restarts=restarts: supervisor.status()["a"].restarts == restarts)  # type: ignore[misc]
        status = supervisor.status()["a"]
        assert (status.state, status.exit_signal, status.ready) == ("running", 9, True)
        assert len(seen) == 5


def test_policies_and_success_codes() -> None:
    services = [
        Service("done", "exit 0", restart="on-failure"),
        Service("three", "exit 3", restart="on-failure", success_codes=[3]),
        Service("term", "kill -TERM $$", restart="on-failure", success_codes=["TERM"]),
        Service("bad", "exit 7", restart="never"),
        Service("missing", ["/nowhere/at/all"], restart="never"),
        Service("late", "exit 0", restart="never", autostart=False),
    ]
    with Supervisor(services) as supervisor:
        assert supervisor.run(until_idle=True) == 0
        assert states(supervisor) == {
            "done": "exited",
            "three": "exited",
            "term": "exited",
            "bad": "failed",
            "missing": "failed",
            "late": "stopped",
        }
        status = supervisor.status()
        assert status["bad"].exit_code == 7
        assert status["missing"].exit_code == 127
        assert "No such file" in status["missing"].message


def test_a_crash_loop_ends_at_its_limit() -> None:
    service = Service("a", "exit 1", backoff=0, restart_limit=(5, 60))
    with Supervisor([service]) as supervisor:
        supervisor.run(until_idle=True)
        status = supervisor.status()["a"]
        assert (status.state, status.restarts, status.message) == ("failed", 5, "restarted more than 5 times in 60 s")
        supervisor.start("a")
        step_until(supervisor, is_state(supervisor, "a", "failed"))


def test_a_limit_can_end_the_supervisor() -> None:
    services = [Service("a", "exit 1", backoff=0, restart_limit=RestartLimit(1, 60, "shutdown")), Service("b", FOREVER)]
    with Supervisor(services) as supervisor:
        assert supervisor.run() == 1
        assert states(supervisor)["b"] == "stopped"


def test_backoff_delays_the_restart() -> None:
    with Supervisor([Service("a", "exit 1", backoff=Backoff(0.15, factor=1, jitter=0))]) as supervisor:
        started = time.monotonic()
        supervisor.start_all()
        step_until(supervisor, lambda: supervisor.status()["a"].restarts >= 4)
        assert time.monotonic() - started >= 0.4


def test_dependencies_start_when_ready_and_stop_in_reverse(tmp_path: Path) -> None:
    order: list[tuple[str, str]] = []
    flag = tmp_path / "ready"
    services = [
        Service("web", FOREVER, requires="database"),
        Service("proxy", FOREVER, requires="web", after="metrics"),
        Service("database", FOREVER, readiness=Check("command", command=["test", "-e", str(flag)], interval=0.02)),
        Service("metrics", FOREVER, autostart=False),
    ]
    with Supervisor(services, on_event=lambda event: order.append((event.name, event.state))) as supervisor:
        supervisor.start_all()
        for _ in range(5):
            supervisor.step(0.05)
        assert states(supervisor) == {
            "database": "starting",
            "web": "waiting",
            "proxy": "waiting",
            "metrics": "stopped",
        }
        assert supervisor.status()["web"].waiting_for == ("database",)
        flag.touch()
        step_until(supervisor, is_state(supervisor, "proxy", "running"))
        supervisor.stop("database")
        step_until(supervisor, is_state(supervisor, "database", "stopped"))
    assert [name for name, state in order if state == "running"] == ["database", "web", "proxy"]
    assert [name for name, state in order if state == "stopped"] == ["proxy", "web", "database"]


def test_starting_one_starts_what_it_requires() -> None:
    services = [Service("a", FOREVER, autostart=False), Service("b", FOREVER, requires="a", autostart=False)]
    with Supervisor(services) as supervisor:
        supervisor.start("b")
        step_until(supervisor, is_state(supervisor, "b", "running"))
        assert states(supervisor)["a"] == "running"


def test_a_job_comes_before_what_needs_it(tmp_path: Path) -> None:
    proof = tmp_path / "migrated"
    services = [
        Service("web", f"test -e {proof} && exec sleep 1000", restart="never", requires="migrate"),
        Service("migrate", f"sleep 0.2; touch {proof}", restart="never", readiness="exit"),
    ]
    with Supervisor(services) as supervisor:
        supervisor.start_all()
        step_until(supervisor, is_state(supervisor, "web", "running"))
        assert states(supervisor)["migrate"] == "exited"


def test_a_stop_timeout_is_followed_by_kill() -> None:
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(1000)"
    heard: list[bytes] = []
    service = python("a", stubborn, stop_timeout=0.2, log=lambda name, line: heard.append(line))
    with Supervisor([service]) as supervisor:
        supervisor.start_all()
        step_until(supervisor, lambda: heard)
        supervisor.stop("a")
        step_until(supervisor, is_state(supervisor, "a", "stopped"))
        assert supervisor.status()["a"].exit_signal == signal.SIGKILL


def test_a_stopped_process_is_continued_to_be_stopped() -> None:
    with Supervisor([Service("a", FOREVER, stop_timeout=60)]) as supervisor:
        supervisor.start_all()
        os.kill(supervisor.status()["a"].pid, signal.SIGSTOP)
        supervisor.stop("a")
        step_until(supervisor, is_state(supervisor, "a", "stopped"))
        assert supervisor.status()["a"].exit_signal == signal.SIGTERM


@pytest.mark.parametrize(
    ("scope", "command"),
    [
        ("group", "sleep 1000 & echo up; wait"),
        ("tree", "setsid sleep 1000 & setsid setsid sleep 1000 & (setsid sleep 1000 &); sleep 0.3; echo up; wait"),
    ],
)
def test_stop_reaches_what_the_service_forked(scope: str, command: str) -> None:
    heard: list[bytes] = []
    service = Service("a", command, stop_scope=scope, stop_timeout=5, log=lambda name, line: heard.append(line))
    with Supervisor([service]) as supervisor:
        supervisor.start_all()
        step_until(supervisor, lambda: heard)
        mark = supervisor.processes.unit_mark(supervisor.units()["a"])
        family = members([supervisor.status()["a"].pid], mark)
        assert len(family) >= (2 if scope == "group" else 4)
        supervisor.stop("a")
        step_until(supervisor, is_state(supervisor, "a", "stopped"))
        step_until(supervisor, lambda: not any(map(is_running, family)))


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


NOTIFY = """
import os, socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect(os.environ["NOTIFY_SOCKET"])
def say(text): s.send(text.encode())
"""


def test_readiness_by_notification() -> None:
    service = python(
        "a",
        NOTIFY + 'say("STATUS=soon"); time.sleep(.1); say("READY=1\\nSTATUS=here"); time.sleep(99)',
        readiness="notify",
    )
    with Supervisor([service]) as supervisor:
        supervisor.start_all()
        assert states(supervisor)["a"] == "starting"
        step_until(supervisor, is_state(supervisor, "a", "running"))
        assert supervisor.status()["a"].message == "here"


def test_notification_of_a_child_process_counts_for_the_group_only() -> None:
    code = NOTIFY + 'os.fork() == 0 and say("READY=1"); time.sleep(99)'
    services = [
        python("group", code, readiness="notify"),
        python("main", code, readiness="notify", notify_access="main"),
    ]
    with Supervisor(services) as supervisor:
        supervisor.start_all()
        step_until(supervisor, is_state(supervisor, "group", "running"))
        for _ in range(5):
            supervisor.step(0.05)
        assert states(supervisor)["main"] == "starting"


def test_a_stranger_cannot_notify() -> None:
    with Supervisor([python("a", NOTIFY + "time.sleep(99)", readiness="notify")]) as supervisor:
        supervisor.start_all()
        stranger = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with stranger:
            for message in (b"READY=1", b"", b"\xff" * 4000, b"=", b"READY=1\nMAINPID=1"):
                stranger.sendto(message, supervisor.reports.path())
            with open(os.devnull) as other:  # descriptors that come along are closed again
                stranger.connect(supervisor.reports.path())
                socket.send_fds(stranger, [b"READY=1"], [other.fileno()])
        for _ in range(5):
            supervisor.step(0.05)
        assert states(supervisor)["a"] == "starting"


def test_reloading_and_ready_again() -> None:
    code = NOTIFY + (
        "import signal\n"
        'signal.signal(1, lambda *a: (say("RELOADING=1"), time.sleep(.2), say("READY=1")))\n'
        'say("READY=1")\nwhile True: time.sleep(9)'
    )
    seen: list[str] = []
    with Supervisor(
        [python("a", code, readiness="notify")], on_event=lambda event: seen.append(event.state)
    ) as supervisor:
        supervisor.start_all()
        step_until(supervisor, is_state(supervisor, "a", "running"))
        supervisor.reload_service("a")
        step_until(supervisor, is_state(supervisor, "a", "reloading"))
        step_until(supervisor, is_state(supervisor, "a", "running"))
        assert supervisor.status()["a"].restarts == 0


def test_a_watchdog_that_is_not_petted() -> None:
    code = NOTIFY + (
        'assert os.environ["WATCHDOG_USEC"] == "300000"\n'
        'say("READY=1")\nfor _ in range(8): time.sleep(.1); say("WATCHDOG=1")\ntime.sleep(99)'
    )
    messages: list[str] = []
    with Supervisor(
        [python("a", code, readiness="notify", watchdog=0.3, backoff=0)],
        on_event=lambda event: messages.append(event.message),
    ) as supervisor:
        supervisor.start_all()
        step_until(supervisor, is_state(supervisor, "a", "running"))
        started = time.monotonic()
        step_until(supervisor, lambda: supervisor.status()["a"].restarts)
        assert time.monotonic() - started >= 0.3
    assert "watchdog: no sign of life" in messages


@pytest.mark.native
def test_readiness_by_descriptor() -> None:
    service = Service("a", "sleep 0.1; echo >&7; exec sleep 1000", readiness="fd:7")
    silent = Service("b", "exec 3>&-; exec sleep 1000", readiness="fd", start_timeout=0.3, restart="never")
    with Supervisor([service, silent]) as supervisor:
        supervisor.start_all()
        assert states(supervisor)["a"] == "starting"
        step_until(supervisor, is_state(supervisor, "a", "running"))
        step_until(supervisor, is_state(supervisor, "b", "failed"))


@pytest.mark.skipif(_backend.COMPILED, reason="the compiled core can do all of it")
def test_what_the_standard_library_cannot_do_is_named() -> None:
    services = [
        Service("fd", FOREVER, readiness="fd", restart="never"),
        Service("sockets", FOREVER, sockets="@fastos-test-stdlib", restart="never"),
        Service("nice", FOREVER, nice=5, restart="never"),
        Service("parent", FOREVER, die_with_parent=True, restart="never"),
    ]
    with Supervisor(services) as supervisor:
        supervisor.run(until_idle=True)
        assert set(states(supervisor).values()) == {"failed"}
        messages = {name: status.message for name, status in supervisor.status().items()}
        assert "dup2" in messages["fd"]
        assert "dup2" in messages["sockets"]
        assert "nice" in messages["nice"]
        assert "die_with_parent" in messages["parent"]


SERVER = """
import socket, sys, time
s = socket.socket(int(sys.argv[1])); time.sleep(.1)
s.bind(sys.argv[2] if s.family == socket.AF_UNIX else ("127.0.0.1", int(sys.argv[2]))); s.listen()
while True:
    c, _ = s.accept()
    with c:
        if len(sys.argv) > 3 and c.recv(1000).startswith(b"GET /health HTTP/1.0"): c.send(sys.argv[3].encode())
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_readiness_by_connection(tmp_path: Path) -> None:
    tcp, http, bad, path = free_port(), free_port(), free_port(), str(tmp_path / "socket")
    base, fast = [PYTHON, "-S", "-c", SERVER], {"interval": 0.05}
    url = "http://127.0.0.1:{}/health"
    services = [
        Service("tcp", [*base, "2", str(tcp)], readiness=Check("tcp", f"127.0.0.1:{tcp}", **fast)),
        Service("unix", [*base, "1", path], readiness=Check("unix", path, **fast)),
        Service(
            "http",
            [*base, "2", str(http), "HTTP/1.0 204 Fine\r\n\r\n"],
            readiness=Check("http", url.format(http), **fast),
        ),
        Service(
            "bad",
            [*base, "2", str(bad), "HTTP/1.0 500 Oh\r\n\r\n"],
            readiness=Check("http", url.format(bad), **fast),
            start_timeout=1.5,
            restart="never",
        ),
    ]
    with Supervisor(services) as supervisor:
        supervisor.start_all()
        assert set(states(supervisor).values()) == {"starting"}
        for name in ("tcp", "unix", "http"):
            step_until(supervisor, is_state(supervisor, name, "running"))
        step_until(supervisor, is_state(supervisor, "bad", "failed"))


def test_failing_health_restarts(tmp_path: Path) -> None:
    sick = tmp_path / "sick"
    health = Check("command", command=f"test ! -e {sick}", interval=0.05, failures=2)
    with Supervisor([Service("a", FOREVER, health=health, backoff=0)]) as supervisor:
        supervisor.start_all()
        for _ in range(6):
            supervisor.step(0.05)
        assert supervisor.status()["a"].restarts == 0
        sick.touch()
        step_until(supervisor, lambda: supervisor.status()["a"].restarts)
        sick.unlink()
        step_until(supervisor, is_state(supervisor, "a", "running"))


def test_a_check_that_hangs_is_killed() -> None:
    check = Check("command", command="sleep 1000", interval=0.05, timeout=0.1, failures=1)
    with Supervisor([Service("a", FOREVER, health=check, restart="never")]) as supervisor:
        supervisor.start_all()
        step_until(supervisor, is_state(supervisor, "a", "failed"))


@pytest.mark.native
def test_socket_activation_keeps_the_socket_over_restarts(tmp_path: Path) -> None:
    path = str(tmp_path / "listen")
    code = (
        "import os, socket\n"
        'assert os.environ["LISTEN_FDS"] == "2" and os.environ["LISTEN_PID"] == str(os.getpid())\n'
        "s = socket.socket(fileno=4); c, _ = s.accept(); c.send(str(os.getpid()).encode())"
    )
    service = python("a", code, sockets=[f"127.0.0.1:{free_port()}", path], backoff=0)
    with Supervisor([service]) as supervisor:
        supervisor.start_all()
        pids = set()
        for _ in range(3):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)
                client.settimeout(30)
                answer: list[bytes] = []
                reader = threading.Thread(target=lambda client=client, answer=answer: answer.append(client.recv(20)))  # type: ignore[misc]
                reader.start()
                step_until(supervisor, lambda answer=answer: answer)  # type: ignore[misc]
                reader.join()
                pids.add(answer[0])
        assert len(pids) == 3
    assert not os.path.exists(path)


@pytest.mark.parametrize(
    ("strategy", "restarted"), [("one_for_one", {"b"}), ("one_for_all", {"a", "b", "c"}), ("rest_for_one", {"b", "c"})]
)
def test_restart_groups(strategy: str, restarted: set[str]) -> None:
    services = [Service(name, FOREVER, restart_group="g", backoff=0.05) for name in "abc"]
    with Supervisor([*services, Service("other", FOREVER)], groups={"g": strategy}) as supervisor:
        supervisor.start_all()
        before = {name: status.pid for name, status in supervisor.status().items()}
        os.kill(before["b"], signal.SIGKILL)
        step_until(
            supervisor,
            lambda: supervisor.status()["b"].restarts and set(states(supervisor).values()) == {"running"},
        )
        after = {name: status.pid for name, status in supervisor.status().items()}
        assert {name for name in before if before[name] != after[name]} == restarted


def test_instances_are_told_apart() -> None:
    heard: list[bytes] = []
    service = Service(
        "w",
        "echo $FASTOS_INSTANCE; exec sleep 1000",
        instances=3,
        log=lambda name, line: heard.append(name.encode() + line),
    )
    with Supervisor([service, Service("after", FOREVER, after="w")]) as supervisor:
        supervisor.start_all()
        step_until(supervisor, lambda: len(heard) == 3)
        assert sorted(heard) == [b"w.11", b"w.22", b"w.33"]
        supervisor.restart("w.2")
        step_until(supervisor, lambda: len(heard) == 4)
        supervisor.stop("w")
        step_until(supervisor, lambda: all(states(supervisor)[f"w.{n}"] == "stopped" for n in (1, 2, 3)))


def test_reload_restarts_only_what_changed() -> None:
    with Supervisor([Service(name, FOREVER) for name in "abcd"]) as supervisor:
        supervisor.start_all()
        before = {name: status.pid for name, status in supervisor.status().items()}
        change = supervisor.reload(
            [
                Service("a", FOREVER),
                Service("b", ["/bin/sleep", "2000"]),
                Service("c", FOREVER, stop_timeout=3),
                Service("e", FOREVER, requires="a"),
            ]
        )
        assert (change.added, change.removed, change.restarted, change.updated) == (("e",), ("d",), ("b",), ("c",))
        step_until(
            supervisor,
            lambda: set(states(supervisor).values()) == {"running"} and set(states(supervisor)) == set("abce"),
        )
        after = {name: status.pid for name, status in supervisor.status().items()}
        assert (after["a"], after["c"]) == (before["a"], before["c"])
        assert after["b"] != before["b"]
        with pytest.raises(ValueError, match="circle"):
            supervisor.reload([Service("a", FOREVER, after="e"), Service("e", FOREVER, after="a")])
        assert set(states(supervisor)) == set("abce")


def test_add_remove_and_unknown_names() -> None:
    with Supervisor([Service("a", FOREVER)]) as supervisor:
        supervisor.start_all()
        supervisor.add(Service("b", FOREVER, requires="a"))
        step_until(supervisor, lambda: states(supervisor) == {"a": "running", "b": "running"})
        with pytest.raises(ValueError, match="comes after 'a'"):
            supervisor.remove("a")
        supervisor.remove("b")
        step_until(supervisor, lambda: set(states(supervisor)) == {"a"})
        for action in (supervisor.start, supervisor.stop, supervisor.restart, supervisor.remove):
            with pytest.raises(KeyError):
                action("nobody")


def test_commands_from_other_threads() -> None:
    with Supervisor([Service("a", FOREVER), Service("b", FOREVER, autostart=False)]) as supervisor:
        problems: list[BaseException] = []

        def command() -> None:
            try:
                for _ in range(20):
                    supervisor.restart("a")
                    supervisor.start("b")
                    supervisor.status()
                    supervisor.stop("b")
            except BaseException as error:
                problems.append(error)

        threads = [threading.Thread(target=command) for _ in range(4)]

        def end() -> None:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            supervisor.shutdown()

        boss = threading.Thread(target=end)
        boss.start()
        supervisor.run()
        boss.join()
        assert not problems


def test_shutdown_from_a_signal_handler() -> None:
    with Supervisor([Service("a", FOREVER)]) as supervisor:
        before = signal.signal(signal.SIGUSR1, lambda number, frame: supervisor.shutdown(5))
        try:
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1)).start()
            assert supervisor.run() == 5
        finally:
            signal.signal(signal.SIGUSR1, before)


def test_the_application_keeps_sigchld_and_its_own_children() -> None:
    caught: list[int] = []
    before = signal.signal(signal.SIGCHLD, lambda number, frame: caught.append(number))
    try:
        with Supervisor([Service("a", "exit 0", restart="never")]) as supervisor:
            own = os.posix_spawn("/bin/true", ["true"], {})
            supervisor.run(until_idle=True)
            assert os.waitpid(own, 0) == (own, 0)
            assert signal.getsignal(signal.SIGCHLD) is not signal.SIG_DFL
        assert caught
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_a_stolen_status_is_not_taken_for_success() -> None:
    with Supervisor([Service("a", FOREVER, restart="on-failure", backoff=0)]) as supervisor:
        supervisor.start_all()
        pid = supervisor.status()["a"].pid
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        step_until(supervisor, lambda: supervisor.status()["a"].restarts == 1)
        assert supervisor.status()["a"].exit_code is None


def test_an_error_in_on_event_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(event: ServiceEvent) -> None:
        raise RuntimeError("in on_event")

    with Supervisor([Service("a", "exit 0", restart="never")], on_event=fail) as supervisor:
        supervisor.run(until_idle=True)
        assert states(supervisor) == {"a": "exited"}
    assert "in on_event" in capsys.readouterr().err


def test_a_jump_of_the_wall_clock_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with Supervisor([Service("a", "exit 1", backoff=Backoff(0.1, factor=1))]) as supervisor:
        supervisor.start_all()
        for jump in (10**18, 0, -(10**18)):
            monkeypatch.setattr(time, "time_ns", lambda jump=jump: jump)
            monkeypatch.setattr(time, "time", lambda jump=jump: jump / 1e9)
            before = supervisor.status()["a"].restarts
            step_until(supervisor, lambda before=before: supervisor.status()["a"].restarts > before)  # type: ignore[misc]


def test_idle_is_asleep() -> None:
    import resource

    with Supervisor([Service(f"s{n}", FOREVER) for n in range(50)]) as supervisor:
        supervisor.start_all()
        step_until(supervisor, lambda: supervisor.count(supervisor.units()["s0"].state) == 50)
        supervisor.step(0)
        timer = threading.Timer(1.0, supervisor.loop.wake)
        timer.start()
        before = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
        supervisor.step(None)
        assert resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - before <= 2
        timer.join()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_inside_an_event_loop(backend: str) -> None:
    import anyio

    ticks = 0

    async def main() -> int:
        nonlocal ticks
        supervisor = Supervisor([Service("a", "exit 1", backoff=Backoff(0.05, factor=1))])
        code = -1

        async def supervise() -> None:
            nonlocal code
            code = await supervisor.run_async()

        async with anyio.create_task_group() as group:
            group.start_soon(supervise)
            while supervisor.status()["a"].restarts < 4:
                ticks += 1
                await anyio.sleep(0.01)
            supervisor.shutdown(3)
        return code

    assert anyio.run(main, backend=backend) == 3
    assert ticks > 4


def test_cancelling_the_task_kills_and_closes() -> None:
    import anyio

    async def main() -> None:
        with anyio.move_on_after(0.3):
            await Supervisor([Service("a", FOREVER)]).run_async()

    anyio.run(main)


def test_missing_platform_features_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    with pytest.raises(NotImplementedError, match=f"pidfd_open, which {sys.platform} does not have"):
        Supervisor([])


def test_an_exception_in_the_block_stops_the_services() -> None:
    supervisor = Supervisor([Service("a", FOREVER)])

    def fail() -> None:
        with supervisor:
            supervisor.start_all()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert states(supervisor) == {"a": "stopped"}


@pytest.mark.native
def test_children_die_with_a_killed_supervisor() -> None:
    import subprocess

    code = (
        "import os, signal\nfrom fastos.supervise import Service, Supervisor\n"
        'with Supervisor([Service("a", ["sleep", "1000"], die_with_parent=True)]) as s:\n'
        '    s.start_all(); print(s.status()["a"].pid, flush=True); os.kill(os.getpid(), 9)'
    )
    result = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=False)
    pid = int(result.stdout)
    deadline = time.monotonic() + 20
    while is_running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.native
def test_set_up_of_the_child(tmp_path: Path) -> None:
    heard: list[bytes] = []
    nice = min(os.nice(0) + 3, 19)
    service = Service(
        "a",
        "ulimit -n; ulimit -v; pwd; umask; echo $ONLY $PATH; nice; exec sleep 1000",
        rlimits={"nofile": 77, "RLIMIT_AS": (1 << 30, 1 << 31)},
        cwd=str(tmp_path),
        umask=0o027,
        env={"ONLY": "this"},
        clear_env=True,
        nice=nice,
        log=lambda name, line: heard.append(line),
    )
    with Supervisor([service]) as supervisor:
        supervisor.start_all()
        step_until(supervisor, lambda: len(heard) >= 6)
    assert heard[:4] == [b"77", str(1 << 20).encode(), str(tmp_path).encode(), b"0027"]
    assert heard[4].startswith(b"this")
    assert heard[5] == str(nice).encode()


def test_children_have_the_limits_that_we_had() -> None:
    import resource

    heard: list[bytes] = []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, hard), hard))
    try:
        service = Service("a", "ulimit -n", restart="never", log=lambda name, line: heard.append(line))
        with Supervisor([service]) as supervisor:
            supervisor.run(until_idle=True)
        assert heard == [str(min(512, hard)).encode()]
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(512, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.root
def test_as_another_user(ordinary_user: tuple[int, int]) -> None:
    heard: list[bytes] = []
    services = [
        Service("a", "id -u; id -g; exec sleep 1000", user="nobody", log=lambda name, line: heard.append(line)),
        Service("b", FOREVER, user="no-such-user", restart="never"),
    ]
    with Supervisor(services) as supervisor:
        supervisor.start_all()
        step_until(supervisor, lambda: len(heard) == 2)
        step_until(supervisor, is_state(supervisor, "b", "failed"))
        assert heard == [str(number).encode() for number in ordinary_user]
        assert "no-such-user" in supervisor.status()["b"].message


def test_one_senseless_option_does_not_end_the_others() -> None:
    services = [Service("a", FOREVER, user="nobody-of-this-name", restart="never"), Service("b", FOREVER)]
    with Supervisor(services) as supervisor:
        supervisor.start_all()
        assert states(supervisor) == {"a": "failed", "b": "running"}
        assert "Error" in supervisor.status()["a"].message


def test_waking_a_loop_that_closes_is_safe() -> None:
    """Whoever calls shutdown late must neither fail nor write to a descriptor that has another owner by then."""
    for _ in range(30):
        supervisor = Supervisor([])
        supervisor.step(0)
        problems: list[BaseException] = []

        def wake(supervisor: Supervisor = supervisor, problems: list[BaseException] = problems) -> None:
            try:
                for _ in range(200):
                    supervisor.shutdown()
            except BaseException as error:
                problems.append(error)

        thread = threading.Thread(target=wake)
        thread.start()
        supervisor.close()
        thread.join()
        assert not problems


WHAT_I_AM = """
import os, resource, signal
print(os.getpgid(0) == os.getpid(), os.getsid(0) == os.getpid())
print(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())))
print(os.nice(0), os.umask(0), resource.getrlimit(resource.RLIMIT_CORE))
print(sorted(os.sched_getaffinity(0)), open("/proc/self/oom_score_adj").read().strip())
print(os.read(0, 100), os.read(9, 100))
"""


@pytest.mark.native
def test_takes_what_spawn_takes(tmp_path: Path) -> None:
    (tmp_path / "input").write_text("typed")
    heard: list[bytes] = []
    cpu = min(os.sched_getaffinity(0))
    with open(tmp_path / "input", "rb") as given:
        service = python(
            "a",
            WHAT_I_AM,
            restart="never",
            stdin=str(tmp_path / "input"),
            fds={9: given},
            signal_mask=["USR1", 12],
            nice=os.nice(0) + 1,
            umask=0o27,
            rlimits={"core": 0},
            affinity=[cpu],
            oom_score_adj=500,
            log=lambda name, line: heard.append(line),
        )
        with Supervisor([service]) as supervisor:
            supervisor.run(until_idle=True)
            assert supervisor.status()["a"].state == "exited", supervisor.status()["a"].message
    assert heard[0] == b"True False"
    assert b"SIGUSR1" in heard[1]
    assert b"12" in heard[1]
    assert heard[2:] == [
        f"{os.nice(0) + 1} {0o27} (0, 0)".encode(),
        f"[{cpu}] 500".encode(),
        b"b'typed' b'typed'",
    ]


@pytest.mark.native
def test_a_service_on_a_terminal() -> None:
    heard: list[bytes] = []
    master, terminal = os.openpty()
    try:
        service = python(
            "a",
            "import os; print(os.getsid(0) == os.getpid(), os.tcgetpgrp(0) == os.getpid())",
            restart="never",
            stdin=os.ttyname(terminal),
            controlling_tty=True,
            log=lambda name, line: heard.append(line),
        )
        with Supervisor([service]) as supervisor:
            supervisor.run(until_idle=True)
    finally:
        os.close(master)
        os.close(terminal)
    assert heard == [b"True True"]


def cgroup_parent() -> str | None:
    """A cgroup v2 directory to make others in, or None."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        if line.split()[2] == "cgroup2" and os.access(line.split()[1], os.W_OK):
            return line.split()[1]
    return None


@pytest.mark.linux_native
@pytest.mark.root
@pytest.mark.skipif(cgroup_parent() is None, reason="no cgroup v2 to write to")
def test_is_born_in_its_cgroup_and_all_in_it_is_killed() -> None:
    group = Path(f"{cgroup_parent()}/fastos-test-{os.environ.get('FASTOS_CI_RUN', '0')}-{os.getpid()}-a")
    group.mkdir()
    service = Service(
        "a", "setsid sleep 1000 & exec sleep 1000", cgroup=str(group)[:-1] + "{name}", stop_scope="tree", stop_timeout=5
    )
    try:
        with Supervisor([service]) as supervisor:
            supervisor.start_all()
            step_until(supervisor, lambda: len((group / "cgroup.procs").read_text().split()) == 2)
            assert str(supervisor.status()["a"].pid) in (group / "cgroup.procs").read_text().split()
    finally:
        for _ in range(500):  # the kernel lets go of the killed a moment later
            try:
                group.rmdir()
            except OSError:
                time.sleep(0.01)
            else:
                break
    assert not group.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"process_group": 77}, "stop_scope 'process'"),
        ({"controlling_tty": True}, "needs a terminal as stdin"),
        ({"stdin": "file"}, "expected null, inherit or an absolute path"),
        ({"fds": {1: 0}}, "1 is taken"),
        ({"fds": {3: 0}, "readiness": "fd:3"}, "3 is taken"),
        ({"nice": 77}, "from -20 to 19"),
        ({"signal_mask": ["NOPE"]}, "unknown signal 'NOPE'"),
        ({"instances": 2, "stop_scope": "tree", "cgroup": "/x"}, "needs {name}"),
    ],
)
def test_options_that_make_no_sense_are_refused_at_once(options: dict[str, object], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"service 'a': .*{message}"):
        Service("a", FOREVER, **options)


def test_a_reload_brings_back_those_that_require_what_changed() -> None:
    first = [Service("db", FOREVER), Service("web", FOREVER, requires="db"), Service("off", FOREVER, requires="web")]
    later = [Service("db", [*FOREVER, "1"]), Service("web", [*FOREVER, "2"], requires="db"), first[2]]
    with Supervisor(first) as supervisor:
        supervisor.start_all()
        supervisor.stop("off")
        step_until(supervisor, is_state(supervisor, "off", "stopped"))
        before = {name: status.pid for name, status in supervisor.status().items()}
        for services in (later, [later[0], *first[1:]], first):
            supervisor.reload(services)
            step_until(supervisor, lambda: states(supervisor) == {"db": "running", "web": "running", "off": "stopped"})
        after = {name: status.pid for name, status in supervisor.status().items()}
        assert before["db"] != after["db"]
        assert before["web"] != after["web"]


def test_terminate_at_any_moment() -> None:
    """A supervisor that is told to end right after its start, again and again: none sleeps over it."""
    code = (
        "import os, signal, threading, fastos\n"
        "for _ in range(500):\n"
        "    supervisor = fastos.Supervisor()\n"
        "    signal.signal(signal.SIGTERM, lambda number, frame: supervisor.shutdown())\n"
        "    with supervisor:\n"
        "        threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGTERM)).start()\n"
        "        supervisor.run()\n"
        "assert signal.set_wakeup_fd(-1) == -1\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
