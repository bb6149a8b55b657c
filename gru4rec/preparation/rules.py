"""Apply the rules of a recipe to a log, shard by shard, and count what each leaves."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path

import polars as pl

from gru4rec.clicks import END, ROW, START, ClickLog, is_first, seconds_of
from gru4rec.errors import DataError
from gru4rec.preparation import shards, verbs
from gru4rec.preparation.card import Tally
from gru4rec.preparation.recipe import Rules
from gru4rec.schema import ITEM_ID, SESSION_ID, TIMESTAMP, USER_ID

CLICKS = "clicks"

_GAP = "30m"  # a visit of a user ends after such a pause, unless told otherwise

NamedVerb = tuple[str, str, Callable[[pl.LazyFrame], pl.LazyFrame]]
"""The name of a rule, its setting, and what it does to clicks."""


@dataclass(frozen=True)
class Ruled:
    """What the rules leave of a log."""

    shards: list[pl.LazyFrame]
    """Clicks and their row number `ROW`; each shard has its sessions by start, equal ones by id."""
    spans: list[pl.DataFrame]
    """For each shard its sessions in their order: id, start, end and clicks."""
    tallies: list[Tally]
    """What there was of valid rows, and what each rule left."""
    revisits: int
    """Clicks on an item that the session had clicked before."""


def apply_rules(
    log: ClickLog,
    rules: Rules,
    *,
    folder: Path,
    shard_rows: int,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> Ruled:
    """Apply all rules; in `folder` lie the shards of a log that needs more than one.

    `told` is called twice for each shard, see `prepare`.

    Raises DataError for a rule that the log cannot follow, and where nothing is left.
    """
    named_verbs = list(_verbs(rules, log.clicks.collect_schema()))
    tallies = [Tally("valid rows"), *(Tally(name, text) for name, text, _ in named_verbs)]
    spans: list[pl.DataFrame] = []
    revisits, steps = 0, count(1)

    def by_session(shard: pl.LazyFrame) -> pl.DataFrame:
        """The rules that look at one session or user at a time."""
        clicks = shard.collect()
        if SESSION_ID in clicks.columns:
            clicks = verbs.order_clicks(clicks.lazy()).collect()
        tallies[0].add(clicks)
        for tally, (_, _, verb) in zip(tallies[1:], named_verbs, strict=True):
            clicks = verb(clicks.lazy()).collect()
            tally.add(clicks)
        told(next(steps), 2 * len(raw) + 1)
        return clicks

    def by_support(shard: pl.LazyFrame) -> pl.DataFrame:
        """The rule that looks at items of the whole log; then the order of the sessions."""
        nonlocal revisits
        kept = verbs.keep_items(shard, items, rules.min_session_clicks).collect()
        tallies[-1].add(kept)
        different = kept.lazy().select(pl.col(SESSION_ID).rle_id(), ITEM_ID).unique()
        revisits += kept.height - different.select(pl.len()).collect().item()
        clicks, found = _by_start(kept)
        spans.append(found)
        told(next(steps), 2 * len(raw) + 1)
        return clicks

    raw = shards.cut(
        log.clicks.with_row_index(ROW), log.rows - sum(log.dropped.values()),
        by=SESSION_ID if SESSION_ID in log.clicks.collect_schema() else USER_ID,
        folder=folder / "raw", shard_rows=shard_rows,
    )  # fmt: skip
    made = shards.store(raw, by_session, folder / "made")
    items, least = None, (rules.min_item_clicks, rules.min_session_clicks)
    if rules.min_item_clicks > 1:
        ids = shards.store(made, _numbered_sessions, folder / "ids")
        items = verbs.supported_items(ids, *least, rounds=rules.filter_rounds)
    tallies.append(Tally("fewest clicks", "of an item {}, of a session {}".format(*least)))
    kept = shards.store(made, by_support, folder / "kept")
    for tally in tallies:
        if not tally.clicks:
            raise DataError(f"no click is left after the rule {tally.rule} {tally.setting}")
    return Ruled(kept, spans, tallies, revisits)


def _verbs(rules: Rules, schema: pl.Schema) -> Iterator[NamedVerb]:
    """The rules that look at one session or user at a time, in their order."""
    found = [*_kinds(rules, schema), *_gaps(rules, schema)]
    yield from reversed(found) if rules.gap_before_events else found
    if rules.drop_doubles:
        yield "drop doubles", "", partial(verbs.drop_doubles, ignoring=(ROW,))
    if rules.drop_repeats:
        yield "drop repeats", "", verbs.drop_repeats
    if rules.max_session_clicks is not None:
        longest, how = rules.max_session_clicks, rules.long_sessions or "cut"
        limit = partial(verbs.limit_length, longest=longest, how=how)
        yield "most clicks", f"of a session {longest}, {how}", limit


def _numbered_sessions(clicks: pl.LazyFrame) -> pl.DataFrame:
    """The two columns that the search for a fixpoint reads again and again, as small as can be."""
    return clicks.select(pl.col(SESSION_ID).rle_id(), ITEM_ID).collect()


def _kinds(rules: Rules, schema: pl.Schema) -> Iterator[NamedVerb]:
    """The rule that keeps kinds of event."""
    if rules.events is None:
        return
    if rules.event_col not in schema:
        raise DataError(
            f"click log lacks {rules.event_col!r}; it has {schema.names()}. Name the column of the "
            "kind of event with event_col.",
            mend_with=["event_col"],
        )
    keep = partial(verbs.keep_events, column=rules.event_col, kinds=rules.events)
    yield "events", ", ".join(rules.events), keep


def _gaps(rules: Rules, schema: pl.Schema) -> Iterator[NamedVerb]:
    """The rule that ends sessions."""
    by_user = SESSION_ID not in schema
    if rules.gap is None and not by_user:
        return
    if TIMESTAMP not in schema:
        raise DataError("sessions end after a gap in time, and the click log has no times")
    gap, owner = _GAP if rules.gap is None else rules.gap, USER_ID if by_user else SESSION_ID
    pause = timedelta(seconds=seconds_of(gap))
    yield "gap", gap, partial(verbs.sessionise, gap=pause, by=owner)


def _by_start(clicks: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(clicks, sessions): sessions by start, equal ones by id; the order within stays."""
    clock = TIMESTAMP if TIMESTAMP in clicks.columns else ROW
    first = clicks.select(is_first).to_series().arg_true()
    last = pl.concat([first, pl.Series([clicks.height], dtype=first.dtype)]).slice(1) - 1
    spans = clicks[first].select(
        SESSION_ID,
        pl.col(clock).alias(START),
        clicks[clock].gather(last).alias(END),
        (last - first + 1).cast(pl.Int64).alias(CLICKS),
    )
    order = spans.select(pl.arg_sort_by(START, SESSION_ID)).to_series()
    spans = spans[order]
    rows = pl.int_ranges(first.gather(order), last.gather(order) + 1, eager=True).explode()
    return clicks[rows], spans
