"""An evaluation as one page of HTML."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from gru4rec.clicks import ClickSource, ids_as, read_clicks
from gru4rec.evaluation import plots
from gru4rec.evaluation.comparison import evaluate
from gru4rec.evaluation.inspection import explain, flat_values
from gru4rec.evaluation.outcome_plots import reliabilities
from gru4rec.evaluation.page import check_packages, rendered, row_of_log, sources, text_of
from gru4rec.evaluation.question import under
from gru4rec.evaluation.reading import extra_columns
from gru4rec.evaluation.session_outcomes import OUTCOME_METRICS
from gru4rec.evaluation.slices import OF_ANY_LOG
from gru4rec.recommenders import GRU4Rec, Recommender
from gru4rec.schema import ITEM_ID, SESSION_ID, TIMESTAMP

KS = (1, 2, 3, 5, 10, 20, 50)
"""Cut-offs of the curves."""

_K = 20
_METRICS = ("recall", "mrr", "ndcg")
_SHOWN_CLICKS = range(4, 9)


def evaluate_with_page(
    recommenders: Mapping[str, Recommender], sessions: ClickSource, **asked: Any
) -> tuple[pl.DataFrame, str]:
    """Return the table of `evaluate`, whose keywords `asked` are, and a page of HTML about it.

    The page has the comparison at 20, curves, slices, one session explained, training, data and
    settings, and, where sets of rules differ in diversity alone, recall against it. Its differences
    are to `against`, or else to the first recommender. Raises what `evaluate` raises, and
    MissingExtraError without matplotlib and Jinja2.
    """
    check_packages()
    asked = {**(evaluate.__kwdefaults__ or {}), **asked}
    also = extra_columns(recommenders, asked["event_column"], outcome=asked["outcome"])
    clicks = read_clicks(sessions, also=also).collect()
    peer = asked["against"] or next(iter(recommenders), "")
    table = evaluate(recommenders, clicks, **{**asked, **_needs(asked), "against": peer})
    varied = _varied(recommenders, asked)
    foretold = reliabilities(recommenders, clicks, table) if asked["outcome"] else []
    page = _page(table, recommenders, clicks, peer, varied, foretold)
    return _asked_for(table, asked), page


def _varied(
    recommenders: Mapping[str, Recommender], asked: Mapping[str, Any]
) -> dict[str, dict[str, float]]:
    """By recommender, its rows under the rules of diversity, and how much these vary."""
    degrees = _degrees(asked)
    return {
        name: {under(name, rule): degree for rule, degree in degrees.items()}
        for name in (recommenders if degrees else ())
    }


def _degrees(asked: Mapping[str, Any]) -> dict[str, float]:
    """The diversity of the sets of rules, if two or more differ in nothing else; else none."""
    rules = asked["rules"] or {}
    alike = [
        {
            name: each.diversity
            for name, each in rules.items()
            if replace(each, diversity=0.0) == one
        }
        for one in (replace(each, diversity=0.0) for each in rules.values())
    ]
    most = max(alike, key=len, default={})
    return most if len(most) > 1 else {}


def _needs(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `evaluate` for a page, which also answer what is asked for."""
    of_curve = ["intra_list_diversity"] if _degrees(asked) else []
    return {
        "ks": sorted({*asked["ks"], *KS}),
        "metrics": list(dict.fromkeys([*asked["metrics"], *_METRICS, *of_curve])),
        "by": list(dict.fromkeys([*asked["by"], *OF_ANY_LOG])),
        "intervals": True,
    }


