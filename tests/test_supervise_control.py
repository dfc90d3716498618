"""The control socket and `fastos ctl`, the metrics: what they answer, and what they survive."""

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastos.cli.ctl import Client, Failed, duration
from fastos.supervise import Backoff, Check, Log, Service, Supervisor
from fastos.supervise.control import tail
from fastos.supervise.loop import Loop
from supervising import FOREVER, PYTHON, is_state, states, step_until


class Running:
    """A supervisor in a thread."""

    def __init__(self, directory: Path, services: list[Service], **options: Any) -> None:
        self.path = str(directory / "control")
        self.supervisor = Supervisor(services, control=self.path, **options)
        self.opened = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        assert self.opened.wait(30)

    def _run(self) -> None:
        with self.supervisor:
            self.opened.set()
            self.supervisor.run()

    def close(self) -> None:
        self.supervisor.shutdown()
        self.thread.join()

    def ctl(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [PYTHON, "-m", "fastos", "ctl", "--socket", self.path, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **options)


def until_failed(client: Client, name: str) -> None:
    while client.ask("status", names=[name])[0]["state"] != "failed":
        pass


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    services = [
        Service("db", FOREVER),
        Service("web", FOREVER, requires="db", log=tmp_path / "web.log"),
        Service("job", "echo done; exit 3", restart="never", autostart=False, log=tmp_path / "job.log"),
        Service("idle", FOREVER, autostart=False),
    ]
    running = Running(tmp_path, services, metrics=str(tmp_path / "metrics"))
    yield running
    running.close()


def test_the_socket_is_ours_alone_and_goes_with_us(running: Running) -> None:
    assert stat.S_IMODE(os.stat(running.path).st_mode) == 0o600
    running.close()
    assert not os.path.exists(running.path)


def test_requests_and_answers(running: Running) -> None:
    with Client(running.path) as client:
        assert client.ask("ping")["version"] == 1
        assert client.ask("wait-ready", names=["web"]) == {"names": ["web"]}
        status = {entry["name"]: entry for entry in client.ask("status")}
        assert status["web"]["state"] == "running"
        assert status["idle"]["state"] == "stopped"
        pid = status["db"]["pid"]
        client.ask("signal", names=["db"], signal="KILL")
        while (fresh := client.ask("status", names=["db"])[0])["pid"] in (0, pid):
            pass
        assert (fresh["restarts"], fresh["exit_signal"]) == (1, 9)
        client.ask("stop", names=["db"])
        client.ask("start", names=["job"])
        until_failed(client, "job")
        with pytest.raises(Failed, match="failed: job"):
            client.ask("wait-ready", names=["job"])
        for command, arguments, message in [
            ("dance", {}, "unknown command 'dance'"),
            ("start", {}, "names are missing"),
            ("start", {"names": ["nobody"]}, "no service called 'nobody'"),
            ("start", {"names": "web"}, "names must be a list"),
            ("signal", {"names": ["db"], "signal": "NOPE"}, "unknown signal"),
            ("reload", {}, "no configuration"),
            ("upgrade", {}, "part of a program"),
            ("logs", {"lines": -1}, "lines must be"),
        ]:
            with pytest.raises(Failed, match=message):
                client.ask(command, **arguments)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\n\n\n",
        b"hello\n",
        b"{}\n",
        b"[]\n",
        b'{"v": 2, "id": 1, "cmd": "status"}\n',
        b'{"v": 1, "cmd": ["status"]}\n',
        b"[" * 60000 + b"\n",
        b"\xff\x00\xfe\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"x" * 200000,
    ],
)
def test_garbage_is_answered_or_dropped(running: Running, garbage: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(running.path)
        client.settimeout(60)
        try:
            client.sendall(garbage)
            client.shutdown(socket.SHUT_WR)
            answer = b""
            while data := client.recv(65536):
                answer += data
        except (BrokenPipeError, ConnectionResetError):
            pass
        else:
            assert all(not json.loads(line)["ok"] for line in answer.splitlines())
    with Client(running.path) as client:
        assert client.ask("ping")


def test_a_thousand_clients_disturb_nothing(running: Running) -> None:
    clients = []
    try:
        for number in range(1000):
            client = socket.socket(socket.AF_UNIX)
            clients.append(client)
            client.connect(running.path)
            if number % 3 == 0:
                client.send(b'{"v": 1, "id": 1, "cmd": "sta')
            if number % 3 == 1:
                client.send(b'{"v": 1, "id": 1, "cmd": "wait-ready"}\n')
        with Client(running.path) as extra:
            pid = extra.ask("status", names=["db"])[0]["pid"]
            extra.ask("signal", names=["db"], signal=9)
            while extra.ask("status", names=["db"])[0]["pid"] in (0, pid):
                pass
            assert extra.ask("status", names=["db"])[0]["restarts"] == 1
    finally:
        for client in clients:
            client.close()


def test_a_client_that_never_reads_is_dropped(running: Running) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(running.path)
        client.settimeout(60)

        def flood() -> None:
            while True:
                client.sendall(b'{"v": 1, "id": 1, "cmd": "status"}\n' * 100)

        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            flood()


def test_ctl_commands(running: Running, tmp_path: Path) -> None:
    assert running.ctl("wait-ready", "web", "--timeout", "60").returncode == 0
    result = running.ctl("status", "--json")
    assert {entry["name"] for entry in json.loads(result.stdout)} == {"db", "web", "job", "idle"}
    table = running.ctl("status").stdout
    assert "SERVICE" in table
    assert "running" in table
    assert running.ctl("start", "job").returncode == 0
    with Client(running.path) as client:
        until_failed(client, "job")
    assert running.ctl("wait-ready", "job").returncode == 1
    assert "failed" in running.ctl("status").stdout
    assert running.ctl("status", "job").returncode == 1
    assert running.ctl("logs", "job").stdout.endswith("Z done\n")
    assert running.ctl("wait-ready", "idle", "--timeout", "0.2").returncode == 4
    assert running.ctl("stop", "nobody").returncode == 1
    assert running.ctl("shutdown").returncode == 0
    running.thread.join()
    assert running.ctl("status").returncode == 3


def test_a_live_table_on_a_terminal(running: Running) -> None:
    assert running.ctl("wait-ready", "web").returncode == 0
    master, terminal = os.openpty()
    command = [PYTHON, "-m", "fastos", "ctl", "--socket", running.path, "status", "--watch", "--interval", "0.05"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, env=environment)
    os.close(terminal)
    shown = b""

    def read_until(wanted: bytes) -> None:
        nonlocal shown
        while wanted not in shown:
            shown += os.read(master, 65536)

    try:
        read_until(b"running")
        assert b"\x1b[" in shown
        with Client(running.path) as client:
            client.ask("start", names=["job"])
        read_until(b"code 3")
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):  # EIO: the other side is closed
            while os.read(master, 65536):
                pass
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.wait()
        os.close(master)


