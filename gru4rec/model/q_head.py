"""How much reward follows an item, by the session so far: two estimates of Q(session, item)."""

import torch
from torch import Tensor, nn

from gru4rec.model.encoders import glorot


class QHead(nn.Module):
    """Q(s, a) = (A s + b) · output vector of a, by two heads (double Q-learning, van Hasselt 2010).

    The output vectors are those that scores are made of, of length 1 where these are cosines. So a
    score to which Q is added is a dot product with the same vectors, by another query.
    """

    # M clicks, D of a session vector
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2, width, width))
        self.bias = nn.Parameter(torch.zeros(2, width))

    def initialize(self, random: torch.Generator) -> None:
        """Draw the matrices, so that the two heads differ; biases 0."""
        for matrix in self.weight.unbind():
            glorot(matrix, len(matrix), len(matrix), random)
        self.bias.zero_()

    def queries(self, vectors_MD: Tensor, head: int) -> Tensor:
        """Return what a head compares with output vectors after each click [M, D]."""
        return torch.addmm(self.bias[head], vectors_MD, self.weight[head].t())

    def mean_queries(self, vectors_MD: Tensor) -> Tensor:
        """Return the same of the mean of both heads [M, D]."""
        return torch.addmm(self.bias.mean(0), vectors_MD, self.weight.mean(0).t())
