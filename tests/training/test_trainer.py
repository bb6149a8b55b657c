"""One update against a simple reference, and what a run of them promises."""

import dataclasses
import math
import random

import numpy as np
import polars as pl
import pytest
import torch
from toys import TINY, clicks_of

import gru4rec as g4r
from gru4rec.model.encoders import ENCODERS
from gru4rec.model.network import Model
from gru4rec.sessions import SessionArrays, to_arrays
from gru4rec.sessions.catalog import Catalog
from gru4rec.training.batch import TrainingBatches
from gru4rec.training.trainer import Hooks, Trainer

SESSIONS = [
    ["a", "b", "c", "d", "e", "b", "f", "a"],
    ["b", "a", "b"],
    ["f", "g"],
    ["c", "c", "h", "i"],
    ["j", "k", "a"],
]
BASE = {
    **TINY,
    "encoder.hidden_size": 4,
    "training.lanes": 2,
    "training.steps": 3,
    "training.negatives": 2,
    "training.sample_alpha": 0.5,
    "training.scoring": "dot",
    "training.scale": 8.0,
    "training.precision": "float32",
    "training.loss": "cross_entropy",
    "training.learning_rate": 0.1,
    "training.momentum": 0.0,
    "training.schedule": "linear",
    "training.final_rate": 0.0,
    "training.embedding_dropout": 0.0,
    "training.hidden_dropout": 0.0,
}


@pytest.fixture(scope="module")
def log() -> pl.DataFrame:
    return g4r.generate_clicks(sessions=60, items=60, categories=3, seed=1)


def trainer_of(log: pl.DataFrame, **settings: object) -> tuple[Trainer, SessionArrays, Catalog]:
    config = g4r.Config().replace({**BASE, **settings})
    catalog = Catalog.of(log.lazy())
    sessions = to_arrays(log.lazy(), catalog).with_targets()
    model = Model(config, len(catalog))
    model.initialize(torch.Generator().manual_seed(3))
    if model.bias is not None:
        model.bias.data.uniform_(-1, 1, generator=torch.Generator().manual_seed(4))
    batches = TrainingBatches(sessions, catalog.support, config)
    return Trainer(model, batches, config, torch.device("cpu")), sessions, catalog


class Recorder:
    """Stands in for an optimiser: keeps the gradient, moves nothing."""

    def __init__(self, weight: torch.Tensor) -> None:
        self.weight = weight
        self.gradient = torch.zeros_like(weight)

    def update_rows(self, rows: torch.Tensor, gradient: torch.Tensor, rate: float) -> None:
        assert len(rows.unique()) == len(rows)
        self.gradient[rows] += gradient


class DenseRecorder:
    def update(self, rate: float, rate_factor: float) -> None:
        pass


def reference_loss(model: Model, runs, candidates, correction) -> torch.Tensor:
    """The mean loss of segments run one by one: `runs` are (items, targets, first hidden state)."""
    layer = model.encoder.layers[0]
    losses, finals = [], []
    everyone = [set(targets) for _, targets, _ in runs]
    for number, (items, targets, hidden) in enumerate(runs):
        others = set().union(*(everyone[:number] + everyone[number + 1 :]))
        for item, target in zip(items, targets, strict=True):
            entered = model.input_table[item]
            products = entered if layer.weight_ih is None else layer.weight_ih @ entered
            a = (products + layer.bias_ih).chunk(3)
            c = (layer.weight_hh @ hidden + layer.bias_hh).chunk(3)
            reset, update = torch.sigmoid(a[0] + c[0]), torch.sigmoid(a[1] + c[1])
            hidden = (1 - update) * torch.tanh(a[2] + reset * c[2]) + update * hidden
            scores = []
            for column, candidate in enumerate(candidates.items):
                own_only = candidate in targets and candidate not in others | candidates.drawn
                if own_only and candidate != target:
                    continue
                output = model.output_table[candidate]
                if model.cosine:
                    score = model.scale * torch.cosine_similarity(hidden, output, dim=0)
                else:
                    score = hidden @ output + model.bias[candidate]
                scores.append(score - correction[column])
                if candidate == target:
                    of_target = scores[-1]
            losses.append(torch.stack(scores).logsumexp(0) - of_target)
        finals.append(hidden.detach())
    return torch.stack(losses).mean(), finals


@dataclasses.dataclass
class Drawn:
    items: list[int]
    drawn: set[int]


