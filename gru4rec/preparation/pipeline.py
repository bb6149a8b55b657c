"""Turn a raw log into train, valid and test sessions on disk, as a recipe says."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from gru4rec import atomic
from gru4rec.addresses import trouble_with
from gru4rec.arraytypes import IntArray
from gru4rec.clicks import (
    CARD,
    PARTS,
    SHARD_ROWS,
    START,
    ClickLog,
    ClickSource,
    FrameSpans,
    RawRows,
    part_of,
    read_log,
    scan_parquet,
    write_parquet_pieces,
)
from gru4rec.errors import DataError
from gru4rec.preparation import card, shards
from gru4rec.preparation.card import Card
from gru4rec.preparation.recipe import Recipe, Split
from gru4rec.preparation.rules import CLICKS, Ruled, apply_rules, tidy
from gru4rec.preparation.splitting import cut_as_asked, times_of
from gru4rec.preparation.verbs import SUPPORT
from gru4rec.schema import ITEM_ID, SESSION_ID, TIMESTAMP, USER_ID

RECIPE = "recipe.toml"
_FILES = {CARD, RECIPE, *(f"{part}.parquet" for part in PARTS)}


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
            described["published"] = card.compare(
                recipe.published, described, lambda: card.papers_count(new)
            )
            write_card(new, described, recipe)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"cannot prepare {output}: {trouble_with(error) or error}") from error
    return described


def check_free(output: Path, *, force: bool) -> None:
    """Raise DataError unless prepared sessions may be written to `output`."""
    atomic.check_free(
        output, force=force, kind="folder of prepared sessions", marks={CARD}, files=_FILES,
        error=DataError,
    )  # fmt: skip


def write_card(folder: Path, card: Card, recipe: Recipe) -> None:
    """Write the card and the recipe that was followed to a folder of prepared sessions."""
    (folder / RECIPE).write_text(recipe.to_toml(), encoding="utf-8")
    text = json.dumps(card, indent=2, ensure_ascii=False)
    (folder / CARD).write_text(text + "\n", encoding="utf-8")


def raw_rows_of(recipe: Recipe, untyped: frozenset[str] = frozenset()) -> RawRows:
    """Return how the rows of a raw log become valid clicks, with all of its columns.

    `untyped` are the columns that hold text only because their files know no types.
    """
    columns, rules = recipe.columns, recipe.rules
    named = {
        USER_ID: columns.user_col,
        SESSION_ID: columns.session_col,
        ITEM_ID: columns.item_col,
        TIMESTAMP: columns.time_col,
    }
    if columns.user_col is not None and columns.session_col is None:
        del named[SESSION_ID]
    elif columns.user_col is None:
        del named[USER_ID]
    return RawRows(
        named=named, untyped=untyped, where=rules.where, drop_invalid=rules.drop_invalid,
        null=recipe.layout.null or (), time_offset=columns.time_offset_col, other_columns=True,
        strict_times=True,
    )  # fmt: skip


def _read(source: ClickSource, recipe: Recipe) -> ClickLog:
    """Read the valid clicks of the raw log, with all of its columns."""
    how, layout = raw_rows_of(recipe), recipe.layout
    return read_log(
        source, how.named, where=how.where, drop_invalid=how.drop_invalid, null=how.null,
        header=layout.header, explode=layout.explode, time_offset=how.time_offset,
        other_columns=how.other_columns, strict_times=how.strict_times,
    )  # fmt: skip


def _split(ruled: Ruled, split: Split, output: Path, scratch: Path, shard_rows: int) -> Card:
    """Write the parts, each in the order of its sessions, and return what the card says of them."""
    sessions = pl.concat(ruled.spans)
    cuts, described = cut_as_asked(split, FrameSpans(sessions))
    part = sessions.select(part=part_of(cuts)).to_series()
    rank = _ranks(sessions)
    borders = np.cumsum([len(spans) for spans in ruled.spans])[:-1]
    lengths = np.split(sessions[CLICKS].to_numpy(), borders)
    for name in PARTS:
        is_in_part = (part == name).fill_null(False).to_numpy()
        if is_in_part.any():
            ranks = np.split(np.where(is_in_part, rank, -1), borders)
            frames = shards.merge(ruled.shards, ranks, lengths, shard_rows=shard_rows)
            path = output / f"{name}.parquet"
            write_parquet_pieces((tidy(frame) for frame in frames), path, scratch / name)
    left_out = sessions.filter(part.is_null())
    out = {"clicks": left_out[CLICKS].sum(), "sessions": len(left_out)}
    return {**described, "left_out": out}


def _ranks(sessions: pl.DataFrame) -> IntArray:
    """Return the place of each session when all stand by start, equal ones by id."""
    order = sessions.select(pl.arg_sort_by(START, SESSION_ID)).to_series().to_numpy()
    ranks = np.empty(len(sessions), dtype=np.int64)
    ranks[order] = np.arange(len(sessions))
    return ranks


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
    return card.described(
        read=log.read,
        invalid=log.dropped,
        files=log.files,
        rules=card.rule_lines(log.read, log.rows, where, ruled.tallies),
        times=times_of(FrameSpans(sessions)),
        parts=parts,
        session_clicks=card.counted(sessions[CLICKS]),
        item_clicks=card.counted(last.support[SUPPORT]),
        revisits=ruled.revisits,
        order_share=card.order_share(train),
    )