def _asked_for(table: pl.DataFrame, asked: Mapping[str, Any]) -> pl.DataFrame:
    """Of a table made for a page, what `evaluate` gives for the arguments themselves."""
    kind = pl.col("slice").str.split(" ").list.first()
    wanted = [*asked["metrics"], *OUTCOME_METRICS]  # which are there only if they are asked for
    metric = pl.col("metric").str.strip_suffix("_all").str.strip_prefix("weighted_")
    is_wanted = metric.str.replace("^reward_.*", "reward").is_in(wanted)
    is_cut_off = pl.col("k").is_null() | pl.col("k").is_in(list(asked["ks"]))
    rows = table.filter(kind.is_in(["all", *asked["by"]]), is_wanted, is_cut_off)
    unwanted = [] if asked["by"] else ["slice"]
    if not asked["against"]:
        unwanted += [name for name in rows.columns if "difference" in name]
    if not asked["intervals"]:
        unwanted += [name for name in rows.columns if name.endswith(("low", "high"))]
    return rows.drop(set(unwanted))


def _page(
    table: pl.DataFrame,
    recommenders: Mapping[str, Recommender],
    clicks: pl.DataFrame,
    peer: str,
    varied: Mapping[str, Mapping[str, float]],
    foretold: Sequence[str],
) -> str:
    """The page of a table made for it, with differences to `peer`, on the sessions `clicks`."""
    whole = table.filter(slice="all")
    return rendered(
        "report.html.jinja",
        names=list(recommenders),
        colours=plots.colours(table),
        peer=peer,
        comparison=_comparison(whole, peer),
        curves=sources(plots.curves(whole)),
        varied=sources(plots.diversity_curves(whole, varied, k=_K)) if varied else [],
        slices={by: sources(plots.slices(table, by, k=_K)) for by in OF_ANY_LOG},
        outcomes=_outcomes(whole) if foretold else [],
        foretold=foretold,
        session=_session(_explained(recommenders), clicks),
        trainings=list(_trainings(recommenders)),
        data=list(_data(clicks, recommenders)),
        settings=list(_settings(recommenders)),
    )


def _comparison(whole: pl.DataFrame, peer: str) -> dict[str, Any]:
    """The titles, rows and pictures of the comparison at 20."""
    titles = [
        f"Recall@{_K}", "difference", f"MRR@{_K}", "difference", f"NDCG@{_K}",
        f"Recall@{_K} of all", "targets",
    ]  # fmt: skip
    at_k = whole.filter(k=_K)
    best = dict(at_k.group_by("metric").agg(pl.col("value").max()).iter_rows())
    rows = []
    for name in at_k["recommender"].unique(maintain_order=True):
        metrics = {row["metric"]: row for row in at_k.filter(recommender=name).to_dicts()}
        figures = []
        for metric in _METRICS:
            row = metrics[metric]
            kind = "best" if row["value"] == best[metric] else ""
            figures.append(_figure(row["value"], row["low"], row["high"], kind=kind))
            if metric != "ndcg":
                bounds = row["difference_low"], row["difference_high"]
                kind = "unsure" if bounds[0] <= 0 <= bounds[1] else ""
                difference = _figure(row["difference"], *bounds, kind=kind, sign="+")
                figures.append({} if name == peer else difference)
        of_all = metrics["recall_all"]
        figures += [{"value": f"{of_all['value']:.4f}"}, {"value": f"{of_all['num_targets']:,}"}]
        rows.append({"name": name, "figures": figures})
    pictures = sources(plots.comparison(whole, k=_K))
    return {"titles": titles, "rows": rows, "pictures": pictures}


def _outcomes(whole: pl.DataFrame) -> list[list[object]]:
    """The rows on outcomes: recommender, the metrics, how many clicks."""
    rows = whole.filter(pl.col("metric").is_in(OUTCOME_METRICS))
    return [
        [name, *(f"{value:.4f}" for value in of_one["value"]), f"{of_one['num_targets'][0]:,}"]
        for (name,), of_one in rows.group_by("recommender", maintain_order=True)
    ]


def _figure(value: float, low: float, high: float, *, kind: str, sign: str = "") -> dict[str, str]:
    bounds = f"{low:{sign}.4f} to {high:{sign}.4f}"
    return {"value": f"{value:{sign}.4f}", "bounds": bounds, "kind": kind}


