"""Tables of any kind become valid clicks, and are split by time."""

from typing import TYPE_CHECKING

from gru4rec.faces import lazy_face

if TYPE_CHECKING:
    from gru4rec.clicks.asking import Ask, Step
    from gru4rec.clicks.cuts import (
        END,
        PARTS,
        START,
        Cut,
        FrameSpans,
        Spans,
        cut_parts,
        is_part,
        nearest,
        part_of,
        seconds_of,
    )
    from gru4rec.clicks.files import Scan, scan_files
    from gru4rec.clicks.forks import refuse_forked, watch_forks
    from gru4rec.clicks.ids import at_least_one, column_of, id_as, ids_as, plain_id, plain_ids
    from gru4rec.clicks.invalid_rows import ROW
    from gru4rec.clicks.item_lists import items_of_text, read_items
    from gru4rec.clicks.order import is_first, order_clicks, place
    from gru4rec.clicks.parquet import read_parquet, scan_parquet, write_parquet
    from gru4rec.clicks.paths import CARD
    from gru4rec.clicks.pieces import SHARD_ROWS, session_runs, write_parquet_pieces
    from gru4rec.clicks.predicates import predicate_of
    from gru4rec.clicks.raw_rows import RawRows
    from gru4rec.clicks.reading import ArrowTable, ClickLog, ClickSource, read_clicks, read_log
    from gru4rec.clicks.split import split_by_time, split_last
    from gru4rec.clicks.synthetic import generate_clicks

__all__ = [
    "CARD",
    "END",
    "PARTS",
    "ROW",
    "SHARD_ROWS",
    "START",
    "ArrowTable",
    "Ask",
    "ClickLog",
    "ClickSource",
    "Cut",
    "FrameSpans",
    "RawRows",
    "Scan",
    "Spans",
    "Step",
    "at_least_one",
    "column_of",
    "cut_parts",
    "generate_clicks",
    "id_as",
    "ids_as",
    "is_first",
    "is_part",
    "items_of_text",
    "nearest",
    "order_clicks",
    "part_of",
    "place",
    "plain_id",
    "plain_ids",
    "predicate_of",
    "read_clicks",
    "read_items",
    "read_log",
    "read_parquet",
    "refuse_forked",
    "scan_files",
    "scan_parquet",
    "seconds_of",
    "session_runs",
    "split_by_time",
    "split_last",
    "watch_forks",
    "write_parquet",
    "write_parquet_pieces",
]

__getattr__, __dir__ = lazy_face(__name__)
