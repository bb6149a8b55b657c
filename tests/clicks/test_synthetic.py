"""The generated log has the structure it promises, and the sample is it."""

from pathlib import Path

import polars as pl
import pytest

import gru4rec as g4r

SAMPLE = Path(__file__).parents[2] / "datasets" / "sample" / "clicks.parquet"


def test_the_sample_log_is_the_generators_and_below_one_megabyte():
    assert pl.read_parquet(SAMPLE).equals(g4r.generate_clicks())
    assert SAMPLE.stat().st_size < 1_000_000


def test_another_seed_gives_another_log_and_the_same_one_the_same():
    one, again, other = (g4r.generate_clicks(sessions=50, seed=s) for s in (1, 1, 2))
    assert one.equals(again)
    assert not one.equals(other)


def test_clicks_are_in_time_order_over_the_days_asked_for():
    log = g4r.generate_clicks(sessions=2000, days=14)
    assert log["timestamp"].is_sorted()
    span = log["timestamp"].max() - log["timestamp"].min()
    assert 13 <= span.days <= 14


def test_visits_follow_the_hours_of_the_day():
    starts = g4r.generate_clicks().group_by("session_id").agg(pl.col("timestamp").min())
    by_hour = starts["timestamp"].dt.hour().value_counts().sort("timestamp")["count"]
    assert by_hour.max() > 5 * by_hour.min()


def test_items_appear_during_the_days():
    log = g4r.generate_clicks()
    first = log.group_by("item_id").agg(pl.col("timestamp").min())["timestamp"]
    cut = log["timestamp"].min() + (log["timestamp"].max() - log["timestamp"].min()) / 4
    assert (first > cut).mean() > 0.1


def test_popularity_and_session_lengths_have_long_tails():
    log = g4r.generate_clicks()
    support = log.group_by("item_id").len()["len"].sort(descending=True)
    assert support.head(60).sum() > 2.5 * support.sum() * 60 / len(support)
    lengths = log.group_by("session_id").len()["len"]
    assert lengths.median() <= 3
    assert lengths.max() >= 50


def test_items_are_clicked_again_within_a_session():
    log = g4r.generate_clicks()
    repeats = 1 - log.unique(["session_id", "item_id"]).height / log.height
    assert 0.05 < repeats < 0.4


@pytest.mark.learns
def test_gru4rec_beats_markov_and_markov_beats_popularity_on_it():
    train, valid, test = g4r.split_by_time(g4r.generate_clicks())
    recommenders = {
        "gru4rec": g4r.GRU4Rec(device="cpu").fit(train, valid=valid),
        "markov": g4r.Markov().fit(train),
        "popularity": g4r.Popularity().fit(train),
    }
    table = g4r.evaluate(recommenders, test, ks=[20]).filter(metric="mrr")
    gru, markov, popularity = table["value"].to_list()
    assert gru > 1.1 * markov
    assert markov > 3 * popularity
