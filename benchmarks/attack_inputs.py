"""Attack what is read: damaged logs, values at every door, predicates, lines of the pipe, settings.

    python benchmarks/attack.py --only inputs

A trial holds if it ends in an answer or in one line of `Gru4RecError` below 500 characters.
"""

import io
import json
import random
import tempfile
from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import gru4rec as g4r
from gru4rec.cli.json_lines import reply_lines

Trial = tuple[str, str, Callable[[], str]]

SECRET = "first-line-of-another-file"
_CLICKS = pl.DataFrame(
    {
        "session_id": [session for session in range(20) for _ in range(3)],
        "item_id": [f"i{(session + place) % 7}" for session in range(20) for place in range(3)],
        "timestamp": [1_700_000_000 + 60 * click for click in range(60)],
    }
)
_WRITERS: dict[str, Callable[[pl.DataFrame, Path], Any]] = {
    ".csv": pl.DataFrame.write_csv,
    ".jsonl": pl.DataFrame.write_ndjson,
    ".parquet": pl.DataFrame.write_parquet,
    ".arrow": pl.DataFrame.write_ipc,
}
_VALUES: list[Any] = [
    7, "a", "", " ", "007", "\uff17", "a,b", b"a", b"\xff", 7.0, 7.5, float("nan"), float("inf"),
    2**63, 2**64, -(2**70), True, None, Decimal("7"), Decimal("7.5"), Decimal("1e999"),
    date(2026, 1, 1), datetime(2026, 1, 1), np.int8(7), np.float32(7), np.bool_(True), np.str_("a"),
    np.datetime64("2026-01-01"), np.array(7), np.array([7]), np.array([[7]]), [7], (7,), {7: 7},
    {7}, object(), pl.Series([7]), pl.DataFrame({"a": [7]}), "\ud800", "a\0b", "x" * 100_000,
]  # fmt: skip
_LISTS: list[Callable[[list[Any]], Any]] = [
    list, tuple, iter, lambda values: np.array(values, dtype=object), lambda values: [values],
    lambda values: values[0], lambda values: pl.Series(values, strict=False, dtype=pl.Object),
]  # fmt: skip
_TOKENS = [
    "item_id", "session_id", "=", "<", "'a'", "1", "(", ")", "AND", "OR", "NOT", "IN", "NULL", "IS",
    "SELECT", "a", "FROM", "read_csv('{file}')", "EXISTS", "*", ",", "'", '"', "--", "/*", "*/",
    "$$", "\\", "CASE", "WHEN", "LIKE", "'%'", "BETWEEN", "::", "LIMIT", "UNION", ";", "E'\\''",
]  # fmt: skip
_JSON = [
    "1", "1e999", "NaN", "Infinity", "-1", "1.5", "true", "null", '"a"', '"\\ud800"', "[]", "{}",
    '["i1"]', "[1]", '{"a": 1}', "9" * 400, '""', "[[]]", '["i1", "i2"]',
]  # fmt: skip


def held(call: Callable[[], object]) -> str:
    """Return "" if a call ends in an answer or in one short line, else what it did."""
    try:
        call()
    except g4r.Gru4RecError as error:
        message = str(error)
        short = len(message) < 500 and message.splitlines() == [message]
        return "" if short and SECRET not in message else f"message {message[:200]!r}"
    except Exception as error:  # noqa: BLE001 - this is what the trial looks for
        return f"raised {error!r}"[:300]
    return ""


def _damaged_log(draw: random.Random, folder: Path) -> str:
    suffix = draw.choice([*_WRITERS])
    path = folder / f"log{suffix}"
    _WRITERS[suffix](_CLICKS, path)
    data = bytearray(path.read_bytes())
    for _ in range(draw.choice([1, 1, 3, 20])):
        place = draw.randrange(len(data))
        change = draw.randrange(4)
        if change == 0:
            data[place] = draw.choice([0, 10, 34, 44, 255, draw.randrange(256)])
        elif change == 1:
            del data[place : place + draw.randrange(1, 40)]
        elif change == 2:
            data[place:place] = draw.choice([b"\n", b'"', b",", b"\0" * 5, b"NULL", b"\xff\xfe"])
        else:
            del data[place:]
        data = data or bytearray(b"\n")
    path.write_bytes(data)
    drop = draw.random() < 0.5
    return held(lambda: g4r.read_clicks(path, drop_invalid=drop).collect())


def _strange_column(draw: random.Random, folder: Path) -> str:
    values = [draw.choice(_VALUES)] * 3 if draw.random() < 0.5 else draw.sample(_VALUES, 3)
    try:
        column = pl.Series(values, strict=False)
    except Exception:  # noqa: BLE001 - no column of its own kind: one of objects
        column = pl.Series(values, dtype=pl.Object)
    table = pl.DataFrame({name: [1, 2, 3] for name in ("session_id", "item_id", "timestamp")})
    table = table.with_columns(column.alias(draw.choice(table.columns)))
    return held(lambda: g4r.read_clicks(table).collect())


