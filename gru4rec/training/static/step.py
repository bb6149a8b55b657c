"""One update from a window of one shape: what a device does, and a GPU's graph replays."""

import torch
from torch import Tensor

from gru4rec.config import TrainingConfig
from gru4rec.model import Packing, State
from gru4rec.training.learner import Learner, leaf_of
from gru4rec.training.objective import PRECISIONS
from gru4rec.training.optimizers import gradient_of
from gru4rec.training.static.candidates import Columns, DeviceCandidates, Rows
from gru4rec.training.static.inputs import Inputs
from gru4rec.training.static.objective import make_objective
from gru4rec.training.static.windows import DeviceWindows, Window

# M places, C columns, U rows of the input table, R rows of the output table, columns first,
# E length of an input, D of a session vector


class StaticStep:
    """Updates a learner's model by the next window. All it changes stays where it is in memory."""

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
        self.state: State = learner.model.encoder.initial_state(windows.lanes)
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

    def __call__(self, height: int) -> None:
        """Learn from the next window, which has so many rows."""
        window = self.windows.read(height)
        columns, rows = self.candidates.of(window, self.random)
        self.learn(window, columns, rows)

    def learn(self, window: Window, columns: Columns, rows: Rows) -> None:
        """Update by the losses of a window, and count them."""
        model, config = self._learner.model, self._config
        inputs_UE = leaf_of(model.input_table, rows.items)
        # of a shared table the columns are the first of its rows
        outputs_RD, bias_C = inputs_UE, None
        if not model.shared:
            outputs_RD = leaf_of(model.output_table, columns.items)
        if model.bias is not None:
            bias_C = leaf_of(model.bias, columns.items)
        inputs = Inputs(inputs_UE, rows.places, config.embedding_dropout, self.random)
        vectors_MD, after = self._encode(inputs.read, window)
        compared = model.comparable_in(
            self._precision, vectors_MD, outputs_RD, len(columns.items),
            hidden_dropout=config.hidden_dropout, random=self.random,
        )  # fmt: skip
        self._objective(*compared, bias_C, columns, window, self.loss_sum)
        inputs.backward()

        rate = config.learning_rate * window.rate_factor
        moved = {"output" if model.shared else "input": (rows.items, inputs_UE, rows.count)}
        if not model.shared:
            moved["output"] = (columns.items, outputs_RD, columns.count)
        if bias_C is not None:
            moved["bias"] = (columns.items, bias_C, columns.count)
        for name, (items, leaf, count) in moved.items():
            self._learner.tables[name].update_first_rows(items, gradient_of(leaf), count, rate)
        self._learner.dense.update(rate, window.rate_factor)
        for part, new in zip(self.state, after, strict=True):
            part.copy_(new.detach())  # backward needed what was there

    def _encode(self, inputs_ME: Tensor, window: Window) -> tuple[Tensor, State]:
        """Return session vectors [M, D], and the state of lanes after."""
        model = self._learner.model
        packing = Packing.of_lanes(window.begins, window.ends, in_bf16=self.in_bf16)
        read_ME = model.embed(inputs_ME, window.sides)
        vectors_MD, after = model.encoder(read_ME, packing, self.state, self.random)
        return vectors_MD, after
