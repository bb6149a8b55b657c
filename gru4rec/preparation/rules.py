"""Apply the rules of a recipe to a log, shard by shard, and count what each leaves."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path

import polars as pl

from gru4rec.clicks import END, ROW, START, ClickLog, is_first, order_clicks, seconds_of
from gru4rec.errors import DataError
from gru4rec.preparation import shards, verbs
from gru4rec.preparation.card import Tally
from gru4rec.preparation.recipe import Rules
from gru4rec.schema import ITEM_ID, SESSION_ID, TIMESTAMP, USER_ID

CLICKS = "clicks"
"""The column of the clicks of a session."""

_GAP = "30m"  # a visit of a user ends after such a pause, unless told otherwise

ShardWork = Callable[[pl.LazyFrame], pl.DataFrame]
"""What is done to a shard."""

NamedVerb = tuple[str, str, Callable[[pl.LazyFrame], pl.LazyFrame]]
"""The name of a rule, its setting, and what it does to clicks."""


@dataclass(frozen=True)
class Ruled:
    """What the rules leave of a log."""

    shards: list[pl.LazyFrame]
    """Clicks with their row number `ROW`. In a shard sessions stand by start, equal ones by id."""
    spans: list[pl.DataFrame]
    """The sessions of each shard in their order: id, `START`, `END` and `CLICKS`."""
    tallies: list[Tally]
    """What there was of valid rows, and what each rule left."""
    revisits: int
    """Clicks on an item that the session had clicked before."""


@dataclass
class _Sessions:
    """What is known of the sessions of the shards so far; see `Ruled`."""

    spans: list[pl.DataFrame] = field(default_factory=list)
    revisits: int = 0


def apply_rules(
    log: ClickLog,
    rules: Rules,
    *,
    folder: Path,
    shard_rows: int,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> Ruled:
    """Apply all rules; in `folder` lie the shards of a log that needs more than one.

    `told` is called twice for each shard, see `prepare`. Raise DataError for a rule that the log
    cannot follow, and where nothing is left.
    """
    schema = log.clicks.collect_schema()
    named_verbs = verbs_of(rules, schema)
    tallies = tallies_of(rules, named_verbs)
    raw = shards.cut(
        log.clicks.with_row_index(ROW), log.rows - sum(log.dropped.values()),
        by=SESSION_ID if SESSION_ID in schema else USER_ID,
        folder=folder / "raw", shard_rows=shard_rows,
    )  # fmt: skip
    steps = count(1)

    def telling(work: ShardWork, shard: pl.LazyFrame) -> pl.DataFrame:
        clicks = work(shard)
        told(next(steps), 2 * len(raw) + 1)
        return clicks

    make_sessions = partial(_make_sessions, named_verbs, tallies[:-1])
    made = shards.store(raw, partial(telling, make_sessions), folder / "made")
    items, sessions = _supported_items(made, rules, folder / "ids"), _Sessions()
    keep = partial(_keep_supported, items, rules.min_session_clicks, tallies[-1], sessions)
    kept = shards.store(made, partial(telling, keep), folder / "kept")
    refuse_nothing(tallies)
    return Ruled(kept, sessions.spans, tallies, sessions.revisits)


def tallies_of(rules: Rules, named_verbs: Sequence[NamedVerb]) -> list[Tally]:
    """Return empty tallies: of the valid rows, of each verb, and of the fewest clicks."""
    least = rules.min_item_clicks, rules.min_session_clicks
    return [
        Tally("valid rows"),
        *(Tally(name, text) for name, text, _ in named_verbs),
        Tally("fewest clicks", "of an item {}, of a session {}".format(*least)),
    ]


def refuse_nothing(tallies: Sequence[Tally]) -> None:
    """Raise DataError, which names the rule, if nothing is left after one."""
    for tally in tallies:
        if not tally.clicks:
            raise DataError(f"no click is left after the rule {tally.rule} {tally.setting}")


def _make_sessions(
    named_verbs: Sequence[NamedVerb], tallies: Sequence[Tally], shard: pl.LazyFrame
) -> pl.DataFrame:
    """Apply the rules that look at one session or user at a time, and count what each leaves."""
    for tally, clicks in zip(tallies, stages(named_verbs, shard.collect()), strict=True):
        tally.add(clicks)
    return clicks


def stages(named_verbs: Sequence[NamedVerb], clicks: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield the clicks of whole sessions, or users, in order, and then what each rule leaves."""
    if SESSION_ID in clicks.columns:
        clicks = order_clicks(clicks.lazy()).collect()
    yield clicks
    for _, _, verb in named_verbs:
        clicks = verb(clicks.lazy()).collect()
        yield clicks


