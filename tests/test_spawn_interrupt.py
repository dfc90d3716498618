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


def _interrupted(monkeypatch: pytest.MonkeyPatch, after: bool) -> None:
    """A plain spawn with an exception before or after the call that starts the child."""
    real = native_spawn._start

    def start(*arguments: Any) -> int:
        if after:
            real(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(native_spawn, "_start", start)
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
