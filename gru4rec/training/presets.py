"""Settings by name: the GRU4Rec authors' algorithm with the settings they publish.

Of their code (github.com/hidasib/GRU4Rec_PyTorch_Official): one step an update without
back-propagation through time, in-batch and 2,048 sampled negatives, dot products, row-sparse
Adagrad at a constant rate, ten epochs, their form of the logQ correction, and dropout of the hidden
state that is carried on. What differs: bpr_max counts a negative once, however often it was drawn.
"""

from collections.abc import Mapping
from typing import Any

from gru4rec.config import Config
from gru4rec.errors import choose

_ALGORITHM: Mapping[str, Any] = {
    "encoder.embedding": "shared",
    "encoder.repeats": False,
    "training.steps": 1,
    "training.negatives": 2048,
    "training.neighbours": 0,
    "training.scoring": "dot",
    "training.precision": "float32",
    "training.schedule": "constant",
    "training.epochs": 10,
    "training.hidden_dropout": 0.0,
    "training.smoothing": 0.0,
}

_COLUMNS = (
    "encoder.hidden_size", "training.lanes", "training.embedding_dropout", "encoder.state_dropout",
    "training.learning_rate", "training.momentum", "training.sample_alpha",
)  # fmt: skip

_CROSS_ENTROPY: Mapping[str, Any] = {
    "training.loss": "cross_entropy",
    "training.logq": 1.0,
    "training.logq_form": "support",
}


def _bpr_max(elu: float, bpreg: float) -> Mapping[str, Any]:
    return {"training.loss": "bpr_max", "training.elu": elu, "training.bpreg": bpreg}


# log: (a value for each of _COLUMNS, the loss)
_PUBLISHED: Mapping[str, tuple[tuple[float, ...], Mapping[str, Any]]] = {
    "rsc15": ((100, 32, 0.0, 0.4, 0.2, 0.2, 0.5), _CROSS_ENTROPY),
    "yoochoose": ((480, 48, 0.0, 0.2, 0.07, 0.0, 0.2), _CROSS_ENTROPY),
    "rees46": ((512, 240, 0.45, 0.0, 0.065, 0.0, 0.5), _CROSS_ENTROPY),
    "coveo": ((512, 144, 0.35, 0.0, 0.05, 0.4, 0.2), _bpr_max(1.0, 1.85)),
    "retailrocket": ((224, 80, 0.5, 0.05, 0.05, 0.4, 0.4), _bpr_max(0.5, 1.95)),
    "diginetica": ((512, 128, 0.5, 0.3, 0.05, 0.15, 0.3), _bpr_max(1.0, 0.9)),
}


def _settings_of(log: str) -> Mapping[str, Any]:
    values, loss = _PUBLISHED[log]
    return {**_ALGORITHM, **dict(zip(_COLUMNS, values, strict=True)), **loss}


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "paper": _settings_of("rsc15"),
    **{log: _settings_of(log) for log in _PUBLISHED},
}
"""Dotted settings of each preset; "paper" is "rsc15", the log of the paper."""


def preset(name: str) -> Config:
    """Return the config of a preset. Raise ConfigError, which lists them, for an unknown name."""
    return Config().replace(choose("preset", name, PRESETS))
