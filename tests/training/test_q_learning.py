"""Q by hand: on windows of a few clicks, and on a Markov decision process whose Q is known."""

import numpy as np
import polars as pl
import pytest
import torch

import gru4rec as g4r
from gru4rec.model import QHead, session_vectors
from gru4rec.training import TrainingLog
from gru4rec.training.batch import CUT, TERMINAL, TrainingBatches

# From "start" most go on to "look", which leads nowhere; a few go to "fit", and then buy.
SESSIONS = [*[["start", "look", "end"]] * 7, *[["start", "fit", "coat"]] * 3]
REWARD = 4.0
SETTINGS = {
    "encoder.hidden_size": 16,
    "encoder.repeats": False,
    "training.scoring": "dot",
    "training.lanes": 10,
    "training.steps": 4,
    "training.negatives": 10,
    "training.epochs": 60,
    "training.learning_rate": 0.1,
    "training.embedding_dropout": 0.0,
    "training.hidden_dropout": 0.0,
    "training.precision": "float32",
    "training.event_column": "type",
    "training.rewards": {"buy": REWARD},
    "training.discount": 0.5,
}


def log_of(sessions: list[list[str]]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "session_id": [n for n, session in enumerate(sessions) for _ in session],
            "item_id": [item for session in sessions for item in session],
        }
    ).with_columns(type=pl.col("item_id").replace_strict("coat", "buy", default="view"))


def fitted(**settings: object) -> g4r.GRU4Rec:
    config = g4r.Config().replace({**SETTINGS, **settings})
    return g4r.GRU4Rec(config, device="cpu").fit(log_of(SESSIONS * 10))


def q_after(recommender: g4r.GRU4Rec, *items: str) -> dict[str, float]:
    """The mean of both estimates of Q after clicks, by item."""
    model, sessions = recommender.model, recommender.reader.prefixes([items])
    with torch.inference_mode():
        ((_, vectors),) = session_vectors(model, sessions, np.array([len(items) - 1]))
        values = model.q.mean_queries(vectors) @ model.output_table.t()
    return dict(zip(recommender.catalog.item_ids, values[0].tolist(), strict=True))


@pytest.fixture(scope="module")
def learned() -> g4r.GRU4Rec:
    return fitted()


def test_q_of_what_was_done_is_the_reward_now_and_later(learned):
    """Q(fit, coat) = 4; Q(start, fit) = 0 + ½ · 4 = 2; Q(start, look) = 0 + ½ · 0 = 0."""
    assert q_after(learned, "start", "fit")["coat"] == pytest.approx(REWARD, abs=0.4)
    first = q_after(learned, "start")
    assert first["fit"] == pytest.approx(REWARD / 2, abs=0.4)
    assert first["look"] == pytest.approx(0.0, abs=0.4)
    assert q_after(learned, "start", "look")["end"] == pytest.approx(0.0, abs=0.4)


def test_q_of_what_was_not_done_is_that_of_the_best_later(learned):
    """Not taken, an item has no reward, and the state stays: Q(start, coat) = ½ · 2 = 1."""
    assert q_after(learned, "start")["coat"] == pytest.approx(REWARD / 4, abs=0.5)


def test_only_with_q_the_better_way_is_recommended(learned):
    """Of ten sessions seven go to "look": e² · 3 > 7, so with Q it is "fit"."""
    assert learned.recommend([["start"]], 1)["item_id"].item() == "look"
    by_q = fitted(**{"training.q_scores": True})
    assert by_q.recommend([["start"]], 1)["item_id"].item() == "fit"
    session = by_q.start_session()
    session.click("start")
    assert session.recommend(1)["item_id"].item() == "fit"


def test_with_advantages_the_better_way_gains(learned):
    gained = fitted(**{"training.q_advantage": True})

    def ahead(recommender: g4r.GRU4Rec) -> float:
        scores = dict(recommender.recommend([["start"]], 6).select("item_id", "score").iter_rows())
        return scores["fit"] - scores["look"]

    assert ahead(gained) > ahead(learned) + 0.2


