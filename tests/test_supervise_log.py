"""Logs: files that rotate, the supervisor's own output, syslog, callables; floods."""

import gzip
import os
import re
import select
import socket
import threading
from pathlib import Path

import pytest

from fastos.supervise import Backoff, Log, Service, Supervisor
from fastos.supervise.archive import compress_file, remove_oldest
from fastos.supervise.log import journal_message, syslog_message
from supervising import FOREVER, is_state, python, states, step_until

LINE = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (.*)")


def logged(path: Path) -> list[bytes]:
    """The lines of a log and its rotated files, without their times."""
    dated = sorted(path.parent.glob(f"{path.name}.2*"))
    data = b"".join(gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes() for file in dated)
    data += path.read_bytes() if path.exists() else b""
    lines = []
    for line in data.splitlines():
        match = LINE.fullmatch(line)
        assert match is not None, line
        lines.append(match[1])
    return lines


def test_every_line_of_both_streams_with_its_time(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with Supervisor([Service("a", "echo one; echo two >&2; printf three", restart="never", log=path)]) as supervisor:
        supervisor.run(until_idle=True)
        assert logged(path) == [b"one", b"two", b"three"]


def test_streams_apart(tmp_path: Path) -> None:
    out, err = tmp_path / "out.log", tmp_path / "err.log"
    services = [
        Service("a", "echo one; echo two >&2", restart="never", log=out, error_log=err),
        Service(
            "b",
            "echo lost; echo kept >&2",
            restart="never",
            log="null",
            error_log=Log("file", path=f"{tmp_path}/{{name}}.log"),
        ),
        Service("c", "echo kept; echo lost >&2", restart="never", log=tmp_path / "c.log", error_log="null"),
    ]
    with Supervisor(services) as supervisor:
        supervisor.run(until_idle=True)
    assert (logged(out), logged(err)) == ([b"one"], [b"two"])
    assert logged(tmp_path / "b.log") == logged(tmp_path / "c.log") == [b"kept"]


def test_nothing_is_lost_over_crashes_and_a_stop(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    count = f"n=$(cat {tmp_path}/n 2>/dev/null || echo 0); echo $((n+1)) > {tmp_path}/n; "
    command = f"{count}seq 2000 | sed s/^/$n-/; kill -9 $$"
    with Supervisor([Service("a", command, backoff=0, restart_limit=(4, 1000), log=path)]) as supervisor:
        supervisor.run(until_idle=True)
    assert logged(path) == [f"{run}-{number}".encode() for run in range(5) for number in range(1, 2001)]


def test_rotation_compresses_and_keeps_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    log = Log("file", path=str(path), max_bytes=100_000, keep=0)
    with Supervisor([Service("a", "seq 30000", restart="never", log=log)]) as supervisor:
        supervisor.run(until_idle=True)
    assert logged(path) == [str(number).encode() for number in range(1, 30001)]
    assert path.stat().st_size <= 100_000
    assert {file.suffix for file in tmp_path.glob("a.log.*")} == {".gz"}
    log = Log("file", path=str(path), max_bytes=50_000, keep=3)
    with Supervisor([Service("a", "seq 30000", restart="never", log=log)]) as supervisor:
        supervisor.run(until_idle=True)
    assert len(list(tmp_path.glob("a.log.*"))) == 3
    assert logged(path)[-1] == b"30000"


def test_only_our_own_rotated_files_are_removed(tmp_path: Path) -> None:
    names = [f"a.log.2026010{n}T000000.000000Z" for n in range(1, 5)]
    for name in [*names, "a.log", "a.log.bak", "b.log.20200101T000000.000000Z"]:
        (tmp_path / name).write_text("x")
    remove_oldest(str(tmp_path / "a.log"), 2)
    assert sorted(os.listdir(tmp_path)) == sorted(["a.log", *names[2:], "a.log.bak", "b.log.20200101T000000.000000Z"])


def test_compression_keeps_the_mode(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("hello")
    path.chmod(0o640)
    compress_file(str(path))
    assert not path.exists()
    assert (tmp_path / "x.gz").stat().st_mode & 0o777 == 0o640
    assert gzip.decompress((tmp_path / "x.gz").read_bytes()) == b"hello"


def test_own_output_names_the_service() -> None:
    reader, writer = os.pipe()
    services = [
        Service("a", "echo one; exec sleep 1000", log="own"),
        Service("long-name", "printf 'tw'; sleep 0.1; echo o; exec sleep 1000", log=Log("own", timestamps=0)),
    ]
    try:
        with Supervisor(services, output=writer, colour=False) as supervisor:
            supervisor.start_all()
            text = b""
            while text.count(b"\n") < 2:
                supervisor.step(0.05)
                if select.select([reader], [], [], 0)[0]:
                    text += os.read(reader, 1000)
        lines = sorted(text.splitlines(), key=len)
        assert lines[0] == b"long-name | two"
        assert LINE.fullmatch(lines[1])
        assert lines[1].endswith(b"a         | one")
    finally:
        os.close(reader)
        os.close(writer)


def test_a_slow_reader_of_our_output_stops_neither_us_nor_others(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    path = tmp_path / "b.log"
    services = [
        Service("a", "yes", log="own"),
        Service("b", "seq 1000; exec sleep 1000", log=path),
        Service("c", "exit 1", backoff=Backoff(0.05, factor=1)),
    ]
    try:
        with Supervisor(services, output=writer, colour=False) as supervisor:
            supervisor.start_all()
            step_until(
                supervisor,
                lambda: supervisor.status()["c"].restarts > 3 and path.exists() and len(logged(path)) == 1000,
            )
            supervisor.stop("a")
            step_until(supervisor, is_state(supervisor, "a", "stopped"))
            assert select.select([reader], [], [], 0)[0]
    finally:
        os.close(reader)
        os.close(writer)


def test_a_flood_does_not_hold_up_others(tmp_path: Path) -> None:
    flood = Log("file", path=str(tmp_path / "{name}.log"), max_bytes=1 << 20, keep=1, compress=False)
    services = [
        Service("flood", "yes", log=flood, instances=2),
        Service("c", "exit 1", backoff=Backoff(0.01, factor=1), log=tmp_path / "c"),
    ]
    with Supervisor(services) as supervisor:
        supervisor.start_all()
        step_until(supervisor, lambda: supervisor.status()["c"].restarts >= 20)
        supervisor.stop("flood")
        step_until(supervisor, lambda: states(supervisor)["flood.1"] == states(supervisor)["flood.2"] == "stopped")


def test_lines_to_a_callable(capsys: pytest.CaptureFixture[str]) -> None:
    heard: list[tuple[str, bytes]] = []

    def hear(name: str, line: bytes) -> None:
        heard.append((name, line))
        if line == b"two":
            raise RuntimeError("in the callable")

    with Supervisor([Service("a", "printf 'one\\ntwo\\n\\nend'", restart="never", log=hear)]) as supervisor:
        supervisor.run(until_idle=True)
    assert heard == [("a", b"one"), ("a", b"two"), ("a", b""), ("a", b"end")]
    assert "in the callable" in capsys.readouterr().err


def test_syslog_and_journald_messages(tmp_path: Path) -> None:
    assert re.fullmatch(rb"<30>\w{3} [ \d]\d \d\d:\d\d:\d\d web\[7\]: hi", syslog_message("web", 7, b"hi", 6))
    message = journal_message("web", 7, b"two\nlines", 3)
    assert message.startswith(b"PRIORITY=3\nSYSLOG_IDENTIFIER=web\n")
    assert message.endswith(b"MESSAGE\n\x09\0\0\0\0\0\0\0two\nlines\n")


def test_syslog_over_a_socket_that_fills_up(tmp_path: Path) -> None:
    path = str(tmp_path / "log")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(path)
        with Supervisor([Service("a", "seq 3000; exec sleep 1000", log="syslog")]) as supervisor:
            supervisor.logs._syslog._path = path
            supervisor.start_all()
            for _ in range(5):
                supervisor.step(0.05)
            daemon.setblocking(False)
            got: list[bytes] = []

            def receive() -> bool:
                try:
                    while True:
                        got.append(daemon.recv(1000).rpartition(b" ")[2])
                except BlockingIOError:
                    return len(got) == 3000

            step_until(supervisor, receive)
            assert got == [str(number).encode() for number in range(1, 3001)]


def test_reopening_follows_a_rename(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    code = "import os, signal, time\nsignal.signal(10, lambda *a: os.write(1, b'two\\n'))\nos.write(1, b'one\\n')\n"
    service = python("a", code + "while True: time.sleep(9)", log=path)
    with Supervisor([service]) as supervisor:
        supervisor.start_all()
        step_until(supervisor, lambda: path.exists() and logged(path) == [b"one"])
        path.rename(tmp_path / "old")
        supervisor.reopen_logs()
        step_until(
            supervisor, lambda: supervisor.signal("a", 10) is None and path.exists() and logged(path)[:1] == [b"two"]
        )
        assert logged(tmp_path / "old") == [b"one"]


@pytest.mark.native
def test_a_full_disk_holds_the_service_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.symlink_to("/dev/full")
    with Supervisor([Service("a", "seq 5; exec sleep 1000", log=path)]) as supervisor:
        supervisor.start_all()
        step_until(supervisor, lambda: "a" in supervisor.logs.errors)
        path.unlink()
        supervisor.reopen_logs()
        step_until(supervisor, lambda: path.exists() and logged(path) == [b"1", b"2", b"3", b"4", b"5"])


def test_idle_services_have_no_log_buffers(tmp_path: Path) -> None:
    with Supervisor([Service(f"s{n}", FOREVER, log=tmp_path / f"{n}.log") for n in range(5)]) as supervisor:
        supervisor.start_all()
        supervisor.step(0.1)
        assert all(stream.pump is None for unit in supervisor.units().values() for stream in unit.streams)
        assert threading.active_count() == 1
    assert list(tmp_path.iterdir()) == []
