"""One more click of one session in NumPy: a live answer waits for calls, not for arithmetic.

A call of torch costs several times as much as one of NumPy, and as much as what it computes of one
click. The weights are views of the model's own, taken anew at every click: they are never old.
"""

import numpy as np
from torch import Tensor

from gru4rec.arraytypes import Float32Array
from gru4rec.model.encoders.gru import GRU, GRULayer
from gru4rec.model.network import Model

_HALF = np.array(0.5, dtype=np.float32)  # which NumPy takes in half the time of a number


# E length of an input, L layers, H units, G = 3H gate columns (reset, update, new)
def row_after_click(model: Model, row: Float32Array | None, item: int) -> Float32Array | None:
    """Return the row of a session after one more click, as `states_after` has it.

    None for all but a GRU on a CPU that reads nothing but items.
    """
    encoder, table = model.encoder, model.input_table
    if type(encoder) is not GRU or model.sides is not None or not table.is_cpu:
        return None
    layers, size = encoder.layers, encoder.output_size
    before = np.zeros((len(layers), size), np.float32) if row is None else row.reshape(-1, size)
    states = []
    outputs = _array(table)[item].astype(np.float32, copy=False)
    for layer, before_H in zip(layers, before, strict=False):  # a row ends with the session vector
        assert isinstance(layer, GRULayer)
        outputs = _state_after(layer, outputs, before_H)
        states.append(outputs)
    return np.concatenate((*states, outputs))


def _state_after(layer: GRULayer, inputs_E: Float32Array, before_H: Float32Array) -> Float32Array:
    """Return the state of a layer after a click [H]; see `PackedGRU` and `PackedGRUBefore`."""
    size = len(before_H)
    weight_ih, bias_hh, weight_GH = layer.weight_ih, layer.bias_hh, _array(layer.weight_hh)
    # A matrix product would be shared out among threads, and wait until each has a core.
    products_G = inputs_E if weight_ih is None else np.vecdot(_array(weight_ih), inputs_E)
    products_G = products_G + _array(layer.bias_ih)
    if bias_hh is None:
        gates = _sigmoid(products_G[: 2 * size] + np.vecdot(weight_GH[: 2 * size], before_H))
        reset, update = gates[:size], gates[size:]
        recurrent_H = np.vecdot(weight_GH[2 * size :], reset * before_H)
        new: Float32Array = np.tanh(products_G[2 * size :] + recurrent_H)
        return before_H + update * (new - before_H)
    recurrent_G = np.vecdot(weight_GH, before_H) + _array(bias_hh)
    gates = _sigmoid((products_G + recurrent_G)[: 2 * size])
    reset, update = gates[:size], gates[size:]
    new = np.tanh(products_G[2 * size :] + reset * recurrent_G[2 * size :])
    return new + update * (before_H - new)


def _sigmoid(values: Float32Array) -> Float32Array:
    """Return 1 / (1 + exp(−x)), by a function that does not overflow."""
    doubled: Float32Array = np.tanh(values * _HALF)
    return doubled * _HALF + _HALF


def _array(weight: Tensor) -> Float32Array:
    """Return a view of a weight on a CPU."""
    view: Float32Array = weight.numpy(force=True)
    return view
