"""Timeouts longer than any clock counts: what holds in one function holds in all."""

import math
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import fastos
from fastos import subprocess as dropin
from fastos._timeout import nanoseconds

ENDLESS = [math.inf, 1e300, 1e10, 2**70, threading.TIMEOUT_MAX]
QUICK = [sys.executable, "-c", ""]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, 0), (-1, 0), (-math.inf, 0), (1e-10, 1), (1.5, 1_500_000_000), (2, 2_000_000_000), (math.inf, 2**62)],
)
def test_nanoseconds(seconds: float, expected: int) -> None:
    assert nanoseconds(seconds) == expected


@pytest.mark.parametrize("nonsense", [math.nan, "1", None])
def test_what_is_no_number(nonsense: float) -> None:
    with pytest.raises((TypeError, ValueError)):
        nanoseconds(nonsense)


@pytest.mark.parametrize("timeout", ENDLESS)
def test_endless(timeout: float) -> None:
    assert fastos.run(QUICK, timeout=timeout).returncode == 0
    assert [done.returncode for done in fastos.run_many([QUICK], timeout=timeout)] == [0]
    with fastos.spawn(QUICK) as process:
        assert process.wait(timeout).code == 0
    with fastos.spawn(QUICK) as process:
        process.terminate(grace=timeout)
    assert dropin.run(QUICK, timeout=timeout).returncode == subprocess.run(QUICK, timeout=timeout).returncode == 0


@pytest.mark.parametrize("budget", ENDLESS)
def test_endless_scan(tmp_path: Path, budget: float) -> None:
    assert list(fastos.scan(tmp_path, max_seconds=budget)) == []


@pytest.mark.parametrize("number", [2**31, 2**32, 2**63, 10**30])
def test_more_than_there_can_be(number: int) -> None:
    assert [done.returncode for done in fastos.run_many([QUICK], jobs=number)] == [0]
    assert fastos.run(["echo", "all"], capture=True, output_limit=number).stdout == b"all\n"
