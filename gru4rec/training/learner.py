"""One update of a model: forward, loss, gradients, optimisers."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor

from gru4rec.config import TrainingConfig
from gru4rec.model import ContextEncoder, Model, QHead, State, dropout, fold, folded, item_tables
from gru4rec.training.batch import TrainingBatch
from gru4rec.training.losses import mean_of
from gru4rec.training.named_tensors import joined, part_of
from gru4rec.training.objective import make_objective
from gru4rec.training.optimizers import Adagrad, DenseOptimizer, gradient_of
from gru4rec.training.outcome_loss import with_outcome
from gru4rec.training.placing import Placing
from gru4rec.training.q_learning import QLoss, q_loss

_PLACEMENT = "placement"

RowGradient = tuple[str, Tensor, Tensor]
"""Name of an item table, rows of it, each once [R], and their gradients [R, …]."""


class Learner:
    """Owns the optimisers' state and the run's device; the model learns in place."""

    # M clicks, R those and the ones before them that are read again, C candidates, U rows of the
    # input table, E length of an input, D of a session vector
    def __init__(
        self,
        model: Model,
        config: TrainingConfig,
        device: torch.device,
        placing: Placing | None = None,
    ) -> None:
        self.placing = placing
        self.placement = None if placing is None else placing.placement
        self.model = model.to(device)
        self.device = device
        self._config = config
        self._objective = make_objective(config)
        self._random = torch.Generator(device)
        self.tables = {
            name: Adagrad(table, config.momentum) for name, table in item_tables(model).items()
        }
        self.dense = DenseOptimizer(
            model.learned_densely(),
            name=config.dense_optimizer,
            momentum=config.momentum,
            adamw_rate=config.dense_learning_rate,
        )

    def step(
        self, batch: TrainingBatch, state: State, rate_factor: float, *, weight: float = 1.0
    ) -> tuple[Tensor, State]:
        """Update once by the batch's mean loss times `weight`, at a share of the config's rate.

        Return the mean loss, on the device, and the state that the next window goes on from.
        """
        batch = batch.to(self.device)
        gradients, loss, after = self._learned(batch, state, weight)
        self._move(gradients, rate_factor)
        return loss, after

    def _learned(
        self, batch: TrainingBatch, state: State, weight: float
    ) -> tuple[list[RowGradient], Tensor, State]:
        """Return the gradients of the item tables, the mean loss and the state after the window.

        Those of the dense parameters stay where `backward` leaves them.
        """
        model = self.model
        self._random.manual_seed(batch.seed)

        inputs_RE, outputs_CD, bias_C = self._leaves(batch)
        read_RE, scored_CD, added_C = inputs_RE, outputs_CD, bias_C
        if self.placing is not None:
            read_RE, scored_CD, added_C = self.placing.placed(batch, inputs_RE, outputs_CD, bias_C)
        vectors_MD, after = self._encode(read_RE, batch, state)
        offset_C = -batch.correction if added_C is None else added_C - batch.correction
        compared = model.comparable(vectors_MD, scored_CD)
        weights_M = batch.weights if len(batch.weights) else None
        q = None if model.q is None else self._q_loss(model.q, vectors_MD, compared[1], batch)
        if q is not None and self._config.q_advantage:
            weights_M = 1.0 + q.advantages if weights_M is None else weights_M * (1 + q.advantages)
        loss = self._objective(*compared, offset_C, batch.targets, batch.masked, weights_M)
        if batch.soft_targets.shape[1]:
            loss = loss + self._config.teaching * surprise_by_teachers(batch, *compared, added_C)
        asked = loss if q is None else loss + self._config.q_weight * q.loss
        if self.placing is not None:
            asked = asked + self.placing.loss_alone(
                batch, self._objective, model.comparable, vectors_MD, scored_CD, added_C,
                self._random,
            )  # fmt: skip
        if model.outcome is not None:
            rest = asked - loss
            share = self._config.outcome_weight
            loss = with_outcome(
                loss, model.outcome, vectors_MD, batch.outcomes,
                known=batch.known_outcomes, weight=share,
            )  # fmt: skip
            asked = loss + (1 - share) * rest
        (asked * weight).backward()  # type: ignore[no-untyped-call]
        gradients = self._row_gradients(batch, inputs_RE, outputs_CD, bias_C)
        return gradients, loss.detach(), tuple(part.detach() for part in after)

    def _leaves(self, batch: TrainingBatch) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return the rows that a batch reads and scores: inputs [R, E], outputs [C, D], bias."""
        model = self.model
        inputs_RE = leaf_of(model.input_table, batch.inputs)
        outputs_CD = leaf_of(model.output_table, batch.candidates)
        bias_C = None if model.bias is None else leaf_of(model.bias, batch.candidates)
        return inputs_RE, outputs_CD, bias_C

    def _move(self, gradients: list[RowGradient], rate_factor: float) -> None:
        """Move all weights by their gradients."""
        rate = self._config.learning_rate * rate_factor
        for name, rows, gradient in gradients:
            self.tables[name].update_rows(rows, gradient, rate)
        self.dense.update(rate, rate_factor)
        if self.placing is not None:
            self.placing.update(rate, rate_factor)

    def _encode(
        self, inputs_RE: Tensor, batch: TrainingBatch, state: State
    ) -> tuple[Tensor, State]:
        """Return session vectors [M, D], dropout on both sides, and the state after the window."""
        model, packing = self.model, batch.packing
        dropped_RE = dropout(inputs_RE, self._config.embedding_dropout, self._random)
        read_RE, num_clicks = model.embed(dropped_RE, batch.sides), len(batch.targets)
        if len(read_RE) > num_clicks:  # pieces of endless sessions, for encoders that do not stream
            encoder = cast(ContextEncoder, model.encoder)
            state = encoder.reread(read_RE[num_clicks:], len(batch.carried))
            read_RE = read_RE[:num_clicks]
        before = model.encoder.carry(len(packing.ends), state, batch.carried, batch.carried_from)
        vectors_MD, after = model.encoder(read_RE, packing, before, self._random)
        return dropout(vectors_MD, self._config.hidden_dropout, self._random), after

    def _q_loss(
        self, head: QHead, vectors_MD: Tensor, outputs_CD: Tensor, batch: TrainingBatch
    ) -> QLoss:
        return q_loss(
            head, vectors_MD, outputs_CD, batch,
            discount=self._config.discount, random=self._random,
        )  # fmt: skip

    def _row_gradients(
        self, batch: TrainingBatch, inputs_RE: Tensor, outputs_CD: Tensor, bias_C: Tensor | None
    ) -> list[RowGradient]:
        """Return the gradients of the item tables; a shared table takes the sum of both uses."""
        gradients: list[RowGradient] = []
        gradient_UE = inputs_RE.new_zeros(len(batch.input_rows), inputs_RE.shape[1])
        if self.model.shared:
            gradient_UE[: len(batch.candidates)] = gradient_of(outputs_CD)
        else:
            gradients.append(("output", batch.candidates, gradient_of(outputs_CD)))
        gradient_UE.index_add_(0, batch.input_places, gradient_of(inputs_RE))
        read = "output" if self.model.shared else "input"
        gradients.append((read, batch.input_rows, gradient_UE))
        if bias_C is not None:
            gradients.append(("bias", batch.candidates, gradient_of(bias_C)))
        return gradients

    def is_finite(self) -> bool:
        """Whether every weight is a number."""
        return all(bool(weight.isfinite().all()) for weight in self.weights().values())

    def weights(self) -> dict[str, Tensor]:
        """Return the weights of the model, by name, and of what places its items."""
        placed = {} if self.placing is None else self.placing.placement.state_dict()
        return {**self.model.state_dict(), **joined({_PLACEMENT: placed})}

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take over what `weights` gave."""
        placed = part_of(_PLACEMENT, weights)
        own = {name: part for name, part in weights.items() if not name.startswith(_PLACEMENT)}
        self.model.load_state_dict(own)
        if self.placing is not None:
            self.placing.placement.load_state_dict(placed)

    def fold(self) -> None:
        """Make an ordinary model of one whose items are placed by attributes, once it has learned.

        What is learned from then on is the model's own rows.
        """
        if self.placing is not None:
            fold(self.model, self.placing.placement, self.placing.items)
            self.placing = None

    @contextmanager
    def folded(self) -> Iterator[None]:
        """Fold while this lasts; then all is as before, to the bit."""
        if self.placing is None:
            yield
            return
        with folded(self.model, self.placing.placement, self.placing.items):
            yield

    def tensors(self) -> dict[str, Tensor]:
        """Return all that updates have changed, by name: weights and the optimisers' state."""
        placing = {} if self.placing is None else self.placing.tensors()
        parts = {"model": self.weights(), "placing": placing}
        return {**joined(parts), **self.optimizer_tensors()}

    def optimizer_tensors(self) -> dict[str, Tensor]:
        """Return the optimisers' state alone, by name."""
        tables = {name: optimizer.tensors() for name, optimizer in self.tables.items()}
        return joined({"dense": self.dense.tensors(), **tables})

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `tensors` gave, here or in another process."""
        self.load_weights(part_of("model", tensors))
        self.restore_optimizer(tensors)
        if self.placing is not None:
            self.placing.restore(part_of("placing", tensors))

    def restore_optimizer(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `optimizer_tensors` gave."""
        self.dense.restore(part_of("dense", tensors))
        for name, optimizer in self.tables.items():
            optimizer.restore(part_of(name, tensors))


def surprise_by_teachers(
    batch: TrainingBatch, vectors_MD: Tensor, outputs_CD: Tensor, bias_C: Tensor | None
) -> Tensor:
    """Return by how much the mean score of targets is above that of what teachers name.

    Added to the cross-entropy with weight w it makes that with (1 − w) · target + w · soft targets:
    both have the same normaliser, so only the scores of the targets are exchanged.
    """
    # M clicks, C candidates, T items named after each click, D of a session vector
    named_MD = outputs_CD[batch.soft_targets].mean(1)
    target_MD = outputs_CD.index_select(0, batch.targets)
    above_M = (vectors_MD * (target_MD - named_MD)).sum(1)
    if bias_C is not None:
        above_M = above_M + bias_C.index_select(0, batch.targets)
        above_M = above_M - bias_C[batch.soft_targets].mean(1)
    return mean_of(above_M, batch.weights if len(batch.weights) else None)


def leaf_of(table: Tensor, rows: Tensor) -> Tensor:
    """Return rows of a table as a tensor of their own, which `backward` leaves a gradient on."""
    return table.index_select(0, rows).requires_grad_()
