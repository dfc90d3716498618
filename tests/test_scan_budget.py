"""Budgets: a scan stopped and gone on with loses nothing and doubles nothing."""

import os
import pickle
from pathlib import Path

import pytest
from tests.trees import plant, walked

import fastos


@pytest.mark.parametrize("budget", [1, 7, 50, 10_000])
@pytest.mark.parametrize("threads", [1, 4])
def test_rounds_add_up(tmp_path: Path, budget: int, threads: int) -> None:
    plant(tmp_path, 3, 4)
    found, frontier, rounds = [], None, 0
    while frontier is None or frontier:
        scan = fastos.scan(tmp_path, max_entries=budget, frontier=frontier, threads=threads)
        found += scan.paths()
        frontier = pickle.loads(pickle.dumps(scan.frontier))
        rounds += 1
    assert sorted(found) == walked(tmp_path)
    assert rounds == 1 or budget < 10_000


def test_root_comes_from_the_frontier(tmp_path: Path) -> None:
    plant(tmp_path, 2, 3)
    scan = fastos.scan(os.fsencode(tmp_path), max_entries=1, min_depth=0)
    found = list(scan.paths())
    parts = scan.frontier.split(2)
    assert sum(map(len, parts)) == len(scan.frontier)
    for part in parts:
        found += fastos.scan(frontier=part, min_depth=0).paths()
    assert sorted(found) == [os.fsencode(tmp_path), *walked(os.fsencode(tmp_path))]


def test_depths_count_from_the_root(tmp_path: Path) -> None:
    plant(tmp_path, 3, 2)
    scan = fastos.scan(tmp_path, max_entries=1, max_depth=3, fields=("ino",))
    entries = list(scan)
    entries += fastos.scan(frontier=scan.frontier, max_depth=3, fields=("ino",))
    depths = {path: len(Path(path).relative_to(tmp_path).parts) for path in walked(tmp_path)}
    assert sorted((entry.path, entry.depth) for entry in entries) == sorted(
        (path, depth) for path, depth in depths.items() if depth <= 3
    )


def test_time_can_be_the_budget(tmp_path: Path) -> None:
    plant(tmp_path, 3, 3)
    scan = fastos.scan(tmp_path, max_seconds=0)
    found = list(scan.paths())
    found += fastos.scan(frontier=scan.frontier).paths()
    assert sorted(found) == walked(tmp_path)


def test_followed_links_stay_followed_once(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"d{number}").mkdir()
        for other in range(5):
            (tmp_path / f"d{number}" / f"l{other}").symlink_to(f"../d{other}")
    found, frontier = [], None
    while frontier is None or frontier:
        scan = fastos.scan(tmp_path, follow_symlinks=True, max_entries=3, frontier=frontier)
        found += scan.paths()
        frontier = scan.frontier
    assert sorted(found) == walked(tmp_path)


@pytest.mark.parametrize("threads", [1, 4])
def test_what_lies_behind_links_can_be_gone_on_with(tmp_path: Path, threads: int) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for number in range(4):
        (tmp_path / "outside" / f"d{number}").mkdir(parents=True)
        plant(tmp_path / "outside" / f"d{number}", 2, 2)
        (root / f"link{number}").symlink_to(tmp_path / "outside" / f"d{number}")
    found, errors, frontier = [], [], None
    while frontier is None or frontier:
        scan = fastos.scan(root, follow_symlinks=True, max_entries=1, frontier=frontier, threads=threads)
        found += scan.paths()
        errors += scan.errors
        frontier = scan.frontier
    assert sorted(found) == walked(root, followlinks=True)
    assert errors == []


def test_frontier_is_empty_after_a_whole_scan(tmp_path: Path) -> None:
    plant(tmp_path, 1, 1)
    scan = fastos.scan(tmp_path)
    with pytest.raises(RuntimeError, match="end"):
        scan.frontier  # noqa: B018
    list(scan)
    assert not scan.frontier


def test_frontier_is_unknown_after_an_early_end(tmp_path: Path) -> None:
    plant(tmp_path, 1, 2)
    scan = fastos.scan(tmp_path, max_entries=1)
    next(iter(scan))
    scan.close()
    with pytest.raises(RuntimeError, match="end"):
        scan.frontier  # noqa: B018


def test_frontier_is_unknown_after_a_scan_closed_in_its_loop(tmp_path: Path) -> None:
    plant(tmp_path, 1, 2)
    scan = fastos.scan(tmp_path)
    for _ in scan:
        scan.close()
    with pytest.raises(RuntimeError, match="end"):
        scan.frontier  # noqa: B018


def test_a_frontier_directory_replaced_by_a_link_is_not_entered(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "a" / "b" / "c").mkdir(parents=True)
    (outside / "b" / "c").mkdir(parents=True)
    (outside / "b" / "c" / "secret").touch()
    frontier = fastos.Frontier(str(root), (b"a/b/c",))
    (root / "a").rename(tmp_path / "moved")
    (root / "a").symlink_to(outside)
    scan = fastos.scan(frontier=frontier)
    assert list(scan.paths()) == []
    assert [error.filename for error in scan.errors] == [str(root / "a/b/c")]


def test_a_frontier_is_that_of_a_scan() -> None:
    with pytest.raises(TypeError, match=r"frontier is the Scan\.frontier of an earlier scan, not 5"):
        fastos.scan(frontier=5)  # type: ignore[arg-type]
