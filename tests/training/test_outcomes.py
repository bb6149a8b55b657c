"""The outcome of sessions: its loss, what it leaves alone, its calibration, updates, resumption."""

import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from outcome_logs import LEARNS_OUTCOME, outcome_log
from toys import TINY

import gru4rec as g4r
from gru4rec.model import OutcomeHead
from gru4rec.sessions import Catalog, OutcomeClasses, to_arrays
from gru4rec.training.batch import TrainingBatches
from gru4rec.training.calibration import Calibration, fitted, known_outcomes
from gru4rec.training.outcome_loss import with_outcome
from gru4rec.training.training_log import TrainingLog

LOG = outcome_log()


def fit(log: pl.DataFrame = LOG, **settings: object) -> g4r.GRU4Rec:
    config = g4r.Config().replace({**LEARNS_OUTCOME, **settings})
    return g4r.GRU4Rec(config, device="cpu").fit(log)


def weights_of(recommender: g4r.GRU4Rec) -> dict[str, list[object]]:
    return {name: w.tolist() for name, w in recommender.model.state_dict().items()}


def head_of(weights: list[list[float]], bias: list[float]) -> OutcomeHead:
    head = OutcomeHead(len(weights[0]), len(weights))
    with torch.no_grad():
        head.weight.copy_(torch.tensor(weights))
        head.bias.copy_(torch.tensor(bias))
    return head


def test_the_loss_is_the_weighted_mean_of_both_over_clicks_with_a_known_outcome():
    head = head_of([[0.0], [1.0]], [0.0, 0.0])
    vectors = torch.tensor([[math.log(3.0)], [0.0], [5.0]])
    outcomes = torch.tensor([1, 0, -1])  # −ln of 3/4 and of 1/2; the last one is unknown
    loss = with_outcome(torch.tensor(2.0), head, vectors, outcomes, known=2, weight=0.25)
    assert loss.item() == pytest.approx(0.75 * 2 + 0.25 * (math.log(4 / 3) + math.log(2)) / 2)


def test_a_window_without_a_known_outcome_learns_next_clicks_at_their_weight():
    head = head_of([[0.0], [1.0]], [0.0, 0.0])
    asked = {"known": 0, "weight": 0.25}
    unknown = torch.tensor([-1, -1])
    loss = with_outcome(torch.tensor(2.0), head, torch.ones(2, 1), unknown, **asked)
    assert loss.item() == 1.5
    untold = with_outcome(torch.tensor(2.0), head, torch.ones(2, 1), None, **asked)
    assert untold.item() == 2.0


def test_batches_have_the_outcome_of_each_click_that_is_read():
    config = g4r.Config().replace(LEARNS_OUTCOME)
    config, _ = g4r.GRU4Rec(config).decide(LOG), None
    catalog = Catalog.of(LOG.lazy())
    sessions = OutcomeClasses.of(LOG.lazy(), "bought").on(
        to_arrays(LOG.lazy(), catalog), LOG.lazy()
    )
    batches = TrainingBatches(sessions, catalog.support, config)
    for window in range(len(batches)):
        clicks = batches.windows[window].clicks
        expected = sessions.outcomes[sessions.sessions_of(clicks)]
        batch = batches.make(0, window)
        assert batch.outcomes.tolist() == expected.tolist()
        assert batch.known_outcomes == (expected >= 0).sum()
    without = TrainingBatches(
        replace(sessions, outcomes=sessions.outcomes[:0]), catalog.support, config
    )
    assert without.make(0, 0).outcomes is None


def test_without_an_outcome_a_training_is_to_the_bit_what_it_is_without_the_column():
    plain = g4r.GRU4Rec(g4r.Config().replace(TINY), device="cpu")
    with_column = weights_of(plain.fit(LOG))
    assert with_column == weights_of(plain.fit(LOG.drop("bought")))
    assert not any(name.startswith("outcome") for name in with_column)
    assert plain.meta.outcome is None


def test_a_weight_of_nothing_learns_next_clicks_as_without_an_outcome():
    weights = weights_of(fit(**{"training.outcome_weight": 0.0}))
    plain = weights_of(g4r.GRU4Rec(g4r.Config().replace(TINY), device="cpu").fit(LOG))
    assert {name: weights[name] for name in plain} == plain
    assert not np.any(weights["outcome.weight"])


