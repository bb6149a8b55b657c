"""Learn to place items by their attributes, beside their own rows.

The rows that are learned from are own row + attributes. For a share of the clicks a second loss
asks for the target once more, among candidates half of which have their attributes alone: so these
learn to place an item by themselves, at a score that is fair beside the others. That loss moves
nothing else. (Taking own rows away in the first loss, for a tenth of the items, cost .03 of MRR on
items that have clicks: LOG, 2026-11-28.)
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from gru4rec.config import TrainingConfig
from gru4rec.model import Placement, sum_of
from gru4rec.sessions import CodedItems
from gru4rec.training.batch import TrainingBatch
from gru4rec.training.named_tensors import joined, part_of
from gru4rec.training.objective import Objective
from gru4rec.training.optimizers import Adagrad, DenseOptimizer, gradient_of

_RATE = 0.3  # as a share of that of the rows, which many items share here (LOG, 2026-11-28)
_ALONE = 0.5  # of the candidates of the second loss

Comparable = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""See `Model.comparable`."""


class Placing:
    """What a learner adds to the own rows of items, and the optimisers of that."""

    # M clicks, m of them that ask once more, R clicks that are read, C candidates, U rows of the
    # input table, E length of an input, D of a session vector, W width of a table
    def __init__(
        self,
        placement: Placement,
        items: CodedItems,
        config: TrainingConfig,
        device: torch.device,
        *,
        in_parts: bool = False,
    ) -> None:
        """With `in_parts` batches are parts of windows, perhaps of a few clicks."""
        self._in_parts = in_parts
        self.placement, self.items = placement.to(device), items
        self._codes = torch.from_numpy(items.codes).to(device)
        self._numbers = torch.from_numpy(items.numbers).to(device)
        self._known = torch.from_numpy(items.are_known).to(device)
        self._share = config.own_row_dropout
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
        self._alone: dict[str, Tensor] = {}

    def placed(
        self, batch: TrainingBatch, inputs_RE: Tensor, outputs_CD: Tensor, bias_C: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return inputs, outputs and biases with what attributes add to the own ones.

        Autograd sees the own ones and all that is added. Call `update` after `backward`.
        """
        self._alone = {}
        if "input" in self.placement.values:
            added_UE = self._added("input", batch.input_rows)
            self._alone["output"] = self._added("output", batch.candidates)
        else:  # of a shared table, whose first rows are the candidates
            added_UE = self._added("output", batch.input_rows)
            self._alone["output"] = added_UE[: len(batch.candidates)]
        if bias_C is not None:
            self._alone["bias"] = self._added("bias", batch.candidates).squeeze(1)
            bias_C = bias_C + self._alone["bias"]
        inputs_RE = inputs_RE + added_UE[batch.input_places]
        return inputs_RE, outputs_CD + self._alone["output"], bias_C

    def loss_alone(
        self,
        batch: TrainingBatch,
        objective: Objective,
        comparable: Comparable,
        vectors_MD: Tensor,
        outputs_CD: Tensor,
        bias_C: Tensor | None,
        random: torch.Generator,
    ) -> Tensor:
        """Return the mean loss of the second kind; 0 if no click is drawn for it.

        Outputs and biases are those of `placed`. Only the attributes take a gradient from it.
        """
        asks_m = self._drawn(len(vectors_MD), self._share, random).nonzero().squeeze(1)
        if not len(asks_m):
            return vectors_MD.new_zeros(())
        alone_C = self._drawn(len(outputs_CD), _ALONE, random) & self._known[batch.candidates]
        mixed_CD = torch.where(alone_C.unsqueeze(1), self._alone["output"], outputs_CD.detach())
        offset_C = -batch.correction
        if bias_C is not None:
            offset_C = offset_C + torch.where(alone_C, self._alone["bias"], bias_C.detach())
        compared = comparable(vectors_MD.detach()[asks_m], mixed_CD)
        masked = _of_rows(batch.masked, asks_m, len(vectors_MD), len(outputs_CD))
        weights_m = batch.weights[asks_m] if len(batch.weights) else None
        loss = objective(*compared, offset_C, batch.targets[asks_m], masked, weights_m)
        if not self._in_parts:
            return loss
        # The mean over all parts: where few are drawn they count little.
        return loss * (len(asks_m) / (self._share * len(vectors_MD)))

    def gradients(self) -> list[Tensor]:
        """Return the gradients of what was used since the last update; zeros where there are none.

        Of batches with the same candidates and rows they are of the same weights.
        """
        for _, _, leaf in self._used:
            if leaf.grad is None:
                leaf.grad = torch.zeros_like(leaf)
        return [*(gradient_of(leaf) for _, _, leaf in self._used), *self._dense.gradients()]

    def update(self, rate: float, rate_factor: float) -> None:
        """Move what was used since the last update by its gradients; see `DenseOptimizer`."""
        for name, values, leaf in self._used:
            if leaf.grad is not None:
                gradient = leaf.grad * (values > 0).unsqueeze(1)  # what is not known adds nothing
                self._values[name].update_rows(values, gradient, _RATE * rate)
        self._used.clear()
        self._dense.update(_RATE * rate, _RATE * rate_factor)

    def tensors(self) -> dict[str, Tensor]:
        """Return the optimisers' state, by name."""
        states = {name: optimizer.tensors() for name, optimizer in self._values.items()}
        return joined({"dense": self._dense.tensors(), **states})

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over a state that `tensors` gave."""
        self._dense.restore(part_of("dense", tensors))
        for name, optimizer in self._values.items():
            optimizer.restore(part_of(name, tensors))

    def _added(self, name: str, items: Tensor) -> Tensor:
        """Return what attributes add to the rows of items [n, W]."""
        values, places = torch.unique(self._codes[items], return_inverse=True)
        leaf = self.placement.values[name].index_select(0, values).requires_grad_()
        self._used.append((name, values, leaf))
        added, matrix = sum_of(places, leaf), self.placement.matrices[name]
        return added + self._numbers[items] @ matrix if len(matrix) else added

    def _drawn(self, count: int, share: float, random: torch.Generator) -> Tensor:
        """Draw a share of so many."""
        return torch.rand(count, device=self._codes.device, generator=random) < share


def _of_rows(places: Tensor, rows: Tensor, num_rows: int, num_columns: int) -> Tensor:
    """Return flat places of a table as those of the table that has some of its rows only."""
    new_row = places.new_full((num_rows,), -1)
    new_row[rows] = torch.arange(len(rows), device=rows.device)
    row = new_row[places // num_columns]
    return (row * num_columns + places % num_columns)[row >= 0]
