"""Ask all rows of a frame of Spark what only all together tell; see `clicks.asking`.

The reading of clicks runs on an empty table first, on the driver. When it asks something, every
piece of the frame is read up to the same question, with the answers so far, and answers it.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from gru4rec.clicks import Ask, RawRows, Step
from gru4rec.spark.pieces import as_bytes, local, mapped, of_bytes
from gru4rec.spark.raw_log import KEY, RawLog

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_ANSWER, _ERROR = "answer", "error"
_REPLY = pl.Schema({_ANSWER: pl.Binary(), _ERROR: pl.String()})


class AskPieces:
    """Answers what reading asks, by a frame, and keeps the answers."""

    def __init__(self, frame: "DataFrame", how: RawRows, *, whole: str | None = None) -> None:
        """Take the raw rows, with their number, and how they become clicks.

        Rows that are equal in the column `whole` stand together.
        """
        self._frame, self._how, self._whole = frame, how, whole
        self.answers: list[bytes] = []

    def __call__(self, rows: pl.LazyFrame, partial_answer: Step, total: Step) -> pl.DataFrame:
        """See `Ask`; `rows` are none. Raise ComputeError for what Polars cannot compute."""
        work = partial(_reply, self._how, tuple(self.answers))
        replies = local(mapped(self._frame, work, _REPLY, whole=self._whole))
        for error in replies[_ERROR].drop_nulls().head(1):
            raise pl.exceptions.ComputeError(error)
        found = [partial_answer(rows).collect(), *map(of_bytes, replies[_ANSWER])]
        answer = total(pl.concat(found, how="vertical_relaxed").lazy()).collect()
        self.answers.append(as_bytes(answer))
        return answer


def read_clicks_of(
    how: RawRows, raw: RawLog, ask: AskPieces
) -> tuple[pl.Schema, int, dict[str, int]]:
    """Ask what reading asks; return (the types of the clicks, the rows taken, the invalid ones).

    Raise DataError as `read_log` does.
    """
    try:
        valid, taken, invalid = how.valid(raw.empty.lazy(), place=raw.place, ask=ask)
    except pl.exceptions.PolarsError as error:
        raise how.unreadable(error) from error
    return valid.collect_schema(), taken, invalid


class _AskedError(Exception):
    """The next question is reached."""

    def __init__(self, reply: dict[str, object]) -> None:
        """Take the answer, or the error, by the names of `_REPLY`."""
        super().__init__()
        self.reply = reply


def valid_piece(how: RawRows, answers: Sequence[bytes], piece: pl.DataFrame) -> pl.DataFrame:
    """Return the valid clicks of a piece, by the answers that all pieces gave."""
    rows = piece.drop(KEY, strict=False).lazy()
    return how.valid(rows, place=str, ask=_replayed(answers))[0].collect()


def _reply(how: RawRows, answers: Sequence[bytes], piece: pl.DataFrame) -> pl.DataFrame:
    """Return the answer of a piece to the question that comes after the answers so far."""
    reply: dict[str, object] = {}
    try:
        rows = piece.drop(KEY, strict=False).lazy()
        how.valid(rows, place=str, ask=_replayed(answers))
    except _AskedError as asked:
        reply = asked.reply
    except pl.exceptions.PolarsError as error:
        reply = {_ERROR: str(error)}
    return pl.DataFrame([reply], schema=_REPLY)


def _replayed(answers: Sequence[bytes]) -> Ask:
    left: Iterator[bytes] = iter(answers)

    def ask(
        rows: pl.LazyFrame, partial_answer: Callable[..., pl.LazyFrame], total: Step
    ) -> pl.DataFrame:
        for known in left:
            return of_bytes(known)
        try:
            answer = partial_answer(rows).collect()
        except pl.exceptions.PolarsError as error:
            raise _AskedError({_ERROR: str(error)}) from error
        raise _AskedError({_ANSWER: as_bytes(answer)})

    return ask
