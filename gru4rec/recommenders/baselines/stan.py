"""Session neighbours that look at how long ago they were: STAN and VSTAN."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gru4rec.arraytypes import Float64Array, IntArray
from gru4rec.recommenders.baselines.neighbours import Shared
from gru4rec.recommenders.baselines.session_knn import SessionKNN, SessionKNNSettings
from gru4rec.settings import Settings, setting

_DAY = 86_400
# Beyond e to this power float32 ends: ages are then counted from the newest session that shares an
# item, which multiplies all scores of a click by the same number.
_FAR = 50


@dataclass(frozen=True, kw_only=True)
class STANSettings(SessionKNNSettings):
    """As STAN's authors set it for yoochoose."""

    k: int = setting(500, low=1)
    m: int = setting(5000, low=1)
    lambda_1: float = setting(1.0, low=1e-3)
    """Clicks over which the weight of the running session's items falls to 1/e."""
    lambda_2: float = setting(10.0, low=1e-6)
    """Days over which the weight of a training session falls to 1/e."""
    lambda_3: float = setting(1.0, low=1e-3)
    """Clicks from the last shared item over which the weight of a neighbour's items falls to
    1/e."""


_STAN_DIGINETICA = {
    "m": 2500, "lambda_1": 2.5, "lambda_2": 80.0, "lambda_3": 5.0, "seconds_per_click": 13.36,
}  # fmt: skip


class STAN(SessionKNN):
    """Similarity Σ w(y) / √(Σ_U w(y)² |I_n|) · e^{−days/λ2}, w(y) = e^{(p(y)−L)/λ1}.

    An item weighs e^{−|pos_n(x) − star(n)|/λ3}, pos_n its last position in the neighbour n and
    star(n) the largest one of a shared item.
    """

    name = "stan"
    published = ({}, _STAN_DIGINETICA)
    settings: STANSettings
    settings_class: ClassVar[type[Settings]] = STANSettings

    def weights(self, positions: IntArray, length: int) -> Float64Array:
        """See `SessionKNN.weights`."""
        weights: Float64Array = np.exp((positions - length) / self.settings.lambda_1)
        return weights

    def similarities(
        self, shared: Shared, sizes: IntArray, weights: Float64Array, age: Float64Array
    ) -> Float64Array:
        """See `SessionKNN.similarities`."""
        norms = np.sqrt((weights**2).sum() * sizes)
        exponents = -age / (_DAY * self.settings.lambda_2)
        if abs(nearest := exponents.max(initial=-np.inf)) > _FAR:
            exponents -= nearest
        similarities: Float64Array = shared.overlap / norms * np.exp(exponents)
        return similarities

    def entry_decay(
        self, positions: IntArray, star: IntArray, rows: IntArray
    ) -> Float64Array | None:
        """See `SessionKNN.entry_decay`."""
        decays: Float64Array = np.exp(-np.abs(positions - star[rows]) / self.settings.lambda_3)
        return decays


@dataclass(frozen=True, kw_only=True)
class VSTANSettings(STANSettings):
    """As VSTAN's authors set it for yoochoose."""

    k: int = setting(2000, low=1)
    m: int = setting(2500, low=1)
    lambda_1: float = setting(8.0, low=1e-3)
    lambda_3: float = setting(8.0, low=1e-3)
    lambda_4: float = setting(0.5, low=1e-3)
    """Clicks since the last shared item over which the weight of a session falls to 1/e."""
    idf: float = setting(2.0, low=0.0)
    """λ in the factor 1 + λ ln(sessions / clicks on the item)."""


_VSTAN_DIGINETICA = {
    "k": 1500, "m": 10_000, "lambda_1": 5.0, "lambda_2": 80.0, "lambda_3": 5.0, "lambda_4": 5.0,
    "idf": 1.0, "seconds_per_click": 13.36,
}  # fmt: skip


class VSTAN(STAN):
    """STAN with VS-kNN's two thoughts: a session weighs e^{(q−L)/λ4} besides, q the position of the
    last shared click, and an item 1 + λ ln(sessions / clicks on it)."""

    name = "vstan"
    steps: ClassVar[Mapping[str, Sequence[object]]] = {
        "k": (100, 200, 500, 1000, 2000, 5000),
        "m": (500, 1000, 2500, 5000, 10_000),
        "lambda_1": (1.0, 2.0, 5.0, 8.0, 16.0),
        "lambda_2": (2.0, 5.0, 10.0, 20.0, 40.0, 80.0),
        "lambda_3": (1.0, 2.0, 5.0, 8.0, 16.0),
        "lambda_4": (0.25, 0.5, 1.0, 2.0, 5.0),
        "idf": (0.0, 0.5, 1.0, 2.0, 5.0),
    }
    published = ({}, _VSTAN_DIGINETICA)
    settings: VSTANSettings
    settings_class: ClassVar[type[Settings]] = VSTANSettings

    def decay(self, ago: IntArray) -> Float64Array:
        """See `SessionKNN.decay`."""
        decays: Float64Array = np.exp((1 - ago) / self.settings.lambda_4)
        return decays

    def idf(self, logarithms: Float64Array) -> Float64Array:
        """See `SessionKNN.idf`."""
        return 1 + self.settings.idf * logarithms
