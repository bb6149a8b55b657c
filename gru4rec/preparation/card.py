"""Count and describe what a log and its prepared parts hold."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from gru4rec.clicks import is_first, scan_parquet
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
    support: pl.DataFrame = field(default_factory=pl.DataFrame)
    """Columns item_id and support."""

    def add(self, clicks: pl.DataFrame) -> None:
        """Count the clicks of a shard, which stand session after session."""
        self.clicks += clicks.height
        if SESSION_ID in clicks.columns:
            self.sessions = (self.sessions or 0) + clicks.select(is_first.sum()).item()
        support = clicks.group_by(ITEM_ID).agg(pl.len().alias(SUPPORT))
        both = pl.concat([self.support, support]) if self.support.width else support
        self.support = both.group_by(ITEM_ID).agg(pl.col(SUPPORT).sum())

    def line(self, before: int) -> Card:
        """Return the tally as a line of the card; there were `before` clicks before the rule."""
        line = bare_line(self.rule, self.setting, self.clicks, before)
        return {**line, "sessions": self.sessions, "items": self.support.height}


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


def quantiles(values: pl.Series) -> dict[str, float]:
    """Return the mean, and quantiles by the share of values that lie below."""
    mean: Any = values.mean()
    below = {f"{at:.0%}": float(values.quantile(at, "nearest") or 0) for at in _QUANTILES}
    return {"mean": round(mean, 3), **below}


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
    return {
        "unknown_targets": missed,
        "unknown_target_share": share(missed, targets),
        "measured": long.collect(engine="streaming").row(0, named=True),
    }


def order_share(path: Path) -> float | None:
    """Return the share of transitions that go to the most frequent follower of their first item.

    So much could a table of "after a comes b" get right of the log that it was made from.
    """
    rows = scan_parquet(path).select(SESSION_ID, ITEM_ID)
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


def share(part: int, whole: int) -> float | None:
    """Return a part of a whole as a fraction, None of nothing."""
    return round(part / whole, 6) if whole else None


def compare(published: Published, card: Card, output: Path) -> Iterator[Card]:
    """Yield each published count beside the one found here.

    Papers count as train what a model learns from before the test: the train and the valid part.
    In the test part they count only what can be measured with that.
    """
    counts = published.to_dict()
    ours = {"read": {"clicks": card["rows"]["read"]}, "kept": card["rules"][-1]}
    if card["rules"][0]["clicks"] == card["rows"]["read"]:
        ours["read"] = card["rules"][0]
    if counts["train"] or counts["test"]:
        learned = [output / f"{part}.parquet" for part in ("train", "valid")]
        rows = pl.concat(scan_parquet(path) for path in learned if path.exists())
        ours["train"] = _counts(rows)
        test = output / "test.parquet"
        if counts["test"] and test.exists():
            known = rows.select(ITEM_ID).unique().collect(engine="streaming")
            ours["test"] = _measured(scan_parquet(test), known)["measured"]
    for stage, numbers in counts.items():
        for what, number in numbers.items():
            our_number = ours.get(stage, {}).get(what)
            yield {"of": stage, "what": what, "published": number, "found": our_number}
