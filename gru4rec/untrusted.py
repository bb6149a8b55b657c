"""Take in what anyone may have written: small files, their JSON, and quotes of them in messages."""

import json
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

_LARGE = 2**63  # what a number is below, so that everything can compute with it


def brief(said: object, *, most: int = 200) -> str:
    """Return what a text or an error says, on one line of at most so many characters."""
    text = str(said) or repr(said)
    line = " ".join(text[: 10 * most].split())
    line = "".join(sign if sign.isprintable() else "?" for sign in line)
    return line if len(line) <= most else f"{line[: most - 1]}…"


def shown(value: object) -> str:
    """Return a value as Python writes it, on one line of at most 200 characters."""
    try:
        return brief(repr(value))
    except (ValueError, RecursionError):  # of an integer with thousands of digits, of deep nesting
        return f"{type(value).__name__} too large to show"


def read_text(path: Path, *, most: int) -> str:
    """Return the text of a file.

    Raise OSError if it cannot be read, and ValueError for what is no regular file of at most `most`
    characters in UTF-8: a pipe would be waited for, a device read without end.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("it is no regular file")
    with path.open(encoding="utf-8") as file:
        try:
            text = file.read(most + 1)
        except UnicodeDecodeError:
            raise ValueError("it is no text in UTF-8") from None
    if len(text) > most:
        raise ValueError(f"it has more than {most:,} characters")
    return text


def read_json(path: Path, *, most: int) -> dict[str, Any]:
    """Return the JSON object in a file. Raise as `read_text` does, and ValueError for another."""
    try:
        content = json.loads(read_text(path, most=most))
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if not isinstance(content, dict):
        raise ValueError(f"it must be an object, got {shown(content)}")
    return content


def fits(value: object, kind: Any) -> bool:
    """Whether a value of JSON is of a type such as `Mapping[str, int]` or `Sequence[str] | None`.

    Numbers are below 2⁶³, texts can be written in UTF-8. A `float` may be an integer.
    """
    if kind is Any:
        return True
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return any(fits(value, choice) for choice in inner)
    if origin in (Mapping, dict):
        return isinstance(value, dict) and all(
            fits(key, inner[0]) and fits(entry, inner[1]) for key, entry in value.items()
        )
    if origin in (Sequence, list):
        return isinstance(value, list) and all(fits(entry, inner[0]) for entry in value)
    if isinstance(value, str):
        return kind is str and value.encode(errors="ignore").decode() == value
    if type(value) is int:
        return kind in (int, float) and -_LARGE < value < _LARGE
    return type(value) is kind
