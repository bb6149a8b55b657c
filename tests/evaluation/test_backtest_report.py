"""The page of a backtest: whole, alone, and with the figures of the table."""

import base64
import re
import sys
from datetime import datetime, timedelta
from xml.etree import ElementTree

import polars as pl
import pytest

import gru4rec as g4r
from gru4rec.evaluation import backtest_page, means_over_steps
from gru4rec.evaluation.step_figures import FIGURES

ASKED = {"train": "14d", "every": "1d"}
START = datetime(2026, 3, 1, 6)
KNOWN = {"stale": (10, 5, 0), "update": (10, 9, 10), "full": (10, 10, 9)}  # of ten, at each step
SECONDS = {"stale": (40.0, 0.0, 0.0), "update": (40.0, 2.0, 1.0), "full": (40.0, 41.0, 43.0)}


def rows_of(way: str, step: int, ks: tuple[int, ...]) -> list[dict[str, object]]:
    known, rows = KNOWN[way][step], []
    for k in ks:
        for metric in ("recall", "mrr", "recall_all", "mrr_all"):
            count = 10 if metric.endswith("_all") else known
            value = (len(way) + step + k % 7) / 20 * (known / count if count else 0)
            value = value if count else None
            rows.append(
                {
                    "way": way, "step": step + 1, "start": START + step * timedelta(days=1),
                    "metric": metric, "k": k, "value": value, "low": value, "high": value,
                    "num_targets": count, "share_unknown": 1 - known / 10,
                    "seconds": SECONDS[way][step],
                }
            )  # fmt: skip
    return rows


def table_of(*, steps: int = 3, ks: tuple[int, ...] = (5, 20)) -> pl.DataFrame:
    """A made-up table; at the third step the first way knows nothing."""
    rows = [row for step in range(steps) for way in KNOWN for row in rows_of(way, step, ks)]
    return pl.DataFrame(rows, schema=FIGURES)


def pictures_of(page: str) -> list[str]:
    """The text of each picture, which must be sound."""
    addresses = re.findall(r"data:image/svg\+xml;base64,([^\"]+)", page)
    pictures = [ElementTree.fromstring(base64.b64decode(address)) for address in addresses]
    return [" ".join("".join(picture.itertext()).split()) for picture in pictures]


def cells_of(page: str, way: str) -> list[tuple[str, str]]:
    """(class, text) of each figure of a way over all steps."""
    (row,) = re.findall(rf"<tr><td>{way}</td>(<td class=.*)</tr>", page)
    return re.findall(r'<td class="number (\w*)">(.*?)</td>', row)


def test_the_page_is_whole_and_loads_nothing(log):
    page = backtest_page(table_of(), log, **ASKED)
    assert re.findall("<h2>(.*)</h2>", page) == [
        "Over all steps", "Over time", "What it costs, what is unknown", "Data", "Settings",
        "Made with",
    ]  # fmt: skip
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert addresses
    assert all(address.startswith("data:") for address in addresses)
    assert "<script" not in page
    assert page.rstrip().endswith("</html>")


def test_there_is_a_picture_of_each_metric_and_cut_off_and_of_both_costs(log):
    titles = ["Recall@5", "MRR@5", "Recall@20", "MRR@20", "seconds of learning", "share of targets"]
    pictures = pictures_of(backtest_page(table_of(), log, **ASKED))
    for picture, title in zip(pictures, titles, strict=True):
        assert title in picture
        assert "2026-03-01 2026-03-02 2026-03-03" in picture
    assert "mathdefault" not in "".join(pictures)  # how Matplotlib spells powers


@pytest.mark.parametrize("steps", [1, 2])
def test_few_steps_can_be_drawn(log, steps):
    page = backtest_page(table_of(steps=steps, ks=(20,)), log, **ASKED)
    assert len(pictures_of(page)) == 4
    assert f"{steps} steps from 2026-03-01 06:00" in page


def test_the_figures_are_the_means_over_steps(log):
    table = table_of()
    means = means_over_steps(table)
    page = backtest_page(table, log, **ASKED)
    for way in KNOWN:
        cells = cells_of(page, way)
        figures = {
            (row["metric"], row["k"]): f"{row['value']:.4f}"
            for row in means.filter(way=way).to_dicts()
        }
        order = [(metric, k) for k in (5, 20) for metric in ("recall", "mrr")]
        assert [text for _, text in cells[:4]] == [
            figures[f"{metric}_all", k] for metric, k in order
        ]
        assert [text for _, text in cells[7:]] == [figures[key] for key in order]
    # 15 of 30 targets are on items that the first knows; it learned nothing after the first step
    assert [text for _, text in cells_of(page, "stale")[4:7]] == ["0.00", "30", "50.0%"]
    assert [text for _, text in cells_of(page, "update")[4:7]] == ["1.50", "30", "3.3%"]


def test_the_best_of_each_column_is_marked(log):
    table = table_of()
    page = backtest_page(table, log, **ASKED)
    best = means_over_steps(table).filter(metric="recall_all", k=5).sort("value")["way"][-1]
    marked = [way for way in KNOWN if cells_of(page, way)[0][0] == "best"]
    assert marked == [best]


def test_a_way_without_a_known_target_has_empty_figures(log):
    table = table_of().filter(step=3)
    cells = cells_of(backtest_page(table, log, **ASKED), "stale")
    assert [text for _, text in cells[:4]] == ["0.0000"] * 4
    assert [text for _, text in cells[6:]] == ["100.0%", "", "", "", ""]


def test_log_and_settings_are_listed(log):
    config = g4r.Config().replace({"encoder.hidden_size": 77})
    page = backtest_page(table_of(), log, **ASKED, test="12h", config=config)
    assert f"<td>{log['session_id'].n_unique():,}</td><td>{log.height:,}</td>" in page
    for name, value in {"train": "14d", "every": "1d", "test": "12h"}.items():
        assert f"<tr><td>{name}</td><td>{value}</td></tr>" in page
    assert "<tr><td>encoder.hidden_size</td><td>77</td></tr>" in page
    assert "<b>stale</b>: trained at the first step, and left as it is" in page


@pytest.mark.parametrize("package", ["matplotlib", "jinja2"])
def test_without_a_package_of_the_extra_it_says_what_to_install(log, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(g4r.MissingExtraError, match=r"pip install 'gru4rec\[report\]'"):
        backtest_page(table_of(), log, **ASKED)
