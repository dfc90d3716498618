"""CPython's own tests of a standard module, run with fastos's drop-in in its place.

    python tools/conformance.py [--only MODULE ...] [--python VERSION ...] [--drop-in os] [--details]

For each interpreter on the machine and each test module: how many tests pass with the standard module, how many of
those with the drop-in, and every one that does not, with its reason from docs/differences.toml; those that passed only
when they were run again are named. The exit code is 0 only
if that list is exact: a difference that is not on it fails, and so does an entry that is no difference any more.

Interpreters other than the running one get an environment of their own under build/conformance/, with cffi in it; they
load the same compiled core, which is built for the stable ABI.
"""

import argparse
import concurrent.futures
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORKER = Path(__file__).with_name("conformance_worker.py")
DIFFERENCES = ROOT / "docs" / "differences.toml"
VERSIONS = ("3.11", "3.12", "3.13")
# Each drop-in, and the test modules that are its proof.
DROP_INS = {
    "os": ("test_os", "test_posix", "test_wait3", "test_wait4", "test_fork1", "test_popen"),
    "subprocess": ("test_subprocess",),
}
TIMEOUT = 240
# A test that fails is run again by itself this often: what passes then was disturbed by the machine's load. The report
# names it.
SECOND_TRIES = 2


@dataclass(frozen=True)
class Job:
    version: str
    python: str
    drop_in: str
    module: str


@dataclass
class Outcome:
    standard: set[str]
    ours: set[str]
    problem: str = ""
    retried: tuple[str, ...] = ()  # lines that name what passed when it was run again

    @property
    def lost(self) -> set[str]:
        return self.standard - self.ours


def interpreters(wanted: Iterable[str]) -> dict[str, str]:
    """Version -> an interpreter that has CPython's tests and can import fastos."""
    found = {}
    for version in wanted:
        if python := find_interpreter(version):
            found[version] = environment(version, python)
    return found


def find_interpreter(version: str) -> str | None:
    """The running interpreter if it is of that version, else one beside it (as version managers lay them out), else one
    on PATH; the first that came with CPython's tests."""
    running = [sys.executable] if version == f"{sys.version_info.major}.{sys.version_info.minor}" else []
    beside = sorted(map(str, Path(sys.base_prefix).parent.glob(f"{version}*/bin/python{version}")), reverse=True)
    for candidate in [*running, *beside, shutil.which(f"python{version}")]:
        if candidate and has_tests(candidate):
            return candidate
    return None


def has_tests(python: str) -> bool:
    return subprocess.run([python, "-c", "import test.test_os"], capture_output=True, check=False).returncode == 0


def environment(version: str, python: str) -> str:
    if python == sys.executable:
        return python
    place = ROOT / "build" / "conformance" / version
    executable = place / "bin" / "python"
    if not (place / ".ready").exists():
        subprocess.run([python, "-m", "venv", place], check=True)
        pip = [executable, "-m", "pip", "-qqq", "--disable-pip-version-check", "install"]
        subprocess.run([*pip, "cffi>=1.16"], check=True)
        (place / ".ready").touch()
    return str(executable)


