"""Count and describe what a log and its prepared parts hold."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from gru4rec.clicks import is_first
from gru4rec.preparation.recipe import Published
from gru4rec.preparation.verbs import SUPPORT
from gru4rec.schema import ITEM_ID, SESSION_ID

Card = dict[str, Any]
"""What `card.json` holds."""

_QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)
_item = pl.col(ITEM_ID)
_PAIRS = 20_000_000  # transitions counted at a time


@dataclass
class Tally:
    """Clicks, sessions and items after a rule, summed over the shards of a log."""

    rule: str
    setting: str = ""
    clicks: int = 0
    sessions: int | None = None
    support: pl.DataFrame = field(default_factory=pl.DataFrame)

    def add(self, clicks: pl.DataFrame) -> None:
        """Count a shard, whose clicks stand session after session."""
        self.clicks += clicks.height
        if SESSION_ID in clicks.columns:
            self.sessions = (self.sessions or 0) + clicks.select(is_first.sum()).item()
        support = clicks.group_by(ITEM_ID).agg(pl.len().alias(SUPPORT))
        both = pl.concat([self.support, support]) if self.support.width else support
        self.support = both.group_by(ITEM_ID).agg(pl.col(SUPPORT).sum())

    def line(self, before: int) -> Card:
        """The tally as a line of the card; `before` were the clicks before the rule."""
        line = bare_line(self.rule, self.setting, self.clicks, before)
        return {**line, "sessions": self.sessions, "items": self.support.height}


def bare_line(rule: str, setting: str, clicks: int, before: int) -> Card:
    """A line of the card of which only clicks are known."""
    return {
        "rule": rule,
        "setting": setting,
        "dropped": before - clicks,
        "clicks": clicks,
        "sessions": None,
        "items": None,
    }


def quantiles(values: pl.Series) -> dict[str, float]:
    """Mean and some quantiles, by the share of values that lie below."""
    found = {f"{share:.0%}": values.quantile(share, "nearest") for share in _QUANTILES}
    mean: Any = values.mean()
    return {"mean": round(mean, 3), **{share: float(value or 0) for share, value in found.items()}}


def part_line(path: Path, known: pl.DataFrame | None) -> Card:
    """Counts of a part on disk and, given the items that training knows, of what can be measured.

    A target is a click that is not the first of its session; `measured` are the sessions of two
    known clicks or more, and their known clicks.
    """
    rows = pl.scan_parquet(path)
    return _counts(rows) | ({} if known is None else _measured(rows, known))


def _counts(rows: pl.LazyFrame) -> Card:
    """Clicks, sessions and items of rows that stand session after session."""
    counts = rows.select(
        pl.len().alias("clicks"),
        is_first.sum().alias("sessions"),
        _item.n_unique().alias("items"),
    )
    return counts.collect(engine="streaming").row(0, named=True)


def _measured(rows: pl.LazyFrame, known: pl.DataFrame) -> Card:
    """What of a part can be measured, given the known items; see `part_line`."""
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
    return {
        "unknown_targets": missed,
        "unknown_target_share": share(missed, targets),
        "measured": long.collect(engine="streaming").row(0, named=True),
    }


def order_share(path: Path) -> float | None:
    """The share of transitions that go to the most frequent follower of their first item.

    What a table of "after a comes b" could get right of the log it was made from.
    """
    rows = pl.scan_parquet(path).select(SESSION_ID, ITEM_ID)
    pairs = rows.select(
        _item.shift(1).alias("a"), _item.alias("b"), (~is_first).alias("same")
    ).filter("same")
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


def share(some: int, whole: int) -> float | None:
    """`some` of `whole` as a fraction, None of nothing."""
    return round(some / whole, 6) if whole else None


def compare(published: Published, card: Card, output: Path) -> Iterator[Card]:
    """Each published count beside what was found.

    Papers count as train what a model learns from before the test, which is the train and the
    valid part, and in the test part only what can be measured with that.
    """
    asked = published.to_dict()
    found = {"read": {"clicks": card["rows"]["read"]}, "kept": card["rules"][-1]}
    if card["rules"][0]["clicks"] == card["rows"]["read"]:
        found["read"] = card["rules"][0]
    if asked["train"] or asked["test"]:
        learned = [output / f"{part}.parquet" for part in ("train", "valid")]
        rows = pl.concat(pl.scan_parquet(path) for path in learned if path.exists())
        found["train"] = _counts(rows)
        test = output / "test.parquet"
        if asked["test"] and test.exists():
            known = rows.select(ITEM_ID).unique().collect(engine="streaming")
            found["test"] = _measured(pl.scan_parquet(test), known)["measured"]
    for part, counts in asked.items():
        for what, number in counts.items():
            mine = found.get(part, {}).get(what)
            yield {"of": part, "what": what, "published": number, "found": mine}
