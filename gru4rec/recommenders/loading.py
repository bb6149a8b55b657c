"""Load a recommender of any kind from its checkpoint."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from gru4rec.errors import CheckpointError
from gru4rec.recommenders.baselines import BASELINES
from gru4rec.recommenders.checkpoint import Checkpoint, parts_of, read_checkpoint
from gru4rec.recommenders.fusion import Fusion
from gru4rec.recommenders.gru4rec import GRU4Rec
from gru4rec.recommenders.recommender import Recommender


def kinds() -> Mapping[str, type[Recommender]]:
    """Return the kinds of recommenders by the names that checkpoints know."""
    return {GRU4Rec.name: GRU4Rec, Fusion.name: Fusion, **BASELINES}


def load(path: str | Path, *, device: str = "auto") -> Recommender:
    """Return the recommender saved at `path`: GRU4Rec, a baseline or a fusion.

    Raise CheckpointError if it is not there whole.
    """

    def make(saved: Checkpoint, folder: Path) -> Recommender:
        kind = kinds().get(saved.meta.recommender)
        if kind is None:
            raise CheckpointError(
                f"{path} is of a newer gru4rec: no recommender {saved.meta.recommender!r}"
            )
        parts = [load(part, device=device) for part in parts_of(folder)]
        return kind.of(replace(saved, parts=parts), device=device)

    return read_checkpoint(path, make)
