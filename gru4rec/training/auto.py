"""Settings from a log's statistics: the rules for whatever a config leaves to `auto`.

They were fitted on the last tenth of the training sessions of yoochoose_100k, yoochoose1_64 and
diginetica, never on a test part. Three days of Globo's news served to look at them.
`benchmarks/LOG.md` has the figures.
"""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gru4rec.config import AUTO, Config
from gru4rec.model import check_encoder, streams
from gru4rec.sessions import Catalog, ItemLinks, SessionArrays

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LogStatistics:
    """What the rules read of a training log."""

    clicks: int
    """Rows."""
    sessions: int
    """Sessions of two clicks or more."""
    items: int
    """Items of the catalog."""
    pairs: int
    """(click, next click) pairs: what there is to learn from."""
    returns: int = 0
    """Those whose next click is on an item that the session had before; of a large log about."""

    @classmethod
    def of(cls, sessions: SessionArrays, catalog: Catalog) -> "LogStatistics":
        """Return the statistics of a log, from its sessions with targets and its catalog."""
        sample = sessions.every(math.ceil(len(sessions.items) / _COUNTED))
        share = float((ItemLinks.of(sample).before >= 0).sum()) / len(sample.items)
        return cls(
            clicks=int(catalog.support.sum()),
            sessions=len(sessions),
            items=len(catalog),
            pairs=len(sessions.items) - len(sessions),
            returns=round(share * len(sessions.items)),
        )

    def counts(self) -> dict[str, int]:
        """Return what was counted exactly, by name."""
        return {name: count for name, count in vars(self).items() if name != "returns"}


@dataclass(frozen=True)
class Rule:
    """How one setting follows from the statistics, and why."""

    setting: str
    value: Callable[[LogStatistics], Any]
    reason: str | Callable[[LogStatistics], str]

    def choice(self, log: LogStatistics) -> "Choice":
        """Return what it sets for a log."""
        reason = self.reason if isinstance(self.reason, str) else self.reason(log)
        return Choice(self.setting, self.value(log), reason)


def _epochs(log: LogStatistics) -> int:
    return min(20, max(2, round(450 / math.cbrt(log.pairs))))


def _negatives(log: LogStatistics) -> int:
    affordable = _SCORES / (log.pairs * _epochs(log))
    wanted = min(log.items / 4, affordable, 16_384)
    return max(2048, 256 * round(wanted / 256))


def _hidden_dropout(log: LogStatistics) -> float:
    return round(min(0.5, max(0.05, 0.4 * math.sqrt(50_000 / log.pairs))), 2)


def _holds_out(log: LogStatistics) -> bool:
    return log.pairs >= _FEWEST_PAIRS


def _why_repeats(log: LogStatistics) -> str:
    if not _holds_out(log):
        return f"fewer than {_FEWEST_PAIRS:,} next clicks: too few to hold some out"
    share = log.returns / log.pairs
    return f"{share:.0%} of next clicks return to an item; fitted on the newest tenth of sessions"


_FEW_PAIRS = 100_000  # up to which neighbours may know what they do not teach
_FEWEST_PAIRS = 1000  # a tenth of them says what a repeat head and smoothing are worth
_TINY = 4000  # pairs
_COUNTED = 1_000_000  # clicks whose returns are counted
_WHOLE = 50_000  # items
_SCORES = 1e11  # against sampled negatives in a whole training: minutes on two CPU cores

RULES: tuple[Rule, ...] = (
    Rule(
        "encoder.hidden_size",
        lambda log: 100 if log.pairs < 200_000 else 128,
        "more units pay where there is more to learn from",
    ),
    Rule("encoder.repeats", _holds_out, _why_repeats),
    Rule("training.loss", lambda _: "cross_entropy", "faster than bpr_max, better on large logs"),
    Rule("training.scoring", lambda _: "cosine", "learns faster than dot and ends higher"),
    Rule("training.scale", lambda _: 16.0, "20 was no better"),
    Rule("training.epochs", _epochs, "450 / ∛pairs, 2 to 20: small logs need more passes"),
    Rule(
        "training.lanes",
        lambda log: 16 if log.pairs < _TINY else 32,
        "the paper's size, or half of it for tiny logs; more lanes make fewer updates",
    ),
    Rule(
        "training.steps",
        lambda log: 4 if log.pairs < _TINY else 8 if log.pairs < 200_000 else 16,
        "16 train fast and lose nothing; small logs gain by more updates",
    ),
    Rule("training.negatives", _negatives, "a quarter of the items if time allows, 2,048 or more"),
    Rule("training.sample_alpha", lambda _: 0.5, "between uniform and popular negatives"),
    Rule("training.learning_rate", lambda _: 0.1, "Adagrad's steps shrink by themselves"),
    Rule("training.momentum", lambda _: 0.0, "not needed with cosine scores"),
    Rule("training.schedule", lambda _: "constant", "the newest sessions come last and must count"),
    Rule("training.embedding_dropout", lambda _: 0.25, "0.2 to 0.3 did best"),
    Rule("training.hidden_dropout", _hidden_dropout, "0.4 at 50,000 pairs, halved at 4 times that"),
)


