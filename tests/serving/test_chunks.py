"""Rows of scores in pieces, of any device."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gru4rec.serving.chunks import (
    chunks_of_block,
    in_row_chunks,
    row_blocks,
    row_chunks,
    rows_at_once,
)
from gru4rec.sessions.bulk import BULKS

CUDA = torch.device("cuda")
COUNTS = st.integers(0, 400_000)
ITEMS = st.integers(1, 5_000_000)


def pieces_of(num_rows: int, num_items: int, device: torch.device) -> list[slice]:
    blocks = row_blocks(num_rows, device)
    return [rows for block in blocks for rows in chunks_of_block(block, num_items, device)]


@given(num_rows=COUNTS, num_items=ITEMS.filter(lambda n: n > 500))
def test_pieces_hold_each_row_once_in_order(num_rows, num_items):
    for device in map(torch.device, BULKS):
        pieces = pieces_of(num_rows, num_items, device)
        assert [piece.start for piece in pieces] == [0, *(p.stop for p in pieces)][: len(pieces)]
        assert num_rows == (pieces[-1].stop if pieces else 0)


@given(num_rows=COUNTS, num_items=ITEMS.filter(lambda n: n > 500))
def test_pieces_of_a_gpu_are_cut_into_those_of_a_cpu(num_rows, num_items):
    scored = (
        (rows, torch.empty(rows.stop - rows.start, 0))
        for rows in pieces_of(num_rows, num_items, CUDA)
    )
    cut = [rows for rows, _ in in_row_chunks(scored, num_items)]
    assert cut == list(row_chunks(num_rows, num_items))


@given(num_items=ITEMS)
def test_a_gpu_makes_as_many_scores_as_it_may_or_as_a_cpu_does(num_items):
    rows, of_cpu = rows_at_once(num_items, CUDA), rows_at_once(num_items)
    assert rows % of_cpu == 0
    assert rows * num_items <= max(BULKS["cuda"].scores, of_cpu * num_items)


# what they were when they were measured
@pytest.mark.parametrize(
    ("num_items", "rows"), [(60, 69905), (17_057, 245), (50_000, 83), (1_000_000, 32)]
)
def test_a_cpu_makes_few_scores_at_once(num_items, rows):
    assert rows_at_once(num_items) == rows


def test_cut_pieces_hold_the_scores_of_their_rows():
    scores = torch.arange(30_000).unsqueeze(1)
    for rows, part in in_row_chunks([(slice(0, 20_000), scores[:20_000])], 1000):
        assert torch.equal(part, scores[rows])
