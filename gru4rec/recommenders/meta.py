"""What `meta.json` says of a recommender: what it is, what it was trained on, how it came out."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any, Self, get_type_hints

from gru4rec.layout import META
from gru4rec.recommenders.kept_items import KeptItems
from gru4rec.sessions import NO_OUTCOME, OutcomeClasses, SeenSessions
from gru4rec.untrusted import fits, shown

_KEYS = {"stored_as": "precision"}  # in the file, where the field has another name
_MOST_UPDATES = 1000  # rows that are kept, the newest
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
    """Of an ensemble or a fusion, the kinds of its parts."""
    timed: bool | None = None
    """Of a baseline, whether its training log has times."""
    counts: Mapping[str, int] | None = None
    """How much there was of what in the training log."""
    seen: SeenSessions | None = None
    """By what the training log is recognised; in the file as `times` and `sessions`."""
    inputs: Mapping[str, Sequence[str]] | None = None
    """The values of each side input, by falling count."""
    outcome: Mapping[str, Any] | None = None
    """The classes of the outcome of sessions, see `sessions.OutcomeClasses`."""
    attributes: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None
    """How the attributes of an item are read, see `sessions.Attributes`."""
    auto: Mapping[str, str] | None = None
    """Why `auto` decided a setting as it did."""
    repeats: Mapping[str, float | Sequence[float]] | None = None
    """The numbers of the repeat head, see `serving.RepeatHead`."""
    metrics: Mapping[str, float] | None = None
    """Validation metrics of the epoch that was kept."""
    history: Sequence[dict[str, float]] | None = None
    """A row of figures for each epoch."""
    device: str | None = None
    seconds: float | None = None
    """Time that training took."""
    stored_as: Mapping[str, str] | None = None
    """In how many bits weights are kept, if they were shrunk; in the file as `precision`."""
    updates: Sequence[Mapping[str, Any]] | None = None
    """What was learned since the training, a row for each update, the newest last."""
    index: Mapping[str, str | float | bool | None] | None = None
    """What was measured of the index that was chosen."""

    @property
    def outcome_classes(self) -> OutcomeClasses:
        """The classes of the outcome; none without. Raise ValueError if they are none."""
        return NO_OUTCOME if self.outcome is None else OutcomeClasses.from_dict(self.outcome)

    def __getitem__(self, key: str) -> Any:
        """Return what the file has under a key. Raise KeyError if it has nothing."""
        return self.to_dict()[key]

    def updated(self, added: Mapping[str, int], seen: SeenSessions, **row: Any) -> Self:
        """Return what is said once so much more was learned: by what it is counted, how much.

        `seen` is what is recognised now; `row` is what else is said of the update.
        """
        counts = {name: count + added.get(name, 0) for name, count in (self.counts or {}).items()}
        said = {name: added[name] for name in ("clicks", "sessions", "items")}
        until = {"until": seen.times["last"]} if seen.times else {}
        number = 1 + (self.updates[-1]["number"] if self.updates else 0)
        updates = [*(self.updates or ()), {"number": number, **said, **until, **row}]
        return replace(self, counts=counts, seen=seen, updates=updates[-_MOST_UPDATES:])

    def keeping(self, kept: KeptItems) -> Self:
        """Return what is said once items have left by the newest update: how many."""
        updates = list(self.updates or ())
        updates[-1:] = [{**row, "dropped": kept.num_dropped} for row in updates[-1:]]
        if not kept.num_dropped:
            return replace(self, updates=updates)
        counts = {**(self.counts or {}), "items": len(kept.items)}
        seen = None if self.seen is None else replace(self.seen, sketch=kept.sketch)
        return replace(self, counts=counts, seen=seen, updates=updates)

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
        """Return the inverse of `to_dict`; keys of a newer version are passed over.

        Raise ValueError for a value of another type, and counts, times or hashes that are none.
        """
        types = get_type_hints(cls)
        keys = {_KEYS.get(spec.name, spec.name): spec.name for spec in fields(cls)}
        given = contents.keys() & keys.keys() - {"seen"}
        for key in sorted(given):
            if not fits(contents[key], types[keys[key]]):
                raise ValueError(f"{key} in {META} cannot be {shown(contents[key])}")
        meta = cls(**{keys[key]: contents[key] for key in given}, seen=_seen(contents))
        if min((meta.counts or {}).values(), default=0) < 0:
            raise ValueError(f"counts in {META} cannot be {shown(meta.counts)}")
        if any(not fits(row.get("number"), int) for row in meta.updates or ()):
            raise ValueError(f"updates in {META} lack a number")
        if any({"epoch", "loss"} - row.keys() for row in meta.history or ()):
            raise ValueError(f"history in {META} lacks an epoch or a loss")
        return meta


def _seen(contents: Mapping[str, Any]) -> SeenSessions | None:
    """Return what the training log is recognised by. Raise ValueError for what is none of it."""
    types = get_type_hints(SeenSessions)
    seen = {name: contents[key] for key, name in _SEEN.items() if key in contents}
    for name, value in seen.items():
        if not fits(value, types[name]):
            raise ValueError(f"{name} of sessions in {META} cannot be {shown(value)}")
    if times := seen.get("times"):
        moments = [times.get(end, "") for end in ("first", "last")]
        if any(datetime.fromisoformat(moment).tzinfo for moment in moments):
            raise ValueError(f"times in {META} cannot be {shown(times)}")
    if len(base64.b64decode(seen.get("sketch", ""), validate=True)) % 8:
        raise ValueError(f"sessions in {META} are no hashes")
    return SeenSessions(**seen) if seen else None
