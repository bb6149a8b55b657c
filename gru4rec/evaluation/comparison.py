"""Measure recommenders on held-out sessions by the protocol of the field."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from gru4rec.arraytypes import Float64Array
from gru4rec.clicks import ClickSource, at_least_one
from gru4rec.config import TrainingConfig
from gru4rec.errors import DataError
from gru4rec.evaluation.bootstrap import Resamples, interval
from gru4rec.evaluation.list_metrics import ItemFacts
from gru4rec.evaluation.measurements import TIE_RATE, Measurement, drawn, measurements
from gru4rec.evaluation.outcomes import Outcomes, outcomes_of
from gru4rec.evaluation.question import Candidate, Question
from gru4rec.evaluation.reading import read_sessions
from gru4rec.evaluation.session_outcomes import foretold_by, outcome_measurements, told
from gru4rec.recommenders import Recommender
from gru4rec.serving import ListRules
from gru4rec.sessions import SessionArrays


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
    rules: Mapping[str, ListRules] | None = None,
    items_table: ClickSource | None = None,
    category: str | None = None,
    event_column: str | None = None,
    event_weights: Mapping[str, float] | None = None,
    target_events: Sequence[str] = (),
    rewards: Mapping[str, float] | None = None,
    history: ClickSource | None = None,
    outcome: bool = False,
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
    - `rules`, sets of rules of lists by name, adds rows for each recommender under each set, named
      such as "gru4rec, front-page". A rank there is the place in the list of the largest k that is
      shown, as through an index. `against` then gives what a rule costs.
    - `category` names the column of `items_table`, or of what a recommender keeps of one, that
      `category_diversity` and `calibration` read.
    - `event_column` names the column of the type of a click (view, cart, buy). Targets are then
      clicks of `target_events`, or of all types, but for those whose `event_weights` are 0. Where
      weights differ, `weighted_recall`, … are means by weight. Left out, what the first recommender
      was trained with holds; "" says that all clicks are targets alike. `rewards` by type are what
      the metric `reward` reads.
    - `history` is a log that came before, for models that begin a session where the earlier ones of
      its user ended. Nothing is measured on it.
    - `outcome` adds rows of `auc`, `log_loss` and `calibration_error` (k null): how well those that
      were trained with an outcome foretell it after every click of the sessions whose outcome is
      known, the last click and sessions of one click too; see `outcome_metrics`. Only log loss has
      intervals. They are sliced by position, here the clicks so far, and by length.
    - `on_progress` is told how many targets are done, and how many there are, of all recommenders.

    Sessions that a recommender was trained on, or that begin before the end of its training log,
    are warned of.

    Columns: recommender, slice if `by`, metric, k (null for `tie_rate`), value, num_targets,
    num_unknown and those above. Raise ConfigError for an unknown name and for what would do
    nothing, DataError if there is no recommender or metric, if a k is below 1, if no target is left
    for a recommender, if rules cannot be applied to it, or if it lacks vectors that a metric needs.
    """
    counts = tuple(at_least_one(k, "k") for k in ks)
    question = Question(
        counts, ties, metrics, by, against, through_index, rules or {}, items_table, category,
        _events(event_column, event_weights, target_events, rewards),
    )  # fmt: skip
    question.check(recommenders)
    candidates = list(question.candidates(recommenders))
    facts = {name: question.facts_of(name, each) for name, each in recommenders.items()}
    foretelling = told(recommenders) if outcome else []
    clicks, read = read_sessions(recommenders, sessions, question, history, outcome=outcome)
    resamples = Resamples(max(map(len, read.values()))) if intervals else None
    done, total = 0, sum(len(read[each.recommender].prefixes()) for each in candidates)

    def tell(count: int) -> None:
        nonlocal done
        done += count
        on_progress(done, total)

    answers = {}
    for each in candidates:
        name = each.recommender
        outcomes = _outcomes(each, recommenders[name], read[name], question, tell)
        answer = _answer(outcomes, facts[name], question, resamples)
        if each.name in foretelling:
            foretold = foretold_by(recommenders[name], read[name], clicks)
            rows = list(outcome_measurements(foretold, resamples, by))
            answer = _with_rows(answer, rows, resamples)
        answers[each.name] = answer
    return _table(answers, question)


