"""One update from a window of one shape: what a device does, and a GPU's graph replays."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gru4rec.config import TrainingConfig
from gru4rec.model import Packing, State
from gru4rec.training.learner import Learner, leaf_of
from gru4rec.training.objective import PRECISIONS
from gru4rec.training.optimizers import gradient_of
from gru4rec.training.ranks import ONE, Ranks
from gru4rec.training.static.candidates import Columns, DeviceCandidates, Rows
from gru4rec.training.static.inputs import Inputs
from gru4rec.training.static.objective import make_objective
from gru4rec.training.static.windows import Clicks, DeviceWindows, Window

# M places, C columns, U rows of the input table, R rows of the output table, columns first,
# E length of an input, D of a session vector


@dataclass(frozen=True, eq=False)
class RowGradients:
    """Gradients of some rows of an item table, of which the first so many are moved."""

    table: str
    items: Tensor
    """The rows [R], each once as far as they count."""
    values: Tensor
    """Their gradients [R, …]."""
    count: Tensor
    """How many count []."""


class StaticStep:
    """Updates a learner's model by the next window. All it changes stays where it is in memory."""

    ranks: Ranks = ONE
    """The processes whose windows and gradients it is given too."""

    def __init__(
        self,
        learner: Learner,
        windows: DeviceWindows,
        candidates: DeviceCandidates,
        config: TrainingConfig,
        clicks_per_window: float,
    ) -> None:
        self.windows, self.candidates = windows, candidates
        self._learner = learner
        self._config = config
        self._objective = make_objective(config, clicks_per_window)
        self._precision = PRECISIONS[config.precision]
        self.in_bf16 = config.precision == "bf16"
        self.random = torch.Generator(learner.device)
        self.state: State = learner.model.encoder.initial_state(len(windows.own))
        self._initial = tuple(part.clone() for part in self.state)
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=learner.device)

    def begin(self) -> None:
        """Let every lane begin anew, with no loss so far."""
        for part, initial in zip(self.state, self._initial, strict=True):
            part.copy_(initial)
        self.loss_sum.zero_()

    def tensors(self) -> tuple[Tensor, ...]:
        """Return what a step reads or changes beside the learner's tensors."""
        return (*self.state, self.loss_sum, *self.windows.tensors())

    @property
    def generators(self) -> tuple[torch.Generator, ...]:
        """What it draws from."""
        return (self.random,)

    def seed(self, key: int) -> None:
        """Let the next window's draws be those of a number."""
        self.random.manual_seed(key)

    def __call__(self, height: int) -> None:
        """Learn from the next window, which has so many rows."""
        self._learn(self.windows.read(height))

    def _learn(self, window: Window) -> None:
        clicks = self.clicks_of(window)
        columns, rows = self.candidates.of(clicks.window if clicks else window, self.random)
        self.learn(window, columns, rows, clicks)

    def clicks_of(self, window: Window) -> Clicks | None:
        """List the clicks of a window that is higher than others; None for those."""
        size = self.windows.lanes * self.windows.steps
        return Clicks.of(window, size) if len(window.filled) > size else None

    def learn(
        self, window: Window, columns: Columns, rows: Rows, clicks: Clicks | None = None
    ) -> None:
        """Update by the losses of a window, and count them.

        If its `clicks` are listed, columns and rows are of them.
        """
        gradients, after = self._differentiated(
            window, columns, rows, clicks, self.random, self.loss_sum
        )
        self._move(gradients, after, window.rate_factor)

    def _differentiated(
        self,
        window: Window,
        columns: Columns,
        rows: Rows,
        clicks: Clicks | None,
        random: torch.Generator,
        loss_sum: Tensor,
    ) -> tuple[list[RowGradients], State]:
        """Return the gradients of item tables, and the state of lanes after; add up the losses.

        Those of the dense parameters stay where `backward` leaves them. What is dropped is drawn
        from `random`.
        """
        model, config = self._learner.model, self._config
        inputs_UE = leaf_of(model.input_table, rows.items)
        # of a shared table the columns are the first of its rows
        outputs_RD, bias_C = inputs_UE, None
        if not model.shared:
            outputs_RD = leaf_of(model.output_table, columns.items)
        if model.bias is not None:
            bias_C = leaf_of(model.bias, columns.items)
        places = rows.places if clicks is None else rows.places[clicks.ranks]
        inputs = Inputs(inputs_UE, places, config.embedding_dropout, random)
        vectors_MD, after = self._encode(inputs.read, window, random)
        if clicks is not None:
            window, vectors_MD = clicks.window, vectors_MD.index_select(0, clicks.places)
        compared = model.comparable_in(
            self._precision, vectors_MD, outputs_RD, len(columns.items),
            hidden_dropout=config.hidden_dropout, random=random,
        )  # fmt: skip
        self._objective(*compared, bias_C, columns, window, loss_sum)
        inputs.backward()

        moved = [("output" if model.shared else "input", rows.items, inputs_UE, rows.count)]
        if not model.shared:
            moved.append(("output", columns.items, outputs_RD, columns.count))
        if bias_C is not None:
            moved.append(("bias", columns.items, bias_C, columns.count))
        gradients = [
            RowGradients(table, items, gradient_of(leaf), count)
            for table, items, leaf, count in moved
        ]
        return gradients, after

    def _move(self, gradients: list[RowGradients], after: State, rate_factor: Tensor) -> None:
        """Move all weights by their gradients, and the lanes to their state after the window."""
        rate = self._config.learning_rate * rate_factor
        for rows in gradients:
            table = self._learner.tables[rows.table]
            table.update_first_rows(rows.items, rows.values, rows.count, rate)
        self._learner.dense.update(rate, rate_factor)
        for part, new in zip(self.state, after, strict=True):
            part.copy_(new.detach())  # backward needed what was there

    def _encode(
        self, inputs_ME: Tensor, window: Window, random: torch.Generator
    ) -> tuple[Tensor, State]:
        """Return session vectors [M, D], and the state of lanes after."""
        model = self._learner.model
        packing = Packing.of_lanes(window.begins, window.ends, in_bf16=self.in_bf16)
        read_ME = model.embed(inputs_ME, window.sides)
        vectors_MD, after = model.encoder(read_ME, packing, self.state, random)
        return vectors_MD, after
