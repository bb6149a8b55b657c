"""One update from a window of one shape: what a device does, and a GPU's graph replays."""

import torch
from torch import Tensor

from gru4rec.config import TrainingConfig
from gru4rec.model import Packing, State, dropout
from gru4rec.training.learner import Learner, gradient_of, leaf_of
from gru4rec.training.static.candidates import Columns, DeviceCandidates, Rows
from gru4rec.training.static.objective import make_objective
from gru4rec.training.static.windows import DeviceWindows, Window

# M places, C columns, U rows of the input table, E length of an input, D of a session vector


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
        self._config, self._clicks_per_window = config, clicks_per_window
        self._objective = make_objective(config)
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

    def learn(self, window: Window, columns: Columns, rows: Rows) -> Tensor:
        """Update by the mean loss of a window, and return that []."""
        model, config = self._learner.model, self._config
        inputs_UE = leaf_of(model.input_table, rows.items)
        # of a shared table the columns are the first of its rows
        outputs_CD = inputs_UE[: len(columns.items)]
        if not model.shared:
            outputs_CD = leaf_of(model.output_table, columns.items)
        offset_C, bias_C = -columns.correction, None
        if model.bias is not None:
            bias_C = leaf_of(model.bias, columns.items)
            offset_C = bias_C + offset_C
        vectors_MD, after = self._encode(inputs_UE.index_select(0, rows.places), window)
        loss = self._objective(*model.comparable(vectors_MD, outputs_CD), offset_C, columns, window)
        weight = window.num_clicks / self._clicks_per_window
        (loss * weight.float()).backward()  # type: ignore[no-untyped-call]

        rate = config.learning_rate * window.rate_factor
        moved = {"output" if model.shared else "input": (rows.items, inputs_UE, rows.count)}
        if not model.shared:
            moved["output"] = (columns.items, outputs_CD, columns.count)
        if bias_C is not None:
            moved["bias"] = (columns.items, bias_C, columns.count)
        for name, (items, leaf, count) in moved.items():
            self._learner.tables[name].update_first_rows(items, gradient_of(leaf), count, rate)
        self._learner.dense.update(rate, window.rate_factor)
        for part, new in zip(self.state, after, strict=True):
            part.copy_(new.detach())  # backward needed what was there
        self.loss_sum += loss.detach() * window.num_clicks
        return loss.detach()

    def _encode(self, inputs_ME: Tensor, window: Window) -> tuple[Tensor, State]:
        """Return session vectors [M, D], dropout on both sides, and the state of lanes after."""
        model, config = self._learner.model, self._config
        dropped_ME = dropout(inputs_ME, config.embedding_dropout, self.random)
        packing = Packing.of_lanes(window.begins, window.ends, in_bf16=self.in_bf16)
        read_ME = model.embed(dropped_ME, window.sides)
        vectors_MD, after = model.encoder(read_ME, packing, self.state, self.random)
        return dropout(vectors_MD, config.hidden_dropout, self.random), after
