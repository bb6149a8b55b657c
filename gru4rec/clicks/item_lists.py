"""Read a list of item ids: a file with an id on each line, or a table with a column of them."""

from pathlib import Path

from gru4rec.clicks.reading import read_log
from gru4rec.errors import DataError
from gru4rec.schema import ITEM_ID

_SUFFIXES_OF_LINES = ("", ".txt", ".list")


def read_items(path: str | Path, *, item_col: str | None = None) -> list[object]:
    """Return the ids of a file, each once, in the order of the file; blank lines are passed over.

    A file without a suffix, or with .txt or .list, has an id on each line. Any other is a table as
    `read_clicks` takes it, and its column of items is read.

    Raise DataError if the file is missing, unreadable or empty.
    """
    path = Path(path)
    if path.suffix.lower() not in _SUFFIXES_OF_LINES or path.is_dir():
        table = read_log(path, {ITEM_ID: item_col}).clicks.select(ITEM_ID)
        ids: list[object] = table.unique(maintain_order=True).collect()[ITEM_ID].to_list()
    else:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"cannot read the items of {path}: {error}") from error
        ids = list(dict.fromkeys(filter(None, map(str.strip, lines))))
    if not ids:
        raise DataError(f"{path} has no item; write an id on each line")
    return ids
