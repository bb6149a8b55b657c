"""Session neighbours that look at the last clicks more: VS-kNN, and VMIS-kNN as it serves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gru4rec.arraytypes import Float64Array, IntArray
from gru4rec.recommenders.baselines.neighbours import Shared
from gru4rec.recommenders.baselines.session_knn import SessionKNN, SessionKNNSettings
from gru4rec.settings import Settings, setting

_WEIGHTS: Mapping[str, Callable[[IntArray, int], Float64Array]] = {
    "same": lambda position, length: np.ones(len(position)),
    "div": lambda position, length: position / length,
    "quadratic": lambda position, length: (position / length) ** 2,
    "log": lambda position, length: 1 / np.log10(length - position + 1.7),
}
_DECAYS: Mapping[str, Callable[[IntArray], Float64Array]] = {
    "same": lambda ago: np.ones(len(ago)),
    "div": lambda ago: 1 / ago,
    "quadratic": lambda ago: 1 / ago**2.0,
    "linear": lambda ago: np.where(ago < 100, 1 - 0.1 * ago, 0.0),
}


@dataclass(frozen=True, kw_only=True)
class VSKNNSettings(SessionKNNSettings):
    """As VS-kNN's authors set it for yoochoose."""

    k: int = setting(1000, low=1)
    m: int = setting(5000, low=1)
    weighting: str = setting("log", choices=" ".join(_WEIGHTS))
    """Weight of the item at position i of L: `div` i/L, `quadratic` (i/L)², `log`
    1/log₁₀(L − i + 1.7), `same` 1."""
    decay: str = setting("quadratic", choices=" ".join(_DECAYS))
    """Weight of a session by j, the clicks since the last shared item, from 1: `div` 1/j,
    `quadratic` 1/j², `linear` 1 − 0.1 j (0 from j = 100), `same` 1."""
    idf: float = setting(2.0, low=0.0)
    """λ in the factor 1 + λ ln(sessions / clicks on the item)."""


_VS_DIGINETICA = {"k": 1500, "m": 10_000, "weighting": "quadratic", "decay": "linear", "idf": 10.0}


class VSKNN(SessionKNN):
    """Similarity Σ w(p(y)) / |U| over shared items y; a session weighs less the longer ago the last
    shared click was, an item less the more frequent it is."""

    name = "vs_knn"
    published = ({}, _VS_DIGINETICA)
    settings: VSKNNSettings
    settings_class: ClassVar[type[Settings]] = VSKNNSettings

    def weights(self, positions: IntArray, length: int) -> Float64Array:
        """See `SessionKNN.weights`."""
        return _WEIGHTS[self.settings.weighting](positions, length)

    def similarities(
        self, shared: Shared, sizes: IntArray, weights: Float64Array, age: Float64Array
    ) -> Float64Array:
        """See `SessionKNN.similarities`."""
        return shared.overlap / len(weights)

    def decay(self, ago: IntArray) -> Float64Array:
        """See `SessionKNN.decay`."""
        return _DECAYS[self.settings.decay](ago)

    def idf(self, logarithms: Float64Array) -> Float64Array:
        """See `SessionKNN.idf`."""
        return 1 + self.settings.idf * logarithms


@dataclass(frozen=True, kw_only=True)
class VMISKNNSettings(SessionKNNSettings):
    """As Serenade's authors serve it."""

    k: int = setting(288, low=1)
    m: int = setting(1502, low=1)
    max_clicks: int = setting(4, low=1)
    """Clicks of the running session that are read: the last ones."""


class VMISKNN(SessionKNN):
    """VS-kNN as Serenade (Kersbergen et al., SIGMOD 2022) serves it: of the last few clicks only.

    Similarity Σ p(y) / |U| over shared items y, session weight 1 − 0.1 j, idf ln(sessions / clicks
    on the item). Serenade's heap over the lists of the items ends with the m most recent sessions
    that share one, which is the sample here. The current item stays recommendable.
    """

    name = "vmis_knn"
    settings: VMISKNNSettings
    settings_class: ClassVar[type[Settings]] = VMISKNNSettings

    def weights(self, positions: IntArray, length: int) -> Float64Array:
        """See `SessionKNN.weights`."""
        return positions.astype(np.float64)

    def similarities(
        self, shared: Shared, sizes: IntArray, weights: Float64Array, age: Float64Array
    ) -> Float64Array:
        """See `SessionKNN.similarities`."""
        return shared.overlap / len(weights)

    def decay(self, ago: IntArray) -> Float64Array:
        """See `SessionKNN.decay`."""
        return _DECAYS["linear"](ago)

    def idf(self, logarithms: Float64Array) -> Float64Array:
        """See `SessionKNN.idf`."""
        return logarithms
