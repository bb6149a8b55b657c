"""Cut clicks into pieces whose scores of all items fit in memory."""

from collections.abc import Iterator

from gru4rec.arraytypes import IntArray

# Scores of a chunk: small enough to stay near the processor, large enough for its matrix product.
# Of a large catalog more, so that its vectors are not read for a few rows only.
_CHUNK_SCORES = 1 << 22
_MOST_SCORES, _FEWEST_ROWS = 1 << 25, 32
_BLOCK_CLICKS = 1 << 14


def row_blocks(clicks: IntArray) -> Iterator[IntArray]:
    """Cut clicks into pieces whose session vectors stay within a fixed size."""
    for start in range(0, len(clicks), _BLOCK_CLICKS):
        yield clicks[start : start + _BLOCK_CLICKS]


def rows_at_once(num_items: int) -> int:
    """Rows whose scores of so many items stay within a fixed size."""
    return max(1, _CHUNK_SCORES // num_items, min(_FEWEST_ROWS, _MOST_SCORES // num_items))


def row_chunks(clicks: IntArray, num_items: int) -> Iterator[IntArray]:
    """Cut the blocks of clicks into pieces whose scores of all items stay within a fixed size."""
    size = rows_at_once(num_items)
    for block in row_blocks(clicks):
        for start in range(0, len(block), size):
            yield block[start : start + size]
