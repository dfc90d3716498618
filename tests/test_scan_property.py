"""Generated trees: scan says what os.walk says, whatever the options."""

import os
import tempfile
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import HealthCheck, given, settings
from tests.trees import walked

import fastos

NAMES = st.binary(min_size=1, max_size=12).filter(lambda name: b"/" not in name and b"\0" not in name)
NAMES = NAMES.filter(lambda name: name not in (b".", b".."))
TREES = st.recursive(
    st.none() | st.binary(max_size=20), lambda below: st.dictionaries(NAMES, below, max_size=5), max_leaves=30
).filter(lambda tree: isinstance(tree, dict))


def grow(root: bytes, tree: dict) -> None:
    for name, below in tree.items():
        path = os.path.join(root, name)
        if isinstance(below, dict):
            os.mkdir(path)
            grow(path, below)
        elif below is None:
            os.symlink(b"..", path)
        else:
            Path(os.fsdecode(path)).write_bytes(below)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(tree=TREES, threads=st.sampled_from([None, 1, 3]), budget=st.sampled_from([None, 1, 4]))
def test_scan_equals_walk(tree: dict, threads: int | None, budget: int | None) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = os.fsencode(name)
        grow(root, tree)
        expected = walked(root)
        found, frontier = [], None
        while frontier is None or frontier:
            scan = fastos.scan(root, threads=threads, max_entries=budget, frontier=frontier, fields=("size", "ino"))
            found += scan
            frontier = scan.frontier
            assert not scan.errors
        assert sorted(entry.path for entry in found) == expected
        assert list(fastos.scan(root, sort=True, threads=threads).paths()) == expected
        for entry in found:
            status = os.lstat(entry.path)
            assert (entry.size, entry.ino) == (status.st_size, status.st_ino)
        assert sorted(p for batch in fastos.scan(root).batches() for p in batch.paths()) == expected