def run_worker(job: Job, replace: bool, tests: Iterable[str] = ()) -> dict[str, str]:
    """Test id -> "pass", "fail", "error" or "skip"; {} with a line on stderr if the run itself broke."""
    with tempfile.TemporaryDirectory(prefix="fastos-conformance-") as directory:
        results = Path(directory) / "results.json"
        work = Path(directory) / "work"
        work.mkdir()
        command = [job.python, str(WORKER), job.drop_in if replace else "", job.module, str(results), *tests]
        variables = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "TMPDIR": str(work), "PYTHONDONTWRITEBYTECODE": "1"}
        process = subprocess.Popen(
            command,
            cwd=work,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            output = b"timed out"
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # some tests leave a child asleep
        lines = results.read_text().splitlines() if results.exists() else []
        outcomes: dict[str, str] = dict(map(json.loads, lines))
        if process.returncode != 0:
            print(
                f"{job.version} {job.module}: the run broke: {output[-800:].decode(errors='replace')}", file=sys.stderr
            )
        return outcomes


@dataclass
class Passes:
    """The tests that pass with the standard module, or with fastos; all that ran; try -> those that passed in it."""

    passed: set[str]
    ran: set[str]
    later: dict[int, set[str]]

    def lines(self, whose: str) -> list[str]:
        return [
            f"passed only when run again ({number} of {SECOND_TRIES}), with {whose}: {', '.join(sorted(names))}"
            for number, names in self.later.items()
        ]


def passes(job: Job, replace: bool) -> Passes:
    """Runs a module's tests; failures get their second tries."""
    outcomes = run_worker(job, replace)
    passed = {name for name, outcome in outcomes.items() if outcome == "pass"}
    later: dict[int, set[str]] = {}
    for number in range(1, SECOND_TRIES + 1):
        failed = [name for name, outcome in outcomes.items() if outcome in ("fail", "error") and name not in passed]
        if not failed:
            break
        again = run_worker(job, replace, failed)
        if recovered := {name for name in failed if again.get(name) == "pass"}:
            later[number] = recovered
            passed |= recovered
    return Passes(passed, set(outcomes), later)


def examine(job: Job) -> Outcome:
    standard, ours = passes(job, replace=False), passes(job, replace=True)
    problem = ""
    if not standard.passed or standard.ran != ours.ran:
        problem = f"{len(standard.ran)} tests ran with the standard module, {len(ours.ran)} with fastos"
    retried = (*standard.lines("the standard module"), *ours.lines("fastos"))
    return Outcome(standard.passed, ours.passed, problem, retried)


def documented(job: Job) -> dict[str, str]:
    """Test -> reason, for one interpreter and module."""
    entries = tomllib.loads(DIFFERENCES.read_text()).get("difference", [])
    return {
        entry["test"]: entry["reason"]
        for entry in entries
        if entry["module"] == job.module and job.version in entry.get("pythons", VERSIONS)
    }


def report(job: Job, outcome: Outcome) -> bool:
    """Prints one module's lines. Returns whether the documented list is exact."""
    reasons = documented(job)
    kept = len(outcome.standard & outcome.ours)
    print(
        f"{job.version}  {job.module:<18} standard {len(outcome.standard):>4}   of those with fastos {kept:>4}",
        flush=True,
    )
    for line in outcome.retried:
        print(f"      {line}")
    exact = not outcome.problem
    if outcome.problem:
        print(f"      {outcome.problem}")
    for name in sorted(outcome.lost):
        exact = exact and name in reasons
        print(f"      {name}: {reasons.get(name, 'NOT DOCUMENTED')}")
    for name in sorted(set(reasons) - outcome.lost):
        exact = False
        print(f"      {name}: documented as different, but it passes")
    return exact


def main() -> int:
    parser = argparse.ArgumentParser(description="CPython's own tests with fastos's drop-ins.")
    parser.add_argument("--python", action="append", help="a version, as 3.12; default: each that the machine has")
    parser.add_argument("--only", action="append", help="a test module, as test_os; default: all")
    parser.add_argument("--drop-in", action="append", choices=DROP_INS, help="default: each")
    options = parser.parse_args()
    found = interpreters(options.python or VERSIONS)
    for version in options.python or VERSIONS:
        if version not in found:
            print(f"{version}  left out: it is not on this machine, or came without its tests")
    jobs = [
        Job(version, python, drop_in, module)
        for version, python in found.items()
        for drop_in in options.drop_in or DROP_INS
        for module in DROP_INS[drop_in]
        if not options.only or module in options.only
    ]
    exact, retried = [], 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for job, outcome in zip(jobs, pool.map(examine, jobs), strict=True):
            exact.append(report(job, outcome))
            retried += len(outcome.retried)
    failed = exact.count(False)
    if retried:
        print(f"fastos: tests had to be run again in {retried} places; they are named above")
    print(f"{len(exact) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
