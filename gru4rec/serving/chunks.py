"""Cut the rows of a matrix of scores into pieces that a device makes at once."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from gru4rec.arraytypes import Rows
from gru4rec.sessions import BULKS, bulk_of

_CPU = torch.device("cpu")
# Of a large catalog more scores are made, so that its vectors are not read for a few rows only.
_MOST_SCORES, _FEWEST_ROWS = 1 << 25, 32


def row_blocks(num_rows: int, device: torch.device = _CPU) -> Iterator[slice]:
    """Cut rows into pieces whose session vectors stay within a fixed size."""
    yield from _cut(slice(0, num_rows), bulk_of(device).rows)


def rows_at_once(num_items: int, device: torch.device = _CPU) -> int:
    """Return how many rows' scores of so many items stay within a fixed size.

    It is a multiple of that of a CPU.
    """
    rows = max(1, BULKS["cpu"].scores // num_items, min(_FEWEST_ROWS, _MOST_SCORES // num_items))
    return rows * max(1, bulk_of(device).scores // (rows * num_items))


def chunks_of_block(block: slice, num_items: int, device: torch.device = _CPU) -> Iterator[slice]:
    """Cut a block into pieces whose scores of all items stay within a fixed size.

    They end where blocks and chunks of a CPU end too.
    """
    for part in _cut(block, BULKS["cpu"].rows):
        yield from _cut(part, rows_at_once(num_items, device))


def row_chunks(num_rows: int, num_items: int) -> Iterator[slice]:
    """Cut rows into the chunks of their blocks, one after the other."""
    for block in row_blocks(num_rows):
        yield from chunks_of_block(block, num_items)


def in_row_chunks(
    scored: Iterable[tuple[Rows, Tensor]], num_items: int
) -> Iterator[tuple[slice, Tensor]]:
    """Cut scores of rows that come in order, in the pieces of any device, into `row_chunks`."""
    start = 0
    for _, scores in scored:
        for rows in chunks_of_block(slice(start, start + len(scores)), num_items):
            yield rows, scores[rows.start - start : rows.stop - start]
        start += len(scores)


def _cut(rows: slice, size: int) -> Iterator[slice]:
    for start in range(rows.start, rows.stop, size):
        yield slice(start, min(start + size, rows.stop))
