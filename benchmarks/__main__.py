"""Runs the comparisons in turns and prints the table: python -m benchmarks [--only TEXT] [--rounds N] …

Exits 1 when a result was wrong, 0 otherwise: a bound that was missed is shown, not punished, since machines differ.
"""

import argparse
import contextlib
import datetime
import functools
import importlib
import os
import platform
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastos
from benchmarks.measure import FLOOR, OURS, Comparison, Figure, Outcome, Table, compare, markdown

MODULES = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))


def listed(kind: str) -> list[Any]:
    found = []
    for name in MODULES:
        module = importlib.import_module(f"benchmarks.{name}")
        found += getattr(module, kind, [])
    return found


def duration(seconds: float) -> str:
    for unit, scale in (("s", 1), ("ms", 1e3), ("µs", 1e6)):
        if seconds * scale >= 1:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def verdict(met: bool) -> str:
    return "pass" if met else "**miss**"


def rows(outcome: Outcome) -> Iterator[tuple[str, ...]]:
    """A line for every implementation: time, its ratio to ours and to the floor; then a line for every bound."""
    comparison = outcome.comparison
    for name in sorted(outcome.samples, key=outcome.median):
        to_ours, to_floor = outcome.ratio(name, OURS), outcome.ratio(name, FLOOR)
        yield (
            name,
            duration(outcome.median(name) / comparison.items),
            duration(outcome.cpu(name) / comparison.items),
            f"{to_ours:.2f}" if to_ours else "",
            f"{to_floor:.2f}" if to_floor else "",
            "; ".join(judgements(outcome, name)),
        )
    for name, reason in outcome.missing.items():
        yield name, "missing", "", "", "", reason
    for name, problem in outcome.wrong.items():
        yield name, "wrong", "", "", "", problem


def judgements(outcome: Outcome, name: str) -> Iterator[str]:
    """The bounds shown on the line of an implementation: those on the peer, and those of ours to the floor."""
    for bound in outcome.comparison.bounds:
        subject = bound.numerator if bound.denominator == OURS else bound.denominator
        if bound.numerator == OURS:
            subject = OURS
        if subject != name:
            continue
        ratio = outcome.ratio(bound.numerator, bound.denominator)
        if ratio is None:
            yield f"{bound.numerator} ÷ {bound.denominator} {bound}: not measured"
        else:
            yield f"{bound.numerator} ÷ {bound.denominator} {ratio:.2f} ({bound}): {verdict(bound.met(ratio))}"


def report_comparison(comparison: Comparison, rounds: int) -> tuple[str, Outcome | None]:
    """The section of a comparison, and what came of it."""
    if reason := comparison.unavailable():
        return f"### {comparison.name}\n\nNot measured: {reason}.\n", None
    outcome = compare(comparison, rounds)
    table = markdown(("implementation", "time", "CPU", "÷ fastos", "÷ floor", "bound"), list(rows(outcome)))
    return f"### {comparison.name}\n\n{table}\n", outcome


def in_short(outcomes: list[Outcome]) -> str:
    """A line for every comparison that has fastos and others in it, the smallest primitives left out."""
    lines = []
    for outcome in outcomes:
        name = outcome.comparison.name
        others = {peer: outcome.ratio(peer, OURS) for peer in outcome.samples if peer not in (OURS, FLOOR)}
        known = sorted((ratio, peer) for peer, ratio in others.items() if ratio is not None)
        if OURS not in outcome.samples or not known or name.startswith("os: "):
            continue
        to_floor = outcome.ratio(OURS, FLOOR)
        lines.append(
            (
                name,
                duration(outcome.median(OURS) / outcome.comparison.items),
                f"{to_floor:.2f}" if to_floor else "",
                ", ".join(f"{peer} {ratio:.2f}" for ratio, peer in known),
            )
        )
    return markdown(("measured", "fastos", "÷ floor", "the others ÷ fastos"), lines)