def _door(draw: random.Random, folder: Path) -> str:
    recommender = _recommender()
    ids = draw.choice(_LISTS)([draw.choice(_VALUES) for _ in range(draw.randrange(1, 3))])
    k = draw.choice([1, 1, 1, *_VALUES[:20]])
    session = recommender.start_session()
    doors: list[Callable[[], object]] = [
        lambda: recommender.recommend([ids], k),
        lambda: recommender.recommend(ids, k),
        lambda: recommender.recommend([["i1"]], k, deny=ids),
        lambda: recommender.recommend([["i1"]], k, allow=ids),
        lambda: recommender.click_many(ids, ["i1"]),
        lambda: recommender.click_many([1], ids),
        lambda: recommender.recommend_many(ids, k),
        lambda: recommender.next_items(ids, k),
        lambda: session.click(ids),
        lambda: session.recommend(k, allow=ids),
        lambda: g4r.read_clicks(ids),
    ]
    return held(draw.choice(doors))


def _predicate(draw: random.Random, folder: Path) -> str:
    (folder / "other.csv").write_text(f"{SECRET}\nb\n")
    words = " ".join(draw.choice(_TOKENS) for _ in range(draw.randrange(1, 9)))
    if draw.random() < 0.3:
        words = f"item_id IN ( SELECT a FROM read_csv('{{file}}') ) {words}"
    where = words.replace("{file}", str(folder / "other.csv"))
    return held(lambda: g4r.read_clicks(_CLICKS, where=where).collect())


def _line(draw: random.Random, folder: Path) -> str:
    pieces = [f'"session_id": {draw.choice(_JSON)}', f'"items": {draw.choice(_JSON)}']
    line = bytearray(("{" + ", ".join(draw.sample(pieces, 2)) + "}").encode())
    if draw.random() < 0.5:
        line[draw.randrange(len(line))] = draw.randrange(256)
    lines = io.BytesIO(bytes(line).replace(b"\n", b" ") + b'\n{"items": ["i1"]}\n')
    replies = [*reply_lines(lines, _recommender(), 3, item_filter=None, explain=True)]
    for reply in replies:
        json.loads(reply, parse_constant=lambda text: 1 / 0)
    return "" if len(replies) == 2 and "error" not in replies[1] else f"{bytes(line)!r}: {replies}"


def _settings(draw: random.Random, folder: Path) -> str:
    text = bytearray(g4r.Config().to_toml().encode() + b"\n[training]\nlanes = 8\nsteps = 4\n")
    for _ in range(draw.randrange(1, 4)):
        extra = [b"[" * 5000, b"9" * 5000, b"inf", b"'''", b"\xff", b"{a=" * 500, b"= = ", b"\0"]
        place = draw.randrange(len(text))
        text[place:place] = draw.choice(extra)
    (folder / "settings.toml").write_bytes(text)
    return held(lambda: g4r.Config.from_toml(folder / "settings.toml"))


def _name(draw: random.Random, folder: Path) -> str:
    signs = ["[1]", "*", "?", "[!a]", "~", "{a,b}", "%20", "k=v", " ", "ä", "\n", "#", "'", "\\"]
    name = "".join(draw.choice([*signs, "x"]) for _ in range(draw.randrange(1, 5))) or "x"
    for decoy in ("x1", "xa", "xx"):
        (folder / decoy).mkdir(exist_ok=True)
    g4r.Popularity().fit(_CLICKS.with_columns(item_id=pl.lit("decoy"))).save(folder / "1")
    baseline = g4r.SequentialRules().fit(_CLICKS)
    baseline.save(folder / name, force=True)
    same = g4r.load(folder / name).recommend([["i1"]]).equals(baseline.recommend([["i1"]]))
    for suffix, write in _WRITERS.items():
        path = folder / f"d{name}" / f"{name}{suffix}"
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as file:
            write(_CLICKS, file)  # type: ignore[arg-type]
        same &= g4r.read_clicks(path).collect().height == _CLICKS.height
    return "" if same else f"{name!r} is not read as it was written"


_MADE: list[g4r.Recommender] = []


def _recommender() -> g4r.Recommender:
    if not _MADE:
        _MADE.append(g4r.SequentialRules().fit(_CLICKS))
    return _MADE[0]


KINDS: dict[str, Callable[[random.Random, Path], str]] = {
    "damaged log": _damaged_log,
    "column of a strange type": _strange_column,
    "value at a door": _door,
    "predicate": _predicate,
    "line of the pipe": _line,
    "settings": _settings,
    "name of a file": _name,
}


def trials(*, number: int = 1000, seed: int = 1) -> Iterator[Trial]:
    """Yield (kind, name, trial), `number` of each kind; a trial returns "" if it holds."""

    def trial(kind: str, place: int) -> str:
        with tempfile.TemporaryDirectory() as folder:
            return KINDS[kind](random.Random(f"{seed} {kind} {place}"), Path(folder))

    for kind in KINDS:
        for place in range(number if kind != "name of a file" else -(-number // 10)):
            yield kind, str(place), lambda kind=kind, place=place: trial(kind, place)  # type: ignore[misc]
