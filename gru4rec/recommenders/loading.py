"""Load a recommender of any kind from its checkpoint."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from gru4rec.errors import CheckpointError
from gru4rec.recommenders.baselines import BASELINES
from gru4rec.recommenders.checkpoint import Checkpoint, read_checkpoint
from gru4rec.recommenders.ensemble import Ensemble
from gru4rec.recommenders.fusion import Fusion
from gru4rec.recommenders.gru4rec import GRU4Rec
from gru4rec.recommenders.recommender import Recommender
from gru4rec.untrusted import shown

_MOST_LEVELS = 4  # of fusions in fusions: each doubles what is read, or more


def kinds() -> Mapping[str, type[Recommender]]:
    """Return the kinds of recommenders by the names that checkpoints know."""
    ours = {kind.name: kind for kind in (GRU4Rec, Ensemble, Fusion)}
    return {**ours, **BASELINES}


def load(path: str | Path, *, device: str = "auto") -> Recommender:
    """Return the recommender saved at `path`, of any kind.

    Raise CheckpointError if it is not there whole.
    """
    return _load(path, device, levels=_MOST_LEVELS)


def _load(path: str | Path, device: str, *, levels: int) -> Recommender:
    """Return a recommender whose parts have parts of their own, on so many levels at most."""

    def make(saved: Checkpoint) -> Recommender:
        kind = kinds().get(saved.meta.recommender)
        if kind is None:
            raise CheckpointError(
                f"{path} is of a newer gru4rec: no recommender {shown(saved.meta.recommender)}"
            )
        if saved.part_folders and not levels:
            raise CheckpointError(
                f"{path} is part of parts of parts, more than {_MOST_LEVELS} deep"
            )
        parts = [_load(part, device, levels=levels - 1) for part in saved.part_folders]
        return kind.of(replace(saved, parts=parts), device=device)

    return read_checkpoint(path, make)
