"""The head that tells the outcome of a session from its vector."""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear


class OutcomeHead(nn.Module):
    """Softmax regression on the session vector; it begins with zeros, so it draws nothing."""

    # M clicks, D of a session vector, K classes
    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(classes, width))
        self.bias = nn.Parameter(torch.zeros(classes))

    def __len__(self) -> int:
        """The number of classes."""
        return len(self.bias)

    def forward(self, vectors_MD: Tensor) -> Tensor:
        """Return the logits of the classes [M, K]: W · session vector + b."""
        return linear(vectors_MD, self.weight, self.bias)

    @torch.no_grad()
    def fold(self, slope: float, shifts_K: Tensor) -> None:
        """Become the head whose logits are slope · those of now + shifts."""
        self.weight.mul_(slope)
        self.bias.mul_(slope).add_(shifts_K.to(self.bias))
