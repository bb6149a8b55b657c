"""What recommenders that are parts of one have in common."""

from collections.abc import Sequence
from functools import reduce
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from gru4rec.errors import CheckpointError, ConfigError, DataError
from gru4rec.recommenders.checkpoint import Checkpoint
from gru4rec.recommenders.meta import Meta
from gru4rec.recommenders.recommender import Recommender
from gru4rec.sessions import NO_SIDE_INPUTS, Catalog, SeenSessions, SideInputs
from gru4rec.untrusted import brief

R = TypeVar("R", bound=Recommender)


def refuse_different_inputs(parts: Sequence[Recommender], whole: str) -> None:
    """Raise ConfigError for less than two parts, or if they are to read different side inputs."""
    if len(parts) < 2:
        raise ConfigError(f"{whole} needs two recommenders or more, got {len(parts)}")
    asked = [list(part.inputs) for part in parts if part.inputs]
    if any(inputs != asked[0] for inputs in asked):
        raise ConfigError(f"the parts of {whole} must read the same side inputs, in one order")


def in_common(parts: Sequence[Recommender], whole: str) -> tuple[Catalog, SideInputs]:
    """Return the catalog and side inputs of fitted parts.

    Raise ConfigError if they have not learned from the same log, or read different side inputs.
    """
    first, *others = parts
    if not all(part.catalog.item_ids.equals(first.catalog.item_ids) for part in others):
        raise ConfigError(
            f"the parts of {whole} must be fitted on the same log; give the one that each "
            "learned from, without what was held out of it"
        )
    read = [part.side_inputs for part in parts if len(part.side_inputs)]
    values = [list(side_inputs.values.items()) for side_inputs in read]
    if any(values_of_part != values[0] for values_of_part in values):
        raise ConfigError(f"the parts of {whole} read different side inputs; give them the same")
    return first.catalog, read[0] if read else NO_SIDE_INPUTS


def refuse_changed(parts: Sequence[Recommender], catalogs: Sequence[Catalog], whole: str) -> None:
    """Raise DataError if a part was fitted or updated since it had the catalog of its place."""
    if any(part.catalog is not known for part, known in zip(parts, catalogs, strict=True)):
        raise DataError(
            f"a part of {whole} was fitted or updated since the parts were joined; join them again"
        )


def meta_of_parts(name: str, parts: Sequence[Recommender]) -> Meta:
    """Return the meta of a recommender that has parts.

    They have seen the same log, or one of them, which was updated, more.
    """
    of_parts = [part.meta.seen for part in parts if part.meta.seen is not None]
    return Meta(
        recommender=name,
        versions={"gru4rec": version("gru4rec")},
        parts=[part.name for part in parts],
        seen=reduce(SeenSessions.merged, of_parts) if of_parts else None,
    )


def refuse_other_parts(saved: Checkpoint, parts: Sequence[Recommender]) -> None:
    """Raise CheckpointError unless the parts are those that the checkpoint was saved with."""
    names = [part.name for part in parts]
    known = all(part.catalog.item_ids.equals(saved.catalog.item_ids) for part in parts)
    if list(saved.meta.parts or ()) != names or not known:
        raise CheckpointError(
            f"the parts of the checkpoint, {brief(', '.join(names))}, are not those it was "
            "saved with; fit again"
        )


def load_with_parts(kind: type[R], path: str | Path, device: str) -> R:
    """Return the recommender of a kind that has parts. Raise CheckpointError if it is another."""
    from gru4rec.recommenders.loading import load  # it knows every kind that a part may be

    loaded = load(path, device=device)
    if not isinstance(loaded, kind):
        raise CheckpointError(f"the checkpoint is of {loaded.name}, not {kind.name}; use g4r.load")
    return loaded
