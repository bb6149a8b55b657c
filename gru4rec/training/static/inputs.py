"""What the encoder reads of a window's items: rows of a table, some components dropped."""

import torch
from torch import Tensor

from gru4rec.model import dropout, dropout_bits, kernels_for

# U rows, M places, E length of an input


class Inputs:
    """Rows at the places of clicks. By a kernel they are a leaf of their own for autograd."""

    read: Tensor
    """What the encoder reads [M, E]."""

    def __init__(
        self, rows_UE: Tensor, places_M: Tensor, probability: float, random: torch.Generator
    ) -> None:
        self._rows_UE, self._places_M, self._probability = rows_UE, places_M, probability
        self._by_kernel, self._bits = kernels_for(rows_UE), None
        if not self._by_kernel:
            self.read = dropout(rows_UE.index_select(0, places_M), probability, random)
            return
        from gru4rec.training.static.input_kernels import read_rows

        if probability > 0:
            count = len(places_M) * rows_UE.shape[1]
            self._bits = dropout_bits(count, random, rows_UE.device)
        self.read = read_rows(rows_UE, places_M, self._bits, probability).requires_grad_()

    def backward(self) -> None:
        """Add the gradient of what was read onto that of the rows, unless autograd has."""
        if not self._by_kernel or self.read.grad is None:
            return
        from gru4rec.training.static.input_kernels import add_rows_

        if self._rows_UE.grad is None:
            self._rows_UE.grad = torch.zeros_like(self._rows_UE)
        gradient_ME = self.read.grad
        add_rows_(self._rows_UE.grad, self._places_M, gradient_ME, self._bits, self._probability)