def test_what_follows_is_the_row_of_the_click_on_the_target():
    sessions = [["a", "b", "c", "d", "e", "f"], ["a", "b"], ["c", "d", "e"]]
    config = g4r.Config().replace(
        {**SETTINGS, "training.lanes": 2, "training.steps": 3, "training.sample_alpha": 0.5}
    )
    log = TrainingLog.read(log_of(sessions).with_columns(type=pl.lit("buy")), None, config)
    batches = TrainingBatches(log.sessions, log.catalog.support, config)
    ends = set(log.sessions.offsets[1:] - 1)
    kinds = set()
    for number in range(len(batches)):
        made, clicks = batches.make(0, number), batches.windows[number].clicks
        rows = {int(click): row for row, click in enumerate(clicks)}
        for row, click in enumerate(clicks):
            target = int(click) + 1
            expected = TERMINAL if target in ends else rows.get(target, CUT)
            assert made.follows[row] == expected
            assert made.rewards[row] == REWARD
            kinds.add(min(expected, 0))
    assert kinds == {TERMINAL, CUT, 0}


def test_heads_differ_and_come_last_in_the_draws():
    plain = g4r.Config().replace({**SETTINGS, "training.rewards": {}, "training.epochs": 0.001})
    head = QHead(4)
    with torch.no_grad():
        head.initialize(torch.Generator().manual_seed(0))
    assert not torch.equal(head.weight[0], head.weight[1])
    with_q = fitted(**{"training.epochs": 0.001, "training.q_weight": 0.0})
    without = g4r.GRU4Rec(plain, device="cpu").fit(log_of(SESSIONS * 10))
    assert torch.allclose(with_q.model.output_table, without.model.output_table, atol=0.2)


def test_it_is_saved_and_loaded_and_updated(learned, tmp_path):
    by_q = fitted(**{"training.q_scores": True, "training.epochs": 5})
    by_q.save(tmp_path / "model")
    loaded = g4r.load(tmp_path / "model", device="cpu")
    asked = [["start"], ["start", "fit"]]
    assert loaded.recommend(asked, 3).equals(by_q.recommend(asked, 3))
    before = loaded.model.q.weight.detach().clone()
    loaded.update(log_of(SESSIONS))
    assert not torch.equal(before, loaded.model.q.weight)


def test_scores_of_index_live_session_and_matrix_agree():
    by_q = fitted(**{"training.q_scores": True, "training.epochs": 2})
    sessions = by_q.reader.prefixes([["start", "fit"]])
    _, scores = next(by_q.score(sessions, np.array([1])))
    table = by_q.recommend([["start", "fit"]], 6)
    live = by_q.start_session()
    live.click("start")
    live.click("fit")
    for of_items in (table, live.recommend(6)):
        found = dict(of_items.select("item_id", "score").iter_rows())
        for item, score in zip(by_q.catalog.item_ids, scores[0].tolist(), strict=True):
            assert found[item] == pytest.approx(score, abs=1e-4)


@pytest.mark.parametrize(
    "settings",
    [
        {"training.event_column": ""},
        {"training.steps": 1},
        {"training.neighbours": 100},
        {"training.rewards": {"buy": -1.0}},
        {"training.discount": 1.0},
        {"training.rewards": {"buy": 0.0}},
    ],
)
def test_what_cannot_be_is_refused_in_one_line(settings):
    with pytest.raises(g4r.ConfigError) as refused:
        g4r.Config().replace({**SETTINGS, **settings})
    assert len(str(refused.value).splitlines()) == 1


def test_without_rewards_there_is_no_q_in_scores():
    config = g4r.Config().replace(
        {**SETTINGS, "training.rewards": {}, "training.q_scores": True, "training.epochs": 0.1}
    )
    model = g4r.GRU4Rec(config, device="cpu").fit(log_of(SESSIONS)).model
    assert model.q is None
    assert not model.scores_by_q