def test_the_outcome_is_learned_and_told_by_class_in_the_type_of_the_log():
    told = fit(**{"training.epochs": 10}).outcomes([["a"], ["b"], ["a", "c"]])["outcome"]
    assert told[0] > 0.8
    assert told[1] < 0.2
    assert told[2] > 0.8


@pytest.mark.parametrize("encoder", ["lstm", "bidirectional_gru", "transformer_gru"])
def test_every_encoder_tells_it_and_live_sessions_tell_the_same(encoder):
    recommender = fit(**{"encoder.name": encoder, "training.epochs": 1})
    session = recommender.start_session()
    assert session.outcome() == dict(
        zip([False, True], recommender.outcome_classes.shares, strict=True)
    )
    for item in "acx":
        session.click(item)
    told = recommender.outcomes([["a", "c", "x"]])["outcome"].item()
    assert session.outcome() == pytest.approx({False: 1 - told, True: told}, abs=1e-6)


def test_the_outcome_alone_leaves_what_only_next_clicks_move():
    alone = fit(**{"training.outcome_weight": 1.0, "encoder.embedding": "separate"})
    before = fit(**{"training.outcome_weight": 1.0, "encoder.embedding": "separate",
                    "training.epochs": 0.001, "training.learning_rate": 0.0})  # fmt: skip
    assert torch.equal(alone.model.output_table, before.model.output_table)
    assert not torch.equal(alone.model.input_table, before.model.input_table)


def test_where_the_outcome_is_learned_alone_nothing_is_measured_of_next_clicks():
    config = g4r.Config().replace({"training.outcome": "bought", "training.outcome_weight": 1.0})
    decided = g4r.GRU4Rec(config).decide(LOG)
    assert (decided.encoder.repeats, decided.training.neighbours) == (False, 0)
    with pytest.raises(g4r.ConfigError, match="leave it out") as error:
        g4r.GRU4Rec(config, device="cpu").fit(LOG, valid="10%")
    assert error.value.mend_with == ("valid",)


def test_the_outcome_is_no_input():
    with pytest.raises(g4r.ConfigError, match="cannot be among the inputs"):
        g4r.Config().replace({"training.outcome": "kind", "encoder.inputs": ["kind"]})


def test_the_slope_and_shifts_of_calibration_undo_what_was_done_to_the_logits():
    random = np.random.default_rng(0)
    z = random.normal(size=200_000)
    outcomes = (random.random(len(z)) < 1 / (1 + np.exp(-z))).astype(int)
    sure = np.stack((np.zeros(len(z)), 4 * z + 3), axis=1)
    slope, shifts = fitted(torch.from_numpy(sure), torch.from_numpy(outcomes))
    assert slope == pytest.approx(1 / 4, abs=0.01)
    assert shifts[1] - shifts[0] == pytest.approx(-3 / 4, abs=0.02)


def test_of_few_outcomes_a_calibration_stays_near_none():
    slope, shifts = fitted(torch.tensor([[0.0, 2.0]]).double(), torch.tensor([1]))
    assert slope == pytest.approx(1.0, abs=0.3)
    assert shifts == pytest.approx([0.0, 0.0], abs=0.3)


def test_a_folded_head_has_the_logits_of_the_calibration():
    head = head_of([[1.0], [2.0]], [3.0, 4.0])
    head.fold(0.5, torch.tensor([1.0, -1.0]).double())
    assert head(torch.tensor([[2.0]])).tolist() == [[0.5 * 5 + 1, 0.5 * 8 - 1]]


def test_a_calibration_meets_the_middle_and_the_spread_of_the_model_that_is_kept():
    recommender = fit()
    log = TrainingLog.read(LOG, None, recommender.config)
    calibration = Calibration(1.0, (0.0, 0.0), (0.25, -0.25), 2.0)
    calibration.fold_into(recommender.model, replace(log, is_older=True))
    logits = recommender.model.outcome(_vectors(recommender, log))
    assert logits.mean(0).tolist() == pytest.approx([0.25, -0.25], abs=1e-4)
    assert logits.var(0, correction=0).mean().sqrt().item() == pytest.approx(2.0, abs=1e-3)
    assert Calibration.from_dict(calibration.to_dict()) == calibration


def _vectors(recommender: g4r.GRU4Rec, log: TrainingLog) -> torch.Tensor:
    from gru4rec.model import session_vectors

    clicks = log.sessions.prefixes()
    vectors = torch.zeros(len(clicks), recommender.model.encoder.output_size)
    for rows, part in session_vectors(recommender.model, log.sessions, clicks):
        vectors[torch.from_numpy(np.asarray(rows))] = part
    return vectors


