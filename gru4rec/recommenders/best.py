"""The best mixture that the package knows of a log: models by several seeds, and VSTAN.

Seeds err on different targets, and so do a model and a neighbour method. The settings of VSTAN, and
what each part weighs, are fitted on sessions that it has not learned from; then all learn from
everything.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from gru4rec.clicks import ClickSource
from gru4rec.config import Config
from gru4rec.recommenders.baselines.stan import VSTAN
from gru4rec.recommenders.ensemble import Ensemble
from gru4rec.recommenders.fusion import Fusion
from gru4rec.recommenders.gru4rec import GRU4Rec
from gru4rec.recommenders.recommender import Recommender
from gru4rec.training import parts_of_log

_HELD_OUT = "10%"


@dataclass(frozen=True)
class Best:
    """A mixture, and what it was fitted on."""

    fusion: Fusion
    """The mixture, which has learned from everything that was given to learn from."""
    trial: Fusion
    """The mixture whose weights were fitted: it has not learned from what was held out."""
    held_out: pl.LazyFrame
    """The sessions that the weights were fitted on."""

    def parts(self) -> dict[str, Recommender]:
        """Return the trial and its parts by name, to be measured on what was held out."""
        models, vstan = self.trial.parts
        named: dict[str, Recommender] = {"mixture": self.trial}
        if models.parts:
            named[f"{len(models.parts)} seeds"] = models
        first = models.parts[0] if models.parts else models
        return {**named, "gru4rec": first, "vstan": vstan}


def fit_best(
    clicks: ClickSource,
    *,
    valid: ClickSource | None = None,
    config: Config | None = None,
    seeds: int = 3,
    device: str = "auto",
    on_part: Callable[[int, int, str], None] = lambda done, total, name: None,
) -> Best:
    """Return the mixture of GRU4Rec by `seeds` seeds, alike in weight, and of VSTAN.

    Weights are fitted on `valid`, a log that is not learned from. Without it the newest tenth of
    the sessions is held out, and every part is fitted twice: without it, for the weights, and then
    with it. `on_part` is told before each part how many are done, how many there are, and its name.
    Raise as `GRU4Rec.fit` and `Fusion.weigh` do.
    """
    base = config if config is not None else Config()
    asked = _HELD_OUT if valid is None else valid
    log, held_out = parts_of_log(clicks, asked, base.columns)
    total = (seeds + 1) * (1 if valid is not None else 2)
    done = 0

    def fitted(
        source: pl.LazyFrame, found: Mapping[str, object] | None = None
    ) -> list[Recommender]:
        """Fit the parts; the settings of vstan are searched unless they were found before."""
        nonlocal done
        models: list[GRU4Rec] = []
        for number in range(seeds):
            on_part(done, total, f"gru4rec, seed {number + 1} of {seeds}")
            seed = (base.seed + number) % 2**63
            models.append(GRU4Rec(base.replace({"seed": seed}), device=device).fit(source))
            done += 1
        on_part(done, total, "vstan")
        vstan = VSTAN().fit(source, search=True) if found is None else VSTAN(**found).fit(source)
        done += 1
        return [models[0] if seeds == 1 else Ensemble(models), vstan]

    if held_out is None:
        raise AssertionError("parts_of_log holds out what it is asked to")
    trial = Fusion(fitted(log)).weigh(held_out)
    if valid is not None:
        return Best(trial, trial, held_out)
    everything, _ = parts_of_log(clicks, None, base.columns)
    parts = fitted(everything, found=trial.parts[1].settings_dict())
    return Best(Fusion(parts, weights=trial.weights), trial, held_out)
