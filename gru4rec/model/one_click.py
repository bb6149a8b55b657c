"""One more click of one session in NumPy: a live answer waits for calls, not for arithmetic.

A call of torch costs several times as much as one of NumPy, and so does a view of a weight, so that
views are kept. What is learned in place is seen through them. Before each click it is looked
whether every weight is where it was viewed; after a load or a move it is not, and is viewed anew.
"""

from typing import NamedTuple, Self
from weakref import WeakKeyDictionary

import numpy as np
from torch import Tensor

from gru4rec.arraytypes import Float32Array
from gru4rec.model.encoders.gru import GRU, GRULayer
from gru4rec.model.network import Model

# E length of an input, L layers, H units, G = 3H gate columns (reset, update, new)

_HALF = np.array(0.5, dtype=np.float32)  # which NumPy takes in half the time of a number


def row_after_click(model: Model, row: Float32Array | None, item: int) -> Float32Array | None:
    """Return the row of a session after one more click, as `states_after` has it.

    None for all but a GRU on a CPU that reads nothing but items.
    """
    step = _STEPS.get(model)
    if step is None or step.places() != step.viewed:
        _STEPS.pop(model, None)  # or its views would hold the weights of before in memory
        if type(model.encoder) is not GRU or model.sides is not None:
            return None
        if not model.output_table.is_cpu:
            return None
        step = _STEPS[model] = _Step(model, model.encoder)
    return step.row_after(row, item)


class _Layer(NamedTuple):
    """The weights of a layer, as `GRULayer` has them."""

    ih: Float32Array | None
    hh: Float32Array
    bias_ih: Float32Array
    bias_hh: Float32Array | None

    @classmethod
    def of(cls, layer: GRULayer) -> Self:
        """View a layer's weights."""
        ih, bias_hh = (
            None if weight is None else _array(weight)
            for weight in (layer.weight_ih, layer.bias_hh)
        )
        return cls(ih, _array(layer.weight_hh), _array(layer.bias_ih), bias_hh)

    def state_after(self, inputs_E: Float32Array, before_H: Float32Array) -> Float32Array:
        """Return the state after a click [H]; see `PackedGRU` and `PackedGRUBefore`."""
        ih, hh, bias_ih, bias_hh = self
        size = len(before_H)
        # A matrix product would be shared out among threads, and wait until each has a core.
        products_G = (inputs_E if ih is None else np.vecdot(ih, inputs_E)) + bias_ih
        if bias_hh is None:
            gates = _sigmoid(products_G[: 2 * size] + np.vecdot(hh[: 2 * size], before_H))
            reset, update = gates[:size], gates[size:]
            recurrent_H = np.vecdot(hh[2 * size :], reset * before_H)
            new: Float32Array = np.tanh(products_G[2 * size :] + recurrent_H)
            return before_H + update * (new - before_H)
        recurrent_G = np.vecdot(hh, before_H) + bias_hh
        gates = _sigmoid((products_G + recurrent_G)[: 2 * size])
        reset, update = gates[:size], gates[size:]
        new = np.tanh(products_G[2 * size :] + reset * recurrent_G[2 * size :])
        return new + update * (before_H - new)


class _Step:
    """The weights of a model that a click reads, as arrays."""

    def __init__(self, model: Model, encoder: GRU) -> None:
        layers = [layer for layer in encoder.layers if isinstance(layer, GRULayer)]
        # What modules keep their parameters in: also one that takes another's place is found there.
        self._parameters = [module._parameters for module in (model, *layers)]
        self.viewed = self.places()
        self._table, self._size = _array(model.input_table), encoder.output_size
        self._layers = [_Layer.of(layer) for layer in layers]

    def places(self) -> list[int]:
        """Return where the weights are in memory now; nothing else can be where a view is."""
        return [
            weight.data_ptr()
            for of_module in self._parameters
            for weight in of_module.values()
            if weight is not None
        ]

    def row_after(self, row: Float32Array | None, item: int) -> Float32Array:
        """See `row_after_click`."""
        if row is None:
            row = np.zeros(len(self._layers) * self._size, dtype=np.float32)
        before_LH = row.reshape(-1, self._size)  # and the session vector, which no layer reads
        states = []
        outputs = self._table[item].astype(np.float32, copy=False)
        for layer, before_H in zip(self._layers, before_LH, strict=False):
            outputs = layer.state_after(outputs, before_H)
            states.append(outputs)
        return np.concatenate((*states, outputs))


_STEPS: WeakKeyDictionary[Model, _Step] = WeakKeyDictionary()


def _sigmoid(values: Float32Array) -> Float32Array:
    """Return 1 / (1 + exp(−x)), by a function that does not overflow."""
    doubled: Float32Array = np.tanh(values * _HALF)
    return doubled * _HALF + _HALF


def _array(weight: Tensor) -> Float32Array:
    """Return a view of a weight on a CPU."""
    view: Float32Array = weight.numpy(force=True)
    return view
