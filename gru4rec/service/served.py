"""Load the checkpoint that is served, and see that it answers before anybody asks it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from gru4rec.errors import CheckpointError
from gru4rec.layout import META
from gru4rec.recommenders import GRU4Rec, Recommender, fingerprint_of, load
from gru4rec.serving import PlainAnswer, SessionStore, plain_answers

_ATTEMPTS = 5
_PROBES = (1, 3, 20)  # sessions that are asked about together: each takes a way of its own
_K = 20


@dataclass(frozen=True)
class Served:
    """A recommender that is served, and what it is."""

    recommender: Recommender
    fingerprint: str
    """What tells its checkpoint from others."""
    trained: datetime
    """When its checkpoint was written."""
    loaded: datetime

    @classmethod
    def load(cls, path: str | Path) -> "Served":
        """Return the recommender of a checkpoint, warm.

        Raise CheckpointError if it is not there whole, or does not answer as it should.
        """
        path = Path(path)
        for _ in range(_ATTEMPTS):
            fingerprint = fingerprint_of(path)
            recommender = load(path, device="cpu")
            for part in (recommender, *recommender.parts):
                if isinstance(part, GRU4Rec):
                    part.forget_optimizer()
            if fingerprint is not None and fingerprint == fingerprint_of(path):
                break
        else:
            raise CheckpointError(
                f"{path} was replaced again and again while it was read; try later"
            )
        try:
            written = datetime.fromtimestamp((path / META).stat().st_mtime, UTC)
        except FileNotFoundError:  # just then being replaced
            written = datetime.now(UTC)
        _probe(recommender, path)
        return cls(recommender, fingerprint, written, datetime.now(UTC))

    def description(self) -> dict[str, Any]:
        """Return what is served, as JSON has it."""
        meta = self.recommender.meta
        brief = replace(meta, seen=None, inputs=None, auto=None, history=None, updates=None)
        return {
            "fingerprint": self.fingerprint,
            "recommender": self.recommender.name,
            "items": len(self.recommender.catalog),
            "trained": _written(self.trained),
            "loaded": _written(self.loaded),
            "updates": meta.updates[-1]["number"] if meta.updates else 0,
            "settings": _finite(self.recommender.settings_dict()),
            **{
                key: value
                for key, value in _finite(brief.to_dict()).items()
                if key != "recommender"
            },
        }


def _probe(recommender: Recommender, path: Path) -> None:
    """Raise CheckpointError unless a recommender answers sessions of its items, and of none."""
    popular = recommender.catalog.ids_of(range(min(_K, len(recommender.catalog))))
    for count in _PROBES:
        store = SessionStore(recommender, most=count)
        for item in popular[:3]:
            store.click_many(range(count), [item] * count)
        answers = plain_answers(recommender, [*store.running(range(count))], _K, None)
        answers += plain_answers(recommender, store.running(["nobody"]), _K, None)
        if not all(_is_sound(answer, len(recommender.catalog)) for answer in answers):
            raise CheckpointError(f"the recommender at {path} does not answer as it should; it "
                                  "is not served. Train again")  # fmt: skip


def _is_sound(answer: PlainAnswer, num_items: int) -> bool:
    return (
        len(answer.items) == min(_K, num_items) == len(set(answer.items))
        and bool(np.isfinite(answer.scores).all())
        and answer.scores == sorted(answer.scores, reverse=True)
    )


def _written(time: datetime) -> str:
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")


def _finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values without numbers that JSON lacks."""
    return {
        key: _finite(value) if isinstance(value, Mapping) else value
        for key, value in values.items()
        if not (isinstance(value, float) and not np.isfinite(value))
    }
