"""Turn a raw log into train, valid and test sessions on disk, as a recipe says."""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl

from gru4rec import atomic
from gru4rec.addresses import trouble_with
from gru4rec.arraytypes import IntArray
from gru4rec.clicks import (
    CARD,
    END,
    PARTS,
    ROW,
    SHARD_ROWS,
    START,
    ClickLog,
    ClickSource,
    assign_parts,
    read_log,
    scan_parquet,
    write_parquet_pieces,
)
from gru4rec.errors import DataError
from gru4rec.preparation import card, shards
from gru4rec.preparation.card import Card
from gru4rec.preparation.recipe import Recipe, Split
from gru4rec.preparation.rules import CLICKS, Ruled, apply_rules
from gru4rec.preparation.verbs import SUPPORT
from gru4rec.schema import ITEM_ID, SESSION_ID, TIMESTAMP, USER_ID

RECIPE = "recipe.toml"
_FILES = {CARD, RECIPE, *(f"{part}.parquet" for part in PARTS)}
_FAIR_SHARE = 0.005  # of the sessions, in a day that is a part
_STARTS = (0.01, 0.5, 0.99)  # the shares of sessions whose last start the card gives


def prepare(
    source: ClickSource,
    output: str | Path,
    recipe: Recipe | None = None,
    *,
    force: bool = False,
    shard_rows: int = SHARD_ROWS,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Card:
    """Write train.parquet, valid.parquet, test.parquet, card.json and recipe.toml to a folder.

    The parts hold session_id, item_id, timestamp, user_id where there is one, and every other
    column of the log. Sessions stand by start, equal ones by id, each whole and in time order.
    Return the card, which says what each rule dropped and what is left. A log of more than
    `shard_rows` rows is worked on in pieces of about that size, in files beside `output`.
    `on_progress` is told how many steps are done, and how many there are: two for each piece, and
    one to write the parts.

    Raise DataError for what `read_clicks` refuses, times before 1990, a rule that the log cannot
    follow, or a folder that cannot be written. Raise ConfigError for an impossible recipe.
    """
    recipe, output = recipe or Recipe(), Path(output)
    check_free(output, force=force)
    try:
        with (
            atomic.replaced(output, error=DataError) as new,
            TemporaryDirectory(dir=new) as scratch,
        ):
            log = _read(source, recipe)
            ruled = apply_rules(
                log, recipe.rules, folder=Path(scratch), shard_rows=shard_rows, told=on_progress
            )
            split = _split(ruled, recipe.split, new, Path(scratch), shard_rows)
            described = {**_describe(log, recipe.rules.where, ruled, new), "split": split}
            described["published"] = list(card.compare(recipe.published, described, new))
            (new / RECIPE).write_text(recipe.to_toml(), encoding="utf-8")
            text = json.dumps(described, indent=2, ensure_ascii=False)
            (new / CARD).write_text(text + "\n", encoding="utf-8")
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"cannot prepare {output}: {trouble_with(error) or error}") from error
    return described


def check_free(output: Path, *, force: bool) -> None:
    """Raise DataError unless prepared sessions may be written to `output`."""
    atomic.check_free(
        output, force=force, kind="folder of prepared sessions", marks={CARD}, files=_FILES,
        error=DataError,
    )  # fmt: skip


def _read(source: ClickSource, recipe: Recipe) -> ClickLog:
    """Read the valid clicks of the raw log, with all of its columns."""
    columns, rules = recipe.columns, recipe.rules
    by_user = columns.user_col is not None and columns.session_col is None
    named = {
        USER_ID: columns.user_col,
        SESSION_ID: columns.session_col,
        ITEM_ID: columns.item_col,
        TIMESTAMP: columns.time_col,
    }
    if by_user:
        del named[SESSION_ID]
    elif columns.user_col is None:
        del named[USER_ID]
    return read_log(
        source, named, where=rules.where, drop_invalid=rules.drop_invalid,
        header=recipe.layout.header, explode=recipe.layout.explode, null=recipe.layout.null or (),
        time_offset=columns.time_offset_col, other_columns=True, strict_times=True,
    )  # fmt: skip


