"""Count and describe what a log and its prepared parts hold."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from gru4rec.clicks import is_first, nearest, scan_parquet
from gru4rec.preparation.recipe import Published
from gru4rec.preparation.verbs import SUPPORT
from gru4rec.schema import ITEM_ID, SESSION_ID

Card = dict[str, Any]
"""What `card.json` holds."""

_QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)
_PAIRS = 20_000_000  # transitions counted at a time
_item = pl.col(ITEM_ID)


@dataclass
class Tally:
    """Clicks, sessions and items after a rule, summed over the shards of a log."""

    rule: str
    setting: str = ""
    """What the rule was told, such as "30m"."""
    clicks: int = 0
    sessions: int | None = None
    """None while clicks have no sessions yet."""
    items: int = 0
    support: pl.DataFrame = field(default_factory=pl.DataFrame)
    """Columns item_id and support; empty where the items were counted elsewhere."""

    def add(self, clicks: pl.DataFrame) -> None:
        """Count the clicks of a shard, which stand session after session."""
        self.clicks += clicks.height
        if SESSION_ID in clicks.columns:
            self.sessions = (self.sessions or 0) + clicks.select(is_first.sum()).item()
        support = clicks.group_by(ITEM_ID).agg(pl.len().alias(SUPPORT))
        both = pl.concat([self.support, support]) if self.support.width else support
        self.support = both.group_by(ITEM_ID).agg(pl.col(SUPPORT).sum())
        self.items = self.support.height

    def line(self, before: int) -> Card:
        """Return the tally as a line of the card; there were `before` clicks before the rule."""
        line = bare_line(self.rule, self.setting, self.clicks, before)
        return {**line, "sessions": self.sessions, "items": self.items}


def bare_line(rule: str, setting: str, clicks: int, before: int) -> Card:
    """Return a line of the card of which only clicks are known."""
    return {
        "rule": rule,
        "setting": setting,
        "dropped": before - clicks,
        "clicks": clicks,
        "sessions": None,
        "items": None,
    }


def rule_lines(read: int, rows: int, where: str | None, tallies: Sequence[Tally]) -> list[Card]:
    """Return a line for each rule: what it dropped and what it left.

    There are so many rows to `read`, of which `where` takes `rows`.
    """
    lines = [] if where is None else [bare_line("where", where, rows, read)]
    before = rows
    for tally in tallies:
        lines.append(tally.line(before))
        before = tally.clicks
    return lines


def described(
    *,
    read: int,
    invalid: Mapping[str, int],
    files: Sequence[str],
    rules: Sequence[Card],
    times: Card | None,
    parts: Mapping[str, Card],
    session_clicks: pl.DataFrame,
    item_clicks: pl.DataFrame,
    revisits: int,
    order_share: float | None,
) -> Card:
    """Return all of the card but the split and the published counts.

    The clicks of sessions and of items come as `counted` has them.
    """
    sessions, clicks = rules[-1]["sessions"], rules[-1]["clicks"]
    return {
        "made_by": {package: version(package) for package in ("gru4rec", "polars")},
        "source": list(files),
        "rows": {"read": read, "invalid": dict(invalid)},
        "rules": list(rules),
        "time": times,
        "parts": dict(parts),
        "statistics": {
            "session_clicks": quantiles(session_clicks),
            "item_clicks": quantiles(item_clicks),
            "revisit_share": share(revisits, clicks - sessions),
            "order_share": order_share,
        },
    }


def counted(values: pl.Series) -> pl.DataFrame:
    """Return each of the values once, as `value`, and in `count` how often it is there."""
    return values.alias("value").value_counts()


def quantiles(counts: pl.DataFrame) -> dict[str, float]:
    """Return the mean, and quantiles by the share of values that lie below, of `counted` values."""
    counts = counts.sort("value")
    values, up_to = counts["value"], counts["count"].cast(pl.Int64).cum_sum()
    total = int(up_to[-1])
    summed: Any = (values.cast(pl.Int64) * counts["count"].cast(pl.Int64)).sum()
    places = pl.Series([nearest(at, total) for at in _QUANTILES], dtype=pl.Int64)
    below: list[Any] = values.gather(up_to.search_sorted(places, side="right")).to_list()
    steps = {f"{at:.0%}": float(value) for at, value in zip(_QUANTILES, below, strict=True)}
    return {"mean": round(summed / total, 3), **steps}


def part_line(path: Path, known: pl.DataFrame | None) -> Card:
    """Count a part on disk and, given the items `known` in training, what can be measured in it.

    A target is a click that is not the first of its session. `measured` are the sessions of two
    known clicks or more, and their known clicks.
    """
    rows = scan_parquet(path)
    return _counts(rows) | ({} if known is None else _measured(rows, known))


def _counts(rows: pl.LazyFrame) -> Card:
    """Count the clicks, sessions and items of rows that stand session after session."""
    counts = rows.select(
        pl.len().alias("clicks"),
        is_first.sum().alias("sessions"),
        _item.n_unique().alias("items"),
    )
    return counts.collect(engine="streaming").row(0, named=True)


def _measured(rows: pl.LazyFrame, known: pl.DataFrame) -> Card:
    """Count what of a part can be measured, given the known items; see `part_line`."""
    flag = known.lazy().select(ITEM_ID, pl.lit(True).alias("known"))
    flagged = rows.select(SESSION_ID, ITEM_ID, (~is_first).alias("target")).join(
        flag, on=ITEM_ID, how="left", maintain_order="left"
    )
    unknown = pl.col("known").is_null()
    targets, missed = (
        flagged.select(pl.col("target").sum(), (pl.col("target") & unknown).sum().alias("missed"))
        .collect(engine="streaming")
        .row(0)
    )
    long = (
        flagged.filter(~unknown)
        .group_by(SESSION_ID)
        .agg(pl.len().alias("clicks"), _item)
        .filter(pl.col("clicks") >= 2)
        .select(
            pl.col("clicks").sum(),
            pl.len().alias("sessions"),
            _item.explode().n_unique().alias("items"),
        )
    )
    return measured_line(missed, targets, long.collect(engine="streaming").row(0, named=True))


def measured_line(missed: int, targets: int, long: Card) -> Card:
    """Return what a line says of what can be measured; see `part_line`.

    Of the `targets` so many are `missed`, since their item is unknown. `long` counts the sessions
    of two known clicks or more.
    """
    return {
        "unknown_targets": missed,
        "unknown_target_share": share(missed, targets),
        "measured": long,
    }


def order_share(path: Path) -> float | None:
    """Return the share of transitions that go to the most frequent follower of their first item.

    So much could a table of "after a comes b" get right of the log that it was made from.
    """
    pairs = transitions(scan_parquet(path))
    count = pairs.select(pl.len()).collect(engine="streaming").item()
    parts = count // _PAIRS + 1
    best = sum(
        pairs.filter(pl.col("a").hash() % parts == part)
        .group_by("a", "b")
        .len()
        .group_by("a")
        .agg(pl.col("len").max())
        .select(pl.col("len").sum())
        .collect(engine="streaming")
        .item()
        for part in range(parts)
    )
    return share(best, count)


def transitions(clicks: pl.LazyFrame) -> pl.LazyFrame:
    """Return (a, b) for each click on b that follows one on a in its session."""
    rows = clicks.select(_item.shift(1).alias("a"), _item.alias("b"), (~is_first).alias("same"))
    return rows.filter("same").drop("same")


def share(part: int, whole: int) -> float | None:
    """Return a part of a whole as a fraction, None of nothing."""
    return round(part / whole, 6) if whole else None


def compare(
    published: Published, card: Card, papers_count: Callable[[], tuple[Card, Card]]
) -> list[Card]:
    """Return each published count beside the one found here.

    `papers_count` returns those of the train and of the test part, as papers have them.
    """
    counts = published.to_dict()
    ours = {"read": {"clicks": card["rows"]["read"]}, "kept": card["rules"][-1]}
    if card["rules"][0]["clicks"] == card["rows"]["read"]:
        ours["read"] = card["rules"][0]
    if counts["train"] or counts["test"]:
        ours["train"], ours["test"] = papers_count()
    return [
        {"of": stage, "what": what, "published": number, "found": ours.get(stage, {}).get(what)}
        for stage, numbers in counts.items()
        for what, number in numbers.items()
    ]


def papers_count(output: Path) -> tuple[Card, Card]:
    """Count the train and the test part of a folder as papers do.

    They count as train what a model learns from before the test: the train and the valid part. In
    the test part they count only what can be measured with that.
    """
    learned = [output / f"{part}.parquet" for part in ("train", "valid")]
    rows = pl.concat(scan_parquet(path) for path in learned if path.exists())
    test = output / "test.parquet"
    if not test.exists():
        return _counts(rows), {}
    known = rows.select(ITEM_ID).unique().collect(engine="streaming")
    return _counts(rows), _measured(scan_parquet(test), known)["measured"]