# A GPU learns from many clicks side by side as fast as from few; what it waits for are the steps of
# a window, one after the other. A small catalog it scores as a whole as fast as a sample of it.
_LANES, _STEPS, _NEGATIVES = "training.lanes", "training.steps", "training.negatives"
_ON_GPU = (
    Rule(
        _LANES,
        lambda log: 16 if log.pairs < _TINY else 64 if log.pairs < 200_000 else 128,
        "a GPU runs many side by side; with few steps it makes as many updates",
    ),
    Rule(_STEPS, lambda _: 4, "a GPU waits for each; 4 lose nothing"),
    Rule(
        _NEGATIVES,
        lambda log: max(_negatives(log), log.items if log.items <= _WHOLE else 0),
        f"up to {_WHOLE:,} items a GPU scores all, else as many as elsewhere",
    ),
)


_PRECISION = {
    True: Rule("training.precision", lambda _: "bf16", "as exact in the end, and faster here"),
    False: Rule("training.precision", lambda _: "float32", "this device has no fast bf16"),
}


_ALONE = "no next click is learned, the outcome alone"


@dataclass(frozen=True)
class Choice:
    """What `auto` set, for the user to read."""

    setting: str
    value: Any
    reason: str


def resolve(
    config: Config, log: LogStatistics, *, fast_bf16: bool = False, on_gpu: bool = False
) -> tuple[Config, list[Choice]]:
    """Return the config with every open setting decided, and the choices made.

    Only `training.smoothing` and `training.neighbours` stay open, where they can be fitted with the
    repeat head. Settings given are kept. `fast_bf16` says that the device has instructions that
    multiply bf16, `on_gpu` that it is a GPU. Raise ConfigError if the encoder cannot work with what
    is given and decided.
    """
    choices = []
    for rule in (*_rules(config, on_gpu=on_gpu), _PRECISION[fast_bf16]):
        section, key = rule.setting.split(".")
        if getattr(getattr(config, section), key) is AUTO:
            choices.append(rule.choice(log))
    decided = config.replace({choice.setting: choice.value for choice in choices})
    unfitted = list(_without_fit(config, decided, log))
    decided = decided.replace({choice.setting: choice.value for choice in unfitted})
    check_encoder(decided.encoder)
    return decided, [*choices, *unfitted]


def _rules(config: Config, *, on_gpu: bool) -> Iterator[Rule]:
    """Yield the rules of a device.

    Lanes and steps go together: a GPU's are for an encoder that streams, where both are open. And
    all items are its negatives for cross-entropy.
    """
    instead = {rule.setting: rule for rule in _ON_GPU} if on_gpu else {}
    if config.learns_outcome_alone:
        instead["encoder.repeats"] = Rule("encoder.repeats", lambda _: False, _ALONE)
    if config.training.loss not in (AUTO, "cross_entropy"):  # the others hold many scores at once
        instead.pop(_NEGATIVES, None)
    both_open = config.training.lanes is AUTO and config.training.steps is AUTO
    if not (both_open and streams(config.encoder)):
        instead = {name: rule for name, rule in instead.items() if name not in (_LANES, _STEPS)}
    return (instead.get(rule.setting, rule) for rule in RULES)


def _without_fit(config: Config, decided: Config, log: LogStatistics) -> Iterator[Choice]:
    """Yield what is decided without a measure on sessions held out, of what `config` leaves open.

    `decided` has what the rules have made of it.
    """
    fitted = decided.encoder.repeats
    if config.training.smoothing is AUTO and not fitted:
        yield Choice("training.smoothing", 0.0, "it is fitted with repeats alone")
    if config.training.neighbours is not AUTO:
        return
    if config.learns_outcome_alone:
        yield Choice("training.neighbours", 0, _ALONE)
    elif log.pairs > _FEW_PAIRS:
        why = f"more than {_FEW_PAIRS:,} next clicks say themselves what neighbours would"
        yield Choice("training.neighbours", 0, why)
    elif not _holds_out(log) and config.encoder.repeats is AUTO:
        why = "neighbours know more of so small a log than a model"
        yield Choice("training.neighbours", log.pairs, why)
    elif not fitted:
        yield Choice("training.neighbours", 0, "what they are worth is measured with repeats alone")


def log_choices(statistics: LogStatistics, choices: Sequence[Choice]) -> None:
    """Log what is learned from, and what `auto` made of it."""
    logger.info(
        "training on %d clicks in %d sessions of two or more, %d items",
        statistics.pairs + statistics.sessions, statistics.sessions, statistics.items,
    )  # fmt: skip
    for choice in choices:
        logger.info("auto: %s = %s (%s)", choice.setting, choice.value, choice.reason)
