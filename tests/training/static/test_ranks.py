"""Several ranks learn on windows of one shape what one process does; they are threads here."""

from functools import partial

import polars as pl
import pytest
import rank_fits
from rank_engines import BASE
from rank_fits import assert_equal_replicas, assert_goes_on
from rank_threads import together
from toys import clicks_of

import gru4rec as g4r
from gru4rec.model.encoders import ENCODERS
from gru4rec.training import Ranks, trainer
from gru4rec.training.losses import LOSSES
from gru4rec.training.static import windows as static_windows
from gru4rec.training.static.engine import StaticEngine
from gru4rec.training.static.rank_engine import StaticRankEngine


@pytest.fixture
def static(monkeypatch: pytest.MonkeyPatch) -> None:
    """What GPUs do, on the CPU."""
    monkeypatch.setattr(trainer, "_engine_of", StaticEngine)
    monkeypatch.setattr(trainer, "_rank_engine_of", StaticRankEngine)


@pytest.fixture(scope="module")
def log() -> pl.DataFrame:
    return g4r.generate_clicks(sessions=40, items=60, categories=3, seed=1)


fitted = partial(rank_fits.fitted, base=BASE)
assert_learn_the_same = partial(rank_fits.assert_learn_the_same, base=BASE)
interrupted = partial(rank_fits.interrupted, base=BASE)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"training.lanes": 3, "training.steps": 1},
        {"encoder.embedding": "separate", "training.scoring": "dot", "training.loss": "bpr_max"},
        {"encoder.embedding": "onehot", "training.logq_form": "support"},
        {"encoder.num_layers": 2, "encoder.inputs": ["gap"], "training.lanes": 6},
        {"training.dense_optimizer": "adamw", "training.epochs": 1.5},
        {"training.momentum": 0.3, "training.schedule": "linear"},
        {"training.negatives": 0},
        {"training.negatives": 1000, "encoder.embedding": "separate"},
        {"training.negatives": 1000},
    ],
    ids=str,
)
def test_they_learn_what_one_process_learns(static, log, settings) -> None:
    assert_learn_the_same(log, 3, settings=settings)


@pytest.mark.parametrize("name", [name for name in ENCODERS if ENCODERS[name].takes_lanes])
def test_every_encoder_that_takes_lanes(static, log, name) -> None:
    assert_learn_the_same(log, 2, settings={"encoder.name": name})


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss(static, log, loss) -> None:
    settings = {"training.loss": loss, "training.scoring": "dot", "training.elu": 0.5}
    assert_learn_the_same(log, 2, settings=settings)


@pytest.mark.parametrize(("size", "lanes"), [(2, 3), (3, 8)])
@pytest.mark.parametrize("embedding", ["shared", "separate"])
def test_an_endless_session_is_learned_by_the_rank_that_has_it(
    static, size, lanes, embedding
) -> None:
    endless = [number % 7 for number in range(700)]
    log = clicks_of([[1, 2, 3], endless, *[[4, 5, 6, 2]] * 20])
    how = {"training.lanes": lanes, "encoder.embedding": embedding, "training.negatives": 4}
    assert_learn_the_same(log, size, 1e-4, settings=how)


def test_a_rank_that_has_nothing_of_a_window_takes_part(static) -> None:
    tiny = clicks_of([[1, 2, 3, 4, 5, 6, 7, 8], [2, 3]])
    assert_learn_the_same(tiny, 2, settings={"training.lanes": 2, "training.steps": 1})


@pytest.mark.parametrize("inputs", [(), ("type",)])
def test_so_does_one_that_has_nothing_at_all(static, inputs) -> None:
    tiny = clicks_of([[1, 2, 3, 4, 5, 6, 7, 8]])
    tiny = tiny.with_columns(type=pl.Series(list("ababcabc")))
    settings = {"training.lanes": 2, "training.steps": 3, "encoder.inputs": inputs}
    assert_learn_the_same(tiny, 2, settings=settings)


def test_windows_in_parts_are_windows_in_one_piece(static, log, monkeypatch) -> None:
    monkeypatch.setattr(static_windows, "_PLACES", 16 * 3)
    assert_learn_the_same(log, 2)


def test_with_dropout_replicas_are_equal_and_a_training_goes_on_to_the_bit(
    static, log, tmp_path
) -> None:
    how = {"settings": {"training.hidden_dropout": 0.3, "training.embedding_dropout": 0.3}}
    undisturbed = together(2, lambda ranks: fitted(ranks, log, **how))
    interrupted(log, tmp_path / "m", 2, **how)
    gone_on = together(2, lambda ranks: fitted(ranks, log, keep=tmp_path / "m", resume=True, **how))
    assert_equal_replicas([*undisturbed, *gone_on])


@pytest.mark.parametrize("name", ["gru", "attention_gru"])
@pytest.mark.parametrize(("before", "after"), [(2, 2), (2, 1), (1, 3), (3, 2)])
def test_a_training_goes_on_with_any_number_of_ranks(
    static, log, tmp_path, name, before, after, caplog
) -> None:
    how = {"settings": {"encoder.name": name, "training.epochs": 2, "training.momentum": 0.2}}
    assert_goes_on(log, tmp_path / "m", caplog, before=before, after=after, base=BASE, **how)


def test_all_diverge_at_once(static, log) -> None:
    def work(ranks: Ranks) -> None:
        with pytest.raises(g4r.DivergenceError):
            fitted(ranks, log, settings={"training.learning_rate": 1e39})

    together(2, work)
