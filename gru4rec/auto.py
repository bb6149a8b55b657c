"""Settings from a log's statistics: the rules for whatever a config leaves to `auto`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gru4rec.arrays import SessionArrays
from gru4rec.catalog import Catalog
from gru4rec.config import AUTO, Config


@dataclass(frozen=True)
class LogStatistics:
    """What the rules read of a training log."""

    clicks: int
    sessions: int
    items: int
    pairs: int
    """(click, next click) pairs: what there is to learn from."""

    @classmethod
    def of(cls, sessions: SessionArrays, catalog: Catalog) -> "LogStatistics":
        """`sessions` are those with targets: sessions of one click are in the catalog's support
        only."""
        return cls(
            clicks=int(catalog.support.sum()),
            sessions=len(sessions),
            items=len(catalog),
            pairs=len(sessions.items) - len(sessions),
        )


@dataclass(frozen=True)
class Rule:
    """How one setting follows from the statistics, and why."""

    setting: str
    value: Callable[[LogStatistics], Any]
    reason: str


RULES: tuple[Rule, ...] = (
    Rule("encoder.hidden_size", lambda log: 100 if log.pairs < 500_000 else 128, "small"),
    Rule("training.lanes", lambda _: 32, "w"),
    Rule("training.steps", lambda _: 16, "w"),
    Rule("training.negatives", lambda _: 2048, "w"),
    Rule("training.sample_alpha", lambda _: 0.5, "w"),
    Rule("training.scoring", lambda _: "cosine", "w"),
    Rule("training.scale", lambda _: 16.0, "w"),
    Rule("training.learning_rate", lambda _: 0.1, "w"),
    Rule("training.momentum", lambda _: 0.0, "w"),
    Rule("training.schedule", lambda _: "linear", "w"),
    Rule("training.final_rate", lambda _: 0.0, "w"),
    Rule("training.epochs", lambda _: 4, "w"),
    Rule("training.embedding_dropout", lambda _: 0.3, "w"),
    Rule("training.hidden_dropout", lambda _: 0.2, "w"),
)


@dataclass(frozen=True)
class Choice:
    """What `auto` set, for the user to read."""

    setting: str
    value: Any
    reason: str


def resolve(config: Config, log: LogStatistics) -> tuple[Config, list[Choice]]:
    """The config with every open setting decided, and the choices made; settings given are kept."""
    choices = []
    for rule in RULES:
        section, key = rule.setting.split(".")
        if getattr(getattr(config, section), key) is AUTO:
            choices.append(Choice(rule.setting, rule.value(log), rule.reason))
    return config.replace({choice.setting: choice.value for choice in choices}), choices
