"""What is sent to a device arrives as it was."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from gru4rec.bulk import sent_together

TYPES = (torch.int64, torch.float32, torch.uint8, torch.int32, torch.bool)


@given(st.lists(st.tuples(st.sampled_from(TYPES), st.lists(st.integers(0, 3), max_size=3))))
def test_tensors_of_any_type_and_shape_arrive_as_they_were(kinds) -> None:
    tensors = [
        torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(n)).to(dtype)
        for n, (dtype, shape) in enumerate(kinds)
    ]
    there = sent_together(tensors, torch.device("cpu"))
    for sent, tensor in zip(there, tensors, strict=True):
        assert (sent.dtype, sent.shape) == (tensor.dtype, tensor.shape)
        assert torch.equal(sent, tensor)


def test_it_is_one_transfer() -> None:
    tensors = [torch.arange(3), torch.ones(2, 2), torch.tensor(True)]
    storages = {
        part.untyped_storage().data_ptr() for part in sent_together(tensors, torch.device("cpu"))
    }
    assert len(storages) == 1
