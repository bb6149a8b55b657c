"""Recommend by rules from the session's last item to others: followers, sequences, cosines."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl

from gru4rec.arraytypes import FloatingArray, IntArray
from gru4rec.recommenders.baselines import learned
from gru4rec.recommenders.baselines.baseline import Baseline
from gru4rec.recommenders.baselines.learned import Column
from gru4rec.recommenders.baselines.popularity import NoSettings
from gru4rec.sessions import Catalog, SessionArrays, ranges
from gru4rec.settings import Settings, setting

ITEM, OTHER, WEIGHT = "item", "other", "weight"
_SESSION = "session"
_ROWS, _PAIRS = 10_000_000, 3_000_000  # held at once


@dataclass(frozen=True, kw_only=True)
class SequentialRulesSettings(Settings):
    """How far a rule reaches, and how many are kept."""

    steps: int = setting(4, low=1)
    """Clicks that the second item may come after the first."""
    weighting: str = setting("quadratic", choices="div quadratic same")
    """What a pair at a distance of g clicks adds: `div` 1/g, `quadratic` 1/g², `same` 1."""
    rules: int = setting(20, low=1)
    """Rules kept of an item: the heaviest."""

    def __post_init__(self) -> None:
        self.check("sr.")


_SR_DIGINETICA = {"steps": 15, "weighting": "div"}


@dataclass(frozen=True, kw_only=True)
class ItemKNNSettings(Settings):
    """How counts are damped, and how many neighbours are kept."""

    neighbours: int = setting(100, low=1)
    """Most similar items kept of an item."""
    damping: float = setting(20.0, low=0.0)
    """Clicks added to the support of each item, so that rare ones do not come first by chance."""
    max_clicks: int = setting(200, low=1)
    """Clicks of a session that are counted, the last ones: pairs grow with their square."""

    def __post_init__(self) -> None:
        self.check("item_knn.")


class _ItemToItem(Baseline):
    """Scores an item x by the rule (last item of the session → x), 0 where there is none."""

    columns: ClassVar[Mapping[str, Column]] = {
        ITEM: learned.rising_item, OTHER: learned.item, WEIGHT: learned.number,
    }  # fmt: skip

    def prepare(self) -> None:
        """See `Baseline.prepare`."""
        item = self.learned[ITEM].to_numpy()
        self._others = self.learned[OTHER].to_numpy()
        self._weights = self.learned[WEIGHT].to_numpy()
        self._offsets = np.searchsorted(item, np.arange(len(self.catalog) + 1))

    def scores(self, sessions: SessionArrays, clicks: IntArray) -> FloatingArray:
        """See `Baseline.scores`."""
        last = sessions.items[clicks]
        counts = self._offsets[last + 1] - self._offsets[last]
        rules, rows = ranges(self._offsets[last], counts)
        scores = np.zeros((len(clicks), len(self.catalog)), dtype=np.float64)
        scores[rows, self._others[rules]] = self._weights[rules]
        return scores


class Markov(_ItemToItem):
    """Scores an item by how often it was clicked right after the session's last item.

    Items with equal counts, those that never followed among them, are told apart by their share of
    all clicks.
    """

    name = "markov"
    needs_whole_log = None
    settings: NoSettings
    settings_class: ClassVar[type[Settings]] = NoSettings

    def learn(self, sessions: SessionArrays, catalog: Catalog) -> pl.DataFrame:
        """See `Baseline.learn`."""
        rules = _summed(_pairs(sessions, 1).with_columns(pl.lit(1.0).alias(WEIGHT)))
        return rules.sort(ITEM, OTHER)

    def learn_too(self, sessions: SessionArrays, catalog: Catalog) -> pl.DataFrame:
        """See `Baseline.learn_too`."""
        new = self.learn(sessions, catalog)
        older = self.learned.select(new.columns).cast(new.schema)
        return _summed(pl.concat([older, new])).sort(ITEM, OTHER)

    def prepare(self) -> None:
        """See `Baseline.prepare`."""
        super().prepare()
        support = self.catalog.support
        self._share = support / (support.sum() + 1)

    def scores(self, sessions: SessionArrays, clicks: IntArray) -> FloatingArray:
        """See `Baseline.scores`."""
        scores = super().scores(sessions, clicks)
        scores += self._share
        return scores


class SequentialRules(_ItemToItem):
    """Scores an item by how often, and how soon, it came after the session's last item.

    rule(a, b) = Σ w(g) over all pairs in which b follows a at a distance of g ≤ `steps` clicks
    (Ludewig & Jannach, arXiv 1803.09587: SR).
    """

    name = "sr"
    needs_whole_log = "of each item it keeps the heaviest rules alone"
    published = ({}, _SR_DIGINETICA)
    settings: SequentialRulesSettings
    settings_class: ClassVar[type[Settings]] = SequentialRulesSettings

    def learn(self, sessions: SessionArrays, catalog: Catalog) -> pl.DataFrame:
        """See `Baseline.learn`."""
        power = {"same": 0, "div": 1, "quadratic": 2}[self.settings.weighting]
        furthest = max(1, min(self.settings.steps, max(sessions.lengths, default=1) - 1))
        rules: list[pl.DataFrame] = []
        for gap in range(1, furthest + 1):
            weight = pl.lit(gap**-power, pl.Float64).alias(WEIGHT)
            rules.append(_summed(_pairs(sessions, gap).with_columns(weight)))
            if sum(map(len, rules)) > _ROWS:  # so that memory does not grow with the steps
                rules = [_summed(pl.concat(rules))]
        return _heaviest(_summed(pl.concat(rules)), self.settings.rules)


class ItemKNN(_ItemToItem):
    """Scores an item by the cosine between the sessions that it and the last item occur in.

    c(a, b) / (√(c_a + damping) · √(c_b + damping)), c counting clicks, c(a, b) the sessions that
    have both (Davidson et al. 2010, as in the GRU4Rec paper).
    """

    name = "item_knn"
    needs_whole_log = "of each item it keeps the most similar ones alone"
    settings: ItemKNNSettings
    settings_class: ClassVar[type[Settings]] = ItemKNNSettings

    def learn(self, sessions: SessionArrays, catalog: Catalog) -> pl.DataFrame:
        """See `Baseline.learn`."""
        session = np.repeat(np.arange(len(sessions)), sessions.lengths)
        before_last = np.repeat(sessions.offsets[1:], sessions.lengths) - np.arange(len(session))
        last = before_last <= self.settings.max_clicks
        clicks = pl.DataFrame({_SESSION: session[last], ITEM: sessions.items[last]}).unique()
        root = np.sqrt(catalog.support + self.settings.damping)
        neighbours = []
        for block in _in_blocks(clicks.sort(ITEM, _SESSION)):
            both = block.join(clicks.rename({ITEM: OTHER}), on=_SESSION)
            both = both.filter(pl.col(ITEM) != pl.col(OTHER))
            counts = both.group_by(ITEM, OTHER).agg(pl.len())
            item, other = counts[ITEM].to_numpy(), counts[OTHER].to_numpy()
            cosines = pl.Series(WEIGHT, counts["len"].to_numpy() / (root[item] * root[other]))
            pairs = counts.select(ITEM, OTHER, cosines)
            neighbours.append(_heaviest(pairs, self.settings.neighbours))
        return pl.concat(neighbours)


def _in_blocks(clicks: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Cut clicks, sorted by item, into blocks of whole items that make about `_PAIRS` pairs."""
    pairs = clicks.select(pl.len().over(_SESSION)).to_series()
    of_items = clicks.select(ITEM, pairs=pairs).group_by(ITEM, maintain_order=True).sum()
    block = (of_items["pairs"].cum_sum() // _PAIRS).alias("block")
    yield from clicks.with_columns(
        block=pl.col(ITEM).replace_strict(of_items[ITEM], block, return_dtype=pl.Int64)
    ).partition_by("block", maintain_order=True, include_key=False)


def _pairs(sessions: SessionArrays, gap: int) -> pl.DataFrame:
    """Return the items of every two clicks at a distance of `gap` in a session: item, other."""
    ends = np.repeat(sessions.offsets[1:], sessions.lengths)
    first = np.flatnonzero(np.arange(len(sessions.items)) + gap < ends)
    return pl.DataFrame({ITEM: sessions.items[first], OTHER: sessions.items[first + gap]})


def _summed(pairs: pl.DataFrame) -> pl.DataFrame:
    return pairs.group_by(ITEM, OTHER).agg(pl.col(WEIGHT).sum())


def _heaviest(rules: pl.DataFrame, count: int) -> pl.DataFrame:
    """Return the heaviest rules of each item, equal ones by the index of the other; sorted."""
    rules = rules.sort([ITEM, WEIGHT, OTHER], descending=[False, True, False])
    return rules.group_by(ITEM, maintain_order=True).head(count).sort(ITEM, OTHER)
