"""What fails inside the supervisor, or is thrown at it, ends neither it nor the services, and loses no child."""

import errno
import json
import os
import select
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from fastos._backend import COMPILED
from fastos.supervise import Check, Log, Service, Supervisor, archive, state_file
from fastos.supervise.init import OrphanReaper
from fastos.supervise.loop import Loop
from fastos.supervise.state_file import StateFile
from supervising import FOREVER, is_state, states, step_until


def test_a_missing_program_without_back_off_leaves_room_for_others() -> None:
    with Supervisor([Service("a", ["/nowhere"], backoff=0), Service("b", FOREVER, after="a")]) as supervisor:
        supervisor.start_all()
        supervisor.step(0)
        supervisor.stop("a")
        assert states(supervisor) == {"a": "stopped", "b": "running"}


def test_a_main_pid_that_is_no_number() -> None:
    with Supervisor([Service("a", FOREVER)]) as supervisor:
        supervisor.start_all()
        pid = supervisor.status()["a"].pid
        for value in ("9" * 5000, "9" * 30, "0", "-1", "x"):
            supervisor.reports.received(pid, {"MAINPID": value})
        assert supervisor.status()["a"].pid == pid


def test_an_event_of_a_log_that_was_closed_meanwhile() -> None:
    with Supervisor([Service("a", FOREVER, log=lambda name, line: None)]) as supervisor:
        (stream,) = supervisor.units()["a"].streams
        supervisor.remove("a")
        stream.on_ready(select.EPOLLIN)


def test_a_callable_that_removes_its_own_service() -> None:
    heard = []

    def hear(name: str, line: bytes) -> None:
        heard.append(line)
        supervisor.remove(name)

    with Supervisor([Service("a", FOREVER, log=hear)]) as supervisor:
        (stream,) = supervisor.units()["a"].streams
        os.write(stream.fd, b"one\ntwo\n")
        step_until(supervisor, lambda: not supervisor.status())
    assert heard


@pytest.mark.parametrize("what", ["watch", "pidfd_open"])
def test_a_child_that_cannot_be_watched_is_not_left(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: Any) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with Supervisor([Service("a", FOREVER, restart="never")]) as supervisor:
        with monkeypatch.context() as patch:
            patch.setattr(*((Loop, "watch") if what == "watch" else (os, "pidfd_open")), fails)
            supervisor.start_all()
        status = supervisor.status()["a"]
        assert status.state == "failed" or (what == "pidfd_open" and COMPILED), (
            "the core's spawn brings its pidfd along"
        )
        if status.state == "failed":
            assert "Too many open files" in status.message
            with pytest.raises(ChildProcessError):
                os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)


def test_a_closed_file_among_fds_ends_that_service_alone(tmp_path: Path) -> None:
    file = open(tmp_path / "file", "w")  # noqa: SIM115
    with Supervisor([Service("a", FOREVER, fds={5: file}, restart="never"), Service("b", FOREVER)]) as supervisor:
        file.close()
        supervisor.start_all()
        assert states(supervisor) == {"a": "failed", "b": "running"}
        assert "closed file" in supervisor.status()["a"].message


