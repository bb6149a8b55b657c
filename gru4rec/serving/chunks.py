"""Cut the rows of a matrix of scores into pieces that fit in memory."""

from collections.abc import Iterator

# Scores of a chunk: small enough to stay near the processor, large enough for its matrix product.
# Of a large catalog more, so that its vectors are not read for a few rows only.
_CHUNK_SCORES = 1 << 22
_MOST_SCORES, _FEWEST_ROWS = 1 << 25, 32
_BLOCK_ROWS = 1 << 14


def row_blocks(num_rows: int) -> Iterator[slice]:
    """Cut rows into pieces whose session vectors stay within a fixed size."""
    yield from _cut(slice(0, num_rows), _BLOCK_ROWS)


def rows_at_once(num_items: int) -> int:
    """Return how many rows' scores of so many items stay within a fixed size."""
    return max(1, _CHUNK_SCORES // num_items, min(_FEWEST_ROWS, _MOST_SCORES // num_items))


def chunks_of_block(block: slice, num_items: int) -> Iterator[slice]:
    """Cut a block into pieces whose scores of all items stay within a fixed size."""
    yield from _cut(block, rows_at_once(num_items))


def row_chunks(num_rows: int, num_items: int) -> Iterator[slice]:
    """Cut rows into the chunks of their blocks, one after the other."""
    for block in row_blocks(num_rows):
        yield from chunks_of_block(block, num_items)


def _cut(rows: slice, size: int) -> Iterator[slice]:
    for start in range(rows.start, rows.stop, size):
        yield slice(start, min(start + size, rows.stop))
