"""Ask all rows of a log together, whether one frame has them or many pieces of it.

What a column holds, in which unit its times are, how many rows are invalid: only all rows together
tell. A question is asked in two steps, so that pieces can answer it too: `partial` is asked of the
rows of each piece, `total` of all partial answers, one below the other.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import polars as pl

Step = Callable[[pl.LazyFrame], pl.LazyFrame]


class Ask(Protocol):
    """Answers a question about all rows."""

    def __call__(self, rows: pl.LazyFrame, partial: Step, total: Step, /) -> pl.DataFrame:
        """Return `total` of the `partial` answers of all pieces, of which `rows` is one."""


def ask_frame(rows: pl.LazyFrame, partial: Step, total: Step) -> pl.DataFrame:
    """Answer a question about a frame that has all rows."""
    return total(partial(rows)).collect(engine="streaming")


def facts_of(
    rows: pl.LazyFrame, facts: Mapping[str, tuple[pl.Expr, str]], ask: Ask
) -> dict[str, Any]:
    """Return values of all rows by their names.

    A fact is (an expression that is one value of a piece, how those of all pieces become one: sum,
    min, max, any, all or first, which is the first that is not null).
    """

    def partial(piece: pl.LazyFrame) -> pl.LazyFrame:
        return piece.select(value.alias(name) for name, (value, _) in facts.items())

    def total(answers: pl.LazyFrame) -> pl.LazyFrame:
        return answers.select(
            getattr(pl.col(name).drop_nulls(), how)() for name, (_, how) in facts.items()
        )

    return ask(rows, partial, total).row(0, named=True)
