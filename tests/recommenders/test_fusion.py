"""Mixtures of recommenders: by hand, their weights, and what is refused."""

import logging
import shutil

import numpy as np
import pytest
from pretend import on_no_device, traffic
from toys import TINY, at_once, clicks_of

import gru4rec as g4r
from gru4rec.recommenders.fusion import _simplex
from gru4rec.serving import row_chunks

LOG = clicks_of([["a", "b", "a"], ["a", "b"], ["c", "b"]])  # clicks: a 3, b 3, c 1


def scores_of(recommender: g4r.Recommender, session: list[str]) -> dict[str, float]:
    table = recommender.recommend([session], k=10)
    return dict(zip(table["item_id"], table["score"], strict=True))


def parts() -> list[g4r.Recommender]:
    """After a: rules a→b 2 and a→a 1/4; popularity 3, 3, 1."""
    return [g4r.SequentialRules(steps=2).fit(LOG), g4r.Popularity().fit(LOG)]


def test_probabilities_are_mixed_by_their_weights():
    fusion = g4r.Fusion(parts(), weights=[3, 1])
    rules, popular = {"a": 1 / 9, "b": 8 / 9, "c": 0}, {"a": 3 / 7, "b": 3 / 7, "c": 1 / 7}
    expected = {item: 0.75 * rules[item] + 0.25 * popular[item] for item in "abc"}
    assert scores_of(fusion, ["c", "a"]) == pytest.approx(expected)
    assert sum(scores_of(fusion, ["c", "a"]).values()) == pytest.approx(1)


def test_reciprocal_ranks_are_mixed_by_their_weights():
    fusion = g4r.Fusion(parts(), weights=[1, 1], how="reciprocal_ranks")
    expected = {"b": (1 / 61 + 1 / 62) / 2, "a": (1 / 62 + 1 / 61) / 2, "c": 1 / 63}
    assert scores_of(fusion, ["a"]) == pytest.approx(expected)


def test_a_part_that_knows_nothing_leaves_it_to_the_others():
    fusion = g4r.Fusion([g4r.SequentialRules(steps=2).fit(LOG), g4r.Popularity().fit(LOG)])
    assert scores_of(fusion, ["b", "c"])["c"] == pytest.approx(0.25 / 7)


def test_weights_that_are_tried_add_to_one_and_reach_every_corner():
    for count in (2, 3, 4):
        tried = list(_simplex(count))
        assert len(set(tried)) == len(tried) <= 70
        assert all(sum(weights) == pytest.approx(1) and min(weights) >= 0 for weights in tried)
        corners = {tuple(float(i == j) for i in range(count)) for j in range(count)}
        assert corners <= set(tried)


def test_on_validation_sessions_the_part_that_is_right_gets_the_weight(log, caplog):
    valid = g4r.generate_clicks(sessions=80, items=60, categories=3, seed=9)
    fusion = g4r.Fusion([g4r.Popularity(), g4r.VSTAN()])
    with caplog.at_level(logging.INFO):
        fusion.fit(log, valid=valid)
    assert fusion.weights[1] > 0.5
    assert "weights popularity" in caplog.text
    given = g4r.Fusion([g4r.Popularity(), g4r.VSTAN()], weights=[0.5, 0.5]).fit(log, valid=valid)
    assert given.weights == [0.5, 0.5]
    held_out = g4r.Fusion([g4r.Popularity(), g4r.VSTAN()]).fit(log, valid="10%")
    assert held_out.weights[1] > 0.5


def test_what_is_held_out_no_part_learns_from():
    log = clicks_of([["a", "b"]] * 9 + [["y", "z"]])
    fusion = g4r.Fusion([g4r.Popularity(), g4r.SKNN()], weights=[1, 1]).fit(log, valid="10%")
    assert fusion.catalog.item_ids.to_list() == ["a", "b"]


def test_side_inputs_and_times_reach_the_parts_that_read_them(log):
    with_gaps = g4r.GRU4Rec(g4r.Config().replace({**TINY, "encoder.inputs": ["gap"]}), device="cpu")
    fusion = g4r.Fusion([with_gaps, g4r.STAN()], weights=[1, 0]).fit(log)
    prefixes = log.head(200)
    alone = with_gaps.recommend(prefixes, k=5)["item_id"].to_list()
    assert fusion.recommend(prefixes, k=5)["item_id"].to_list() == alone
    assert fusion.reads_times
    assert fusion.side_inputs.values == {"gap": []}


def test_side_inputs_in_another_order_are_refused():
    def reading(*inputs: str) -> g4r.GRU4Rec:
        return g4r.GRU4Rec(g4r.Config().replace({**TINY, "encoder.inputs": list(inputs)}))

    with pytest.raises(g4r.ConfigError, match="the same side inputs, in one order"):
        g4r.Fusion([reading("gap", "hour"), reading("hour", "gap")])
    g4r.Fusion([reading("gap", "hour"), reading("gap", "hour"), g4r.SKNN()])


