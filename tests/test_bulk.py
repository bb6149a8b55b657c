"""How much a device works on at once, and how arrays get there."""

import numpy as np
import pytest
import torch

from gru4rec.bulk import BULKS, sent
from gru4rec.model.device import DEVICES


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
