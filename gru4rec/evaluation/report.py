"""An evaluation as one page of HTML that opens from disk, with pictures and no network."""

import base64
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib.metadata import version
from typing import Any

import polars as pl
import torch

from gru4rec.evaluation import plots
from gru4rec.evaluation.inspection import explain, flat_values
from gru4rec.evaluation.slices import SLICES
from gru4rec.recommenders import GRU4Rec, Recommender
from gru4rec.schema import ITEM_ID, SESSION_ID, TIMESTAMP

KS = (1, 2, 3, 5, 10, 20, 50)
"""Cut-offs of the curves."""

_METRICS = ("recall", "mrr", "ndcg")
_SHOWN_CLICKS = range(4, 9)

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 76rem; margin: 2rem auto;
       padding: 0 1.5rem; }
h1 { font-size: 1.7rem; } h2 { font-size: 1.25rem; margin-top: 2.2rem; }
table { border-collapse: collapse; margin: .6rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .18rem .8rem .18rem 0; text-align: left; vertical-align: top; }
td { white-space: pre; }
th { border-bottom: 1px solid #999; font-weight: 600; }
tr:nth-child(even) td { background: #f6f6f6; } img { max-width: 100%; height: auto; }
details { margin: .4rem 0; } summary { cursor: pointer; } .note { color: #555; }
"""


def report_needs(
    *,
    ks: Sequence[int],
    metrics: Sequence[str],
    by: Sequence[str],
    against: str | None,
    intervals: bool,
    first: str,
) -> dict[str, Any]:
    """The arguments of `evaluate` for a report that also answers what is asked for."""
    return {
        "ks": sorted({*ks, *KS}),
        "metrics": list(dict.fromkeys([*metrics, *_METRICS])),
        "by": list(dict.fromkeys([*by, *SLICES])),
        "against": against or first,
        "intervals": True,
    }


def rows_asked_for(
    table: pl.DataFrame,
    *,
    ks: Sequence[int],
    metrics: Sequence[str],
    by: Sequence[str],
    against: str | None,
    intervals: bool,
) -> pl.DataFrame:
    """Of a table made with `report_needs`, what `evaluate` gives for the arguments themselves."""
    kind = pl.col("slice").str.split(" ").list.first()
    wanted = pl.col("metric").str.strip_suffix("_all").is_in(list(metrics))
    cut_off = pl.col("k").is_null() | pl.col("k").is_in(list(ks))
    rows = table.filter(kind.is_in(["all", *by]), wanted, cut_off)
    unwanted = [] if by else ["slice"]
    unwanted += [] if against else [name for name in rows.columns if "difference" in name]
    bounds = [name for name in rows.columns if name.endswith(("low", "high"))]
    return rows.drop(*unwanted, *([] if intervals else bounds), strict=False)


def html_page(
    table: pl.DataFrame,
    recommenders: Mapping[str, Recommender],
    clicks: pl.DataFrame,
    *,
    against: str | None = None,
    k: int = 20,
) -> str:
    """The page: comparison, curves, slices, one session explained, training, data, settings.

    `table` is what `evaluate` gives for the recommenders with the metrics recall, mrr and ndcg at
    the cut-offs `KS` and `k`, by all slices, with intervals, `against` one of them, the first if
    not said; `clicks` are the sessions it was
    measured on. Raises MissingExtraError without matplotlib.
    """
    peer = against or next(iter(recommenders))
    sections = [
        ("Comparison", _comparison(table.filter(slice="all"), peer, k)),
        ("By cut-off", [_image(plots.curves(table.filter(slice="all")), "metrics over k")]),
        ("By slice", [_image(plots.slices(table, by, k=k), f"metrics by {by}") for by in SLICES]),
        ("Why: one session", _session(_explained(recommenders), clicks)),
        ("Training", _training(recommenders)),
        ("Data", _data(clicks, recommenders)),
        ("Settings", _settings(recommenders)),
        ("Made with", [_table(["what", "value"], _made_with())]),
    ]
    written = [(title, "\n".join(parts)) for title, parts in sections]
    body = "\n".join(f"<h2>{title}</h2>\n{content}" for title, content in written if content)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>gru4rec: {escape(', '.join(recommenders))}</title>\n<style>{_STYLE}</style>\n"
        f"</head>\n<body>\n<h1>{escape(', '.join(recommenders))}</h1>\n{body}\n</body>\n</html>\n"
    )


def _comparison(table: pl.DataFrame, peer: str, k: int) -> Iterator[str]:
    yield (
        '<p class="note">Every click of a session but the first is a target, predicted from the '
        "clicks before it; the whole catalog is ranked. Intervals are 95 %, by bootstrap over "
        f"sessions; differences are to {escape(peer)}, by the same draws. <i>of all</i>: targets "
        "on items that it does not know count as missed.</p>"
    )
    rows = []
    for name in table["recommender"].unique(maintain_order=True):
        cells: list[object] = [name]
        for metric in _METRICS:
            row = table.filter(recommender=name, metric=metric, k=k).row(0, named=True)
            cells.append(_with_interval(row, "value", "low", "high"))
            if name != peer and metric != "ndcg":
                cells.append(_with_interval(row, "difference", "difference_low", "difference_high"))
            elif metric != "ndcg":
                cells.append("")
        row = table.filter(recommender=name, metric="recall_all", k=k).row(0, named=True)
        rows.append([*cells, f"{row['value']:.4f}", f"{row['num_targets']:,}"])
    yield _table(
        ["recommender", f"Recall@{k}", "difference", f"MRR@{k}", "difference", f"NDCG@{k}",
         f"Recall@{k} of all", "targets"], rows,
    )  # fmt: skip
    yield _image(plots.comparison(table, k=k), "Recall and MRR with intervals")


def _with_interval(row: Mapping[str, Any], value: str, low: str, high: str) -> str:
    sign = "+" if value == "difference" else ""
    return f"{row[value]:{sign}.4f}\n{row[low]:{sign}.4f} to {row[high]:{sign}.4f}"


def _explained(recommenders: Mapping[str, Recommender]) -> Recommender:
    """The first that is GRU4Rec, which tells most, or the first."""
    every = [recommender for _, recommender in _with_parts(recommenders)]
    return next((each for each in every if isinstance(each, GRU4Rec)), every[0])


def _session(recommender: Recommender, clicks: pl.DataFrame) -> Iterator[str]:
    """The first session of a few known clicks, explained."""
    by = [TIMESTAMP] if TIMESTAMP in clicks.columns else []
    known = clicks.sort(by, maintain_order=True) if by else clicks
    ids = recommender.catalog.item_ids
    same = pl.col(ITEM_ID).cast(ids.dtype, strict=False)
    known = known.filter(same.is_in(ids.implode()))
    lengths = known.group_by(SESSION_ID, maintain_order=True).agg(ITEM_ID)
    some = lengths.filter(pl.col(ITEM_ID).list.len().is_in(list(_SHOWN_CLICKS)))
    if not some.height:
        return
    session, items = some.row(0)
    table = explain(recommender, items)
    yield (
        f"<p>Session {escape(str(session))}, of which the best next item is "
        f"<b>{escape(str(table['target'][0]))}</b>. <i>influence</i>: what its score would lose "
        "without the click; <i>change</i>: how far the click moved the session vector; "
        "<i>reset</i> and <i>update</i>: how much of the state the GRU read with it, and how much "
        "of it the click replaced.</p>"
    )
    yield _image(plots.session(table), "influence and gates of each click")
    columns = [name for name in table.columns if name not in ("target", "score")]
    yield _table(columns, table.select(columns).rows())


def _training(recommenders: Mapping[str, Recommender]) -> Iterator[str]:
    for name, recommender in _with_parts(recommenders):
        epochs = recommender.meta.history
        if epochs:
            yield f"<p>{escape(name)}, {recommender.meta.seconds:.0f} s</p>"
            yield _image(plots.history(epochs), f"training of {name}")


def _data(clicks: pl.DataFrame, recommenders: Mapping[str, Recommender]) -> Iterator[str]:
    rows: list[list[object]] = [
        ["test", f"{clicks[SESSION_ID].n_unique():,}", f"{clicks.height:,}",
         f"{clicks[ITEM_ID].n_unique():,}", *_ends(clicks)]
    ]  # fmt: skip
    for name, recommender in recommenders.items():
        seen = recommender.meta.seen
        times = (seen.times if seen else None) or {}
        support, sessions = recommender.catalog.support, recommender.meta.counts or {}
        count = sessions.get("sessions")
        rows.append(
            [f"training of {name}", "" if count is None else f"{count:,}", f"{support.sum():,}",
             f"{len(support):,}", times.get("first", ""), times.get("last", "")]
        )  # fmt: skip
    yield _table(["log", "sessions", "clicks", "items", "first click", "last click"], rows)


def _ends(clicks: pl.DataFrame) -> tuple[str, str]:
    if TIMESTAMP not in clicks.columns:
        return "", ""
    return str(clicks[TIMESTAMP].min()), str(clicks[TIMESTAMP].max())


def _settings(recommenders: Mapping[str, Recommender]) -> Iterator[str]:
    for name, recommender in _with_parts(recommenders):
        reasons = recommender.meta.auto or {}
        rows = [
            [key, value, reasons.get(key, "")]
            for key, value in flat_values(recommender.settings_dict())
        ]
        versions = ", ".join(f"{k} {v}" for k, v in recommender.meta.versions.items())
        yield (
            f"<details><summary>{escape(name)} ({escape(recommender.name)})</summary>\n"
            f"{_table(['setting', 'value', 'why'], rows)}\n<p>Trained with {escape(versions)}.</p>"
            "</details>"
        )


def _made_with() -> list[tuple[str, str]]:
    packages = ("gru4rec", "torch", "polars", "numpy", "matplotlib")
    return [
        *((package, version(package)) for package in packages),
        ("Python", platform.python_version()),
        ("system", platform.platform()),
        ("processor", f"{platform.machine()}, {os.cpu_count()} cores"),
        ("threads", str(torch.get_num_threads())),
        ("GPU", torch.cuda.get_device_name() if torch.cuda.is_available() else "none"),
    ]


def _with_parts(recommenders: Mapping[str, Recommender]) -> Iterator[tuple[str, Recommender]]:
    for name, recommender in recommenders.items():
        yield name, recommender
        parts = {f"{name}: {part.name} {n}": part for n, part in enumerate(recommender.parts, 1)}
        yield from _with_parts(parts)


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    cells = ("".join(f"<td>{escape(_text(cell))}</td>" for cell in row) for row in rows)
    lines = [f"<tr>{row}</tr>" for row in cells]
    return f"<table>\n<tr>{head}</tr>\n" + "\n".join(lines) + "\n</table>"


def _text(cell: object) -> str:
    if cell is None:
        return ""
    return f"{cell:.4f}" if isinstance(cell, float) else str(cell)


def _image(svg: str, says: str) -> str:
    data = base64.b64encode(svg.encode()).decode()
    return f'<p><img alt="{escape(says)}" src="data:image/svg+xml;base64,{data}"></p>'