@dataclass(frozen=True)
class _Answer:
    """What was measured of one recommender."""

    rows: Sequence[Measurement]
    draws: Sequence[Float64Array | None]
    """The value of each row in every draw of sessions [R]; None without intervals."""
    num_unknown: int


def _events(
    column: str | None,
    weights: Mapping[str, float] | None,
    targets: Sequence[str],
    rewards: Mapping[str, float] | None,
) -> TrainingConfig | None:
    """The settings that say what targets weigh and are worth, if any are given."""
    if column is None and not weights and not targets and not rewards:
        return None
    given = {
        "event_column": column or "",
        "event_weights": dict(weights or {}),
        "target_events": list(targets),
        "rewards": dict(rewards or {}),
    }
    return TrainingConfig.from_dict(given, prefix="training.")


def _outcomes(
    candidate: Candidate,
    recommender: Recommender,
    sessions: SessionArrays,
    question: Question,
    tell: Callable[[int], None],
) -> Outcomes:
    """Return what became of the targets. Raise DataError if none is left."""
    outcomes = outcomes_of(
        recommender,
        sessions,
        ties=question.ties,
        count_ties=TIE_RATE in question.metrics,
        depth=question.depth,
        through_index=question.through_index,
        item_filter=candidate.item_filter,
        on_targets=tell,
    )
    if not len(outcomes.ranks):
        raise DataError(
            f"nothing to evaluate {candidate.name} on: no session has two clicks on known items "
            f"({sessions.num_unknown} clicks are on unknown ones); check the log and its columns"
        )
    return outcomes


def _answer(
    outcomes: Outcomes, facts: ItemFacts, question: Question, resamples: Resamples | None
) -> _Answer:
    """Measure one candidate."""
    asked: dict[str, Any] = {
        "ks": sorted(set(question.ks)),
        "metrics": question.metrics,
        "by": question.by,
    }
    rows = list(measurements(outcomes, facts, resamples, **asked))
    draws = [None] * len(rows) if resamples is None else list(drawn(rows, resamples))
    return _Answer(rows, draws, outcomes.num_unknown)


def _with_rows(
    answer: _Answer, rows: Sequence[Measurement], resamples: Resamples | None
) -> _Answer:
    """Return an answer with further rows behind its own."""
    draws: list[Float64Array | None] = [None] * len(rows)
    if resamples is not None:
        draws = list(drawn(rows, resamples))
    return replace(answer, rows=[*answer.rows, *rows], draws=[*answer.draws, *draws])


def _table(answers: Mapping[str, _Answer], question: Question) -> pl.DataFrame:
    """The rows of all recommenders one after the other."""
    peer = None if question.against is None else answers[question.against]
    rows = [row for name, answer in answers.items() for row in _rows(name, answer, peer)]
    table = pl.DataFrame(rows, infer_schema_length=None).fill_nan(None)
    return table if question.by else table.drop("slice")


def _rows(name: str, answer: _Answer, peer: _Answer | None) -> Iterator[dict[str, Any]]:
    """The rows of one recommender, with the differences to a peer, if there is one."""
    rows = [] if peer is None else peer.rows
    peers = {(row.slice, row.metric, row.k): place for place, row in enumerate(rows)}
    for row, draws in zip(answer.rows, answer.draws, strict=True):
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
        if (at := peers.get((row.slice, row.metric, row.k))) is not None and peer is not None:
            theirs = peer.draws[at]
            line["difference"] = row.value - peer.rows[at].value
            paired = None if draws is None or theirs is None else draws - theirs
            line |= _bounds("difference_", paired)
        yield line


def _bounds(prefix: str, draws: Float64Array | None) -> dict[str, float]:
    """Columns `low` and `high` of an interval, if there are draws to make it of."""
    if draws is None:
        return {}
    low, high = interval(draws)
    return {f"{prefix}low": low, f"{prefix}high": high}
