"""What `meta.json` says of a recommender: what it is, what it was trained on, how it came out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

from gru4rec.sessions import SeenSessions

_KEYS = {"stored_as": "precision"}  # in the file, where the field has another name
_SEEN = {"times": "times", "sessions": "sketch"}  # the fields of `SeenSessions`, by their keys


@dataclass(frozen=True, kw_only=True)
class Meta:
    """The contents of `meta.json`, less the fingerprints of the files; None is not written."""

    recommender: str = "gru4rec"
    """The kind: the `name` of its class."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions of the packages that it was made with."""
    seed: int | None = None
    parts: Sequence[str] | None = None
    """Of a fusion, the kinds of its parts."""
    timed: bool | None = None
    """Of a baseline, whether its training log has times."""
    counts: Mapping[str, int] | None = None
    """How much there was of what in the training log."""
    seen: SeenSessions | None = None
    """By what the training log is recognised; in the file as `times` and `sessions`."""
    inputs: Mapping[str, Sequence[str]] | None = None
    """The values of each side input, by falling count."""
    auto: Mapping[str, str] | None = None
    """Why `auto` decided a setting as it did."""
    metrics: Mapping[str, float] | None = None
    """Validation metrics of the epoch that was kept."""
    history: Sequence[dict[str, float]] | None = None
    """A row of figures for each epoch."""
    device: str | None = None
    seconds: float | None = None
    """Time that training took."""
    stored_as: Mapping[str, str] | None = None
    """In how many bits weights are kept, if they were shrunk; in the file as `precision`."""
    index: Mapping[str, Any] | None = None
    """What was measured of the index that was chosen."""

    def __getitem__(self, key: str) -> Any:
        """Return what the file has under a key. Raise KeyError if it has nothing."""
        return self.to_dict()[key]

    def to_dict(self) -> dict[str, Any]:
        """Return the contents of the file, in the order in which they stand there."""
        contents: dict[str, Any] = {}
        for spec in fields(self):
            value = getattr(self, spec.name)
            if value is None:
                continue
            if isinstance(value, SeenSessions):
                contents |= {key: getattr(value, name) for key, name in _SEEN.items()}
            else:
                contents[_KEYS.get(spec.name, spec.name)] = value
        return contents

    @classmethod
    def from_dict(cls, contents: Mapping[str, Any]) -> Self:
        """Return the inverse of `to_dict`; keys of a newer version are passed over."""
        seen = {name: contents[key] for key, name in _SEEN.items() if key in contents}
        known = {
            spec.name: contents[key]
            for spec in fields(cls)
            if (key := _KEYS.get(spec.name, spec.name)) in contents
        }
        return cls(**{**known, "seen": SeenSessions(**seen) if seen else None})
