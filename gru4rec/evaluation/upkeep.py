"""Keep a recommender in each of the ways that a backtest compares."""

import copy
import time

from gru4rec.config import Config
from gru4rec.evaluation.steps import Step
from gru4rec.recommenders import BASELINES, GRU4Rec, Recommender, make_baseline

WAYS = {
    "stale": "trained at the first step, and left as it is",
    "update": "trained at the first step, and updated at each other one",
    "full": "trained anew at each step",
}
"""The ways to keep a GRU4Rec."""


class Upkeep:
    """Has for each way the recommender as it is at a step, one step after the other."""

    def __init__(
        self,
        config: Config,
        device: str,
        *,
        first: GRU4Rec | None = None,
        updated: GRU4Rec | None = None,
    ) -> None:
        """Take settings, and from the second step on what was trained and updated before it."""
        self._config, self._device = config, device
        self.first, self.updated = first, updated
        self._first_seconds = 0.0

    def at(self, step: Step, way: str) -> tuple[Recommender, float]:
        """Return the recommender of a way or baseline, and the seconds that it learned there."""
        began = time.perf_counter()
        if way in BASELINES:
            recommender: Recommender = make_baseline(way).fit(step.known)
        elif way == "full" and step.number > 1:
            recommender = self._trained(step)
        elif way == "update" and step.number > 1:
            self.updated = self.updated or copy.deepcopy(self._of_first_step(step))
            # Where no session ended there is nothing to learn.
            recommender = self.updated if step.new.is_empty() else self.updated.update(step.new)
        else:
            recommender = self._of_first_step(step)
            return recommender, self._first_seconds if step.number == 1 else 0.0
        return recommender, time.perf_counter() - began

    def _of_first_step(self, step: Step) -> GRU4Rec:
        """Return the one that all ways begin with."""
        if self.first is None:
            began = time.perf_counter()
            self.first = self._trained(step)
            self._first_seconds = time.perf_counter() - began
        return self.first

    def _trained(self, step: Step) -> GRU4Rec:
        return GRU4Rec(self._config, device=self._device).fit(step.known, updatable=True)
