"""Read the predicate that says which rows of a log to take."""

import re

import polars as pl

from gru4rec.errors import DataError

# A query inside the predicate could read other files, and is read as soon as it is parsed.
_QUERY = re.compile(r"\bselect\b|\b(read|scan)_\w+\s*\(", re.IGNORECASE)
_LITERAL = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")
_OTHER_QUOTES = ("\\", "$", "`", "--", "/*", "#")  # with these, quotes may mean something else


def predicate_of(where: str) -> pl.Expr:
    """Return the expression of a Polars SQL predicate over columns and literals.

    Raise DataError if it asks another table, PolarsError if it cannot be read.
    """
    is_plain = not any(quote in where for quote in _OTHER_QUOTES)
    if _QUERY.search(_LITERAL.sub("''", where) if is_plain else where):
        raise DataError(
            f"where may use columns and literals only, no query or file: {where[:200]!r}",
            mend_with=["where"],
        )
    return pl.sql_expr(where)