def test_logs_are_followed(tmp_path: Path) -> None:
    chatty = Service("a", "echo more", backoff=Backoff(0.1, factor=1), log=tmp_path / "a.log")
    own = Service("b", "echo lines", backoff=Backoff(0.1, factor=1), log=lambda name, line: None)
    running = Running(tmp_path, [chatty, own])
    try:
        command = [PYTHON, "-m", "fastos", "ctl", "--socket", running.path, "logs", "-f"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as follower:
            assert follower.stdout is not None
            seen = ""
            while seen.count("more") < 3 or seen.count("lines") < 3:
                seen += follower.stdout.readline()
            follower.kill()
    finally:
        running.close()


def test_a_follower_that_does_not_keep_up_is_told(tmp_path: Path) -> None:
    log = Log("file", path=str(tmp_path / "a.log"), max_bytes=0)
    flood = Service("a", "yes | head -c 8000000; exec sleep 1000", log=log, autostart=False)
    running = Running(tmp_path, [flood])
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(running.path)
            client.settimeout(60)
            client.sendall(b'{"v": 1, "id": 1, "cmd": "logs", "follow": true}\n')
            with Client(running.path) as other:
                other.ask("start", names=["a"])
                while not log_size(tmp_path / "a.log") >= 8000000:
                    other.ask("ping")
            skipped, data = False, b""
            while not skipped:  # what waited comes first; the restart makes it speak again, and say what was skipped
                data += client.recv(1 << 20)
                *lines, data = data.split(b"\n")
                skipped = any("skipped" in json.loads(line) for line in lines)
                running.supervisor.restart("a")
    finally:
        running.close()


def log_size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def test_metrics(running: Running, tmp_path: Path) -> None:
    def get(request: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(tmp_path / "metrics"))
            client.sendall(request)
            answer = b""
            while data := client.recv(65536):
                answer += data
            return answer

    with Client(running.path) as client:
        client.ask("wait-ready", names=["web"])
        client.ask("start", names=["job"])
        until_failed(client, "job")
    text = get(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    for line in (
        b'fastos_service_state{service="web",state="running"} 1.0',
        b'fastos_service_exit_code{service="job"} 3.0',
        b'fastos_services{state="running"} 2.0',
        b'fastos_restart_latency_seconds_bucket{le="+Inf"}',
        b'fastos_service_max_rss_bytes{service="job"}',
    ):
        assert line in text
    assert get(b"POST / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 405")
    assert get(b"x" * 100000 if False else b"GET / HTTP/1.0\n\n").startswith(b"HTTP/1.0 200")


def test_metrics_stay_at_home() -> None:
    supervisor = Supervisor([], metrics="0.0.0.0:9999")
    try:
        with pytest.raises(ValueError, match="loopback"):
            supervisor.step(0)
    finally:
        supervisor.close()


def test_two_supervisors_cannot_have_one_socket(running: Running) -> None:
    second = Supervisor([], control=running.path)
    try:
        with pytest.raises(OSError, match="in use"):
            second.step(0)
    finally:
        second.close()
    with Client(running.path) as client:
        assert client.ask("ping")


def test_a_dead_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with Supervisor([Service("a", FOREVER)], control=path) as supervisor:
        supervisor.start_all()
        step_until(supervisor, is_state(supervisor, "a", "running"))
    assert states(supervisor) == {"a": "stopped"}


def test_wait_ready_sees_all_ready_at_once(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    check = Check("command", command=f"test -e {flag}", interval=0.05)
    running = Running(tmp_path, [Service("a", FOREVER, readiness=check), Service("b", FOREVER)])
    try:
        with Client(running.path) as client, Client(running.path) as other:
            answers: list[object] = []
            waiter = threading.Thread(target=lambda: answers.append(client.ask("wait-ready")))
            waiter.start()
            other.ask("ping")
            assert not answers
            flag.touch()
            waiter.join()
            assert answers == [{"names": ["a", "b"]}]
    finally:
        running.close()


def test_tail_and_durations(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"".join(b"%d\n" % n for n in range(500000)))
    assert tail(str(file), 2) == b"499998\n499999\n"
    assert tail(str(tmp_path / "none"), 2) == b""
    assert [duration(s) for s in (3.9, 65, 7380, 446400)] == ["3 s", "1 m 05 s", "2 h 03 m", "5 d 04 h"]


def test_a_path_too_long_for_a_socket_is_named(tmp_path: Path) -> None:
    path = str(tmp_path / ("x" * 120))
    with pytest.raises(OSError, match="too long") as raised, Supervisor([], control=path):
        pass
    assert raised.value.filename == path


def read_to_the_end(client: socket.socket) -> bytes:
    answer = b""
    while data := client.recv(65536):
        answer += data
    return answer


def test_a_client_that_has_said_all_gets_its_answers(running: Running, tmp_path: Path) -> None:
    """Half-closed, as by `nc -N`: the whole answer comes, though it does not fit into the socket at once."""
    (tmp_path / "web.log").write_bytes(b"x" * 1_000_000 + b"\n")
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(60)
        client.connect(running.path)
        client.sendall(b'{"v": 1, "id": 1, "cmd": "logs", "names": ["web"]}\n{"v": 1, "id": 2, "cmd": "ping"}\n')
        client.shutdown(socket.SHUT_WR)
        *_, last = map(json.loads, read_to_the_end(client).splitlines())
    assert (last["id"], last["ok"]) == (2, True)


def test_clients_that_hang_half_open_cost_nothing(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that said all and takes no answer, one that is to be dropped and goes on talking, one in mid-line: the loop
    is not waked for them, others are served, and the end is not held up."""
    real, woken = Loop.poll, []

    def poll(loop: Loop, timeout: float | None) -> Any:
        ready = real(loop, timeout)
        woken.extend(watcher for watcher, _ in ready if getattr(watcher, "_closing", False))
        return ready

    status = b'{"v": 1, "id": 1, "cmd": "status"}\n'
    with contextlib.ExitStack() as stack:
        said_all, too_long, half = (stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(3))
        for client in (said_all, too_long, half):
            client.connect(running.path)
            client.settimeout(60)
        half.sendall(status[:10])
        said_all.sendall(status * 2000)
        said_all.shutdown(socket.SHUT_WR)
        too_long.sendall(status * 2000)
        too_long.sendall(b"x" * 70_000)
        with Client(running.path) as other:
            for _ in range(50):  # by then all of the above is read
                other.ask("ping")
            monkeypatch.setattr(Loop, "poll", poll)
            too_long.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    too_long.send(b"x" * 4096)
            for _ in range(20):
                other.ask("ping")
        assert woken == []
        running.close()
        assert not running.thread.is_alive()