def _split(ruled: Ruled, split: Split, output: Path, scratch: Path, shard_rows: int) -> Card:
    """Write the parts, each in the order of its sessions, and return what the card says of them."""
    sessions = pl.concat(ruled.spans)
    timed = isinstance(sessions.schema[START], pl.Datetime)
    asked = _asked(split, sessions, timed)
    part, cuts = assign_parts(sessions, **asked, timed=timed, by=split.split_by)
    rank = _ranks(sessions)
    borders = np.cumsum([len(spans) for spans in ruled.spans])[:-1]
    lengths = np.split(sessions[CLICKS].to_numpy(), borders)
    for name in PARTS:
        is_in_part = (part == name).fill_null(False).to_numpy()
        if is_in_part.any():
            ranks = np.split(np.where(is_in_part, rank, -1), borders)
            frames = shards.merge(ruled.shards, ranks, lengths, shard_rows=shard_rows)
            path = output / f"{name}.parquet"
            write_parquet_pieces((_tidy(frame) for frame in frames), path, scratch / name)
    left_out = sessions.filter(part.is_null())
    return {
        "by": split.split_by,
        "cuts": {name: {"asked": asked[name], "at": str(cut.at)} for name, cut in cuts.items()},
        "left_out": {"clicks": left_out[CLICKS].sum(), "sessions": len(left_out)},
    }


def _ranks(sessions: pl.DataFrame) -> IntArray:
    """Return the place of each session when all stand by start, equal ones by id."""
    order = sessions.select(pl.arg_sort_by(START, SESSION_ID)).to_series().to_numpy()
    ranks = np.empty(len(sessions), dtype=np.int64)
    ranks[order] = np.arange(len(sessions))
    return ranks


def _tidy(clicks: pl.DataFrame) -> pl.DataFrame:
    """Select the columns that are written, ours first."""
    ours = [name for name in (SESSION_ID, ITEM_ID, TIMESTAMP, USER_ID) if name in clicks.columns]
    return clicks.select(*ours, pl.exclude(*ours, ROW))


def _asked(split: Split, sessions: pl.DataFrame, timed: bool) -> dict[str, str | None]:
    """Return the parts to cut off: those that `split` names, else what suits the log."""
    usual = "1d" if timed and _days_suit(sessions) else "10%"
    asked = {"valid": split.valid or usual, "test": split.test or usual}
    return {name: None if part == "none" else part for name, part in asked.items()}


def _days_suit(sessions: pl.DataFrame) -> bool:
    """Whether the last two days have a fair share of the sessions each, and leave more than half.

    They have none if a few stray clicks come days after all others.
    """
    last_click: Any = sessions[END].max()
    cuts = [last_click - timedelta(days=days) for days in (2, 1)]
    start = sessions[START]
    last_but_one, last = (start >= cuts[0]) & (start < cuts[1]), start >= cuts[1]
    shares = [float(day.mean() or 0) for day in (last_but_one, last)]
    return min(shares) >= _FAIR_SHARE and sum(shares) < 0.5


def _describe(log: ClickLog, where: str | None, ruled: Ruled, output: Path) -> Card:
    """Return all of the card but the split and the published counts."""
    sessions, last = pl.concat(ruled.spans), ruled.tallies[-1]
    train = output / "train.parquet"
    known = scan_parquet(train).select(ITEM_ID).unique().collect(engine="streaming")
    parts: Mapping[str, Card] = {
        name: card.part_line(output / f"{name}.parquet", None if name == "train" else known)
        for name in PARTS
        if (output / f"{name}.parquet").exists()
    }
    return {
        "made_by": {package: version(package) for package in ("gru4rec", "polars")},
        "source": list(log.files),
        "rows": {"read": log.read, "invalid": dict(log.dropped)},
        "rules": _rule_lines(log, where, ruled),
        "time": _times(sessions),
        "parts": parts,
        "statistics": {
            "session_clicks": card.quantiles(sessions[CLICKS]),
            "item_clicks": card.quantiles(last.support[SUPPORT]),
            "revisit_share": card.share(ruled.revisits, last.clicks - len(sessions)),
            "order_share": card.order_share(train),
        },
    }


def _rule_lines(log: ClickLog, where: str | None, ruled: Ruled) -> list[Card]:
    """Return a line for each rule: what it dropped and what it left."""
    lines = [] if where is None else [card.bare_line("where", where, log.rows, log.read)]
    before = log.rows
    for tally in ruled.tallies:
        lines.append(tally.line(before))
        before = tally.clicks
    return lines


def _times(sessions: pl.DataFrame) -> dict[str, str] | None:
    """Return when the first sessions started and the last click came; None without times."""
    if not isinstance(sessions.schema[START], pl.Datetime):
        return None
    start = sessions[START]
    times = {
        "first": start.min(),
        **{f"{at:.0%} started by": start.quantile(at, "nearest") for at in _STARTS},
        "last click": sessions[END].max(),
    }
    return {name: str(time) for name, time in times.items()}
