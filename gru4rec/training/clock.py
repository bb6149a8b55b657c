"""What is due after a window: a report, a save, a stop."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

_REPORT_SECONDS = 0.5


@dataclass(frozen=True)
class Due:
    """What is due after a window."""

    report: bool = False
    """Say how far the training is."""
    save: bool = False
    """Keep its state."""
    stop: bool = False
    """Keep its state and stop."""


class Clock:
    """Says after each window of an epoch what is due."""

    def __init__(
        self, stopping: Callable[[], bool] = lambda: False, save_seconds: float = math.inf
    ) -> None:
        """`stopping` says whether to stop; `save_seconds` is the time between saves."""
        self._stopping, self._save_seconds = stopping, save_seconds
        self._reported, self._saved = -math.inf, time.perf_counter()

    def due(self) -> Due:
        """Return what is due now. A report is due every half second, the first at once."""
        now = time.perf_counter()
        report, save = now - self._reported >= _REPORT_SECONDS, self._save_is_due(now)
        if report:
            self._reported = now
        if save:
            self._saved = now
        return Due(report, save, self._stopping())

    def saved(self) -> None:
        """Take note that the state was kept just now."""
        self._saved = time.perf_counter()

    def _save_is_due(self, now: float) -> bool:
        return now - self._saved >= self._save_seconds
