"""One update of a model: forward, loss, gradients, optimisers."""

from collections.abc import Mapping

import torch
from torch import Tensor

from gru4rec.config import TrainingConfig
from gru4rec.model import Model, State, dropout
from gru4rec.training.batch import TrainingBatch
from gru4rec.training.objective import make_objective
from gru4rec.training.optimizers import Adagrad, DenseOptimizer


class Learner:
    """Owns the optimisers' state and the run's device; the model learns in place."""

    def __init__(self, model: Model, config: TrainingConfig, device: torch.device) -> None:
        self.model = model.to(device)
        self.device = device
        self._config = config
        self._objective = make_objective(config)
        self._random = torch.Generator(device)
        tables = {"output": model.output_table, "input": model.input_table}
        if model.shared:
            del tables["input"]
        if model.bias is not None:
            tables["bias"] = model.bias
        self.tables = {name: Adagrad(table, config.momentum) for name, table in tables.items()}
        self.dense = DenseOptimizer(
            model.learned_densely(),
            name=config.dense_optimizer,
            momentum=config.momentum,
            adamw_rate=config.dense_learning_rate,
        )

    def step(
        self, batch: TrainingBatch, state: State, rate_factor: float, *, weight: float = 1.0
    ) -> tuple[Tensor, State]:
        """One update by the batch's mean loss times `weight`, at a share of the config's rate.

        Returns the mean loss, on the device, and the state that the next window goes on from.
        """
        batch = batch.to(self.device)
        model, config = self.model, self._config
        self._random.manual_seed(batch.seed)

        inputs_ME = model.input_table.index_select(0, batch.inputs).requires_grad_()
        outputs_CD = model.output_table.index_select(0, batch.candidates).requires_grad_()
        offset_C = -batch.correction
        if model.bias is not None:
            bias_C = model.bias.index_select(0, batch.candidates).requires_grad_()
            offset_C = bias_C + offset_C

        before = model.encoder.carry(
            len(batch.packing.ends), state, batch.carried, batch.carried_from
        )
        dropped_ME = dropout(inputs_ME, config.embedding_dropout, self._random)
        read_ME = model.embed(dropped_ME, batch.sides)
        vectors_MD, after = model.encoder(read_ME, batch.packing, before, self._random)
        vectors_MD = dropout(vectors_MD, config.hidden_dropout, self._random)
        compared = model.comparable(vectors_MD, outputs_CD)
        loss = self._objective(*compared, offset_C, batch.targets, batch.masked)
        (loss * weight).backward()  # type: ignore[no-untyped-call]

        rate = config.learning_rate * rate_factor
        self._update_items(batch, inputs_ME, outputs_CD, rate)
        if model.bias is not None:
            self.tables["bias"].update_rows(batch.candidates, _gradient(bias_C), rate)
        self.dense.update(rate, rate_factor)
        return loss.detach(), tuple(part.detach() for part in after)

    def _update_items(
        self, batch: TrainingBatch, inputs: Tensor, outputs: Tensor, rate: float
    ) -> None:
        """Move the rows of the item tables; a shared table takes the sum of both uses."""
        gradient = inputs.new_zeros(len(batch.input_rows), inputs.shape[1])
        if self.model.shared:
            gradient[: len(batch.candidates)] = _gradient(outputs)
        else:
            self.tables["output"].update_rows(batch.candidates, _gradient(outputs), rate)
        gradient.index_add_(0, batch.input_places, _gradient(inputs))
        table = self.tables["output" if self.model.shared else "input"]
        table.update_rows(batch.input_rows, gradient, rate)

    def is_finite(self) -> bool:
        """Whether every weight is a number."""
        return all(bool(weight.isfinite().all()) for weight in self.model.state_dict().values())

    def tensors(self) -> dict[str, Tensor]:
        """All that updates have changed, by name: weights and the optimisers' state."""
        parts = {"model": self.model.state_dict(), "dense": self.dense.tensors()}
        parts |= {name: optimizer.tensors() for name, optimizer in self.tables.items()}
        return {
            f"{part}.{name}": tensor
            for part, tensors in parts.items()
            for name, tensor in tensors.items()
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `tensors` gave, here or in another process."""
        self.model.load_state_dict(part_of("model", tensors))
        self.dense.restore(part_of("dense", tensors))
        for name, optimizer in self.tables.items():
            optimizer.restore(part_of(name, tensors))


def part_of(part: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those of `tensors` whose names begin with `part` and a dot, by the rest of their names."""
    return {
        name.removeprefix(f"{part}."): tensor
        for name, tensor in tensors.items()
        if name.startswith(f"{part}.")
    }


def _gradient(leaf: Tensor) -> Tensor:
    """What `backward` left on a leaf that the loss depends on."""
    if leaf.grad is None:
        raise RuntimeError("a leaf has no gradient; call this after backward")
    return leaf.grad
