"""Draw how far what was foretold of outcomes came true: reliability, by position in the session."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import polars as pl

from gru4rec.evaluation.outcome_metrics import reliability
from gru4rec.evaluation.page import sources
from gru4rec.evaluation.plots import colours, pictures
from gru4rec.evaluation.session_outcomes import Foretold, foretold_by
from gru4rec.recommenders import Recommender

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIZE = 400  # of the dot of a bin with all clicks


def reliabilities(
    recommenders: Mapping[str, Recommender], clicks: pl.DataFrame, table: pl.DataFrame
) -> list[str]:
    """Return pictures of those that have learned outcomes: of all clicks, and by position.

    `table` is that of `evaluate`, whose recommenders have its colours.
    """
    log = clicks.lazy()
    asked = {
        name: dict(foretold_by(each, each.reader.arrays(log), log).parts(["position"]))
        for name, each in recommenders.items()
        if len(each.outcome_classes)
    }
    every = list(dict.fromkeys(part for parts in asked.values() for part in parts))
    some = [part for part in every if any(len(parts[part].outcomes) for parts in asked.values())]
    of_names = colours(table)

    def draw(axes: "Axes", part: str) -> None:
        axes.plot([0, 1], [0, 1], color="#999999", linewidth=1)
        for name, parts in asked.items():
            _dots(axes, parts[part], of_names[name])
        axes.set_xlabel("foretold")
        axes.set_ylabel("came")
        axes.set_title("after all clicks" if part == "all" else f"after click {part[9:]}")
        axes.grid(alpha=0.3)

    return sources(pictures(some, draw))


def _dots(axes: "Axes", foretold: Foretold, colour: str) -> None:
    if not len(foretold.outcomes):
        return
    bins = reliability(foretold.shares, foretold.outcomes)
    sizes = _SIZE * bins.counts / bins.counts.sum()
    axes.plot(bins.foretold, bins.came, color=colour, linewidth=1)
    axes.scatter(bins.foretold, bins.came, sizes, color=colour, alpha=0.6)
