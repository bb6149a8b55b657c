"""Score a session's own items anew: how likely a visitor returns to what was clicked already.

A model has seen each session of its training many times over, so what it says of a session's own
items is of sessions that it remembers. The head says it anew, by numbers that `training.repeats`
fits on sessions that a model has not learned from:

    score' = slope · score + age[…] + times[…] + clicks[…] + returns[…]

`sessions.own_items` has what the terms read. `clicks` and `returns` have other numbers for the last
click's item than for those before it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Self

import numpy as np
from torch import Tensor

from gru4rec.arraytypes import BoolArray, Float32Array, Float64Array, IntArray
from gru4rec.sessions import OWN_KINDS, OWN_SHAPE, OwnItems, sent
from gru4rec.untrusted import shown

# S rows, N items

TERMS: dict[str, tuple[str, Callable[[IntArray], BoolArray]]] = {
    "age": ("age", lambda ages: ages >= 0),
    "times": ("times", lambda ages: ages >= 0),
    "clicks_last": ("clicks", lambda ages: ages == 0),
    "clicks_earlier": ("clicks", lambda ages: ages > 0),
    "returns_last": ("returns", lambda ages: ages == 0),
    "returns_earlier": ("returns", lambda ages: ages > 0),
}
"""By name: the kind of `OWN_KINDS` that a term has a number for each range of; at which ages."""


def _indicators() -> Float64Array:
    """Return which numbers of the terms, one after the other, a cell adds up [cells, numbers]."""
    ranges = dict(zip(OWN_KINDS, np.indices(OWN_SHAPE).reshape(len(OWN_SHAPE), -1), strict=True))
    columns = [
        (ranges[kind] == number) & counts(ranges["age"])
        for kind, counts in TERMS.values()
        for number in range(len(OWN_KINDS[kind]))
    ]
    return np.stack(columns, axis=1).astype(np.float64)


INDICATORS = _indicators()


@dataclass(frozen=True, kw_only=True)
class RepeatHead:
    """The numbers of the head."""

    slope: float
    """What the model's own score counts."""
    age: Sequence[float]
    times: Sequence[float]
    clicks_last: Sequence[float]
    clicks_earlier: Sequence[float]
    returns_last: Sequence[float]
    returns_earlier: Sequence[float]

    @classmethod
    def of(cls, slope: float, numbers: Float64Array) -> Self:
        """Return the head of a slope and the numbers of all terms, one after the other."""
        ends = np.cumsum([len(OWN_KINDS[kind]) for kind, _ in TERMS.values()])
        terms = np.split(np.asarray(numbers, dtype=np.float64).round(4), ends[:-1])
        named = {name: term.tolist() for name, term in zip(TERMS, terms, strict=True)}
        return cls(slope=round(float(slope), 4), **named)

    @classmethod
    def neutral(cls) -> Self:
        """Return the head that changes nothing."""
        return cls.of(1.0, np.zeros(INDICATORS.shape[1]))

    @classmethod
    def mean(cls, heads: Sequence[Self]) -> Self:
        """Return the head whose numbers are the means of those of several."""
        slope = float(np.mean([head.slope for head in heads]))
        return cls.of(slope, np.mean([head.numbers for head in heads], axis=0))

    def scaled(self, factor: float) -> Self:
        """Return the head for scores that lie so many times as far apart."""
        return self.of(self.slope, self.numbers * factor)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the inverse of `to_dict`. Raise ValueError for what is none."""
        lengths = {name: len(OWN_KINDS[kind]) for name, (kind, _) in TERMS.items()}
        given = {name: len(term) for name, term in values.items() if isinstance(term, Sequence)}
        flat = [number for name in given for number in values[name]]
        if (
            given != lengths
            or values.keys() - given.keys() != {"slope"}
            or not np.isfinite([values["slope"], *flat]).all()
        ):
            raise ValueError(f"repeats cannot be {shown(dict(values))}")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values by the names of the fields."""
        return {spec.name: getattr(self, spec.name) for spec in fields(self)}

    @property
    def is_neutral(self) -> bool:
        """Whether the head changes nothing."""
        return self == self.neutral()

    @property
    def numbers(self) -> Float64Array:
        """The numbers of all terms, one after the other, as `of` takes them."""
        return np.concatenate([getattr(self, name) for name in TERMS])

    @cached_property
    def bonuses(self) -> Float32Array:
        """What is added to an own item's score, by its cell [cells]."""
        bonuses: Float32Array = (INDICATORS @ self.numbers).astype(np.float32)
        return bonuses

    def rescore(self, scores_SN: Tensor, own: OwnItems) -> None:
        """Score the own items of each row anew, in place."""
        device = scores_SN.device
        place = sent(own.rows, device), sent(own.items, device)
        bonuses = sent(self.bonuses[own.cells], device)
        scores_SN[place] = scores_SN[place] * self.slope + bonuses
