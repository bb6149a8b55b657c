"""Measure recommenders on held-out sessions by the protocol of the field."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from gru4rec.arraytypes import Float64Array
from gru4rec.clicks import ClickSource, at_least_one, read_clicks
from gru4rec.errors import ConfigError, DataError, choose
from gru4rec.evaluation.bootstrap import Resamples, interval
from gru4rec.evaluation.measurements import (
    METRICS,
    OF_LISTS,
    TIE_RATE,
    Measurement,
    drawn,
    measurements,
)
from gru4rec.evaluation.outcomes import outcomes_of
from gru4rec.evaluation.slices import SLICES
from gru4rec.metrics import TIES
from gru4rec.recommenders import Recommender
from gru4rec.sessions import SessionArrays, warn_of_leaks


def evaluate(
    recommenders: Mapping[str, Recommender],
    sessions: ClickSource,
    *,
    ks: Sequence[int] = (5, 10, 20),
    ties: str = "conservative",
    metrics: Sequence[str] = ("recall", "mrr"),
    by: Sequence[str] = (),
    against: str | None = None,
    intervals: bool = True,
    through_index: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> pl.DataFrame:
    """Return Recall@k and MRR@k of next-click prediction: a row per recommender, metric and k.

    Every click of a session but the first is a target, predicted from all clicks before it. The
    whole catalog is ranked, items seen in the session too, and averages are over targets. Clicks on
    items outside a recommender's catalog are dropped first (`num_unknown` counts them), then
    sessions of one click. `recall`, `mrr` and `ndcg` are over the targets that remain.
    `recall_all`, … also count as misses the dropped clicks that were not the first of their
    session. `ties` says how many equally scored items stand before the target (`metrics.TIES`).
    `metrics` are of `measurements.METRICS`.

    - `by`, names of `slices.SLICES`, adds rows for parts of the targets; a column `slice` says
      which.
    - `intervals` adds `low` and `high`, a 95 % interval by bootstrap over sessions.
    - `against`, the name of a recommender, adds the `difference` to it and, with `intervals`, the
      interval of the difference by the same draws.
    - `through_index` reads ranks from what each recommender's own retrieval returns: the figures
      differ by what its index loses. Of equal scores the lower item index stands first there.
    - `on_progress` is told how many targets are done, and how many there are, of all recommenders.

    Sessions that a recommender was trained on, or that begin before the end of its training log,
    are warned of.

    Columns: recommender, slice if `by`, metric, k (null for `tie_rate`), value, num_targets,
    num_unknown and those above. Raise ConfigError for an unknown name, DataError if there is no
    recommender or metric, if a k is below 1, or if no target is left for a recommender.
    """
    counts = tuple(at_least_one(k, "k") for k in ks)
    question = _Question(counts, ties, metrics, by, against, through_index)
    question.check(recommenders)
    read = _read(recommenders, sessions)
    resamples = Resamples(max(map(len, read.values()))) if intervals else None
    done, total = 0, sum(len(arrays.prefixes()) for arrays in read.values())

    def tell(count: int) -> None:
        nonlocal done
        done += count
        on_progress(done, total)

    answers = {
        name: _measure(name, recommender, read[name], question, resamples, tell)
        for name, recommender in recommenders.items()
    }
    return _table(answers, question)


@dataclass(frozen=True)
class _Question:
    """What is asked of every recommender; see `evaluate`."""

    ks: Sequence[int]
    ties: str
    metrics: Sequence[str]
    by: Sequence[str]
    against: str | None
    through_index: bool

    def check(self, recommenders: Mapping[str, Recommender]) -> None:
        """Raise ConfigError or DataError for what cannot be answered."""
        if not recommenders or not self.metrics:
            raise DataError("nothing to evaluate: give at least one recommender and one metric")
        if not self.ks:
            raise DataError("nothing to evaluate: give a k of at least 1")
        choose("tie rule", self.ties, TIES)
        if self.through_index and (self.ties != "conservative" or TIE_RATE in self.metrics):
            raise ConfigError(
                "through an index there are no ties: of equal scores one stands first"
            )
        for metric in self.metrics:
            choose("metric", metric, dict.fromkeys(METRICS))
        for name in self.by:
            choose("slice", name, SLICES)
        if self.against is not None:
            choose("recommender to compare with", self.against, recommenders)


@dataclass(frozen=True)
class _Answer:
    """What was measured of one recommender."""

    rows: Sequence[Measurement]
    draws: Sequence[Float64Array | None]
    """The value of each row in every draw of sessions [R]; None without intervals."""
    num_unknown: int


def _read(
    recommenders: Mapping[str, Recommender], sessions: ClickSource
) -> dict[str, SessionArrays]:
    """The sessions as each recommender takes them. Warns of those that one was trained on."""
    clicks = read_clicks(sessions, also=extra_columns(recommenders)).collect().lazy()
    read = {name: recommender.reader.arrays(clicks) for name, recommender in recommenders.items()}
    metas = {name: recommender.meta for name, recommender in recommenders.items()}
    warn_of_leaks({name: meta.seen for name, meta in metas.items() if meta.seen}, clicks, read)
    return read


def extra_columns(recommenders: Mapping[str, Recommender]) -> list[str]:
    """Return the names of the columns that recommenders read besides those of every log."""
    return [
        name for recommender in recommenders.values() for name in recommender.side_inputs.values
    ]


def _measure(
    name: str,
    recommender: Recommender,
    sessions: SessionArrays,
    question: _Question,
    resamples: Resamples | None,
    tell: Callable[[int], None],
) -> _Answer:
    """Measure one recommender. Raise DataError if no target is left."""
    metrics = question.metrics
    asks_for_lists = question.through_index or OF_LISTS & set(metrics)
    outcomes = outcomes_of(
        recommender,
        sessions,
        ties=question.ties,
        count_ties=TIE_RATE in metrics,
        depth=max(question.ks) if asks_for_lists else 0,
        through_index=question.through_index,
        on_targets=tell,
    )
    if not len(outcomes.ranks):
        raise DataError(
            f"nothing to evaluate {name} on: no session has two clicks on known items "
            f"({sessions.num_unknown} clicks are on unknown ones); check the log and its columns"
        )
    support = recommender.catalog.support
    asked: dict[str, Any] = {"ks": sorted(set(question.ks)), "metrics": metrics, "by": question.by}
    rows = list(measurements(outcomes, support, resamples, **asked))
    draws = [None] * len(rows) if resamples is None else list(drawn(rows, resamples))
    return _Answer(rows, draws, sessions.num_unknown)


def _table(answers: Mapping[str, _Answer], question: _Question) -> pl.DataFrame:
    """The rows of all recommenders one after the other."""
    peer = None if question.against is None else answers[question.against]
    rows = [row for name, answer in answers.items() for row in _rows(name, answer, peer)]
    table = pl.DataFrame(rows, infer_schema_length=None).fill_nan(None)
    return table if question.by else table.drop("slice")


def _rows(name: str, answer: _Answer, peer: _Answer | None) -> Iterator[dict[str, Any]]:
    """The rows of one recommender, with the differences to a peer, if there is one."""
    for place, (row, draws) in enumerate(zip(answer.rows, answer.draws, strict=True)):
        line = {
            "recommender": name,
            "slice": row.slice,
            "metric": row.metric,
            "k": row.k,
            "value": row.value,
            "num_targets": row.num_targets,
            "num_unknown": answer.num_unknown,
            **_bounds("", draws),
        }
        if peer is not None:
            theirs = peer.draws[place]
            line["difference"] = row.value - peer.rows[place].value
            paired = None if draws is None or theirs is None else draws - theirs
            line |= _bounds("difference_", paired)
        yield line


def _bounds(prefix: str, draws: Float64Array | None) -> dict[str, float]:
    """Columns `low` and `high` of an interval, if there are draws to make it of."""
    if draws is None:
        return {}
    low, high = interval(draws)
    return {f"{prefix}low": low, f"{prefix}high": high}
