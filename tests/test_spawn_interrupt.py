"""An exception from a signal handler while a child is being started loses neither the child nor a descriptor."""

import gc
import os
import signal
from typing import Any

import pytest

import fastos
from fastos import _process

native_spawn = pytest.importorskip("fastos._backend.native_spawn")

pytestmark = pytest.mark.native

SLEEP = ["/bin/sleep", "1000"]


class _Interrupting:
    """The core, with an exception before or after the call that starts a plain child."""

    def __init__(self, real: Any, after: bool) -> None:
        self._real, self._after = real, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def fo_spawn_plain(self, *arguments: Any) -> int:
        if self._after:
            self._real.fo_spawn_plain(*arguments)
        raise KeyboardInterrupt


def _interrupted(monkeypatch: pytest.MonkeyPatch, after: bool) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(native_spawn, "lib", _Interrupting(native_spawn.lib, after))
        with pytest.raises(KeyboardInterrupt):
            fastos.spawn(SLEEP, stdout=fastos.PIPE)
    gc.collect()


def test_a_child_that_was_started_is_reaped_later(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.warns(ResourceWarning, match="was not waited for"):
        _interrupted(monkeypatch, after=True)
    (child,) = _process._abandoned
    os.kill(child.pid, signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    _process.reap_abandoned()
    assert not _process._abandoned


def test_no_descriptor_is_closed_if_there_is_no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.fstat(0)
    _interrupted(monkeypatch, after=False)
    assert os.path.samestat(os.fstat(0), before)
    assert not _process._abandoned