@pytest.mark.parametrize("scoring", ["dot", "cosine"])
@pytest.mark.parametrize("mode", ["shared", "separate", "onehot"])
def test_gradients_of_windows_equal_those_of_a_simple_reference(mode, scoring):
    size = {"encoder.embedding_size": 3} if mode == "separate" else {}
    settings = {"encoder.embedding": mode, "training.scoring": scoring, **size}
    trainer, sessions, _ = trainer_of(clicks_of(SESSIONS), **settings)
    model, batches = trainer.learner.model, trainer.batches
    state, finals = (), []
    assert len(batches) >= 2
    for window in range(len(batches)):
        batch, source = batches.make(0, window), batches.windows[window]
        trainer.learner.tables = {
            name: Recorder(optimizer.weight) for name, optimizer in trainer.learner.tables.items()
        }
        trainer.learner.dense = DenseRecorder()
        loss, state = trainer.learner.step(batch, state, 1.0, weight=0.7)

        runs = []
        carried = dict(zip(source.carried.tolist(), source.carried_from.tolist(), strict=True))
        for segment in range(len(source.layout.lengths)):
            clicks = source.clicks[source.layout.segments == segment]
            first = finals[carried[segment]] if segment in carried else torch.zeros(4)
            runs.append(
                (sessions.items[clicks].tolist(), sessions.items[clicks + 1].tolist(), first)
            )
        targets = {item for _, aims, _ in runs for item in aims}
        stream = np.random.Generator(np.random.Philox(key=[0, window]))
        draws = set(batches.sampler.draw(stream).tolist())
        assert set(batch.candidates.tolist()) == targets | draws
        model.requires_grad_(True)
        candidates = Drawn(batch.candidates.tolist(), draws)
        expected, finals = reference_loss(model, runs, candidates, batch.correction)
        found = {name: p.grad for name, p in model.encoder.named_parameters()}
        model.encoder.zero_grad()
        (expected * 0.7).backward()
        assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
        for name, parameter in model.encoder.named_parameters():
            assert torch.allclose(found[name], parameter.grad, atol=1e-6), name
        for recorder in trainer.learner.tables.values():
            assert torch.allclose(recorder.gradient, recorder.weight.grad, atol=1e-6)
        model.zero_grad()
        for recorder in trainer.learner.tables.values():
            recorder.weight.requires_grad_(False)


def test_every_click_weighs_the_same_whatever_the_size_of_its_window(monkeypatch):
    trainer, sessions, _ = trainer_of(clicks_of(SESSIONS), **{"training.epochs": 1})
    seen, step = [], trainer.learner.step

    def spy(batch, state, rate_factor, *, weight):
        seen.append((len(batch.inputs), weight))
        return step(batch, state, rate_factor, weight=weight)

    monkeypatch.setattr(trainer.learner, "step", spy)
    trainer.run()
    mean = (len(sessions.items) - len(sessions)) / len(seen)
    assert len({clicks for clicks, _ in seen}) > 1
    assert [weight for _, weight in seen] == pytest.approx([clicks / mean for clicks, _ in seen])


def test_only_targets_and_negatives_are_scored(monkeypatch):
    log = clicks_of([[f"{n}", f"{n + 1}"] for n in range(300)])
    trainer, _, catalog = trainer_of(log)
    widths = []
    comparable = trainer.learner.model.comparable
    monkeypatch.setattr(
        trainer.learner.model, "comparable", lambda v, o: widths.append(len(o)) or comparable(v, o)
    )
    trainer.run()
    assert len(catalog) == 301
    assert max(widths) <= 2 * 3 + 2


def test_every_pair_is_learned_from_once_an_epoch_also_with_more_lanes_than_sessions():
    log = clicks_of(SESSIONS)
    for lanes in (1, 3, 64):
        trainer, sessions, _ = trainer_of(log, **{"training.lanes": lanes})
        pairs = []
        for window in range(len(trainer.batches)):
            batch = trainer.batches.make(0, window)
            targets = batch.candidates[batch.targets]
            pairs += list(zip(batch.inputs.tolist(), targets.tolist(), strict=True))
        expected = [
            (sessions.items[i], sessions.items[i + 1])
            for begin, end in zip(sessions.offsets[:-1], sessions.offsets[1:], strict=True)
            for i in range(begin, end - 1)
        ]
        assert sorted(pairs) == sorted(expected)