def test_a_thread_that_cannot_be_started_only_delays_compression(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compressor = archive.Compressor()
    (tmp_path / "a.log.20260131T235959.123456Z").write_text("old")

    def fails(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fails)
        compressor.put(str(tmp_path / "a.log.20260131T235959.123456Z"), True, 3)
    compressor.put(str(tmp_path / "a.log.20260131T235959.123456Z"), True, 3)
    compressor.close()
    assert [path.suffix for path in tmp_path.iterdir()] == [".gz"]


def test_a_full_disk_leaves_the_journal_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state"
    with Supervisor([Service("a", FOREVER), Service("b", FOREVER)], state_file=path) as supervisor:
        supervisor.start_all()
        journal, write = supervisor.state_file, os.write
        assert journal is not None
        before, descriptors = path.read_bytes(), len(os.listdir("/proc/self/fd"))

        def short(fd: int, data: bytes) -> int:
            return write(fd, data[:10])

        with monkeypatch.context() as patch:
            patch.setattr(state_file.os, "write", short)
            for _ in range(3):
                with pytest.raises(OSError, match="No space"):
                    journal.rewrite()
                assert path.read_bytes() == before
            supervisor.restart("a")
            step_until(supervisor, is_state(supervisor, "a", "running"))
        assert len(os.listdir("/proc/self/fd")) == descriptors
        supervisor.restart("b")
        step_until(supervisor, lambda: states(supervisor) == {"a": "running", "b": "running"})
        reader = StateFile.__new__(StateFile)
        reader.path = str(path)
        assert {name: entry["pid"] for name, entry in reader.read().items()} == {
            name: status.pid for name, status in supervisor.status().items()
        }


def test_a_tree_is_stopped_without_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(path: str) -> list[str]:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with Supervisor([Service("a", FOREVER, stop_scope="tree")]) as supervisor:
        supervisor.start_all()
        with monkeypatch.context() as patch:
            patch.setattr(os, "listdir", fails)
            supervisor.stop("a")
            step_until(supervisor, is_state(supervisor, "a", "stopped"))


def test_a_server_with_a_full_backlog_is_not_ready(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as first:
        server.bind(path)
        server.listen(0)
        first.connect(path)
        service = Service("a", FOREVER, readiness=Check("unix", path, interval=0.01))
        with Supervisor([service]) as supervisor:
            supervisor.start_all()
            for _ in range(10):
                supervisor.step(0.02)
            assert states(supervisor) == {"a": "starting"}


def test_a_server_that_resets_is_not_healthy() -> None:
    class Resetting:
        def recv(self, size: int) -> bytes:
            raise BlockingIOError

        def send(self, data: bytes) -> int:
            raise ConnectionResetError

    service = Service("a", FOREVER, readiness="http://127.0.0.1:1/")
    with Supervisor([service]) as supervisor:
        supervisor.start_all()
        probe = supervisor.units()["a"].readiness
        probe._continue_http(Resetting())
        assert states(supervisor) == {"a": "starting"}


def test_what_a_check_leaves_behind_is_ended(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    check = Check("command", command=f"sleep 1000 & echo $! >> {pids}")
    with Supervisor([Service("a", FOREVER, readiness=check)]) as supervisor:
        supervisor.start_all()
        step_until(supervisor, is_state(supervisor, "a", "running"))
        (pid,) = map(int, pids.read_text().split())
        with pytest.raises(ProcessLookupError):
            while True:
                os.kill(pid, 0)
                supervisor.step(0.01)


@pytest.mark.parametrize("depth", range(900, 1000, 3))
def test_an_identifier_too_deep_to_be_answered(depth: int, tmp_path: Path) -> None:
    path = str(tmp_path / "control")
    with Supervisor(control=path) as supervisor, socket.socket(socket.AF_UNIX) as client:
        supervisor.step(0)
        client.connect(path)
        client.sendall(b'{"v": 1, "cmd": "ping", "id": ' + b"[" * depth + b"]" * depth + b"}\n")
        step_until(supervisor, lambda: bool(select.select([client], [], [], 0)[0]))


def test_a_flood_of_requests_ends_with_its_client(tmp_path: Path) -> None:
    services = [Service(f"s{number}", FOREVER, autostart=False) for number in range(300)]
    asked = []

    class Counting(Supervisor):
        def status(self) -> Any:
            asked.append(1)
            return super().status()

    with Counting(services, control=tmp_path / "control") as supervisor, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "control"))
        client.sendall(
            json.dumps({"v": 1, "cmd": "status"}).encode().ljust(30) + b"\n" + b'{"v":1,"cmd":"status"}\n' * 2000
        )
        supervisor.step(0)
        supervisor.step(0)
        assert len(asked) < 200


def test_a_service_without_a_group_of_its_own_is_still_stopped() -> None:
    """After an upgrade or an adoption the configuration may say otherwise than the process that runs."""
    with Supervisor([Service("a", FOREVER, stop_scope="process")]) as supervisor:
        supervisor.start_all()
        supervisor.units()["a"].service = Service("a", FOREVER)
        supervisor.stop("a")
        step_until(supervisor, is_state(supervisor, "a", "stopped"))


def test_a_restarted_reader_of_a_fifo_misses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    service = Service(
        "a",
        "echo one; read x; echo two; exec sleep 1000",
        log=Log("file", path=str(path), timestamps=0),
        stdin=str(tmp_path / "go"),
    )
    os.mkfifo(tmp_path / "go")
    go = os.open(tmp_path / "go", os.O_RDWR)
    got = b""

    def read() -> bool:
        nonlocal got
        try:
            got += os.read(reader, 100)
        except BlockingIOError:
            pass
        return got.endswith(b"\n")

    with Supervisor([service]) as supervisor:
        supervisor.start_all()
        step_until(supervisor, read)
        os.close(reader)
        os.write(go, b"\n")
        for _ in range(10):
            supervisor.step(0.02)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        got = b""
        step_until(supervisor, read)
        assert got == b"two\n"
    os.close(reader)
    os.close(go)


def test_a_terminal_that_nobody_reads_holds_up_its_own_services_alone() -> None:
    main, terminal = os.openpty()
    services = [Service("flood", "exec yes", log="own"), Service("b", FOREVER)]
    with Supervisor(services, output=terminal) as supervisor:
        supervisor.start_all()
        step_until(supervisor, lambda: any(stream.blocked for stream in supervisor.units()["flood"].streams))
        supervisor.stop("b")
        step_until(supervisor, is_state(supervisor, "b", "stopped"))
    os.close(terminal)
    os.close(main)


def test_an_orphan_behind_the_command_of_a_check_is_reaped() -> None:
    """Both have ended, and one SIGCHLD told of both."""
    with Supervisor([Service("a", FOREVER, readiness=Check("command", command="exit 1", interval=1000))]) as supervisor:
        supervisor.start_all()
        supervisor.step(0)
        (check,) = supervisor.processes.checks
        orphan = os.posix_spawn("/bin/true", ["true"], {})
        for pid in (check, orphan):
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        OrphanReaper(supervisor).reap()
        with pytest.raises(ChildProcessError):
            os.waitpid(orphan, os.WNOHANG)
        assert not supervisor.processes.checks
