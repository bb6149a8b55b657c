"""A running session by item ids and texts, which any model can read again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from gru4rec.sessions import Catalog, RunningSession, SideInputs

SessionId: TypeAlias = int | str


@dataclass(frozen=True, kw_only=True)
class SavedSession:
    """What is kept of a running session where its model is not: its clicks on known items."""

    session_id: SessionId
    clicked: float
    """When its last click came, by the store's clock."""
    last_time: datetime | None
    """When the last click was made, as it was told."""
    items: Sequence[Any]
    """The item id of each click."""
    times: Sequence[float | None]
    """Seconds since 1970 of each click, None where the time is unknown."""
    sides: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    """By the name of a side input, its value at each click as text."""
    unknown: int = 0
    """Clicks on items that its catalog did not have."""

    @classmethod
    def of(
        cls,
        session_id: SessionId,
        clicked: float,
        session: RunningSession,
        catalog: Catalog,
        side_inputs: SideInputs,
    ) -> "SavedSession":
        """Return what is kept of a session."""
        return cls(
            session_id=session_id,
            clicked=clicked,
            last_time=session.last_time,
            items=catalog.ids_of(session.items),
            times=session.times,
            sides={
                name: [side_inputs.text_of(name, codes[place]) for codes in session.sides]
                for place, name in enumerate(side_inputs.values)
            },
            unknown=session.unknown,
        )

    def running(self, catalog: Catalog, side_inputs: SideInputs) -> RunningSession:
        """Return the session by this catalog and these codes, without its state.

        Clicks on items that the catalog lacks are counted as unknown, values of unknown side inputs
        left out. Raise DataError for what is no id.
        """
        session = RunningSession(last_time=self.last_time, unknown=self.unknown)
        for place, item in enumerate(self.items):
            index = catalog.find(item)
            if index is None:
                session.unknown += 1
                continue
            session.items.append(index)
            session.times.append(self.times[place])
            if len(side_inputs):
                texts = {name: self.sides.get(name) for name in side_inputs.values}
                session.sides.append(
                    [
                        side_inputs.code_of(name, values[place] if values else None)
                        for name, values in texts.items()
                    ]
                )
        return session
