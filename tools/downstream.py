"""The test-suites of real programs, run with and without fastos in place of the standard functions.

    python tools/downstream.py [PROJECT ...]

For each project: its sdist is unpacked under build/downstream/, an environment is made with what its tests need, and
its suite is run twice: by `python -m pytest` and by `python -m fastos install -- -m pytest`. The exit code is 0 only if
every test has the same outcome in both runs and the second one really called fastos's functions.
"""

import json
import os
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "downstream"
TIMEOUT = 900


@dataclass(frozen=True)
class Project:
    """A program, pinned, with what its tests need and where they are."""

    name: str
    version: str
    needs: tuple[str, ...]
    tests: tuple[str, ...]
    options: tuple[str, ...] = ()
    # Programs that the suite builds for itself first, as its own instructions say.
    prepare: tuple[tuple[str, ...], ...] = ()


PROJECTS = (
    Project("pathspec", "1.1.1", ("pytest",), ("tests",)),
    Project("honcho", "2.0.0", ("pytest", "jinja2", "mock"), ("tests",)),
    Project(
        "coverage",
        "7.17.3",
        ("pytest>=9.0,<9.1", "flaky", "hypothesis", "pygments", "pytest-xdist"),
        # The part of its suite that walks trees and starts processes.
        ("tests/test_files.py", "tests/test_process.py", "tests/test_execfile.py", "tests/test_data.py"),
        ("-n0", "-p", "no:randomly"),
        (("tools/igor.py", "zip_mods"),),
    ),
)


def environment(project: Project) -> Path:
    """A directory with the unpacked sdist in it and an environment beside it; returns the sources."""
    place = BUILD / project.name
    sources = place / f"{project.name}-{project.version}"
    if (place / ".ready").exists():
        return sources
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", place / "venv"], check=True)
    pip = [place / "venv" / "bin" / "python", "-m", "pip", "-qqq", "--disable-pip-version-check"]
    wanted = f"{project.name}=={project.version}"
    subprocess.run([*pip, "install", "setuptools", "wheel", "cffi>=1.16", *project.needs], check=True)
    subprocess.run([*pip, "download", "--no-deps", "--no-binary", ":all:", "-d", place, wanted], check=True)
    with tarfile.open(place / f"{sources.name}.tar.gz") as archive:
        archive.extractall(place, filter="data")
    subprocess.run([*pip, "install", "-e", sources], check=True)
    (place / ".ready").touch()
    return sources


def run_suite(project: Project, sources: Path, launcher: list[str], label: str) -> dict[str, str]:
    """Test id -> outcome."""
    report = BUILD / project.name / f"{label}.xml"
    report.unlink(missing_ok=True)
    python = str(BUILD / project.name / "venv" / "bin" / "python")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COVERAGE"))}
    variables.pop("PYTHONDONTWRITEBYTECODE", None)
    variables["PYTHONPATH"] = str(ROOT / "src")
    variables["PATH"] = f"{Path(python).parent}:{variables['PATH']}"  # the suites start the programs themselves
    for arguments in project.prepare:
        subprocess.run([python, *arguments], cwd=sources, env=variables, check=True, stdout=subprocess.DEVNULL)
    command = [python, *launcher, "-m", "pytest", "-q", f"--junitxml={report}", *project.options, *project.tests]
    with open(BUILD / project.name / f"{label}.log", "w", encoding="utf-8") as log:
        subprocess.run(command, cwd=sources, env=variables, stdout=log, stderr=log, timeout=TIMEOUT, check=False)
    if not report.exists():
        raise SystemExit(f"{project.name}: the run {label} broke; see {log.name}")
    return outcomes(report)


def outcomes(report: Path) -> dict[str, str]:
    found = {}
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        kinds = {child.tag for child in case} & {"failure", "error", "skipped"}
        found[f"{case.get('classname')}.{case.get('name')}"] = ", ".join(sorted(kinds)) or "passed"
    return found


def compare(project: Project) -> bool:
    """Runs both, prints what there is to say, and returns whether all is well."""
    sources = environment(project)
    counts = BUILD / project.name / "calls.json"
    counts.unlink(missing_ok=True)
    without = run_suite(project, sources, [], "without")
    launcher = ["-m", "fastos", "install", "--count", str(counts), "--"]
    under = run_suite(project, sources, launcher, "with")
    calls = json.loads(counts.read_text())
    differing = sorted(name for name in without.keys() | under.keys() if without.get(name) != under.get(name))
    passed = sum(outcome == "passed" for outcome in under.values())
    print(f"{project.name} {project.version}: {len(without)} tests, {passed} passed under fastos, calls: {calls}")
    for name in differing:
        print(f"    {name}: {without.get(name)} without, {under.get(name)} with fastos")
    if not sum(calls.values()):
        print("    fastos was not called")
    return not differing and sum(calls.values()) > 0


def main() -> int:
    wanted = sys.argv[1:] or [project.name for project in PROJECTS]
    results = [compare(project) for project in PROJECTS if project.name in wanted]
    print(f"{sum(results)} passed, {results.count(False)} failed")
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
