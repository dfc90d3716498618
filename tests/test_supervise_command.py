"""`fastos supervise` as a process: signals, reload, upgrade, adoption after a kill, and as the init of a container."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fastos.cli.ctl import Client, Failed
from supervising import PYTHON

FASTOS = [PYTHON, "-m", "fastos"]


def wait_until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Command:
    """A running `fastos supervise`."""

    def __init__(self, directory: Path, toml: str, *arguments: str) -> None:
        self.directory = directory
        self.file = directory / "services.toml"
        self.file.write_text(toml)
        self.control = str(directory / "control")
        self.log = open(directory / "stderr", "ab")  # noqa: SIM115
        command = [*FASTOS, "supervise", str(self.file), "--control", self.control, *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=self.log)

    def ask(self, command: str, **arguments: Any) -> Any:
        while True:
            try:
                with Client(self.control) as client:
                    return client.ask(command, **arguments)
            except (FileNotFoundError, ConnectionError):
                assert self.process.poll() is None, self.stderr()
                time.sleep(0.01)

    def pids(self) -> dict[str, int]:
        return {entry["name"]: entry["pid"] for entry in self.ask("status")}

    def states(self) -> dict[str, str]:
        return {entry["name"]: entry["state"] for entry in self.ask("status")}

    def stderr(self) -> str:
        return (self.directory / "stderr").read_text()

    def close(self, expected: int = 0) -> None:
        try:
            if self.process.poll() is None:
                self.process.terminate()
            assert self.process.wait(60) == expected, self.stderr()
        finally:
            self.log.close()


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., Command]]:
    commands: list[Command] = []

    def start(toml: str, *arguments: str) -> Command:
        commands.append(Command(tmp_path, toml, *arguments))
        return commands[-1]

    yield start
    for command in commands:
        if not command.log.closed:
            command.close(command.process.poll() or 0)


TALK = """[services.talk]
command = "n=0; while :; do echo $n; n=$((n+1)); sleep 0.02; done"
log = "{}/talk.log"
"""
SLEEP = '[services.{}]\ncommand = ["sleep", "{}"]\n'


def test_terminate_ends_in_order(started: Callable[..., Command]) -> None:
    command = started(SLEEP.format("a", 1000) + SLEEP.format("b", 1000) + 'requires = ["a"]\n')
    command.ask("wait-ready")
    pids = command.pids()
    command.close()
    text = command.stderr()
    assert text.index("b: stopped") < text.index("a: stopping")
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids.values())


def test_a_second_terminate_kills(started: Callable[..., Command]) -> None:
    code = "import signal,time; signal.signal(15, 1); time.sleep(999)"
    stubborn = f"[services.a]\ncommand = '''exec {PYTHON} -S -c '{code}' '''\nstop_timeout = 1000\n"
    command = started(stubborn)
    command.ask("wait-ready")
    wait_until(lambda: ignores_term(command.pids()["a"]))
    command.process.terminate()
    wait_until(lambda: command.states()["a"] == "stopping")
    command.close()


def ignores_term(pid: int) -> bool:
    with open(f"/proc/{pid}/status") as file:
        ignored = next(line for line in file if line.startswith("SigIgn"))
    return bool(int(ignored.split()[1], 16) & 1 << 14)


def test_errors_of_the_file_come_before_anything_starts(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text(f"[services.a]\ncommand = 'touch {tmp_path}/started'\n[services.b]\ncommand = 'x'\nrestart = 3\n")
    result = subprocess.run([*FASTOS, "supervise", str(file)], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert f"{file}: services.b.restart: " in result.stderr
    assert not (tmp_path / "started").exists()
    result = subprocess.run([*FASTOS, "supervise", "/nowhere.toml"], capture_output=True, text=True, check=False)
    said = "fastos supervise: /nowhere.toml: No such file or directory\n"
    assert (result.returncode, result.stderr) == (2, said)
    file.write_text(SLEEP.format("a", 1))
    assert subprocess.run([*FASTOS, "supervise", "--check", str(file)], check=True, capture_output=True).stdout


def test_reload_by_signal_and_by_control(started: Callable[..., Command]) -> None:
    command = started(SLEEP.format("a", 1000) + SLEEP.format("b", 1000))
    command.ask("wait-ready")
    before = command.pids()
    command.file.write_text(SLEEP.format("a", 1000) + SLEEP.format("b", 2000) + SLEEP.format("c", 1000))
    command.process.send_signal(signal.SIGHUP)
    wait_until(lambda: command.states() == dict.fromkeys("abc", "running"))
    after = command.pids()
    assert after["a"] == before["a"]
    assert after["b"] != before["b"]
    command.file.write_text("nonsense")
    command.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "not TOML" in command.stderr())
    assert command.pids() == after
    command.file.write_text(SLEEP.format("c", 1000))
    assert command.ask("reload")["removed"] == ["b", "a"]
    wait_until(lambda: set(command.states()) == {"c"})
    command.close()


def test_upgrade_keeps_children_pipes_and_states(started: Callable[..., Command], tmp_path: Path) -> None:
    notify = (  # it lives until its message was read, as systemd-notify does: a process that is gone is nobody's
        "import os, socket; read_end, write_end = os.pipe(); s = socket.socket(1, 2); "
        's.connect(os.environ["NOTIFY_SOCKET"]); '
        's.send(b"READY=1"); socket.send_fds(s, [b"BARRIER=1"], [write_end]); os.close(write_end); os.read(read_end, 1)'
    )
    toml = (
        TALK.format(tmp_path)
        + SLEEP.format("off", 9)
        + "autostart = false\n[services.job]\ncommand = 'exit 3'\nrestart = 'never'\n"
        + "[services.slow]\nreadiness = 'notify'\ncommand = '''"
        + f"while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; {PYTHON} -c '{notify}'; sleep 99 '''\n"
    )
    expected = {"talk": "running", "job": "failed", "off": "stopped", "slow": "starting"}
    command = started(toml)
    wait_until(lambda: command.states() == expected)
    before, pid = command.pids(), command.process.pid
    for _ in range(3):
        command.ask("upgrade")
        wait_until(lambda: command.states()["slow"] == "starting")
    assert command.pids() == before
    assert command.process.pid == pid
    assert command.states() == expected
    (tmp_path / "go").touch()
    wait_until(lambda: command.states()["slow"] == "running")
    os.kill(before["talk"], signal.SIGKILL)  # it is still our child: its status is known
    wait_until(lambda: command.pids()["talk"] not in (0, before["talk"]))
    assert next(entry for entry in command.ask("status") if entry["name"] == "talk")["exit_signal"] == 9
    command.close()
    numbers = [int(line.split()[1]) for line in (tmp_path / "talk.log").read_text().splitlines()]
    restart = numbers.index(0, 1)
    assert numbers[:restart] == list(range(restart))


def test_an_upgrade_that_would_fail_is_refused(started: Callable[..., Command], tmp_path: Path) -> None:
    command = started(SLEEP.format("a", 1000))
    command.ask("wait-ready")
    before, toml = command.pids(), command.file.read_text()
    command.file.write_text("[services.a]\ncommnd = 'true'\n")
    with pytest.raises(Failed, match="commnd: unknown key; did you mean 'command'"):
        command.ask("upgrade")
    command.process.send_signal(signal.SIGUSR2)
    wait_until(lambda: "fastos supervise: upgrade: " in command.stderr())
    assert command.pids() == before
    command.file.write_text(toml)
    command.ask("upgrade")
    assert command.pids() == before


def test_upgrades_while_services_crash(started: Callable[..., Command], tmp_path: Path) -> None:
    """Whatever ends while the supervisor is executed anew is reaped, counted and started again."""
    service = """[services.crash{0}]
