"""Clicks become flat arrays of sessions, coded by a catalog, and windows of them."""

from typing import TYPE_CHECKING

from gru4rec.faces import lazy_face

if TYPE_CHECKING:
    from gru4rec.sessions.arrays import NO_CODES, SessionArrays, offsets_of, ranges, sides_of
    from gru4rec.sessions.attributes import (
        Attributes,
        CodedItems,
        attributes_of,
        read_item_table,
        rows_by_item,
        without_vectors,
    )
    from gru4rec.sessions.batching.background import prefetch
    from gru4rec.sessions.batching.batch import ORDINARY_CLICKS, SessionBatch
    from gru4rec.sessions.batching.lane_grids import NO_CLICK, LaneGrids
    from gru4rec.sessions.batching.packed_layout import PackedLayout
    from gru4rec.sessions.batching.rank_windows import LanedWindows, RankWindows, WindowPart
    from gru4rec.sessions.batching.session_parallel import SessionParallelWindows
    from gru4rec.sessions.batching.whole_session import WholeSessions
    from gru4rec.sessions.bulk import BULKS, bulk_of, sent, sent_together
    from gru4rec.sessions.catalog import Catalog
    from gru4rec.sessions.conversion import from_lists, to_arrays
    from gru4rec.sessions.earlier_sessions import after_earlier
    from gru4rec.sessions.event_types import NO_EVENTS, EventTypes, event_types_of
    from gru4rec.sessions.initial_vectors import InitialVectors, read_vectors
    from gru4rec.sessions.outcome_classes import NO_OUTCOME, OutcomeClasses
    from gru4rec.sessions.own_items import (
        OWN_KINDS,
        OWN_SHAPE,
        REACH,
        ItemLinks,
        OwnItems,
        own_items_of,
    )
    from gru4rec.sessions.reader import Prefixes, SessionReader
    from gru4rec.sessions.running_session import (
        Click,
        Follows,
        RunningSession,
        arrays_of,
        read_again,
        refuse_other,
        take_in,
    )
    from gru4rec.sessions.seen_sessions import (
        SeenSessions,
        hashes_of,
        sketch_of,
        warn_of_leaks,
    )
    from gru4rec.sessions.side_inputs import NO_SIDE_INPUTS, OF_TIME, SideInputs

__all__ = [
    "BULKS",
    "NO_CLICK",
    "NO_CODES",
    "NO_EVENTS",
    "NO_OUTCOME",
    "NO_SIDE_INPUTS",
    "OF_TIME",
    "ORDINARY_CLICKS",
    "OWN_KINDS",
    "OWN_SHAPE",
    "REACH",
    "Attributes",
    "Catalog",
    "Click",
    "CodedItems",
    "EventTypes",
    "Follows",
    "InitialVectors",
    "ItemLinks",
    "LaneGrids",
    "LanedWindows",
    "OutcomeClasses",
    "OwnItems",
    "PackedLayout",
    "Prefixes",
    "RankWindows",
    "RunningSession",
    "SeenSessions",
    "SessionArrays",
    "SessionBatch",
    "SessionParallelWindows",
    "SessionReader",
    "SideInputs",
    "WholeSessions",
    "WindowPart",
    "after_earlier",
    "arrays_of",
    "attributes_of",
    "bulk_of",
    "event_types_of",
    "from_lists",
    "hashes_of",
    "offsets_of",
    "own_items_of",
    "prefetch",
    "ranges",
    "read_again",
    "read_item_table",
    "read_vectors",
    "refuse_other",
    "rows_by_item",
    "sent",
    "sent_together",
    "sides_of",
    "sketch_of",
    "take_in",
    "to_arrays",
    "warn_of_leaks",
    "without_vectors",
]

__getattr__, __dir__ = lazy_face(__name__)