def test_clicks_of_calibration_are_all_those_with_a_known_outcome_or_some_of_them():
    log = TrainingLog.read(LOG, None, g4r.Config().replace(LEARNS_OUTCOME))
    clicks, outcomes = known_outcomes(log.sessions)
    assert len(clicks) == 3 * 108
    assert outcomes.tolist() == log.sessions.outcomes[log.sessions.sessions_of(clicks)].tolist()
    some, _ = known_outcomes(log.sessions, most=10)
    assert len(some) == 10
    assert set(some) <= set(clicks)


def test_a_log_too_small_to_hold_sessions_out_says_so(caplog):
    fit(outcome_log(4))
    assert "the probabilities of outcomes are not calibrated" in caplog.text


def test_what_was_interrupted_goes_on_to_the_same_head(tmp_path):
    config = g4r.Config().replace({**LEARNS_OUTCOME, "training.epochs": 3})
    whole = g4r.GRU4Rec(config, device="cpu").fit(LOG)
    stops = iter([False] * 7 + [True] * 1000)
    with pytest.raises(g4r.StoppedError):
        g4r.GRU4Rec(config, device="cpu").fit(
            LOG, keep=tmp_path / "m", stopping=lambda: next(stops)
        )
    again = g4r.GRU4Rec(config, device="cpu").fit(LOG, keep=tmp_path / "m", resume=True)
    assert weights_of(again) == weights_of(whole)


def test_an_update_learns_the_outcome_too_or_keeps_the_head():
    recommender = fit(**{"training.dense_optimizer": "adamw"})
    before = weights_of(recommender)
    recommender.update(LOG.drop("bought").with_columns(pl.col("session_id") + 1000))
    after = weights_of(recommender)
    assert after["outcome.weight"] == before["outcome.weight"]
    assert after["output_table"] != before["output_table"]
    recommender.update(LOG.with_columns(pl.col("session_id") + 2000))
    assert weights_of(recommender)["outcome.weight"] != before["outcome.weight"]


def test_an_update_of_what_learned_the_outcome_alone_needs_it():
    recommender = fit(**{"training.outcome_weight": 1.0})
    with pytest.raises(g4r.DataError, match="say nothing of it"):
        recommender.update(LOG.drop("bought").with_columns(pl.col("session_id") + 1000))


def test_a_checkpoint_keeps_the_head_and_a_shrunk_one_tells_nearly_the_same(tmp_path):
    recommender = fit(**{"training.epochs": 4})
    recommender.save(tmp_path / "m")
    loaded = g4r.load(tmp_path / "m", device="cpu")
    prefixes = [["a"], ["b", "c"]]
    assert loaded.outcomes(prefixes).equals(recommender.outcomes(prefixes))
    small = recommender.with_weights_as({"encoder": "int8", "items": "float16"})
    assert torch.equal(small.model.outcome.weight, recommender.model.outcome.weight)
    told, less = (each.outcomes(prefixes)["outcome"] for each in (recommender, small))
    assert less.to_list() == pytest.approx(told.to_list(), abs=0.05)


def test_more_than_two_classes_have_a_column_each_and_a_struct():
    log = LOG.with_columns(bought=pl.concat_str(pl.lit("k"), pl.col("session_id") % 3))
    recommender = fit(log)
    table = recommender.outcomes([["a"], []])
    assert table.columns == ["session_id", "p_k0", "p_k1", "p_k2"]
    assert table.drop("session_id").sum_horizontal().to_list() == pytest.approx([1.0, 1.0])
    assert table.row(1)[1:] == pytest.approx([1 / 3] * 3)
    column = recommender.recommend([["a"]], 2, outcome=True)["outcome"]
    assert list(column[0]) == ["k0", "k1", "k2"]
    assert column[0] == column[1]


def test_teachers_and_attributes_go_with_it():
    items = pl.DataFrame({"item_id": list("abcd"), "kind": [1, 1, 2, 2]})
    config = g4r.Config().replace(
        {**LEARNS_OUTCOME, "training.teachers": 1, "training.epochs": 1,
         "training.loss": "cross_entropy"}
    )  # fmt: skip
    recommender = g4r.GRU4Rec(config, device="cpu").fit(LOG, item_features=items)
    assert recommender.outcomes([["a"]])["outcome"].item() > 0
