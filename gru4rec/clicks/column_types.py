"""Find the types of columns that came as text."""

from collections.abc import Iterable, Mapping

import polars as pl

from gru4rec.clicks.asking import Ask, ask_frame, facts_of
from gru4rec.clicks.formats import DAMAGE
from gru4rec.clicks.ids import INTEGER

_WHOLE = r"^(0|-?[1-9][0-9]{0,18})(\.0*)?$"  # as tables with gaps write integers


def with_types(
    rows: pl.LazyFrame, columns: Iterable[str], ids: Iterable[str], *, ask: Ask = ask_frame
) -> pl.LazyFrame:
    """Give each text column the type that all of its values have: integer, float, truth value.

    Columns of `ids` become numbers only where every value is written as an integer is, so that no
    two ids become one. Damaged lines of a file have no say, and null where they do not fit.
    """
    schema, ids = rows.collect_schema(), set(ids)
    text = [name for name in columns if schema[name] == pl.String]
    if not text:
        return rows
    sound = rows.filter(pl.col(DAMAGE).is_null()) if DAMAGE in schema else rows
    checks: dict[str, pl.Expr] = {}
    for name in text:
        checks |= _checks(name, is_id=name in ids)
    holds = facts_of(sound, {what: (check, "all") for what, check in checks.items()}, ask)
    return rows.with_columns(_cast(name, holds) for name in text)


def _checks(name: str, *, is_id: bool) -> dict[str, pl.Expr]:
    """Ask of a text column whether it has no value, or only integers, numbers, truth values."""
    known = pl.col(name).drop_nulls()
    integer = known.str.contains(INTEGER) & known.cast(pl.Int64, strict=False).is_not_null()
    float_ = known.cast(pl.Float64, strict=False).is_not_null()
    number = known.str.contains(_WHOLE) if is_id else float_
    return {
        f"none {name}": known.len() == 0,
        f"integer {name}": integer.all(),
        f"number {name}": number.all(),
        f"truth {name}": known.is_in(["true", "false"]).all(),
    }


def _cast(name: str, holds: Mapping[str, bool]) -> pl.Expr:
    """Cast a text column to the type that the answers to its `_checks` allow."""
    column = pl.col(name)
    if holds[f"none {name}"]:
        return column
    if holds[f"integer {name}"]:
        return column.cast(pl.Int64, strict=False)
    if holds[f"number {name}"]:
        return column.cast(pl.Float64, strict=False)
    return column == "true" if holds[f"truth {name}"] else column
