"""The best of all scores: as a stable sort finds them, ties and all, whatever the size."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gru4rec.serving.selection import top_k


def sorted_items(scores: torch.Tensor, k: int) -> torch.Tensor:
    return torch.sort(scores, dim=1, descending=True, stable=True).indices[:, :k]


@pytest.mark.parametrize("k", [1, 2, 5, 9])
def test_of_equal_scores_the_lower_index_comes_first(k):
    random = torch.Generator().manual_seed(k)
    scores = torch.randint(0, 4, (50, 40), generator=random).float()
    assert torch.equal(top_k(scores, k), sorted_items(scores, k))


@given(
    size=st.integers(200, 3000),
    k=st.integers(1, 20),
    values=st.integers(1, 100_000),
    seed=st.integers(0, 1000),
)
def test_large_catalogs_are_ranked_as_a_stable_sort_ranks_them(size, k, values, seed):
    random = torch.Generator().manual_seed(seed)
    scores = torch.randint(0, values, (3, size), generator=random).double()
    assert torch.equal(top_k(scores, k), sorted_items(scores, k))


def test_items_that_may_not_be_recommended_come_last_in_their_order():
    scores = torch.full((1, 5000), -torch.inf)
    scores[0, [4999, 17, 2500]] = torch.tensor([1.0, 3.0, 2.0])
    assert top_k(scores, 5).tolist() == [[17, 2500, 4999, 0, 1]]
