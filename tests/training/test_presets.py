"""Presets are the settings that the GRU4Rec authors publish, and train."""

import pytest
from toys import clicks_of

import gru4rec as g4r
from gru4rec.errors import ConfigError
from gru4rec.training.presets import PRESETS, preset

# log: units, lanes, drop probability of embeddings and of states, rate, momentum, α
PUBLISHED = {
    "rsc15": (100, 32, 0.0, 0.4, 0.2, 0.2, 0.5),
    "yoochoose": (480, 48, 0.0, 0.2, 0.07, 0.0, 0.2),
    "rees46": (512, 240, 0.45, 0.0, 0.065, 0.0, 0.5),
    "coveo": (512, 144, 0.35, 0.0, 0.05, 0.4, 0.2),
    "retailrocket": (224, 80, 0.5, 0.05, 0.05, 0.4, 0.4),
    "diginetica": (512, 128, 0.5, 0.3, 0.05, 0.15, 0.3),
}
# log: ELU's α and bpreg
BPR_MAX = {"coveo": (1.0, 1.85), "retailrocket": (0.5, 1.95), "diginetica": (1.0, 0.9)}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_preset_is_what_is_published(name: str) -> None:
    config = preset(name)
    encoder, training = config.encoder, config.training
    assert PUBLISHED[name] == (
        encoder.hidden_size, training.lanes, training.embedding_dropout, encoder.state_dropout,
        training.learning_rate, training.momentum, training.sample_alpha,
    )  # fmt: skip
    if name in BPR_MAX:
        assert (training.loss, training.elu, training.bpreg) == ("bpr_max", *BPR_MAX[name])
    else:
        assert (training.loss, training.logq) == ("cross_entropy", 1.0)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_the_algorithm_of_the_paper(name: str) -> None:
    config = preset(name)
    training = config.training
    assert (training.steps, training.negatives, training.epochs) == (1, 2048, 10)
    assert (training.scoring, training.schedule) == ("dot", "constant")
    assert (config.encoder.embedding, training.hidden_dropout) == ("shared", 0.0)


def test_the_papers_preset_is_that_of_its_log() -> None:
    assert preset("paper") == preset("rsc15")


def test_an_unknown_preset_lists_the_others() -> None:
    with pytest.raises(ConfigError, match="no preset 'rsc'; choose from paper, rsc15, yoochoose"):
        preset("rsc")


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_trains(name: str) -> None:
    config = preset(name).replace({"training.epochs": 1, "encoder.hidden_size": 4})
    log = clicks_of([["a", "b", "c"], ["b", "c"], ["c", "a"]])
    recommender = g4r.GRU4Rec(config).fit(log)
    assert recommender.recommend([["a"]], k=3).height == 3
