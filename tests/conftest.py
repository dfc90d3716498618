"""What every test shares: the leak check, the markers, a user without privileges."""

import gc
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from fastos import _backend

# A slow machine is no failure: no deadlines. What CI tries is the same each time.
hypothesis.settings.register_profile(
    "fastos",
    deadline=None,
    derandomize="CI" in os.environ,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("fastos")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reasons = {
        "root": (os.name != "posix" or os.geteuid() != 0, "needs root"),
        "native": (not _backend.COMPILED, "needs the compiled backend"),
        "linux_native": (_backend.NAME != "native", "needs the Linux engine"),
    }
    for item in items:
        for marker, (applies, reason) in reasons.items():
            if applies and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()  # what the tests are made of stays: the collection after each test looks at what the test left only


def descriptors() -> dict[int, str]:
    """What this process holds open: descriptor -> what it points to."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            pass  # the one that listdir itself had open
    return found


def native_threads() -> int:
    return len(os.listdir("/proc/self/task"))


def zombie_or_child() -> object:
    """A child that nobody waited for, dead or alive, or None."""
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) or "a living child"
    except ChildProcessError:
        return None


def settle(condition: object, seconds: float = 2.0) -> bool:
    """Waits until condition() is true: threads and descriptors of a closed scan end soon, not at once."""
    import time

    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """After every test: the same descriptors, threads and children as before it."""
    if not Path("/proc/self/fd").exists():
        yield
        return
    descriptors_before, threads_before = set(descriptors()), native_threads()
    children_before = zombie_or_child()
    yield
    gc.collect()
    if not settle(lambda: set(descriptors()) <= descriptors_before):
        leaked = {fd: target for fd, target in descriptors().items() if fd not in descriptors_before}
        pytest.fail(f"descriptors leaked: {leaked}")
    if not settle(lambda: native_threads() <= threads_before):
        pytest.fail(f"threads leaked: {native_threads() - threads_before}, Python's own: {threading.enumerate()}")
    if children_before is None and not settle(lambda: zombie_or_child() is None):
        pytest.fail(f"child left behind: {zombie_or_child()}")


@pytest.fixture
def ordinary_user() -> tuple[int, int]:
    """The ids of a user without privileges to become (nobody)."""
    import pwd

    entry = pwd.getpwnam("nobody")
    return entry.pw_uid, entry.pw_gid


@pytest.fixture
def memory_path(tmp_path: Path) -> Iterator[Path]:
    """An empty directory in memory where there is such a place: for directories of very many files."""
    import shutil
    import tempfile

    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK | os.X_OK):
        memory = tmp_path
    directory = Path(tempfile.mkdtemp(dir=memory))
    yield directory
    shutil.rmtree(directory)
