"""Load a recommender of any kind from its checkpoint."""

from pathlib import Path

from gru4rec.errors import CheckpointError
from gru4rec.recommenders.baselines import BASELINES
from gru4rec.recommenders.checkpoint import Checkpoint, parts_of, read_checkpoint
from gru4rec.recommenders.fusion import Fusion
from gru4rec.recommenders.gru4rec import GRU4Rec
from gru4rec.recommenders.recommender import Recommender


def load(path: str | Path, *, device: str = "auto") -> Recommender:
    """The recommender saved at `path`: GRU4Rec, a baseline or a fusion.

    Raises CheckpointError if it is not there whole.
    """

    def make(saved: Checkpoint, folder: Path) -> Recommender:
        if saved.kind == "gru4rec":
            return GRU4Rec.of(saved, device=device)
        if saved.kind in BASELINES:
            return BASELINES[saved.kind].of(saved)
        if saved.kind == Fusion.name:
            return Fusion.of(saved, [load(part, device=device) for part in parts_of(folder)])
        raise CheckpointError(f"{path} is of a newer gru4rec: no recommender {saved.kind!r}")

    return read_checkpoint(path, make)
