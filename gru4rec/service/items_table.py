"""Titles and pictures of items, from a table that a shop has, and items by their titles."""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from gru4rec.clicks import read_log
from gru4rec.errors import DataError
from gru4rec.schema import ITEM_ID
from gru4rec.sessions import Catalog

logger = logging.getLogger(__name__)

_SHOWN = ("title", "image")
_INDEX = "item_index"


class ItemsTable:
    """What is shown of each item of a catalog; an item without a row has its id alone."""

    def __init__(self, catalog: Catalog, path: str | Path | None) -> None:
        """Read the table at `path`; items that the catalog does not have are passed over.

        Raise DataError if it cannot be read, or has no column of items.
        """
        size = len(catalog)
        self._catalog = catalog
        self._shown = _shown(catalog, path) if path else {name: [None] * size for name in _SHOWN}
        titles = pl.Series(self._shown["title"], dtype=pl.String)
        self._text = (
            titles.fill_null("") + "\n" + catalog.item_ids.cast(pl.String)
        ).str.to_lowercase()

    def of(self, items: Iterable[Any]) -> list[dict[str, Any]]:
        """Return item_id, title and image of those of the items that the catalog has."""
        indexes = [self._catalog.find(item) for item in items]
        return [self._row(index) for index in indexes if index is not None]

    def search(self, text: str, k: int) -> list[dict[str, Any]]:
        """Return the k most clicked items whose title or id has every word of a text."""
        found = pl.Series([True]).new_from_index(0, len(self._catalog))
        for word in text.lower().split():
            found &= self._text.str.contains(word, literal=True)
        order = self._catalog.by_support
        return [self._row(index) for index in order[found.to_numpy()[order]][:k].tolist()]

    def _row(self, index: int) -> dict[str, Any]:
        (item,) = self._catalog.ids_of([index])
        return {ITEM_ID: item, **{name: self._shown[name][index] for name in _SHOWN}}


def _shown(catalog: Catalog, path: str | Path) -> dict[str, list[str | None]]:
    """Return what a table has of each item of a catalog, by the name of the column."""
    try:
        rows = read_log(path, {ITEM_ID: None}, other_columns=_SHOWN).clicks
    except DataError as error:
        raise DataError(
            f"cannot take {path} as the table of items, of item_id and title or image: {error}"
        ) from error
    columns = rows.collect_schema().names()
    texts = {
        name: pl.col(name).cast(pl.String) if name in columns else pl.lit(None, pl.String)
        for name in _SHOWN
    }
    known = catalog.encode(rows, _INDEX).filter(pl.col(_INDEX).is_not_null())
    table = known.select(_INDEX, **texts).unique(_INDEX, keep="first").collect()
    logger.info("%s tells of %d of %d items", path, table.height, len(catalog))
    places = table[_INDEX].to_numpy()
    shown: dict[str, list[str | None]] = {}
    for name in _SHOWN:
        column = pl.Series([None], dtype=pl.String).new_from_index(0, len(catalog))
        shown[name] = column.scatter(places, table[name]).to_list()
    return shown
