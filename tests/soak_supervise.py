"""A soak of the supervisor: kills, stops, floods and reloads at random for some minutes, then accounts for every child.

    python tests/soak_supervise.py [SECONDS] [SEED]

Every child writes its number to a register when it starts. In the end each one that registered was seen by the
supervisor, none of them lives, none is a zombie, no service ever had two, and no line of a log is missing or torn.
"""

import gzip
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from fastos.supervise import Backoff, Check, Log, Service, ServiceEvent, State, Supervisor

SERVICES = 60


def make_services(directory: Path, chance: random.Random, generation: int) -> list[Service]:
    """Services of every temper. Some differ from one generation to the next, so that a reload restarts them."""
    register = f"echo $$ >> {directory}/register"
    count = "n=0; while [ $n -lt 2000 ]; do echo $$-$n; n=$((n+1)); done"
    kinds = [
        f"{register}; exec sleep 1000",
        f"{register}; trap '' TERM; while :; do sleep 0.1; done",
        f"{register}; sleep 0.{chance.randrange(1, 9)}; exit {chance.randrange(3)}",
        f"{register}; {count}; sleep 0.2",
        f"{register}; sleep 1000 & sleep 1000 & wait",
        f"{register}; exit 1",
    ]
    services = []
    for number in range(SERVICES):
        name = f"s{number}"
        change = generation if number % 7 == 0 else 0
        services.append(
            Service(
                name,
                f": {change}; {kinds[number % len(kinds)]}",
                backoff=Backoff(0.02, cap=0.5),
                stop_timeout=0.3,
                after=[f"s{number - 10}"] if number >= 10 else [],
                restart_group="pair" if number in (20, 26) else "",
                readiness=Check("command", command="true", interval=0.05) if number % 12 == 0 else "none",
                log=Log(
                    "file", path=str(directory / f"{name}.log"), max_bytes=50_000, keep=0, compress=number % 2 == 0
                ),
            )
        )
    return services


class Soak:
    """The run, and what was seen."""

    def __init__(self, directory: Path, seconds: float, seed: int) -> None:
        self.directory, self.seconds = directory, seconds
        self.chance = random.Random(seed)
        self.living: dict[str, int] = {}
        self.seen: set[int] = set()
        self.done: Counter[str] = Counter()

    def on_event(self, event: ServiceEvent) -> None:
        if event.pid:
            before = self.living.setdefault(event.name, event.pid)
            assert before == event.pid, f"{event.name} has two children: {before} and {event.pid}"
            self.seen.add(event.pid)
        else:
            self.living.pop(event.name, None)

    def disturb(self, supervisor: Supervisor, generation: int) -> None:
        name = f"s{self.chance.randrange(SERVICES)}"
        pid = supervisor.status()[name].pid
        what = self.chance.choice(["kill", "term", "freeze", "stop", "start", "restart", "massacre", "reload", "idle"])
        self.done[what] += 1
        if what in ("kill", "term", "freeze"):
            number = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "freeze": signal.SIGSTOP}[what]
            supervisor.signal(name, number)
        elif what == "massacre" and self.done[what] % 5 == 0:
            for status in supervisor.status().values():
                supervisor.signal(status.name, signal.SIGKILL)
        elif what == "reload":
            supervisor.reload(make_services(self.directory, random.Random(1), generation))
        elif what in ("stop", "start", "restart"):
            getattr(supervisor, what)(name)
        del pid

    def run(self) -> None:
        services = make_services(self.directory, random.Random(1), 0)
        end, generation = time.monotonic() + self.seconds, 0
        with Supervisor(services, groups={"pair": "one_for_all"}, on_event=self.on_event) as supervisor:
            supervisor.start_all()
            while time.monotonic() < end:
                generation += 1
                self.disturb(supervisor, generation)
                pause = time.monotonic() + self.chance.random() * 0.1
                while time.monotonic() < pause:
                    supervisor.step(0.02)
            # What was frozen or stopped comes back: every service is alive again, or in its delay.
            for name in list(supervisor.status()):
                supervisor.restart(name)
            for _ in range(100):
                supervisor.step(0.02)
            assert supervisor.count(State.FAILED) == 0

    def account(self) -> None:
        registered = [int(line) for line in (self.directory / "register").read_text().split()]
        strangers = set(registered) - self.seen
        assert not strangers, f"started and never seen: {strangers}"
        alive = [pid for pid in self.seen if is_ours(pid, self.directory)]
        assert not alive, f"still alive: {alive}"
        try:
            left = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            left = None
        assert left is None, f"zombie: {left}"
        lines = sum(self.check_log(self.directory / f"s{number}.log") for number in range(3, SERVICES, 6))
        print(f"{len(self.seen)} children, {lines} lines, {dict(self.done)}: all accounted for")

    def check_log(self, path: Path) -> int:
        """The numbers of each child stand in a row without a gap; the last child of a kill may be cut short."""
        old = sorted(path.parent.glob(f"{path.name}.2*"))
        text = b"".join(
            gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes() for file in old
        )
        text += path.read_bytes() if path.exists() else b""
        expected: Counter[bytes] = Counter()
        lines = text.splitlines()
        for line in lines:
            child, _, number = line.split(b" ", 1)[1].partition(b"-")
            if not number.isdigit() or int(number) != expected[child]:
                # A child that was killed in the middle of a write leaves a part of a line, and writes nothing after it.
                assert number == b"" or str(expected[child]).encode().startswith(number), (path, line, expected[child])
                continue
            expected[child] += 1
        return len(lines)


def is_ours(pid: int, directory: Path) -> bool:
    try:
        return str(directory).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 120.0
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(10**6)
    print(f"soak: {seconds:g} s, seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="fastos-soak-") as directory:
        soak = Soak(Path(directory), seconds, seed)
        soak.run()
        soak.account()


if __name__ == "__main__":
    main()
