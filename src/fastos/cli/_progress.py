"""A line on the terminal that says how far a scan is, by rich; none where rich is missing or there is no terminal."""

import time
from typing import Any, Final

from fastos._scan import Stats

_QUIET_SECONDS: Final = 0.5


class ProgressLine:
    """Shows itself when a scan takes longer than half a second, on the standard error output."""

    def __init__(self, *, enabled: bool) -> None:
        self.enabled = enabled
        self._since = time.monotonic()
        self._status: Any = None

    def _start(self) -> None:
        try:
            from rich.console import Console
            from rich.progress import Progress, SpinnerColumn, TextColumn
        except ImportError:
            self.enabled = False
            return
        columns = (SpinnerColumn(), TextColumn("{task.description}"))
        self._status = Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False)
        self._status.start()
        self._status.add_task("")

    def show(self, stats: Stats) -> None:
        """Says what was done so far."""
        elapsed = time.monotonic() - self._since
        if not self.enabled or elapsed < _QUIET_SECONDS:
            return
        if self._status is None:
            self._start()
        if self._status is not None:
            rate = stats.entries / (stats.elapsed_ns / 1e9 or 1)
            text = f"{stats.entries:,} entries, {stats.directories:,} directories, {rate:,.0f}/s"
            if stats.stalled:
                text += f", waiting in {stats.stalled[0]!r}"
            self._status.update(self._status.task_ids[0], description=text)
            self._status.refresh()

    def hide(self) -> None:
        """Takes the line away; it comes back with the next call of show()."""
        if self._status is not None:
            self._status.stop()
            self._status = None