command = 'echo x >> {1}/crash{0}; sleep 0.0{0}; exit 3'
backoff = {{ initial = 0.01, factor = 1, jitter = 0 }}
"""
    command = started("".join(service.format(number, tmp_path) for number in range(1, 8)))
    for _ in range(6):
        command.ask("upgrade")
        lines = (tmp_path / "crash1").read_text() if (tmp_path / "crash1").exists() else ""
        wait_until(lambda lines=lines: len((tmp_path / "crash1").read_text()) > len(lines) + 2)  # type: ignore[misc]
    for entry in command.ask("status"):
        assert (entry["exit_code"], entry["exit_signal"]) in ((3, None), (None, None))
        assert entry["state"] in ("running", "backoff")
    command.ask("stop", names=list(command.states()))
    wait_until(lambda: set(command.states().values()) == {"stopped"})
    children = Path(f"/proc/{command.process.pid}/task/{command.process.pid}/children")
    assert children.read_text() == ""
    for entry in command.ask("status"):
        begun = len((tmp_path / entry["name"]).read_text().split())
        assert entry["restarts"] + 1 - begun in (0, 1), entry  # the last may have been stopped before it wrote


def started_after_a_kill(command: Command, started: Callable[..., Command], *arguments: str) -> Command:
    """Another supervisor in the place of one that was killed."""
    command.process.kill()
    command.process.wait()
    command.log.close()
    second = started(*arguments)
    second.ask("wait-ready")
    return second


def test_adoption_after_a_kill(started: Callable[..., Command], tmp_path: Path) -> None:
    toml = TALK.format(tmp_path) + SLEEP.format("a", 1000)
    command = started(toml, "--state-file", str(tmp_path / "state"))
    command.ask("wait-ready")
    wait_until((tmp_path / "talk.log").exists)
    before = command.pids()
    second = started_after_a_kill(command, started, toml, "--state-file", str(tmp_path / "state"))
    assert second.pids() == before
    assert all(entry["adopted"] for entry in second.ask("status"))
    assert "adopted pid" in second.stderr()
    size = (tmp_path / "talk.log").stat().st_size
    wait_until(lambda: (tmp_path / "talk.log").stat().st_size > size + 100)
    os.kill(before["a"], signal.SIGKILL)
    wait_until(lambda: second.pids()["a"] not in (0, before["a"]))
    second.close()
    wait_until(lambda: not any(alive(pid) for pid in before.values()))
    numbers = [int(line.split()[1]) for line in (tmp_path / "talk.log").read_text().splitlines()]
    assert numbers == list(range(len(numbers)))
    assert not (tmp_path / "state").exists()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


def test_an_adopted_group_is_stopped_whole(started: Callable[..., Command], tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    toml = f"""[services.a]
command = "echo $$ >> {pids}; sleep 1000 & echo $! >> {pids}; wait"
"""
    first = started(toml, "--state-file", str(tmp_path / "state"))
    first.ask("wait-ready")
    wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    first.process.kill()
    first.process.wait()
    first.log.close()
    second = started(toml, "--state-file", str(tmp_path / "state"))
    second.ask("wait-ready")
    assert [entry["adopted"] for entry in second.ask("status")] == [True]
    second.ask("stop", names=["a"])
    wait_until(lambda: second.states()["a"] == "stopped")
    wait_until(lambda: not any(alive(int(pid)) for pid in pids.read_text().split()))


def test_a_stale_or_broken_state_file_adopts_nobody(started: Callable[..., Command], tmp_path: Path) -> None:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    lines = [
        json.dumps({"fastos": 1, "boot": boot}),
        json.dumps({"name": "a", "pid": os.getpid(), "start": 1, "pipes": []}),  # this pid, another start
        json.dumps({"name": "b", "pid": 2**22 - 1, "start": 5, "pipes": ["pipe:[1]"]}),
        "garbage",
        '{"name": "a", "pi',
    ]
    (tmp_path / "state").write_text("\n".join(lines))
    command = started(SLEEP.format("a", 1000) + SLEEP.format("b", 1000), "--state-file", str(tmp_path / "state"))
    command.ask("wait-ready")
    assert not any(entry["adopted"] for entry in command.ask("status"))
    again = subprocess.run(
        [*FASTOS, "supervise", str(command.file), "--state-file", str(tmp_path / "state")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (again.returncode, "another supervisor" in again.stderr) == (1, True)
    command.close()


def test_until_idle_and_limits_give_exit_codes(tmp_path: Path) -> None:
    file = tmp_path / "Procfile"
    file.write_text("a: echo hello\n")
    toml = tmp_path / "services.toml"
    toml.write_text(
        "[services.a]\ncommand = 'exit 1'\nbackoff = 0\nrestart_limit = {count = 2, window = 60, then = 'shutdown'}\n"
    )
    assert subprocess.run([*FASTOS, "supervise", str(toml)], check=False, capture_output=True).returncode == 1
    toml.write_text("[services.a]\ncommand = 'echo hello'\nrestart = 'never'\n")
    result = subprocess.run(
        [*FASTOS, "supervise", "--until-idle", str(toml)], check=False, capture_output=True, text=True
    )
    assert result.returncode == 0
    assert result.stdout.endswith("a | hello\n")


# -- as the init of a container


def supervise(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*FASTOS, "supervise", *words], capture_output=True, text=True, check=False, timeout=60, **options
    )


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 7"], 7),
        (["sh", "-c", "kill -9 $$"], 137),
        (["/nowhere"], 127),
        (["/etc/passwd"], 126),
    ],
)
def test_init_exit_codes(command: list[str], code: int) -> None:
    assert supervise("--", *command).returncode == code


def test_init_options_and_streams() -> None:
    result = supervise("-e", "143", "--", "sh", "-c", "cat; kill $$", input="through")
    assert (result.returncode, result.stdout) == (0, "through")
    assert supervise("a", "b").returncode == 2


def test_init_forwards_signals_and_reaps_orphans() -> None:
    code = (
        "trap 'echo got; exit 5' USR1\n"
        "(sh -c 'sleep 0.2' & echo $!) | { read p; while [ -e /proc/$p ]; do sleep 0.02; done; }\n"
        "echo up\nwhile :; do sleep 0.05; done"
    )
    with subprocess.Popen(
        [*FASTOS, "supervise", "--subreaper", "--", "sh", "-c", code], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"  # the orphan is gone: it was reaped, not left a zombie
        process.send_signal(signal.SIGUSR1)
        assert process.stdout.readline() == "got\n"
        assert process.wait(60) == 5


@pytest.mark.root
def test_as_pid_1_orphans_are_reaped_and_statuses_kept(tmp_path: Path) -> None:
    file = tmp_path / "services.toml"
    # The orphan dies when its parent is long gone; the service then sees whether it is still there.
    code = (
        "(setsid sh -c 'echo $$ > orphan; sleep 0.3' &); while [ ! -s orphan ]; do sleep 0.02; done; "
        "p=$(cat orphan); while [ -e /proc/$p ]; do sleep 0.02; done; exit 3"
    )
    file.write_text(
        f"[services.a]\ncommand = '''cd {tmp_path}; {code}'''\nrestart = 'never'\nlog = 'null'\n".replace(
            "orphan", "orphan"
        )
    )
    command = ["unshare", "--pid", "--fork", "--mount-proc", *FASTOS, "supervise", "--until-idle", str(file)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr
    assert "a: failed: exit code 3" in result.stderr


def test_help_names_everything() -> None:
    result = subprocess.run([*FASTOS, "ctl", "--help"], capture_output=True, text=True, check=True)
    for action in (
        "status",
        "start",
        "stop",
        "restart",
        "reload",
        "signal",
        "logs",
        "wait-ready",
        "shutdown",
        "upgrade",
    ):
        assert action in result.stdout
    result = subprocess.run([*FASTOS, "supervise", "--help"], capture_output=True, text=True, check=True)
    assert "128 + the number of the signal" in result.stdout


def test_the_example_runs() -> None:
    example = Path(__file__).parent.parent / "examples" / "supervising.py"
    result = subprocess.run(
        [PYTHON, "-W", "error", str(example)], capture_output=True, text=True, check=False, timeout=120
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[:3] == ["database running", "worker running", "web running"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--metrics", "127.0.0.1:99999"], 2, "expected HOST:PORT, not '127.0.0.1:99999'"),
        (["--metrics", "nowhere:80"], 2, "expected an IP address or localhost, not 'nowhere'"),
        (["--state-file", "/dev/full"], 1, "/dev/full: the state file is no regular file"),
        (["--state-file", "/nowhere/state"], 1, "/nowhere/state.lock: No such file or directory"),
        (["--control", "/nowhere/control"], 1, "/nowhere/control: No such file or directory"),
    ],
)
def test_options_that_cannot_be_met(tmp_path: Path, arguments: list[str], code: int, message: str) -> None:
    file = tmp_path / "services.toml"
    file.write_text("[services.a]\ncommand = 'true'\nrestart = 'never'\n")
    command = [*FASTOS, "supervise", str(file), "--until-idle", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == code
    assert done.stderr.startswith("fastos supervise: ")
    assert done.stderr.endswith(f"{message}\n")
    assert done.stderr.count("\n") == 1
    assert not os.path.exists("/dev/full.lock")


@pytest.mark.parametrize("redirections", ["<&- >&- 2>&-", "> /dev/full 2> /dev/full"])
def test_supervision_without_streams(tmp_path: Path, redirections: str) -> None:
    file = tmp_path / "services.toml"
    file.write_text("[services.a]\ncommand = 'echo; exit 0'\nrestart = 'never'\n")
    words = " ".join([*FASTOS, "supervise", str(file), "--until-idle", redirections])
    assert subprocess.run(["sh", "-c", words], check=False, timeout=60).returncode == 0


def ctl(control: str, *words: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*FASTOS, "ctl", "-S", control, *words], text=True, check=False, timeout=60, **options)


def test_ctl_says_what_is_wrong(started: Callable[..., Command], tmp_path: Path) -> None:
    command = started(SLEEP.format("a", 1000))
    command.ask("wait-ready")
    told = ctl(command.control, "wait-ready", "--timeout", "0", capture_output=True)
    assert (told.returncode, told.stderr) in ((0, ""), (4, "fastos ctl: not ready in time\n"))
    told = ctl(command.control, "signal", "NOPE", "a", capture_output=True)
    assert (told.returncode, told.stderr) == (1, "fastos ctl: unknown signal 'NOPE'\n")
    with open("/dev/full", "w") as full:
        told = ctl(command.control, "status", stdout=full, stderr=subprocess.PIPE)
    assert (told.returncode, told.stderr) == (1, "fastos ctl: standard output: No space left on device\n")
    told = ctl("x" * 300, "status", capture_output=True)
    assert (told.returncode, "File name too long" in told.stderr) == (3, True)


def test_ctl_watches_into_a_pipe(started: Callable[..., Command], tmp_path: Path) -> None:
    command = started(SLEEP.format("a", 1000))
    command.ask("wait-ready")
    words = [*FASTOS, "ctl", "-S", command.control, "status", "--watch", "--interval", "0.01", "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as watching:
        assert watching.stdout is not None
        assert watching.stderr is not None
        for _ in range(2):
            assert json.loads(watching.stdout.readline())[0]["state"] == "running"
        watching.stdout.close()
        assert (watching.wait(timeout=60), watching.stderr.read()) == (141, b"")


def test_signals_during_an_upgrade_end_nothing(started: Callable[..., Command]) -> None:
    command = started(SLEEP.format("a", 1000))
    command.ask("wait-ready")
    before = command.pids()
    command.ask("upgrade")
    for _ in range(60):
        for number in (signal.SIGUSR2, signal.SIGHUP, signal.SIGUSR1):
            command.process.send_signal(number)
        time.sleep(0.01)
        assert command.process.poll() is None, command.stderr()
    wait_until(lambda: command.pids() == before)


def test_an_upgrade_in_the_middle_of_a_stop_goes_on_with_it(started: Callable[..., Command]) -> None:
    web = '[services.web]\ncommand = ["sleep", "1000"]\nrequires = ["db"]\nstop_signal = "URG"\nstop_timeout = 1000\n'
    command = started(SLEEP.format("db", 1000) + web)
    command.ask("wait-ready")
    pids = command.pids()
    command.ask("stop", names=["db"])
    command.ask("upgrade")
    wait_until(lambda: command.states() == {"db": "running", "web": "stopping"})
    os.kill(pids["web"], signal.SIGKILL)
    wait_until(lambda: command.states() == {"db": "stopped", "web": "stopped"})


def test_an_upgrade_in_the_middle_of_a_reload_goes_on_with_it(started: Callable[..., Command]) -> None:
    stubborn = 'stop_signal = "URG"\nstop_timeout = 1000\n'
    command = started(SLEEP.format("a", 1000) + stubborn)
    command.ask("wait-ready")
    before = command.pids()["a"]
    command.file.write_text(SLEEP.format("a", 1001) + stubborn)
    command.ask("reload")
    command.ask("upgrade")
    wait_until(lambda: command.states() == {"a": "restarting"})
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: command.states() == {"a": "running"})
    os.kill(command.pids()["a"], signal.SIGKILL)


def test_an_upgrade_during_a_shutdown_is_refused(started: Callable[..., Command]) -> None:
    command = started(SLEEP.format("a", 1000) + 'stop_signal = "URG"\nstop_timeout = 1000\n')
    command.ask("wait-ready")
    pid = command.pids()["a"]
    command.ask("shutdown")
    with pytest.raises(Failed, match="shutting down"):
        command.ask("upgrade")
    with pytest.raises(Failed, match="shutting down"):
        command.ask("start", names=["a"])
    os.kill(pid, signal.SIGKILL)
    assert command.process.wait(60) == 0


def test_adoption_after_an_upgrade_and_a_kill(started: Callable[..., Command], tmp_path: Path) -> None:
    toml = SLEEP.format("a", 1000)
    command = started(toml, "--state-file", str(tmp_path / "state"))
    command.ask("wait-ready")
    before = command.pids()
    command.ask("upgrade")
    wait_until(lambda: command.pids() == before)
    second = started_after_a_kill(command, started, toml, "--state-file", str(tmp_path / "state"))
    assert second.pids() == before


def test_an_upgrade_stops_what_is_gone_as_it_was_to_be_stopped(started: Callable[..., Command]) -> None:
    command = started(
        SLEEP.format("a", 1000) + 'stop_scope = "process"\nstop_timeout = 1000\n' + SLEEP.format("b", 9999)
    )
    command.ask("wait-ready")
    pid = command.pids()["a"]
    command.file.write_text(SLEEP.format("b", 9999))
    command.ask("upgrade")
    wait_until(lambda: command.states() == {"b": "running"})
    assert not alive(pid)
