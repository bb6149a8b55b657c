"""Read lists of item ids: of a file with an id on each line, of a table, of a text by hand."""

import json
from pathlib import Path

from gru4rec.addresses import refuse_address
from gru4rec.clicks.ids import plain_ids
from gru4rec.clicks.reading import read_log
from gru4rec.errors import DataError
from gru4rec.schema import ITEM_ID

_SUFFIXES_OF_LINES = ("", ".txt", ".list")


def read_items(path: str | Path, *, item_col: str | None = None) -> list[object]:
    """Return the ids of a file, each once, in the order of the file.

    A file without a suffix, or with .txt or .list, has an id on each line: all of the line, blanks
    too, but for its end; an empty line is none. Any other is a table as `read_clicks` takes it, and
    its column of items is read.

    Raise DataError if the file is missing, unreadable, empty or a folder.
    """
    source, path = path, Path(path)
    if path.is_dir():
        raise DataError(f"{path} is a folder; name a file with an id on each line, or a table")
    if path.suffix.lower() not in _SUFFIXES_OF_LINES:
        table = read_log(source, {ITEM_ID: item_col}).clicks.select(ITEM_ID)
        ids: list[object] = table.unique(maintain_order=True).collect()[ITEM_ID].to_list()
    else:
        refuse_address(source, DataError)
        try:
            with path.open(encoding="utf-8-sig") as file:  # which turns all line ends into \n
                lines = [line.removesuffix("\n") for line in file]
        except (OSError, ValueError) as error:
            raise DataError(f"cannot read the items of {path}: {error}") from error
        ids = list(dict.fromkeys(filter(None, lines)))
    if not ids:
        raise DataError(f"{path} has no item; write an id on each line")
    return ids


def items_of_text(text: str) -> list[object]:
    """Return the items of a text by hand: `A,B,C`, or a JSON list of ids, which are literal.

    Blanks around a comma are no part of an id, so one with blanks or commas is written in JSON.
    """
    if text.lstrip().startswith("["):
        try:
            ids = json.loads(text)
        except (ValueError, RecursionError):
            ids = None
        if isinstance(ids, list):
            return list(plain_ids(ids))
    return [item.strip() for item in text.split(",")]
