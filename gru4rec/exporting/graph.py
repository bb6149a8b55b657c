"""Write an ONNX graph node by node."""

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

from gru4rec.errors import import_extra

OPSET, IR = 17, 8
"""Versions that runtimes of 2022 and later read."""

Value = str
"""The name of a tensor in the graph."""
Shape = Sequence[int | str]
"""Numbers, and names of those that are known when the graph runs."""


class Graph:
    """Nodes in their order, and the constants that they read.

    A graph within another one (`inner`) reads the constants of that one, and gives its own to it.
    """

    def __init__(
        self, weights: Mapping[str, npt.NDArray[Any]], *, within: "Graph | None" = None
    ) -> None:
        """Take the weights that `weight` may ask for. Raise MissingExtraError without onnx."""
        self._onnx = import_extra("onnx", extra="onnx")
        self._weights = weights
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {} if within is None else within._constants
        self._numbers: count[int] = count() if within is None else within._numbers

    def inner(self) -> "Graph":
        """Return an empty graph for a node of this one."""
        return Graph(self._weights, within=self)

    def add(self, op: str, *inputs: Value, **attributes: Any) -> Value:
        """Add a node of one output and return that."""
        (output,) = self.add_many(op, 1, *inputs, **attributes)
        return output

    def add_many(self, op: str, outputs: int, *inputs: Value, **attributes: Any) -> list[Value]:
        """Add a node of several outputs and return these."""
        names = [f"{op}_{next(self._numbers)}" for _ in range(outputs)]
        self._nodes.append(self._onnx.helper.make_node(op, inputs, names, **attributes))
        return names

    def named(self, value: Value, name: str) -> None:
        """Give a value a name by which the world outside knows it."""
        self._nodes.append(self._onnx.helper.make_node("Identity", [value], [name]))

    def constant(self, array: npt.ArrayLike, name: str | None = None) -> Value:
        """Return a constant; of one name there is one, however often it is asked for."""
        name = f"constant_{next(self._numbers)}" if name is None else name
        if name not in self._constants:
            values = np.ascontiguousarray(array)
            # `ascontiguousarray` makes one number of no dimension a row of one.
            tensor = self._onnx.numpy_helper.from_array(values.reshape(np.shape(array)), name)
            self._constants[name] = tensor
        return name

    def has(self, weight: str) -> bool:
        """Whether the model has a weight of that name."""
        return weight in self._weights

    def weight(self, name: str, rows: slice = slice(None)) -> Value:
        """Return a weight of the model, or some rows of it."""
        part = "" if rows == slice(None) else f"[{rows.start or 0}:{rows.stop or ''}]"
        return self.constant(self._weights[name][rows], name + part)

    def linear(
        self, inputs: Value, weight: str, bias: str | None = None, rows: slice = slice(None)
    ) -> Value:
        """Return inputs · (rows of a weight)ᵀ + bias."""
        added = [] if bias is None or not self.has(bias) else [self.weight(bias)]
        return self.add("Gemm", inputs, self.weight(weight, rows), *added, transB=1)

    def body(
        self, inputs: Mapping[Value, Shape | None], outputs: Sequence[Value], *, item: Value
    ) -> Any:
        """Return the graph as the body of a loop; `item` is a whole number, all else floats."""
        of, types = self._onnx.helper, self._onnx.TensorProto
        given = [
            of.make_tensor_value_info(name, types.INT64 if name == item else types.FLOAT, shape)
            for name, shape in inputs.items()
        ]
        made = [of.make_tensor_value_info(name, types.FLOAT, None) for name in outputs]
        return of.make_graph(self._nodes, "body", given, made)

    def model(
        self,
        name: str,
        inputs: Mapping[Value, tuple[str, Shape]],
        outputs: Mapping[Value, tuple[str, Shape]],
        metadata: Mapping[str, str],
    ) -> bytes:
        """Return the file of a model: inputs and outputs by name are of a type and a shape."""
        of, types = self._onnx.helper, self._onnx.TensorProto
        given, made = (
            [
                of.make_tensor_value_info(name, getattr(types, kind), shape)
                for name, (kind, shape) in values.items()
            ]
            for values in (inputs, outputs)
        )
        graph = of.make_graph(self._nodes, name, given, made, list(self._constants.values()))
        opset = [of.make_opsetid("", OPSET)]
        model = of.make_model(graph, producer_name="gru4rec", opset_imports=opset, ir_version=IR)
        of.set_model_props(model, dict(metadata))
        self._onnx.checker.check_model(model, full_check=True)
        written: bytes = model.SerializeToString()
        return written