@pytest.mark.parametrize("embedding", ["shared", "separate"])
@pytest.mark.parametrize("name", [name for name, kind in ENCODERS.items() if not kind.streams])
def test_pieces_of_an_endless_session_are_learned_from_as_the_whole_session(
    name, embedding, monkeypatch
):
    random = np.random.default_rng(2)
    log = clicks_of([[1, 2, 3], random.integers(0, 40, 600).tolist(), [4, 5]])
    settings = {
        "encoder.name": name, "encoder.embedding": embedding, "encoder.max_length": 5,
        "training.lanes": 100, "training.steps": 10, "training.epochs": 1,
    }  # fmt: skip
    weights = []
    for longest in (256, 1000):
        monkeypatch.setattr("gru4rec.sessions.batching.whole_session.ORDINARY_CLICKS", longest)
        trainer, _, _ = trainer_of(log, **settings)
        (batch,) = (trainer.batches.make(0, window) for window in range(len(trainer.batches)))
        assert len(batch.carried) == (2 if longest == 256 else 0)
        trainer.run()
        weights.append(trainer.learner.model.state_dict())
    for key, of_pieces in weights[0].items():
        assert torch.allclose(of_pieces, weights[1][key], atol=1e-5), key


def test_sessions_are_visited_in_the_time_order_of_their_first_click():
    log = pl.DataFrame(
        {
            "session_id": [1, 1, 2, 2, 3, 3],
            "item_id": ["late", "x", "early", "y", "middle", "z"],
            "timestamp": [300, 301, 100, 400, 200, 201],
        }
    )
    recommender = g4r.GRU4Rec(g4r.Config().replace(BASE)).fit(log)
    clicks = g4r.read_clicks(log)
    sessions = to_arrays(clicks, recommender.catalog)
    firsts = recommender.catalog.item_ids.gather(sessions.items[sessions.offsets[:-1]])
    assert firsts.to_list() == ["early", "middle", "late"]


def learned_from(log: pl.DataFrame, *, valid: pl.DataFrame | None = None, **settings: object):
    """(the weights, the figures of each epoch but its speed, the repeat head)"""
    config = g4r.Config().replace({**BASE, **settings})
    items = log.select("item_id", kind=pl.col("item_id") < "d")  # of two kinds
    asked = {"item_features": items} if "training.own_row_dropout" in settings else {}
    recommender = g4r.GRU4Rec(config, device="cpu").fit(log, valid=valid, **asked)
    weights = {name: w.tolist() for name, w in recommender.model.state_dict().items()}
    history = [dict(epoch) for epoch in recommender.meta.history]
    for epoch in history:
        del epoch["clicks_per_second"]
    return weights, history, recommender.meta.repeats


REWARDED = {"training.event_column": "kind", "training.rewards": {"1": 1.0}}

