"""Write one click of each encoder that streams as nodes of a graph."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from gru4rec.config import EncoderConfig
from gru4rec.exporting.graph import Graph, Value

# Values are of B sessions: inputs [B, E], hidden states [B, H]; of conv_gru the V = width − 1
# inputs before, the newest first [B, V, E].

Run = Callable[[Graph, EncoderConfig, str, Value, Sequence[Value]], tuple[Value, list[Value]]]
"""Adds a click: a graph, settings, what names of weights begin with, the input of the click and the
state before it; gives the session vector and the state after it."""


class Step(NamedTuple):
    """How an encoder takes a click."""

    states: Callable[[EncoderConfig], list[str]]
    """The names of the tensors of its state, in the order of `Encoder.initial_state`."""
    run: Run


def _of_each_layer(*names: str) -> Callable[[EncoderConfig], list[str]]:
    return lambda config: [f"{name}_{n}" for n in range(config.num_layers) for name in names]


_hidden = _of_each_layer("hidden")


def _gru(
    graph: Graph, config: EncoderConfig, at: str, read: Value, before: Sequence[Value]
) -> tuple[Value, list[Value]]:
    after = []
    for depth, hidden in enumerate(before):
        read = _gru_layer(graph, config, f"{at}layers.{depth}.", read, hidden)
        after.append(read)
    return read, after


def _gru_layer(graph: Graph, config: EncoderConfig, at: str, read: Value, hidden: Value) -> Value:
    """Return the state after a click, as `PackedGRU` and `PackedGRUBefore` compute it."""
    add, size = graph.add, config.hidden_size or 0
    if graph.has(f"{at}weight_ih"):
        products = graph.linear(read, f"{at}weight_ih", f"{at}bias_ih")
    else:  # of one-hot items, whose inputs are the products
        products = add("Add", read, graph.weight(f"{at}bias_ih"))
    of_reset, of_update, of_new = graph.add_many("Split", 3, products, axis=1)
    if graph.has(f"{at}bias_hh"):
        recurrent = graph.linear(hidden, f"{at}weight_hh", f"{at}bias_hh")
        to_reset, to_update, to_new = graph.add_many("Split", 3, recurrent, axis=1)
        reset = add("Sigmoid", add("Add", of_reset, to_reset))
        update = add("Sigmoid", add("Add", of_update, to_update))
        new = add("Tanh", add("Add", of_new, add("Mul", reset, to_new)))
        return add("Add", new, add("Mul", update, add("Sub", hidden, new)))
    recurrent = graph.linear(hidden, f"{at}weight_hh", rows=slice(0, 2 * size))
    to_reset, to_update = graph.add_many("Split", 2, recurrent, axis=1)
    reset = add("Sigmoid", add("Add", of_reset, to_reset))
    update = add("Sigmoid", add("Add", of_update, to_update))
    kept = add("Mul", reset, hidden)
    to_new = graph.linear(kept, f"{at}weight_hh", rows=slice(2 * size, None))
    new = add("Tanh", add("Add", of_new, to_new))
    return add("Add", hidden, add("Mul", update, add("Sub", new, hidden)))


def _products(graph: Graph, at: str, read: Value, hidden: Value) -> Value:
    """Return W_ih x + b_ih + W_hh h + b_hh."""
    of_input = graph.linear(read, f"{at}weight_ih", f"{at}bias_ih")
    recurrent = graph.linear(hidden, f"{at}weight_hh", f"{at}bias_hh")
    return graph.add("Add", of_input, recurrent)


def _lstm(
    graph: Graph, config: EncoderConfig, at: str, read: Value, before: Sequence[Value]
) -> tuple[Value, list[Value]]:
    add, after = graph.add, []
    for depth in range(config.num_layers):
        hidden, cell = before[2 * depth : 2 * depth + 2]
        products = _products(graph, f"{at}layers.{depth}.", read, hidden)
        into, forget, new, out = graph.add_many("Split", 4, products, axis=1)
        kept = add("Mul", add("Sigmoid", forget), cell)
        cell = add("Add", kept, add("Mul", add("Sigmoid", into), add("Tanh", new)))
        read = add("Mul", add("Sigmoid", out), add("Tanh", cell))
        after += [read, cell]
    return read, after


def _rnn(
    graph: Graph, config: EncoderConfig, at: str, read: Value, before: Sequence[Value]
) -> tuple[Value, list[Value]]:
    after = []
    for depth, hidden in enumerate(before):
        read = graph.add("Tanh", _products(graph, f"{at}layers.{depth}.", read, hidden))
        after.append(read)
    return read, after


def _attention_gru(
    graph: Graph, config: EncoderConfig, at: str, read: Value, before: Sequence[Value]
) -> tuple[Value, list[Value]]:
    """As `running_mean` has it: L' = log(exp L + exp a), c' = exp(L − L') c + exp(a − L') o."""
    add = graph.add
    *of_gru, mean, log_sum = before
    output, after = _gru(graph, config, f"{at}gru.", read, of_gru)
    score = graph.linear(output, f"{at}attention.weight")
    most = add("Max", log_sum, score)
    sums = [add("Exp", add("Sub", part, most)) for part in (log_sum, score)]
    log_sum_after = add("Add", most, add("Log", add("Add", *sums)))
    earlier, now = (add("Exp", add("Sub", part, log_sum_after)) for part in (log_sum, score))
    mean = add("Add", add("Mul", mean, earlier), add("Mul", output, now))
    both = add("Concat", output, mean, axis=1)
    vector = graph.linear(both, f"{at}join.weight", f"{at}join.bias")
    return vector, [*after, mean, log_sum_after]


def _conv_gru(
    graph: Graph, config: EncoderConfig, at: str, read: Value, before: Sequence[Value]
) -> tuple[Value, list[Value]]:
    add = graph.add
    kept, *of_gru = before
    at_1 = graph.constant(np.array([1]), "at_1")
    window = add("Concat", add("Unsqueeze", read, at_1), kept, axis=1)
    flat = add("Flatten", window, axis=1)
    seen = add("Relu", graph.linear(flat, f"{at}conv.weight", f"{at}conv.bias"))
    output, after = _gru(graph, config, f"{at}gru.", add("Add", read, seen), of_gru)
    start, end = (graph.constant(np.array([n])) for n in (0, config.conv_width - 1))
    return output, [add("Slice", window, start, end, at_1), *after]


def _last_click(
    graph: Graph, config: EncoderConfig, at: str, read: Value, before: Sequence[Value]
) -> tuple[Value, list[Value]]:
    depth = 0
    while graph.has(f"{at}layers.{depth}.weight"):
        if depth:
            read = graph.add("Tanh", read)
        read = graph.linear(read, f"{at}layers.{depth}.weight", f"{at}layers.{depth}.bias")
        depth += 1
    return read, []


STEPS: Mapping[str, Step] = {
    "gru": Step(_hidden, _gru),
    "lstm": Step(_of_each_layer("hidden", "cell"), _lstm),
    "rnn": Step(_hidden, _rnn),
    "attention_gru": Step(lambda config: [*_hidden(config), "mean", "log_sum"], _attention_gru),
    "conv_gru": Step(lambda config: ["inputs", *_hidden(config)], _conv_gru),
    "last_click": Step(lambda config: [], _last_click),
}
"""By the name of the encoder; the others read whole sessions."""
