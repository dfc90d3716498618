"""Directories mounted inside themselves: reading ends, and what is seen twice is what os.walk sees twice."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PRELUDE = """
import os, subprocess, sys
import fastos

def mount(what, where, kind="--bind"):
    subprocess.run(["mount", kind, what, where], check=True)

def gnu_du(*options):
    return int(subprocess.run(["du", *options, "a"], check=True, capture_output=True, text=True).stdout.split()[0])

os.makedirs("a/b/loop"); os.makedirs("a/z")
for name, size in (("a/one", 5000), ("a/b/two", 9000), ("a/z/linked", 70000)):
    with open(name, "w") as file:
        file.write("x" * size)
os.link("a/z/linked", "a/again")
os.link("a/z/linked", "a/z/twice")
mount("a", "a/b/loop")
walked = sorted(os.path.join(top, name) for top, *names in os.walk("a") for name in sum(names, []))
assert "a/b/loop/b/loop" in walked
"""

SCAN = """
for options in ({}, {"threads": 1}, {"fields": ("size",)}, {"same_filesystem": True}):
    scan = fastos.scan("a", **options)
    assert sorted(scan.paths()) == walked and scan.errors == [], options
followed = fastos.scan("a", follow_symlinks=True)  # each directory once
assert sorted(followed.paths()) == [path for path in walked if not path.startswith("a/b/loop/")]
assert [error.filename for error in followed.errors] == ["a/b/loop"]
"""

WALK = """
for walk in (fastos.walk, fastos.fwalk):
    for topdown in (True, False):
        found = [(top, sorted(names + others)) for top, names, others, *_ in walk("a", topdown)]
        assert sorted(found) == sorted((top, sorted(names + others)) for top, names, others in os.walk("a"))
loops = [entry.path for entry in fastos.fts("a") if entry.info is fastos.FTS_DC]
assert loops == ["a/b/loop"]
"""

DU = """
usage, apparent = fastos.du("a"), fastos.du("a", apparent=True)
assert (usage.total, apparent.total) == (gnu_du("-s", "-B1"), gnu_du("-sb"))
assert usage.errors == []
assert (usage.files, usage.directories) == (5, 2)
assert [child.path for child in usage.walk()] == ["a", "a/b", "a/z"]
assert [item.path for item in usage.top()] == ["a/again", "a/b/two", "a/one"]
assert [item.path for item in usage.top(directories=True)] == ["a/b", "a/z"]
os.unlink("a/again")  # now the path that comes first, loop included, is in the loop
usage = fastos.du("a")
assert usage.total == gnu_du("-s", "-B1")
assert {child.name: child.total for child in usage.children}["z"] > 70000
assert [item.path for item in usage.top()] == ["a/z/linked", "a/b/two", "a/one"]
"""

MANY = """
for number in range(7):
    os.makedirs(f"r/{number}")
for number in range(7):
    mount("r", f"r/{number}", "--rbind")
assert sum(1 for _ in fastos.scan("r").paths()) == sum(len(names) + len(files) for _, names, files in os.walk("r"))
assert fastos.du("r", apparent=True).directories == 0
"""


@pytest.mark.root
@pytest.mark.skipif(not shutil.which("unshare"), reason="needs unshare")
@pytest.mark.parametrize("code", [SCAN, WALK, DU, MANY], ids=["scan", "walk", "du", "many"])
def test_a_directory_mounted_in_itself(tmp_path: Path, code: str) -> None:
    words = ["unshare", "--mount", "--propagation", "private", sys.executable, "-c", PRELUDE + code]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120, env=os.environ)
    if "mount: " in done.stderr and "denied" in done.stderr:
        pytest.skip("this machine lets nobody mount")
    assert done.returncode == 0, done.stderr