# every setting: (what else must be set for it to matter, a value other than the base's)
CHANGES: dict[str, tuple[dict[str, object], object]] = {
    "encoder.name": ({}, "lstm"),
    "encoder.max_length": ({"encoder.name": "bidirectional_gru"}, 2),
    "encoder.conv_width": ({"encoder.name": "conv_gru"}, 2),
    "encoder.attention_heads": ({"encoder.name": "transformer_gru"}, 2),
    "encoder.attention_blocks": ({"encoder.name": "transformer_gru"}, 2),
    "encoder.repeats": ({}, True),
    "encoder.inputs": ({}, ["kind"]),
    "encoder.user_column": ({}, "other_kind"),
    "encoder.user_clicks": ({"encoder.user_column": "other_kind"}, 2),
    "encoder.merge": ({"encoder.inputs": ["kind"]}, "concat"),
    "encoder.input_size": ({"encoder.inputs": ["kind"], "encoder.merge": "concat"}, 3),
    "encoder.hidden_size": ({}, 5),
    "encoder.num_layers": ({}, 2),
    "encoder.layer_dropout": ({"encoder.num_layers": 2}, 0.5),
    "encoder.embedding": ({}, "separate"),
    "encoder.embedding_size": ({"encoder.embedding": "separate"}, 7),
    "encoder.state_dropout": ({"training.steps": 1}, 0.4),
    "encoder.reset_gate": ({}, "before"),
    "training.loss": ({}, "bpr_max"),
    "training.precision": ({}, "bf16"),
    "training.bpreg": ({"training.loss": "bpr_max"}, 0.5),
    "training.elu": ({"training.loss": "bpr_max"}, 1.0),
    "training.lanes": ({}, 3),
    "training.steps": ({}, 2),
    "training.negatives": ({}, 3),
    "training.sample_alpha": ({}, 1.0),
    "training.logq": ({}, 0.5),
    "training.logq_form": ({}, "support"),
    "training.scoring": ({}, "cosine"),
    "training.scale": ({"training.scoring": "cosine"}, 4.0),
    "training.learning_rate": ({}, 0.2),
    "training.momentum": ({}, 0.5),
    "training.dense_optimizer": ({}, "adamw"),
    "training.dense_learning_rate": ({"training.dense_optimizer": "adamw"}, 0.1),
    "training.schedule": ({}, "constant"),
    "training.final_rate": ({}, 0.5),
    "training.epochs": ({}, 3),
    "training.warmup": ({}, 0.5),
    "training.stop_on": ({"training.epochs": 12, "training.patience": 12}, "recall"),
    "training.patience": ({"training.epochs": 30, "training.learning_rate": 0.3}, 10),
    "training.neighbours": ({}, 1000),
    "training.teachers": ({}, 1),
    "training.teaching": ({"training.teachers": 1}, 0.9),
    "training.smoothing": ({}, 0.5),
    "training.embedding_dropout": ({}, 0.4),
    "training.own_row_dropout": ({"training.own_row_dropout": 0.1}, 0.4),
    "training.hidden_dropout": ({}, 0.4),
    "training.event_column": (
        {"training.event_column": "kind", "training.event_weights": {"1": 5.0}},
        "other_kind",
    ),
    "training.event_weights": ({"training.event_column": "kind"}, {"1": 5.0}),
    "training.outcome": ({}, "bought"),
    "training.outcome_weight": ({"training.outcome": "bought"}, 0.9),
    "training.rewards": (REWARDED, {"0": 3.0}),
    "training.discount": (REWARDED, 0.9),
    "training.q_weight": (REWARDED, 0.1),
    "training.q_advantage": (REWARDED, True),
    "training.q_scores": (REWARDED, True),
    "training.target_events": ({"training.event_column": "kind"}, ["1"]),
    "seed": ({}, 1),
}
MEASURED = ("training.patience", "training.stop_on", "training.q_scores")
"""What matters with validation sessions only."""


def test_the_table_of_changes_names_every_setting():
    sections = {"encoder": g4r.EncoderConfig, "training": g4r.TrainingConfig}
    names = {f"{s}.{f.name}" for s, cls in sections.items() for f in dataclasses.fields(cls)}
    assert set(CHANGES) == names | {"seed"}


@pytest.fixture(scope="module")
def kinds() -> pl.DataFrame:
    """The sessions three times, with three further columns."""
    number = pl.int_range(pl.len())
    return clicks_of(SESSIONS * 3).with_columns(
        kind=number % 3, other_kind=number % 2, bought=pl.col("session_id") % 2
    )


@pytest.fixture(scope="module")
def of_base(kinds):
    return learned_from(kinds)


@pytest.mark.parametrize("name", CHANGES)
def test_every_setting_has_an_effect(name, kinds, of_base):
    needed, value = CHANGES[name]
    valid = None
    if name in MEASURED:
        valid = clicks_of([["b", "a"], ["d", "e"], ["a", "c", "h"]]).with_columns(kind=pl.lit(1))
    before = learned_from(kinds, valid=valid, **needed) if needed else of_base
    assert learned_from(kinds, valid=valid, **{**needed, name: value}) != before


def test_the_same_seed_gives_the_same_weights_and_the_world_is_left_as_it_was(log):
    before = torch.random.get_rng_state(), random.getstate()
    frame = log.clone()
    weights, history, _ = learned_from(log)
    again, history_again, _ = learned_from(log)
    assert weights == again
    assert history == history_again
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert log.equals(frame)


def test_validation_measures_and_does_not_change_what_is_learned(log):
    one_epoch = {"training.epochs": 1}
    weights, *_ = learned_from(log, **one_epoch)
    measured, history, _ = learned_from(log, valid=log, **one_epoch)
    assert measured == weights
    assert set(history[0]) >= {"recall@20", "mrr@20"}