def test_a_later_fit_without_validation_forgets_the_weights_of_the_former(log):
    fusion = g4r.Fusion([g4r.Popularity(), g4r.VSTAN()]).fit(log, valid="10%")
    assert fusion.weights != [0.75, 0.25]
    assert fusion.fit(log).weights == [0.75, 0.25]


def test_weights_may_be_an_array_and_must_be_finite():
    assert g4r.Fusion(parts(), weights=np.array([3, 1])).weights == [0.75, 0.25]
    with pytest.raises(g4r.ConfigError, match="must be 2 numbers"):
        g4r.Fusion(parts(), weights=[float("inf"), 1])


def test_a_damaged_folder_of_parts_is_refused_and_a_strange_one_left_alone(log, tmp_path):
    fusion = g4r.Fusion(parts_of(log))
    fusion.save(tmp_path / "model")
    folder = tmp_path / "model" / "parts"
    (folder / "notes").mkdir()
    assert len(g4r.load(tmp_path / "model").parts) == 2
    shutil.rmtree(folder / "1")
    with pytest.raises(g4r.CheckpointError, match=r"lacks parts/1/meta\.json"):
        g4r.load(tmp_path / "model")
    shutil.copytree(folder / "0", folder / "1")
    with pytest.raises(g4r.CheckpointError, match="is not the file this checkpoint was saved with"):
        g4r.load(tmp_path / "model")


def test_another_kind_is_not_loaded_as_gru4rec(log, tmp_path):
    g4r.Fusion(parts_of(log)).save(tmp_path / "model")
    with pytest.raises(g4r.CheckpointError, match="is of fusion, not gru4rec"):
        g4r.GRU4Rec.load(tmp_path / "model")


def test_one_long_session_is_scored_in_bounded_pieces(log, monkeypatch):
    monkeypatch.setattr("gru4rec.serving.chunks._FEWEST_ROWS", 1)
    test = log.head(150).with_columns(session_id=1)
    with at_once(scores=400):
        whole = g4r.evaluate({"f": g4r.Fusion(parts_of(log), weights=[1, 1])}, test)
    assert whole.equals(g4r.evaluate({"f": g4r.Fusion(parts_of(log), weights=[1, 1])}, test))


def parts_of(log) -> list[g4r.Recommender]:
    return [g4r.Markov().fit(log), g4r.SKNN().fit(log)]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"weights": [1]}, "must be 2 numbers"),
        ({"weights": [1, -1]}, "not negative"),
        ({"weights": [0, 0]}, "not all 0"),
        ({"how": "votes"}, "choose from probabilities, reciprocal_ranks"),
    ],
)
def test_what_cannot_be_mixed_is_refused(wrong, named):
    with pytest.raises(g4r.ConfigError, match=named):
        g4r.Fusion(parts(), **wrong)


def test_parts_must_be_several_and_of_one_log():
    with pytest.raises(g4r.ConfigError, match="two recommenders or more"):
        g4r.Fusion(parts()[:1])
    other = g4r.Popularity().fit(clicks_of([["x", "y"]]))
    with pytest.raises(g4r.ConfigError, match="fitted on the same log"):
        g4r.Fusion([parts()[0], other])
    with pytest.raises(g4r.DataError, match="two known clicks"):
        g4r.Fusion(parts()).weigh(clicks_of([["x", "y"]]))
    with pytest.raises(g4r.NotFittedError, match="call fit first"):
        g4r.Fusion([g4r.Popularity(), g4r.Markov()]).recommend([["a"]])


def test_parts_on_different_devices_are_scored_in_the_pieces_of_a_cpu(trained, log):
    fusion = g4r.Fusion([on_no_device(trained), g4r.Popularity().fit(log)])
    clicks = fusion.reader.arrays(log.lazy()).prefixes()
    with traffic(), at_once(rows=100, scores=600):
        rows = [rows for rows, _ in fusion.score(fusion.reader.arrays(log.lazy()), clicks)]
        assert rows == list(row_chunks(len(clicks), len(fusion.catalog)))
    assert len(rows) > 10


@pytest.mark.gpu
def test_fusions_and_ensembles_on_a_gpu_recommend_what_they_do_on_a_cpu(trained, log, tmp_path):
    trained.save(tmp_path / "model")
    other, tables = g4r.VSTAN().fit(log), []
    for device in ("cpu", "cuda"):
        model = g4r.load(tmp_path / "model", device=device)
        mixed = g4r.Fusion([model, other]), g4r.Ensemble([model, model])
        tables += [each.recommend(log, 10)["score"] for each in mixed]
    for on_cpu, on_gpu in zip(tables[:2], tables[2:], strict=True):
        assert np.allclose(on_cpu, on_gpu, atol=1e-3)
