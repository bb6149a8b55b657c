"""Show how far training is, or recommending for a log."""

import sys
import time
from collections.abc import Iterable, Iterator

import click
import polars as pl

from gru4rec.schema import RANK
from gru4rec.training import Progress

_BAR = 24
_LINE_SECONDS = 30.0


class ProgressPrinter:
    """Prints to stderr; call it with each report of the trainer."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._printed = time.monotonic()
        self._first: tuple[float, float] | None = None

    def __call__(self, progress: Progress) -> None:
        """Print what is worth a look by now."""
        if progress.metrics is not None:
            measured = "".join(f"  {name} {value:.4f}" for name, value in progress.metrics.items())
            start = "\r\033[K" if self._terminal else ""
            click.echo(f"{start}{self._figures(progress)}{measured}", err=True)
            self._printed = time.monotonic()
        elif self._terminal:
            done = round(progress.share * _BAR)
            bar = "█" * done + "░" * (_BAR - done)
            click.echo(f"\r\033[K{bar} {self._figures(progress)}", nl=False, err=True)
        elif time.monotonic() - self._printed > _LINE_SECONDS:
            click.echo(self._figures(progress), err=True)
            self._printed = time.monotonic()

    def _figures(self, progress: Progress) -> str:
        done = (progress.epoch - 1 + progress.share) / progress.epochs
        return (
            f"epoch {progress.epoch}/{progress.epochs:g} {progress.share:4.0%}  "
            f"loss {progress.loss:.4f}  {progress.clicks_per_second:,.0f} clicks/s"
            f"{self._left(done)}"
        )

    def _left(self, done: float) -> str:
        """The time left at the pace since the first report, which need not be the run's start."""
        now = time.monotonic()
        if self._first is None:
            self._first = (now, done)
        since, done_before = self._first
        if done <= done_before:
            return ""
        left = max(0.0, 1 - done)
        return f"  {(now - since) * left / (done - done_before):.0f} s left"


def counted(pieces: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Answers for sessions as they come, with a line to stderr of how many there are so far."""
    began = printed = time.monotonic()
    terminal, sessions = sys.stderr.isatty(), 0
    for piece in pieces:
        yield piece
        sessions += int((piece[RANK] == 1).sum())
        now = time.monotonic()
        if now - printed > (1.0 if terminal else _LINE_SECONDS):
            printed = now
            click.echo(f"{sessions:,} sessions, {sessions / (now - began):,.0f} a second", err=True)