def test_the_metrics_of_the_kept_epoch_are_the_metrics_of_the_model(log):
    recommender = g4r.GRU4Rec(g4r.Config().replace(BASE), device="cpu").fit(log, valid=log)
    table = g4r.evaluate({"g": recommender}, log, ks=[20])
    metrics = recommender.meta.metrics
    assert metrics["recall@20"] == table.filter(metric="recall")["value"].item()
    assert metrics["mrr@20"] == table.filter(metric="mrr")["value"].item()
    assert g4r.GRU4Rec(g4r.Config().replace(BASE)).fit(log).meta.metrics == {}


def test_the_best_epoch_by_mrr_is_kept_and_training_stops_without_a_better_one():
    trainer, _, _ = trainer_of(clicks_of(SESSIONS), **{"training.epochs": 9})
    values = iter([0.1, 0.3, 0.2, 0.9])
    seen = []

    def validate() -> dict[str, float]:
        seen.append({name: w.clone() for name, w in trainer.learner.model.state_dict().items()})
        return {"mrr@20": next(values)}

    history = trainer.run(Hooks(validate=validate))
    assert [row["mrr@20"] for row in history] == [0.1, 0.3, 0.2]
    for name, weight in trainer.learner.model.state_dict().items():
        assert torch.equal(weight, seen[1][name])
        assert not torch.equal(weight, seen[2][name]) or not weight.any()


def test_both_dropouts_are_drop_probabilities_at_their_place(monkeypatch):
    settings = {"training.embedding_dropout": 0.25, "training.hidden_dropout": 0.75}
    trainer, _, _ = trainer_of(clicks_of(SESSIONS * 40), **{**settings, "training.lanes": 64})
    seen = {}
    encoder, comparable = trainer.learner.model.encoder.forward, trainer.learner.model.comparable

    def spy_encoder(inputs, packing, state, random=None):
        seen["inputs"] = inputs
        return encoder(inputs, packing, state, random)

    def spy_comparable(vectors, outputs):
        seen["vectors"] = vectors
        return comparable(vectors, outputs)

    monkeypatch.setattr(trainer.learner.model.encoder, "forward", spy_encoder)
    monkeypatch.setattr(trainer.learner.model, "comparable", spy_comparable)
    trainer.learner.step(trainer.batches.make(0, 0), (), 1.0)
    dropped = {name: (seen[name] == 0).double().mean().item() for name in seen}
    assert dropped == {
        "inputs": pytest.approx(0.25, abs=0.08),
        "vectors": pytest.approx(0.75, abs=0.08),
    }


def test_the_linear_schedule_falls_to_its_final_share_and_the_constant_one_stays():
    settings = {"training.epochs": 4, "training.final_rate": 0.2}
    linear, _, _ = trainer_of(clicks_of(SESSIONS), **settings)
    assert [linear._rate_factor(done) for done in (0, 2, 4)] == pytest.approx([1, 0.6, 0.2])
    constant, _, _ = trainer_of(clicks_of(SESSIONS), **{"training.schedule": "constant"})
    assert constant._rate_factor(1.5) == 1


def test_a_warm_up_lets_the_rate_rise_from_nothing_under_any_schedule():
    warm = {"training.warmup": 0.5, "training.epochs": 4}
    constant, _, _ = trainer_of(clicks_of(SESSIONS), **{"training.schedule": "constant", **warm})
    assert [constant._rate_factor(done) for done in (0, 0.25, 0.5, 3)] == [0, 0.5, 1, 1]
    linear, _, _ = trainer_of(clicks_of(SESSIONS), **{"training.final_rate": 0.0, **warm})
    assert [linear._rate_factor(done) for done in (0.25, 2)] == pytest.approx([0.5 * 15 / 16, 0.5])


@pytest.mark.parametrize(
    ("epochs", "learned"),
    [(0.5, [(0, 1)]), (1, [(0, 0), (0, 1)]), (1.5, [(0, 0), (0, 1), (1, 1)])],
)
def test_a_share_of_an_epoch_learns_from_its_last_windows(epochs, learned, monkeypatch):
    log = clicks_of([["a", "b"]] * 4)
    settings = {"training.lanes": 2, "training.steps": 1, "training.epochs": epochs}
    trainer, _, _ = trainer_of(log, **settings)
    assert len(trainer.batches) == 2
    made = []
    make = trainer.batches.make
    monkeypatch.setattr(trainer.batches, "make", lambda e, w: made.append((e, w)) or make(e, w))
    history = trainer.run()
    assert made == learned
    assert len(history) == math.ceil(epochs)


