"""Adagrad with momentum, for whole parameters and for the touched rows of item tables."""

from collections.abc import Iterable, Mapping
from typing import cast

import torch
from torch import Tensor, nn

from gru4rec.model import kernels_for

_EPSILON = 1e-6  # as in the authors' code


class Adagrad:
    """Elementwise acc += g², v = m·v − rate·g/√(acc + 1e-6), w += v; acc and v start at 0.

    As the GRU4Rec authors' optimiser: epsilon stands under the root, and rows that an update does
    not touch keep their v and do not move.
    """

    def __init__(self, weight: Tensor, momentum: float) -> None:
        self.weight = weight
        self.momentum = momentum
        self.accumulated = torch.zeros_like(weight)
        self.velocity = torch.zeros_like(weight) if momentum else None

    def tensors(self) -> dict[str, Tensor]:
        """Return the state, by name."""
        if self.velocity is None:
            return {"accumulated": self.accumulated}
        return {"accumulated": self.accumulated, "velocity": self.velocity}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over a state that `tensors` gave."""
        for name, part in self.tensors().items():
            part.copy_(tensors[name])

    @torch.no_grad()
    def update(self, gradient: Tensor, rate: float | Tensor) -> None:
        """Move the whole weight; `rate` may be a tensor [] on its device."""
        self.accumulated.addcmul_(gradient, gradient)
        step = (self.accumulated + _EPSILON).rsqrt_().mul_(gradient).mul_(-rate)
        if self.velocity is not None:
            step = self.velocity.mul_(self.momentum).add_(step)
        self.weight.add_(step)

    @torch.no_grad()
    def update_rows(self, rows: Tensor, gradient: Tensor, rate: float) -> None:
        """Move the given rows [R], each named once, by their gradient [R, …]."""
        accumulated = self.accumulated.index_select(0, rows).addcmul_(gradient, gradient)
        self.accumulated.index_copy_(0, rows, accumulated)
        step = accumulated.add_(_EPSILON).rsqrt_().mul_(gradient).mul_(-rate)
        if self.velocity is not None:
            step.add_(self.velocity.index_select(0, rows), alpha=self.momentum)
            self.velocity.index_copy_(0, rows, step)
        self.weight.index_add_(0, rows, step)

    @torch.no_grad()
    def update_first_rows(
        self, rows: Tensor, gradient: Tensor, count: Tensor, rate: Tensor
    ) -> None:
        """Move the first `count` [] of the rows [R], each named once, by their gradient [R, …].

        What comes after them does not move. The number is the device's alone to know.
        """
        if kernels_for(rows):
            from gru4rec.training.row_kernels import update_rows

            tables = (self.weight, self.accumulated, self.velocity)
            update_rows(*tables, rows, gradient, count, rate.float(), self.momentum)
            return
        moves = torch.arange(len(rows), device=rows.device) < count
        gradient = gradient * moves.view(-1, *[1] * (gradient.dim() - 1))
        squared = gradient * gradient
        accumulated = self.accumulated.index_select(0, rows).add_(squared)
        step = accumulated.add_(_EPSILON).rsqrt_().mul_(gradient).mul_(-rate)
        self.accumulated.index_add_(0, rows, squared)
        if self.velocity is not None:
            before = self.velocity.index_select(0, rows)
            step.add_(before, alpha=self.momentum)
            moves = moves.view(-1, *[1] * (step.dim() - 1))
            step = torch.where(moves, step, 0.0)
            self.velocity.index_add_(0, rows, torch.where(moves, step - before, 0.0))
        self.weight.index_add_(0, rows, step)


class DenseOptimizer:
    """Adagrad, or torch's AdamW, for parameters that every update touches."""

    def __init__(
        self, parameters: Iterable[nn.Parameter], *, name: str, momentum: float, adamw_rate: float
    ) -> None:
        self._parameters = list(parameters)
        self._adamw_rate = adamw_rate
        on_gpu = all(parameter.is_cuda for parameter in self._parameters)
        self._adamw = (
            torch.optim.AdamW(self._parameters, lr=adamw_rate, capturable=on_gpu)
            if name == "adamw" and self._parameters
            else None
        )
        self._adagrad = [] if self._adamw else [Adagrad(p, momentum) for p in self._parameters]

    def gradients(self) -> list[Tensor]:
        """Return the gradients of all parameters; zeros, which they take, where there are none."""
        for parameter in self._parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        return [cast(Tensor, parameter.grad) for parameter in self._parameters]

    def update(self, rate: float | Tensor, rate_factor: float | Tensor) -> None:
        """Move all parameters by their gradients, and clear these.

        `rate` is Adagrad's. AdamW has its own, times `rate_factor`, which the schedule has come
        down to. Both may be tensors [] on the device of the parameters.
        """
        if self._adamw is not None:
            self._adamw.param_groups[0]["lr"] = self._adamw_rate * rate_factor
            self._adamw.step()
        self._update_by_adagrad(rate)
        for parameter in self._parameters:
            parameter.grad = None

    def _update_by_adagrad(self, rate: float | Tensor) -> None:
        ours = self._adagrad
        gradients = [gradient_of(optimizer.weight) for optimizer in ours]
        if ours and isinstance(rate, Tensor) and kernels_for(rate):
            from gru4rec.training.dense_kernels import update_whole

            weights, accumulated = [o.weight for o in ours], [o.accumulated for o in ours]
            velocities = [o.velocity for o in ours]
            update_whole(weights, accumulated, velocities, gradients, rate, ours[0].momentum)
            return
        for optimizer, gradient in zip(ours, gradients, strict=True):
            optimizer.update(gradient, rate)

    def tensors(self) -> dict[str, Tensor]:
        """Return the state, by the number of the parameter and a name: "0.accumulated"."""
        states = (
            self._adamw.state_dict()["state"]
            if self._adamw
            else {number: optimizer.tensors() for number, optimizer in enumerate(self._adagrad)}
        )
        return {
            f"{number}.{name}": part
            for number, state in states.items()
            for name, part in state.items()
        }

    def shapes(self) -> dict[str, torch.Size]:
        """Return the shapes of what `tensors` gives after an update, by "dense." and its names."""
        parts = {"step": False, "exp_avg": True, "exp_avg_sq": True}
        if self._adamw is None:
            return {f"dense.{name}": part.shape for name, part in self.tensors().items()}
        return {
            f"dense.{number}.{name}": parameter.shape if is_wide else torch.Size()
            for number, parameter in enumerate(self._parameters)
            for name, is_wide in parts.items()
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over a state that `tensors` gave."""
        states: dict[int, dict[str, Tensor]] = {}
        for name, part in tensors.items():
            number, _, own_name = name.partition(".")
            states.setdefault(int(number), {})[own_name] = part.clone()  # AdamW keeps what it gets
        if self._adamw is not None and self._adamw.state:  # stays where it is in memory
            for place, parameter in enumerate(self._parameters):
                for own_name, part in self._adamw.state[parameter].items():
                    part.copy_(states[place][own_name]) if states else part.zero_()
        elif self._adamw is not None:
            self._adamw.load_state_dict({**self._adamw.state_dict(), "state": states})
        for place, optimizer in enumerate(self._adagrad):
            optimizer.restore(states[place])


def gradient_of(leaf: Tensor) -> Tensor:
    """Return what `backward` left on a leaf that the loss depends on."""
    if leaf.grad is None:
        raise RuntimeError("a leaf has no gradient; call this after backward")
    return leaf.grad