def report_figure(figure: Figure) -> tuple[str, ...]:
    if reason := figure.unavailable():
        return figure.name, f"not measured: {reason}", f"≤ {figure.at_most:g} {figure.unit}", ""
    try:
        value = figure.measure()
    except Exception as problem:  # a figure that cannot be had is a line of the table, not the end of it
        return figure.name, f"{type(problem).__name__}: {problem}"[:160], f"≤ {figure.at_most:g} {figure.unit}", "wrong"
    limit = f"≤ {figure.at_most:g} {figure.unit}"
    return figure.name, f"{value:.3g} {figure.unit}", limit, verdict(value <= figure.at_most)


@functools.cache
def version_of(program: str) -> str:
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=5, check=False)
        if found := re.search(r"\d+[.\d]*\d", said.stdout + said.stderr):
            return found[0]
    return "missing"


def machine() -> str:
    """One paragraph: what these figures were measured with."""
    import importlib.metadata

    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    libraries = []
    for name in ("scandir-rs", "powerwalk", "circus", "supervisor"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            libraries.append(f"{name} {importlib.metadata.version(name)}")
    programs = [f"{name} {version_of(name)}" for name in ("fdfind", "bfs", "find", "du", "gdu", "rg", "parallel")]
    return (
        f"{datetime.date.today()}; {len(os.sched_getaffinity(0))} × {cpu[1] if cpu else platform.machine()}, "
        f"Linux {platform.release()}, CPython {platform.python_version()}, fastos {fastos.__version__}; "
        + ", ".join(libraries + programs)
    )


def put_into(page: Path, text: str) -> None:
    """Replaces what stands between <!-- bench --> and <!-- /bench --> of a page."""
    before, rest = page.read_text(encoding="utf-8").split("<!-- bench -->")
    after = rest.split("<!-- /bench -->")[1]
    page.write_text(f"{before}<!-- bench -->\n{text}\n<!-- /bench -->{after}", encoding="utf-8")


def end_in_order(number: int, frame: object) -> None:
    """SIGTERM ends like any exception: what was mounted, started and made is undone on the way out."""
    sys.exit(128 + number)


def main() -> int:
    signal.signal(signal.SIGTERM, end_in_order)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="the table of comparisons")
    parser.add_argument("--only", default="", metavar="TEXT", help="those whose name contains this regular expression")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="runs of each implementation (default: 5)")
    parser.add_argument("--full", type=Path, metavar="PAGE", help="put it between the bench comments of a page")
    parser.add_argument("--short", type=Path, metavar="PAGE", help="the same, a line for each comparison")
    parser.add_argument("--list", action="store_true", help="list the names and stop")
    options = parser.parse_args()
    wanted = re.compile(options.only, re.IGNORECASE)
    comparisons = [row for row in listed("COMPARISONS") if wanted.search(row.name)]
    figures = [row for row in listed("FIGURES") if wanted.search(row.name)]
    tables: list[Table] = [row for row in listed("TABLES") if wanted.search(row.name)]
    if options.list:
        print("\n".join(row.name for row in [*comparisons, *tables, *figures]))
        return 0
    sections, right = [], True

    def show(section: str) -> None:
        sections.append(section)
        print(section, flush=True)

    head = (
        f"Measured {machine()}. Medians of {options.rounds} interleaved runs (of fewer where one takes long); "
        "a ratio is the median within rounds; CPU is user and system time.\n"
    )
    show(head)
    outcomes: list[Outcome] = []
    for comparison in comparisons:
        section, outcome = report_comparison(comparison, options.rounds)
        if outcome is not None:
            outcomes.append(outcome)
            right &= not outcome.wrong
        show(section)
    reports = [table.report() for table in tables]
    for table, report in zip(tables, reports, strict=True):
        show(f"### {table.name}\n\n{report}\n")
    if figures:
        lines = [report_figure(figure) for figure in figures]
        right &= not any(line[-1] == "wrong" for line in lines)
        show("### Single figures\n\n" + markdown(("figure", "measured", "bound", ""), lines) + "\n")
    if options.full:
        put_into(options.full, "\n".join(sections))
    if options.short:
        put_into(options.short, "\n\n".join([in_short(outcomes), *reports, head.strip()]))
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
