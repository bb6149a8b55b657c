"""Neighbours teach a model where they do nearly as well on sessions that neither has seen."""

import pytest
import torch
from toys import TINY, clicks_of

import gru4rec as g4r
from gru4rec.model import Model
from gru4rec.sessions import to_arrays
from gru4rec.sessions.catalog import Catalog
from gru4rec.training.finish import neighbours_worth_asking
from gru4rec.training.model_scores import scores_after

LOG = clicks_of([list("abcd"), list("bca"), list("defa"), [f"other {n}" for n in range(60)]])


class Peers:
    """Neighbours that score some share of the targets best, and others as the model does."""

    def __init__(self, model: Model, right: float) -> None:
        self.model, self.right = model, right

    def score(self, sessions, clicks):
        for rows, scores in scores_after(self.model, sessions, clicks):
            best = scores.clone()
            targets = torch.from_numpy(sessions.items[clicks[rows] + 1])
            for row in range(len(best)):
                best[row, targets[row]] = 99 if row < self.right * len(best) else -99
            yield rows, best


@pytest.mark.parametrize(("right", "expected"), [(1.0, 30_000), (0.0, 0)])
def test_they_are_asked_if_they_find_as_much(right, expected):
    catalog = Catalog.of(LOG.lazy())
    sessions = to_arrays(LOG.lazy(), catalog)
    config = g4r.GRU4Rec(g4r.Config().replace({**TINY, "training.scoring": "cosine"})).decide(LOG)
    model = Model(config, len(catalog))
    model.initialize(torch.Generator().manual_seed(0))
    asked = neighbours_worth_asking(model, Peers(model, right), sessions, most_targets=100)
    assert asked == expected
