"""Show on stderr how far a command is: a bar on a terminal, a line now and then elsewhere."""

import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Self, TypeVar

import click

if TYPE_CHECKING:
    import polars as pl

    from gru4rec.training import Progress

Item = TypeVar("Item")

_LINE_SECONDS = 30.0
_STEPS, _WIDTH = 1000, 20  # of a bar: steps it tells apart, and characters


class Display:
    """Shows how far some work is while its `with` statement lasts.

    A terminal gets click's bar. A pipe or a file gets a line every half minute.
    """

    def __init__(
        self, label: str = "", *, total_is_known: bool = True, hidden: bool = False
    ) -> None:
        """Without a `label` the texts of `show` have to say all; `hidden` shows nothing."""
        self._label, self._hidden = label, hidden
        self._is_terminal = sys.stderr.isatty()
        self._printed = time.monotonic()
        self._bar: Any = click.progressbar(
            iterable=None if total_is_known else _unknown_length(),
            length=_STEPS if total_is_known else None,
            bar_template=f"{label} %(bar)s  %(info)s".lstrip(),
            fill_char="█",
            empty_char="░",
            width=_WIDTH,
            show_percent=bool(label) and total_is_known,
            show_eta=bool(label),
            item_show_func=self._fitting,
            file=sys.stderr,
            hidden=hidden or not self._is_terminal,
            update_min_steps=0,  # so a new text is shown where the bar stands still
        )

    def __enter__(self) -> Self:
        self._bar.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is None:
            text = self._bar.current_item
            self._bar.finish()
            self._bar.current_item = text  # which click would take away
            self._bar.render_progress()
        self._bar.__exit__(kind, *error)

    def show(self, done: int, total: int | None = None, text: str = "") -> None:
        """Show that `done` of `total` is done, and a text; the text alone without a total."""
        if self._is_terminal:
            place = done if total is None else _STEPS * done // max(1, total)
            self._bar.update(place - self._bar.pos, text)
        elif not self._hidden and time.monotonic() - self._printed > _LINE_SECONDS:
            self.say(text or f"{self._label}: {done / max(1, total or 1):.0%}")

    def over(self, items: Iterable[Item], total: int) -> Iterator[Item]:
        """Pass `total` items on, and show how many are done with."""
        for done, item in enumerate(items):
            self.show(done, total)
            yield item

    def say(self, line: str) -> None:
        """Print a line that stays, above the bar."""
        click.echo(f"{line_start()}{line}", err=True)
        self._printed = time.monotonic()
        self._bar.update(0, "")

    def _fitting(self, text: str | None) -> str | None:
        """The text, cut to a terminal's line: a longer one would push the bar up."""
        taken = len(self._label) + _WIDTH + (20 if self._label else 4)
        return (text or "")[: max(0, shutil.get_terminal_size().columns - taken)] or None


def _unknown_length() -> Iterator[None]:
    """What a bar without a total runs over: nobody, click neither, knows how long it is."""
    yield from ()


def line_start() -> str:
    """What to print before a line on stderr: on a terminal it wipes out a bar that stands there."""
    return "\r\033[K" if sys.stderr.isatty() else ""


class TrainingDisplay(Display):
    """Shows how far a training is; call it with each report of the trainer."""

    def __init__(self, *, hidden: bool = False) -> None:
        super().__init__(hidden=hidden)
        self._first: tuple[float, float] | None = None
        self._run = ""

    def __call__(self, progress: "Progress") -> None:
        """Show the figures so far; those of an epoch's end, with its metrics, stay."""
        if progress.run != self._run:
            self._run, self._first = progress.run, None
        size = min(
            1.0, progress.epochs - progress.epoch + 1
        )  # of this epoch, perhaps a share of one
        done = (progress.epoch - 1 + progress.share * size) / progress.epochs
        run = f"{progress.run}: " if progress.run else ""
        figures = (
            f"{run}epoch {progress.epoch}/{progress.epochs:g} "
            f"{progress.share:4.0%}  loss {progress.loss:.4f}  "
            f"{progress.clicks_per_second:,.0f} clicks/s{self._left(done)}"
        )
        if progress.metrics is not None:
            measured = (f"  {name} {value:.4f}" for name, value in progress.metrics.items())
            self.say(figures + "".join(measured))
        else:
            self.show(round(_STEPS * done), _STEPS, figures)

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


def counted(pieces: Iterable["pl.DataFrame"], *, hidden: bool = False) -> Iterator["pl.DataFrame"]:
    """Pass answers for sessions on as they come, and show how many sessions there are so far."""
    from gru4rec.schema import RANK

    began, sessions = time.monotonic(), 0
    with Display("recommending", total_is_known=False, hidden=hidden) as display:
        for piece in pieces:
            yield piece
            sessions += int((piece[RANK] == 1).sum())
            pace = sessions / (time.monotonic() - began)
            display.show(sessions, text=f"{sessions:,} sessions, {pace:,.0f} a second")
