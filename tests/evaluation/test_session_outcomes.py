"""`evaluate(outcome=True)`: what is foretold after every click, beside what came."""

import numpy as np
import polars as pl
import pytest
from outcome_logs import LEARNS_OUTCOME, outcome_log
from toys import TINY

import gru4rec as g4r
from gru4rec.evaluation import evaluate_with_page
from gru4rec.evaluation.outcome_metrics import auc, calibration_error, surprises

LOG = outcome_log()


@pytest.fixture(scope="module")
def foretells() -> g4r.GRU4Rec:
    return g4r.GRU4Rec(g4r.Config().replace(LEARNS_OUTCOME), device="cpu").fit(LOG)


def test_every_click_with_a_known_outcome_counts_the_last_one_and_single_ones_too(foretells):
    test = pl.DataFrame(
        {
            "session_id": [1, 1, 2, 3, 3, 4],
            "item_id": ["a", "c", "b", "a", "d", "new"],
            "bought": [True, True, False, None, None, True],
        }
    )
    table = g4r.evaluate({"m": foretells}, test, ks=[20], outcome=True)
    rows = table.filter(pl.col("metric").is_in(["auc", "log_loss", "calibration_error"]))
    assert rows["num_targets"].to_list() == [3, 3, 3]
    assert rows["k"].to_list() == [None] * 3
    shares = foretells.outcomes([["a"], ["a", "c"], ["b"]])["outcome"].to_numpy()
    foretold, came = np.stack((1 - shares, shares), axis=1), np.array([1, 1, 0])
    expected = [auc(foretold, came), surprises(foretold, came).mean(),
                calibration_error(foretold, came)]  # fmt: skip
    assert rows["value"].to_list() == pytest.approx(expected, abs=1e-6)
    assert rows.filter(metric="log_loss")["low"].item() is not None
    assert rows.filter(metric="auc")["low"].item() is None


def test_positions_are_the_clicks_so_far(foretells):
    table = g4r.evaluate({"m": foretells}, LOG, ks=[20], outcome=True, by=["position", "support"])
    counts = dict(table.filter(metric="auc").select("slice", "num_targets").iter_rows())
    known = 120 - 12
    assert counts["all"] == 3 * known
    assert [counts[f"position {n}"] for n in (1, 2, 3)] == [known] * 3
    assert not any(name.startswith("support") for name in counts)


def test_those_without_an_outcome_have_no_such_rows_and_alone_they_are_refused(foretells):
    markov = g4r.Markov().fit(LOG)
    both = {"markov": markov, "m": foretells}
    table = g4r.evaluate(both, LOG, ks=[20], outcome=True, against="m")
    assert table.filter(metric="auc")["recommender"].to_list() == ["m"]
    assert table.filter(metric="auc")["difference"].to_list() == [0.0]
    with pytest.raises(g4r.DataError, match="has not learned the outcome") as error:
        g4r.evaluate({"markov": markov}, LOG, outcome=True)
    assert error.value.mend_with == ("outcome",)


def test_a_log_without_the_column_or_without_a_known_outcome_is_refused(foretells):
    with pytest.raises(g4r.DataError, match="lacks the column 'bought'"):
        g4r.evaluate({"m": foretells}, LOG.drop("bought"), outcome=True)
    with pytest.raises(g4r.DataError, match="has an outcome in the column 'bought'"):
        g4r.evaluate({"m": foretells}, LOG.with_columns(bought=None), outcome=True)


def test_without_being_asked_nothing_is_measured_of_outcomes(foretells):
    assert "auc" not in g4r.evaluate({"m": foretells}, LOG.drop("bought"))["metric"].to_list()


def test_the_page_has_the_figures_and_a_picture_for_each_position(foretells):
    other = g4r.GRU4Rec(g4r.Config().replace(TINY), device="cpu").fit(LOG)
    table, page = evaluate_with_page({"m": foretells, "other": other}, LOG, outcome=True)
    assert set(table["metric"]) >= {"auc", "log_loss", "calibration_error"}
    assert "Outcomes of sessions" in page
    assert page.count("what was foretold and what came") == 4  # all clicks, and positions 1 to 3
    _, without = evaluate_with_page({"m": foretells}, LOG)
    assert "Outcomes of sessions" not in without
