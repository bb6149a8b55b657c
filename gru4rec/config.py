"""Every hyper-parameter, declared once, with TOML in and out.

A field whose default is `AUTO` is left to the rules of `gru4rec.auto`, which read the training
log; a value given is kept. What the model is stands here; how a run is made (device, progress)
does not.
"""

import dataclasses
import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from gru4rec.errors import ConfigError

AUTO: Any = None
"""The value of a setting that `auto` is to decide from the log."""


def _setting(
    default: Any, *, low: float | None = None, below: float | None = None, choices: str = ""
) -> Any:
    """A field with its bounds: `low` is allowed, `below` is not; spaces part the choices."""
    bounds = {"low": low, "below": below, "choices": tuple(choices.split())}
    return field(default=default, metadata=bounds)


def _check(section: str, settings: object) -> None:
    """Refuse any field of a dataclass instance whose type or value is not allowed."""
    for spec in dataclasses.fields(settings):  # type: ignore[arg-type]
        name, value, bounds = f"{section}{spec.name}", getattr(settings, spec.name), spec.metadata
        if value is AUTO and spec.default is AUTO:
            continue
        kinds = (int, float) if spec.type is float else (spec.type,)
        if type(value) not in kinds:
            raise ConfigError(f"{name} must be {spec.type.__name__}, got {value!r}")  # type: ignore[union-attr]
        if bounds.get("choices") and value not in bounds["choices"]:
            raise ConfigError(f"no {name} {value!r}; choose from {', '.join(bounds['choices'])}")
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{name} must be a finite number, got {value!r}")
        low, below = bounds.get("low"), bounds.get("below")
        if low is not None and not value >= low:
            raise ConfigError(f"{name} must be at least {low:g}, got {value!r}")
        if below is not None and not value < below:
            raise ConfigError(f"{name} must be below {below:g}, got {value!r}")


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """What turns the clicks so far into the session vector."""

    name: str = "gru"
    """Name in the table `gru4rec.encoders.ENCODERS`."""
    hidden_size: int = _setting(AUTO, low=1)
    """Units of each layer: the length of the session vector."""
    num_layers: int = _setting(1, low=1)
    """Recurrent layers, stacked."""
    layer_dropout: float = _setting(0.0, low=0.0, below=1.0)
    """Drop probability between stacked layers; without effect on one layer."""
    embedding: str = _setting("shared", choices="shared separate onehot")
    """`shared`: one tensor embeds clicked items and scores candidates; `separate`: two tensors;
    `onehot`: no input embedding, each item has its own input weights of the first layer."""
    embedding_size: int = _setting(AUTO, low=1)
    """Length of an input embedding in the `separate` mode; left out, as `hidden_size`."""

    def __post_init__(self) -> None:
        _check("encoder.", self)
        if self.embedding != "separate" and self.embedding_size not in (AUTO, self.hidden_size):
            raise ConfigError(
                f"encoder.embedding_size {self.embedding_size} needs encoder.embedding 'separate', "
                f"got {self.embedding!r}; leave one of them out"
            )


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How the model learns and what its scores are."""

    lanes: int = _setting(AUTO, low=1)
    """Sessions that run side by side (the batch size of the GRU4Rec papers)."""
    steps: int = _setting(AUTO, low=1)
    """Clicks of each lane learned from in one update; 1 is the paper."""
    negatives: int = _setting(AUTO, low=0)
    """Items drawn ∝ support^sample_alpha for each update, on top of the window's own targets. A
    catalog of at most negatives + lanes · steps items is scored as a whole instead."""
    sample_alpha: float = _setting(AUTO, low=0.0)
    """Exponent of the support in the sampling distribution: 0 is uniform, 1 follows support."""
    logq: float = _setting(1.0, low=0.0)
    """Strength of the correction of sampled scores by the log of their inclusion probability."""
    loss: str = "cross_entropy"
    """Name in the table `gru4rec.losses.LOSSES`."""
    scoring: str = _setting(AUTO, choices="dot cosine")
    """`dot`: session vector · output embedding + bias (the paper); `cosine`: both divided by their
    length, times `scale`, no bias (arXiv 1909.04276, 2204.11067)."""
    scale: float = _setting(AUTO, low=0.0)
    """Factor of the cosine; without effect on dot products."""
    learning_rate: float = _setting(AUTO, low=0.0)
    """Rate of the row-sparse Adagrad of item tables, and of Adagrad for dense parameters."""
    momentum: float = _setting(AUTO, low=0.0, below=1.0)
    """Momentum of Adagrad."""
    dense_optimizer: str = _setting("adagrad", choices="adagrad adamw")
    """What updates the encoder's parameters."""
    dense_learning_rate: float = _setting(1e-3, low=0.0)
    """Rate of AdamW; without effect on Adagrad, whose rate is `learning_rate`."""
    schedule: str = _setting(AUTO, choices="constant linear")
    """`linear`: the rate falls to its share `final_rate` over the epochs asked for."""
    final_rate: float = _setting(AUTO, low=0.0)
    """Share of the rate that the linear schedule ends with; without effect on a constant rate."""
    epochs: int = _setting(AUTO, low=1)
    """Passes over the log."""
    patience: int = _setting(1, low=1)
    """With validation sessions: epochs without a better MRR@20 after which training stops."""
    embedding_dropout: float = _setting(AUTO, low=0.0, below=1.0)
    """Drop probability of the components of input embeddings."""
    hidden_dropout: float = _setting(AUTO, low=0.0, below=1.0)
    """Drop probability of the components of the session vector before scoring."""

    def __post_init__(self) -> None:
        _check("training.", self)


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings of a run. `Config()` leaves to `auto` what depends on the log."""

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """What turns the clicks so far into the session vector."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """How the model learns and what its scores are."""
    seed: int = _setting(0, low=0, below=2**63)
    """Seed of every random draw: initial weights, negatives, dropout."""

    def __post_init__(self) -> None:
        _check("", self)

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """The config with the given settings; the rest keep their defaults.

        Raises ConfigError for an unknown key, a wrong type or a value out of range.
        """
        sections = {"encoder": EncoderConfig, "training": TrainingConfig}
        known: dict[str, Any] = {}
        for key, value in _known_keys("", settings, cls):
            if key not in sections:
                known[key] = value
            elif isinstance(value, Mapping):
                section = sections[key]
                known[key] = section(**dict(_known_keys(f"{key}.", value, section)))
            else:
                raise ConfigError(f"[{key}] must be a table of settings, got {value!r}")
        return cls(**known)

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """Read a TOML file. Raises ConfigError if it is missing, unreadable or not a config."""
        try:
            return cls.from_dict(tomllib.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"cannot read the config {path}: {error}") from error
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, without the settings that `auto` is still to decide."""
        whole = dataclasses.asdict(self)
        for section in ("encoder", "training"):
            whole[section] = {k: v for k, v in whole[section].items() if v is not AUTO}
        return whole

    def to_toml(self) -> str:
        """The config as TOML text, the inverse of `from_toml`."""
        lines, whole = [], self.to_dict()
        for key, value in whole.items():
            if not isinstance(value, dict):
                lines.append(f"{key} = {_toml(value)}")
        for section, settings in whole.items():
            if isinstance(settings, dict):
                lines += ["", f"[{section}]"]
                lines += [f"{key} = {_toml(value)}" for key, value in settings.items()]
        return "\n".join(lines) + "\n"

    def replace(self, settings: Mapping[str, Any]) -> Self:
        """A copy with dotted keys replaced, e.g. `{"training.epochs": 3, "seed": 7}`."""
        whole = self.to_dict()
        for dotted, value in settings.items():
            section, _, key = dotted.rpartition(".")
            (whole.setdefault(section, {}) if section else whole)[key] = value
        return type(self).from_dict(whole)


def _toml(value: object) -> str:
    """A number, truth value or text as TOML writes it: as JSON does, DEL escaped besides."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _known_keys(prefix: str, settings: Mapping[str, Any], cls: type) -> list[tuple[str, Any]]:
    """The items of `settings`, once each is known to be a field of the dataclass `cls`."""
    names = [spec.name for spec in dataclasses.fields(cls)]
    for key in settings:
        if key not in names:
            raise ConfigError(f"no setting {prefix}{key!s}; choose from {', '.join(names)}")
    return list(settings.items())