@pytest.mark.parametrize("epochs", [0.5, 1, 1.5, 2.5])
def test_the_rate_falls_to_its_share_over_the_windows_that_are_learned_from(epochs, monkeypatch):
    settings = {"training.lanes": 1, "training.steps": 1, "training.final_rate": 0.2}
    trainer, _, _ = trainer_of(
        clicks_of([["a", "b"]] * 40), **{**settings, "training.epochs": epochs}
    )
    factors, step = [], trainer.learner.step

    def spy(batch, state, rate_factor, *, weight):
        factors.append(rate_factor)
        return step(batch, state, rate_factor, weight=weight)

    monkeypatch.setattr(trainer.learner, "step", spy)
    trainer.run()
    assert factors[0] == 1
    assert factors[-1] == pytest.approx(0.2, abs=0.8 / len(factors) + 1e-9)
    assert min(factors) >= 0.2


def test_a_stop_is_heeded_where_an_epoch_is_a_single_window():
    trainer, _, _ = trainer_of(clicks_of([["a", "b"]]), **{"training.epochs": 5})
    with pytest.raises(g4r.StoppedError, match="epoch 1"):
        trainer.run(Hooks(stopping=lambda: True))


def test_the_epoch_that_is_kept_is_best_by_the_measure_asked_for():
    settings = {"training.epochs": 3, "training.stop_on": "recall", "training.patience": 3}
    trainer, _, _ = trainer_of(clicks_of(SESSIONS), **settings)
    values = iter([(0.1, 0.9), (0.5, 0.2), (0.3, 0.1)])
    seen = []

    def validate() -> dict[str, float]:
        seen.append({name: w.clone() for name, w in trainer.learner.model.state_dict().items()})
        recall, mrr = next(values)
        return {"recall@20": recall, "mrr@20": mrr}

    trainer.run(Hooks(validate=validate))
    for name, weight in trainer.learner.model.state_dict().items():
        assert torch.equal(weight, seen[1][name])


def test_a_run_that_diverges_says_so(log):
    with pytest.raises(g4r.DivergenceError, match=r"diverged.*learning_rate"):
        learned_from(log, **{"training.learning_rate": 1e39})


def test_a_run_whose_last_update_diverges_says_so_too():
    settings = {"training.learning_rate": 1e39, "training.lanes": 64, "training.epochs": 1}
    with pytest.raises(g4r.DivergenceError):
        learned_from(clicks_of(SESSIONS * 4), **{**settings, "training.steps": 64})


def test_a_full_catalog_is_scored_where_it_is_not_larger_than_the_candidates():
    trainer, _, catalog = trainer_of(clicks_of(SESSIONS), **{"training.negatives": 30})
    batch = trainer.batches.make(0, 0)
    assert batch.candidates.tolist() == list(range(len(catalog)))
    assert not batch.correction.any()


def test_two_epochs_draw_other_negatives():
    trainer, _, _ = trainer_of(clicks_of([[str(i), str(i + 1)] for i in range(200)]))
    one, other = trainer.batches.make(0, 0), trainer.batches.make(1, 0)
    assert one.candidates.tolist() != other.candidates.tolist()
    assert one.seed != other.seed
    assert one.inputs.tolist() == other.inputs.tolist()


def test_loss_is_a_mean_over_the_clicks_of_the_epoch():
    trainer, _, catalog = trainer_of(
        clicks_of(SESSIONS), **{"training.negatives": 30, "training.learning_rate": 0.0}
    )
    for optimizer in trainer.learner.tables.values():
        optimizer.weight.zero_()
    (row, _) = trainer.run()
    assert row["loss"] == pytest.approx(math.log(len(catalog)))  # all scores equal


@pytest.mark.parametrize("epochs", [0.5, 1.0, 1.5])
def test_progress_ends_at_the_whole_of_each_epoch(log, epochs):
    shares: list[tuple[int, float]] = []
    config = g4r.Config().replace({**BASE, "training.epochs": epochs})
    g4r.GRU4Rec(config, device="cpu").fit(
        log, on_progress=lambda progress: shares.append((progress.epoch, progress.share))
    )
    assert all(0 < share <= 1 for _, share in shares)
    assert dict(shares) == dict.fromkeys(range(1, math.ceil(epochs) + 1), 1.0)
