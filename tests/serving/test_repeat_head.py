"""The repeat head: its numbers, its file form, and that every door gives the scores it makes."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import gru4rec as g4r
from gru4rec.clicks.synthetic import generate_clicks
from gru4rec.evaluation import summary
from gru4rec.model import ENCODERS
from gru4rec.recommenders import GRU4Rec
from gru4rec.serving import INDICATORS, ItemIndex, RepeatHead
from gru4rec.sessions import own_items_of
from tests.toys import TINY

NUMBERS = np.random.default_rng(3).normal(0, 6, INDICATORS.shape[1])
HEAD = RepeatHead.of(0.4, NUMBERS)


@pytest.fixture(scope="module")
def clicks():
    return generate_clicks(sessions=300, items=60, seed=5)


@pytest.fixture(scope="module")
def plain(clicks):
    return GRU4Rec(g4r.Config().replace(TINY), device="cpu").fit(clicks)


@pytest.fixture(scope="module")
def headed(plain):
    return with_head(plain, HEAD)


def with_head(recommender: GRU4Rec, head: RepeatHead, index: ItemIndex | None = None) -> GRU4Rec:
    other = GRU4Rec(recommender.config, device="cpu")
    meta = replace(recommender.meta, repeats=head.to_dict())
    index = recommender.index if index is None else index
    other._take(
        recommender.config, recommender.model, recommender.catalog, recommender.side_inputs, index,
        meta,
    )  # fmt: skip
    return other


def test_a_score_becomes_slope_times_itself_and_the_terms_of_its_item():
    terms = {
        "age": [1.0, 2, 3, 4, 5, 6, 7],
        "times": [10.0, 20, 30],
        "clicks_last": [100.0, 200, 300, 400, 500, 600, 700],
        "clicks_earlier": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7],
        "returns_last": [1000.0, 2000, 3000, 4000],
        "returns_earlier": [0.01, 0.02, 0.03, 0.04],
    }
    head = RepeatHead.from_dict({"slope": 0.5, **terms})
    scores = torch.full((1, 4), 8.0)
    head.rescore(scores, own_items_of([[2, 0, 2]]))  # item 2: last and twice; item 0: age 1, once
    last = 4 + 1 + 20 + 300 + 2000
    earlier = 4 + 2 + 10 + 0.3 + 0.02
    assert scores.tolist() == [pytest.approx([earlier, 8.0, last, 8.0])]


def test_a_head_is_kept_as_plain_values():
    assert RepeatHead.from_dict(json.loads(json.dumps(HEAD.to_dict()))) == HEAD
    assert not HEAD.is_neutral
    assert RepeatHead.neutral().is_neutral


@pytest.mark.parametrize(
    "wrong", [{}, {"slope": 1.0}, {**HEAD.to_dict(), "age": [1.0]},
              {**HEAD.to_dict(), "slope": float("nan")}, {**HEAD.to_dict(), "more": 1.0},
              {**HEAD.to_dict(), "age": [float("inf")] * 7}],
)  # fmt: skip
def test_values_that_are_no_head_are_refused(wrong):
    with pytest.raises(ValueError, match="repeats cannot be"):
        RepeatHead.from_dict(wrong)


def test_a_neutral_head_is_none(plain):
    assert with_head(plain, RepeatHead.neutral()).repeats is None


def sessions_of(clicks) -> list[list[str]]:
    lists = clicks.group_by("session_id", maintain_order=True).agg("item_id")["item_id"].to_list()
    return [*lists[:40], lists[0] * 30]


def best_by_all_scores(recommender, sessions, k, exclude=False):
    """(ids, scores) of each session by the scores of all items."""
    answers = []
    for session in sessions:
        arrays = recommender.reader.prefixes([session])
        ((_, scores),) = recommender.score(arrays, arrays.offsets[1:] - 1)
        row = scores[0].clone()
        if exclude:
            row[arrays.items.tolist()] = -torch.inf
        order = row.sort(descending=True, stable=True).indices[:k]
        answers.append((recommender.catalog.ids_of(order.tolist()), row[order].tolist()))
    return answers


def indexes(plain):
    vectors = plain.item_vectors()
    yield "flat", None
    ivf = ItemIndex.build(vectors, "IVF4,Flat")
    ivf.set_effort(4)
    yield "ivf", ivf


@pytest.mark.parametrize("k", [1, 5, 60])
def test_every_door_gives_the_best_by_all_scores(plain, clicks, k):
    sessions = sessions_of(clicks)
    for name, index in indexes(plain):
        recommender = with_head(plain, HEAD, index)
        expected = best_by_all_scores(recommender, sessions, k)
        table = recommender.recommend(sessions, k)
        for number, (ids, scores) in enumerate(expected):
            mine = table.filter(table["session_id"] == number)
            assert mine["item_id"].to_list() == ids, name
            assert mine["score"].to_list() == pytest.approx(scores, abs=1e-4)
            assert recommender.next_items(sessions[number], k)[0] == ids
            live = recommender.start_session()
            for item in sessions[number]:
                live.click(item)
            assert live.recommend(k)["item_id"].to_list() == ids


@pytest.mark.parametrize("name", ENCODERS)
def test_a_head_that_is_fitted_answers_alike_at_every_door_whatever_the_encoder(clicks, name):
    settings = {**TINY, "training.epochs": 1, "encoder.repeats": True, "encoder.name": name}
    recommender = GRU4Rec(g4r.Config().replace(settings), device="cpu").fit(clicks)
    assert recommender.meta.repeats is not None
    recommender = with_head(recommender, HEAD)  # whatever was fitted, a head that matters
    sessions = sessions_of(clicks)[:6]
    table = recommender.recommend(sessions, 5)
    for number, (ids, _) in enumerate(best_by_all_scores(recommender, sessions, 5)):
        assert table.filter(table["session_id"] == number)["item_id"].to_list() == ids
        live = recommender.start_session()
        for item in sessions[number]:
            live.click(item)
        assert live.recommend(5)["item_id"].to_list() == ids


def test_running_sessions_together_answer_as_each_alone(headed, clicks):
    sessions = sessions_of(clicks)
    for number, session in enumerate(sessions):
        for item in session:
            headed.click_many([number], [item])
    table = headed.recommend_many(list(range(len(sessions))), 7)
    assert table["item_id"].to_list() == headed.recommend(sessions, 7)["item_id"].to_list()


def test_filters_let_own_items_pass_or_not(headed, clicks):
    sessions = sessions_of(clicks)[:10]
    own = {item for session in sessions for item in session}
    denied = sorted(own)[::2]
    table = headed.recommend(sessions, 5, deny=denied)
    assert not own.isdisjoint(table["item_id"]) or len(denied) == len(own)
    assert set(denied).isdisjoint(table["item_id"])
    everything = best_by_all_scores(headed, sessions, 60)
    for number, (ids, _) in enumerate(everything):
        left = [item for item in ids if item not in denied][:5]
        assert table.filter(table["session_id"] == number)["item_id"].to_list() == left
    table = headed.recommend(sessions, 5, exclude_clicked=True)
    for number, (ids, _) in enumerate(best_by_all_scores(headed, sessions, 5, exclude=True)):
        assert table.filter(table["session_id"] == number)["item_id"].to_list() == ids


def test_an_own_item_is_said_to_be_there_because_it_was_clicked(headed, plain):
    item = plain.catalog.item_ids[3]
    head = RepeatHead.of(0.0, np.full(INDICATORS.shape[1], 50.0))
    table = with_head(plain, head).recommend([[item], ["?"]], 2, explain=True)
    assert table["item_id"][0] == item
    assert table["reason"].to_list() == ["repeat", "model", "popularity", "popularity"]
    assert "repeat" not in plain.recommend([[item]], 60, explain=True)["reason"].to_list()


def test_a_head_outlasts_saving_and_shrinking(headed, clicks, tmp_path):
    headed.save(tmp_path / "m")
    loaded = g4r.load(tmp_path / "m", device="cpu")
    sessions = sessions_of(clicks)[:5]
    assert loaded.recommend(sessions, 5).equals(headed.recommend(sessions, 5))
    small = headed.with_weights_as({"items": "float16", "encoder": "float32"})
    assert small.repeats == HEAD
    table = summary(tmp_path / "m")
    shown = dict(zip(table["what"], table["value"], strict=True))
    assert shown["repeats.slope"] == "0.4"


def test_a_checkpoint_with_a_head_that_is_none_is_refused(headed, tmp_path):
    broken = with_head(headed, HEAD)
    broken.meta = replace(headed.meta, repeats={"slope": 1.0})
    broken.save(tmp_path / "m")
    with pytest.raises(g4r.CheckpointError, match="repeats cannot be"):
        g4r.load(tmp_path / "m", device="cpu")


def test_a_fusion_mixes_the_scores_that_the_head_makes(headed, plain, clicks):
    arrays = headed.reader.prefixes(sessions_of(clicks)[:3])
    last = arrays.offsets[1:] - 1
    mixed = g4r.Fusion([headed, plain], weights=[1, 0])
    ((_, scores),) = mixed.score(arrays, last)
    ((_, alone),) = headed.score(arrays, last)
    assert torch.allclose(scores, torch.softmax(alone, 1))


def test_through_an_approximate_index_a_session_is_answered_as_if_it_were_alone(plain, clicks):
    index = ItemIndex.build(plain.item_vectors(), "IVF8,Flat")  # and one list of it is looked at
    recommender = with_head(plain, HEAD, index)
    sessions = sessions_of(clicks)
    together = recommender.recommend(sessions, 3)
    for number, session in enumerate(sessions):
        alone = recommender.recommend([session], 3)["item_id"].to_list()
        assert together.filter(together["session_id"] == number)["item_id"].to_list() == alone
