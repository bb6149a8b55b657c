"""Learn to place items by their attributes, beside their own rows."""

from collections.abc import Mapping

import torch
from torch import Tensor

from gru4rec.config import TrainingConfig
from gru4rec.model import Placement, sum_of
from gru4rec.sessions import CodedItems
from gru4rec.training.batch import TrainingBatch
from gru4rec.training.named_tensors import joined, part_of
from gru4rec.training.optimizers import Adagrad, DenseOptimizer


class Placing:
    """What a learner adds to the own rows of items, and the optimisers of that.

    For each window items are drawn that go without their own rows, so that attributes learn to
    place an item by themselves. An item of which nothing is known keeps its row.
    """

    # M clicks, R clicks that are read, C candidates, U rows of the input table, E length of an
    # input, D of a session vector, W width of a table, V values of attributes
    def __init__(
        self, placement: Placement, items: CodedItems, config: TrainingConfig, device: torch.device
    ) -> None:
        self.placement, self.items = placement.to(device), items
        self._codes = torch.from_numpy(items.codes).to(device)
        self._numbers = torch.from_numpy(items.numbers).to(device)
        self._known = torch.from_numpy(items.are_known).to(device)
        self._dropped = config.own_row_dropout
        self._values = {
            name: Adagrad(values, config.momentum) for name, values in placement.values.items()
        }
        self._dense = DenseOptimizer(
            placement.learned_densely(),
            name=config.dense_optimizer,
            momentum=config.momentum,
            adamw_rate=config.dense_learning_rate,
        )
        self._used: list[tuple[str, Tensor, Tensor]] = []

    def placed(
        self,
        batch: TrainingBatch,
        inputs_RE: Tensor,
        outputs_CD: Tensor,
        bias_C: Tensor | None,
        random: torch.Generator,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return inputs, outputs and biases with what attributes add, some without the own rows.

        Autograd sees the own ones and all that is added. Call `update` after `backward`.
        """
        shared = "input" not in self.placement.values
        kept_U1 = self._kept(batch.input_rows, random)
        added_UE = self._added("output" if shared else "input", batch.input_rows)
        at = batch.input_places
        inputs_RE = inputs_RE * kept_U1[at] + added_UE[at]
        if shared:  # the candidates come first among the rows
            kept_C1, added_CD = (rows[: len(batch.candidates)] for rows in (kept_U1, added_UE))
        else:
            kept_C1 = self._kept(batch.candidates, random)
            added_CD = self._added("output", batch.candidates)
        outputs_CD = outputs_CD * kept_C1 + added_CD
        if bias_C is not None:
            added_C = self._added("bias", batch.candidates).squeeze(1)
            bias_C = bias_C * kept_C1.squeeze(1) + added_C
        return inputs_RE, outputs_CD, bias_C

    def update(self, rate: float, rate_factor: float) -> None:
        """Move what was used since the last update by its gradients; see `DenseOptimizer`."""
        for name, values, leaf in self._used:
            if leaf.grad is not None:
                gradient = leaf.grad * (values > 0).unsqueeze(1)  # what is not known adds nothing
                self._values[name].update_rows(values, gradient, rate)
        self._used.clear()
        self._dense.update(rate, rate_factor)

    def tensors(self) -> dict[str, Tensor]:
        """Return the optimisers' state, by name."""
        states = {name: optimizer.tensors() for name, optimizer in self._values.items()}
        return joined({"dense": self._dense.tensors(), **states})

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over a state that `tensors` gave."""
        self._dense.restore(part_of("dense", tensors))
        for name, optimizer in self._values.items():
            optimizer.restore(part_of(name, tensors))

    def _kept(self, items: Tensor, random: torch.Generator) -> Tensor:
        """Draw which items keep their own rows [n, 1]: 1, or 0."""
        draws = torch.rand(len(items), device=items.device, generator=random)
        kept = (draws >= self._dropped) | ~self._known[items]
        return kept.to(torch.float32).unsqueeze(1)

    def _added(self, name: str, items: Tensor) -> Tensor:
        """Return what attributes add to the rows of items [n, W]."""
        values, places = torch.unique(self._codes[items], return_inverse=True)
        leaf = self.placement.values[name].index_select(0, values).requires_grad_()
        self._used.append((name, values, leaf))
        added, matrix = sum_of(places, leaf), self.placement.matrices[name]
        return added + self._numbers[items] @ matrix if len(matrix) else added