def _explained(recommenders: Mapping[str, Recommender]) -> Recommender:
    """The first that is GRU4Rec, which tells most, or the first."""
    every = [recommender for _, recommender in _with_parts(recommenders)]
    return next((one for one in every if isinstance(one, GRU4Rec)), every[0])


def _session(recommender: Recommender, clicks: pl.DataFrame) -> dict[str, Any] | None:
    """The first session of a few known clicks, explained; None if there is none."""
    ordered = clicks.sort(TIMESTAMP, maintain_order=True) if TIMESTAMP in clicks.columns else clicks
    ids = recommender.catalog.item_ids
    items = ids_as(pl.col(ITEM_ID), clicks.schema[ITEM_ID], ids.dtype)
    known = ordered.filter(items.is_in(ids.implode()))
    sessions = known.group_by(SESSION_ID, maintain_order=True).agg(ITEM_ID)
    short = sessions.filter(pl.col(ITEM_ID).list.len().is_in(list(_SHOWN_CLICKS)))
    if not short.height:
        return None
    session, items = short.row(0)
    table = explain(recommender, items)
    columns = [name for name in ("influence", "change", "reset", "update") if name in table.columns]
    most = {name: table[name].abs().max() for name in columns}
    return {
        "id": session,
        "target": table["target"][0],
        "columns": columns,
        "clicks": [
            {
                "position": row["position"],
                "item_id": row[ITEM_ID],
                "bars": [_bar(row[name], most[name]) for name in columns],
            }
            for row in table.to_dicts()
        ],
    }


def _bar(value: float | None, most: Any) -> dict[str, Any]:
    """A number and its bar: a share of the largest number of its column."""
    if value is None:
        return {"text": "", "percent": 0, "is_negative": False}
    percent = round(100 * abs(value) / most) if most else 0
    return {"text": f"{value:.4f}", "percent": percent, "is_negative": value < 0}


def _trainings(recommenders: Mapping[str, Recommender]) -> Iterator[dict[str, Any]]:
    for name, recommender in _with_parts(recommenders):
        epochs = recommender.meta.history
        if epochs:
            seconds = f"{recommender.meta.seconds:.0f}"
            pictures = sources(plots.history(epochs))
            yield {"name": name, "seconds": seconds, "pictures": pictures}


def _data(clicks: pl.DataFrame, recommenders: Mapping[str, Recommender]) -> Iterator[list[object]]:
    """The rows on the logs: sessions, clicks, items, first click, last click."""
    yield row_of_log("test", clicks)
    for name, recommender in recommenders.items():
        seen, support = recommender.meta.seen, recommender.catalog.support
        trained = (seen.times if seen else None) or {}
        sessions = (recommender.meta.counts or {}).get("sessions")
        yield [
            f"training of {name}", "" if sessions is None else f"{sessions:,}",
            f"{support.sum():,}", f"{len(support):,}", trained.get("first", ""),
            trained.get("last", ""),
        ]  # fmt: skip


def _settings(recommenders: Mapping[str, Recommender]) -> Iterator[dict[str, Any]]:
    for name, recommender in _with_parts(recommenders):
        reasons = recommender.meta.auto or {}
        versions = recommender.meta.versions
        yield {
            "name": name,
            "kind": recommender.name,
            "rows": [
                [key, text_of(value), reasons.get(key, "")]
                for key, value in flat_values(recommender.settings_dict())
            ],
            "versions": ", ".join(f"{package} {number}" for package, number in versions.items()),
        }


def _with_parts(recommenders: Mapping[str, Recommender]) -> Iterator[tuple[str, Recommender]]:
    for name, recommender in recommenders.items():
        yield name, recommender
        parts = {f"{name}: {part.name} {n}": part for n, part in enumerate(recommender.parts, 1)}
        yield from _with_parts(parts)
