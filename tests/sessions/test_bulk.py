"""How much a device works on at once, and how arrays get there."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gru4rec.model.device import DEVICES
from gru4rec.sessions.bulk import BULKS, sent, sent_together

TYPES = (torch.int64, torch.float32, torch.uint8, torch.int32, torch.bool)


def test_every_device_that_may_be_asked_for_has_its_sizes():
    assert {"auto", *BULKS} == set(DEVICES)


def test_on_a_cpu_a_sent_array_is_the_same_memory():
    array = np.arange(3)
    tensor = sent(array, torch.device("cpu"))
    array[0] = 7
    assert tensor.tolist() == [7, 1, 2]


@pytest.mark.gpu
@pytest.mark.parametrize("array", [np.arange(5), np.zeros((4, 0), np.int64), np.ones(3, bool)])
def test_what_is_sent_to_a_gpu_arrives(array):
    tensor = sent(array, torch.device("cuda"))
    assert tensor.is_cuda
    assert np.array_equal(tensor.cpu().numpy(), array)


@given(st.lists(st.tuples(st.sampled_from(TYPES), st.lists(st.integers(0, 3), max_size=3))))
def test_tensors_of_any_type_and_shape_arrive_as_they_were(kinds) -> None:
    tensors = [
        torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(n)).to(dtype)
        for n, (dtype, shape) in enumerate(kinds)
    ]
    there = sent_together(tensors, torch.device("cpu"))
    for arrived, tensor in zip(there, tensors, strict=True):
        assert (arrived.dtype, arrived.shape) == (tensor.dtype, tensor.shape)
        assert torch.equal(arrived, tensor)


def test_it_is_one_transfer() -> None:
    tensors = [torch.arange(3), torch.ones(2, 2), torch.tensor(True)]
    storages = {
        part.untyped_storage().data_ptr() for part in sent_together(tensors, torch.device("cpu"))
    }
    assert len(storages) == 1
