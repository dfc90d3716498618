"""Builds and runs the bare C loops of benchmarks/floor/."""

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measure import Implementation, Missing, Sample

HERE = Path(__file__).resolve().parent / "floor"


@functools.cache
def build() -> Path:
    """The directory of the compiled floors."""
    if shutil.which("cc") is None or shutil.which("make") is None:
        raise Missing("the C floors need a compiler and make (apt-get install gcc make)")
    # A make above this one hands its own variables down, and one of them may have the name of one of ours.
    own = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    subprocess.run(["make", "-s", "-C", HERE], env=own, check=True)
    return HERE / "build"


def program(name: str) -> str:
    """The path of one of them. `nop` is the static program that does nothing."""
    path = build() / name
    if not path.exists():
        raise Missing(f"there is no {path.name}.c in {HERE}")
    return str(path)


def answer(name: str, *arguments: object) -> dict[str, Any]:
    """Runs a floor; the line of JSON that it prints. A floor that prints a bare number gives {"ns": number}."""
    command = [program(name), *map(str, arguments)]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found = json.loads(printed)
    return found if isinstance(found, dict) else {"ns": found}


def floor(
    name: str, *options: object, found: str | None = "entries", arguments: Callable[[Any], list[object]] | None = None
) -> Implementation:
    """A floor as an implementation: called with its options and the place, timed by itself."""

    def run(place: Any) -> Sample:
        after = arguments(place) if arguments else [place]
        result = answer(name, *options, *after)
        return Sample(result["ns"] / 1e9, result[found] if found else None)

    return run