def _supported_items(
    made: Sequence[pl.LazyFrame], rules: Rules, folder: Path
) -> pl.DataFrame | None:
    """Return the items with enough clicks in the whole log, None for all."""
    if rules.min_item_clicks == 1:
        return None
    ids = shards.store(made, _numbered_sessions, folder)
    least = rules.min_item_clicks, rules.min_session_clicks
    return verbs.supported_items(ids, *least, rounds=rules.filter_rounds)


def _numbered_sessions(clicks: pl.LazyFrame) -> pl.DataFrame:
    """Select the two columns that the search for a fixpoint reads again and again, made small."""
    return clicks.select(pl.col(SESSION_ID).rle_id(), ITEM_ID).collect()


def _keep_supported(
    items: pl.DataFrame | None,
    min_session_clicks: int,
    tally: Tally,
    sessions: _Sessions,
    shard: pl.LazyFrame,
) -> pl.DataFrame:
    """Keep the clicks on `items`, count them and their sessions, and order these by start."""
    kept = verbs.keep_items(shard, items, min_session_clicks).collect()
    tally.add(kept)
    sessions.revisits += revisits(kept)
    clicks, spans = by_start(kept)
    sessions.spans.append(spans)
    return clicks


def revisits(clicks: pl.DataFrame) -> int:
    """Count the clicks on an item that their session had clicked before."""
    different = clicks.lazy().select(pl.col(SESSION_ID).rle_id(), ITEM_ID).unique()
    return clicks.height - int(different.select(pl.len()).collect().item())


def verbs_of(rules: Rules, schema: pl.Schema) -> list[NamedVerb]:
    """Return the rules that look at one session or user at a time, in their order.

    Raise DataError for one that a log of such columns cannot follow.
    """
    return list(_verbs(rules, schema))


def _verbs(rules: Rules, schema: pl.Schema) -> Iterator[NamedVerb]:
    events_then_gap = [*_kinds(rules, schema), *_gaps(rules, schema)]
    yield from reversed(events_then_gap) if rules.gap_before_events else events_then_gap
    if rules.drop_doubles:
        yield "drop doubles", "", partial(verbs.drop_doubles, ignoring=(ROW,))
    if rules.drop_repeats:
        yield "drop repeats", "", verbs.drop_repeats
    if rules.max_session_clicks is not None:
        longest, how = rules.max_session_clicks, rules.long_sessions or "cut"
        limit = partial(verbs.limit_length, longest=longest, how=how)
        yield "most clicks", f"of a session {longest}, {how}", limit


def _kinds(rules: Rules, schema: pl.Schema) -> Iterator[NamedVerb]:
    """Yield the rule that keeps kinds of event, if there is one."""
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
    """Yield the rule that ends sessions, if there is one."""
    by_user = SESSION_ID not in schema
    if rules.gap is None and not by_user:
        return
    if TIMESTAMP not in schema:
        raise DataError("sessions end after a gap in time, and the click log has no times")
    gap, owner = _GAP if rules.gap is None else rules.gap, USER_ID if by_user else SESSION_ID
    pause = timedelta(seconds=seconds_of(gap))
    yield "gap", gap, partial(verbs.sessionise, gap=pause, by=owner)


def by_start(clicks: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Put sessions in the order of their starts, equal ones by id, each as it is inside.

    Return (clicks, a row per session: its id, `START`, `END` and `CLICKS`).
    """
    clock = TIMESTAMP if TIMESTAMP in clicks.columns else ROW
    first = clicks.select(is_first).to_series().arg_true()
    # A session ends before the next one starts.
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


def tidy(clicks: pl.DataFrame) -> pl.DataFrame:
    """Select the columns that are written, ours first."""
    ours = [name for name in (SESSION_ID, ITEM_ID, TIMESTAMP, USER_ID) if name in clicks.columns]
    return clicks.select(*ours, pl.exclude(*ours, ROW))
