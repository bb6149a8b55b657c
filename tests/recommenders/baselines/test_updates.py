"""A baseline that is updated is one that was fitted on both logs."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys import clicks_of

import gru4rec as g4r
from gru4rec.recommenders.baselines import BASELINES

COUNTS = ["popularity", "session_popularity", "markov"]  # sums of whole numbers: equal to the bit
UPDATED = [name for name, kind in BASELINES.items() if kind.needs_whole_log is None]
SESSIONS = st.lists(
    st.lists(st.sampled_from("abcdef"), min_size=1, max_size=5), min_size=1, max_size=12
)
ASKED = [["a"], ["b", "c"], ["d", "e", "f", "d"], ["c", "a", "c"]]


def log_of(sessions: list[list[str]], first: int, *, timed: bool) -> pl.DataFrame:
    log = clicks_of(sessions).with_columns(pl.col("session_id") + first)
    time = pl.lit(1_700_000_000) + pl.int_range(pl.len()) * 60 + first * 86_400
    return log.with_columns(timestamp=time) if timed else log


def scores_of(recommender: g4r.Recommender) -> pl.DataFrame:
    return recommender.recommend(ASKED, 6).sort("session_id", "item_id").drop("rank")


@pytest.mark.parametrize("kind", UPDATED)
@given(older=SESSIONS, newer=SESSIONS, timed=st.booleans())
def test_to_update_is_to_fit_on_both_logs(kind, older, newer, timed):
    logs = [log_of(older, 0, timed=timed), log_of(newer, 100, timed=timed)]
    updated = BASELINES[kind]().fit(logs[0]).update(logs[1])
    whole = BASELINES[kind](**updated.settings.to_dict()).fit(pl.concat(logs))
    assert updated.meta.counts == whole.meta.counts
    assert updated.meta.seen.times == whole.meta.seen.times
    mine, expected = scores_of(updated), scores_of(whole)
    if kind in COUNTS:
        assert mine.equals(expected)
        return
    assert mine["item_id"].to_list() == expected["item_id"].to_list()
    assert mine["score"].to_list() == pytest.approx(expected["score"].to_list(), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("kind", UPDATED)
def test_an_update_goes_on_from_a_file(kind, log, tmp_path):
    ids = log["session_id"].unique(maintain_order=True)
    parts = [log.filter(pl.col("session_id").is_in(cut.implode())) for cut in (ids[:90], ids[90:])]
    here = BASELINES[kind]().fit(parts[0])
    here.save(tmp_path / "model")
    there = g4r.load(tmp_path / "model").update(parts[1])
    assert there.learned.equals(here.update(parts[1]).learned)
    there.save(tmp_path / "again")
    again = g4r.load(tmp_path / "again")
    assert again.recommend(parts[1], 5).equals(here.recommend(parts[1], 5))
    assert again.meta.updates[-1]["clicks"] == len(parts[1])


def test_followers_are_counted_on_top():
    markov = g4r.Markov().fit(clicks_of([["a", "b", "a"]])).update(clicks_of([["a", "b"], ["c"]]))
    scores = markov.recommend([["a"]], 3)
    assert scores["item_id"].to_list() == ["b", "a", "c"]
    assert scores["score"].to_list() == pytest.approx([2 + 2 / 7, 3 / 7, 1 / 7])


@pytest.mark.parametrize("kind", [name for name in BASELINES if name not in UPDATED])
def test_what_needs_the_whole_log_says_why_and_stays(kind, log):
    baseline = BASELINES[kind]().fit(log)
    before = baseline.recommend([["c00-0000"]], 5)
    reason = BASELINES[kind].needs_whole_log
    with pytest.raises(g4r.DataError, match=f"{kind} is not updated: {reason}; fit it again"):
        baseline.update(log)
    assert baseline.recommend([["c00-0000"]], 5).equals(before)


@pytest.mark.parametrize("kind", UPDATED)
@pytest.mark.parametrize(
    ("name", "value"),
    [("half_life", "7d"), ("replay", "log"), ("replay_share", 0.5), ("epochs", 3.0)],
)
def test_what_says_how_a_model_learns_is_refused(kind, name, value, log):
    baseline = BASELINES[kind]().fit(log)
    catalog = baseline.catalog
    with pytest.raises(g4r.ConfigError, match=f"^{name} says how a model learns") as raised:
        baseline.update(log, **{name: log if value == "log" else value})
    assert raised.value.mend_with == (name,)
    assert baseline.catalog is catalog
    with pytest.raises(TypeError, match="half_live"):
        baseline.update(log, half_live="7d")


def test_parts_that_count_are_updated_beside_a_model_and_by_themselves(log):
    ids = log["session_id"].unique(maintain_order=True)
    old, new = (
        log.filter(pl.col("session_id").is_in(cut.implode())) for cut in (ids[:90], ids[90:])
    )
    alone = g4r.Fusion([g4r.Markov().fit(old), g4r.SKNN().fit(old)], weights=[0.5, 0.5])
    with pytest.raises(g4r.ConfigError, match="half_life says how a model learns"):
        alone.update(new, half_life="7d")
    alone.update(new)
    markov = g4r.Markov().fit(old).update(new)
    assert alone.parts[0].learned.equals(markov.learned)
    config = g4r.Config().replace({"encoder.hidden_size": 8, "encoder.repeats": False})
    model = g4r.GRU4Rec(config, device="cpu").fit(old)
    beside = g4r.Fusion([model, g4r.Markov().fit(old)], weights=[0.5, 0.5])
    beside.update(new, half_life="1d", epochs=1.0)
    assert beside.parts[1].learned.equals(markov.learned)
    assert beside.parts[0].catalog.support.sum() < beside.parts[1].catalog.support.sum()
