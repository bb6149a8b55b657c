"""Make ONNX graphs of a GRU4Rec: one click of running sessions, or a whole one and its best items.

    one step   item [B], state → state after it, query [B, D]
    top k      items [1, T] → scores [1, k], top [1, k]

Both take a click as `steps` has it. The second one does so in a loop over the clicks.
"""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from gru4rec.errors import DataError, choose
from gru4rec.exporting.graph import Graph, Shape, Value
from gru4rec.exporting.own_items import rescored
from gru4rec.exporting.steps import STEPS, Step
from gru4rec.recommenders import GRU4Rec, Recommender

# B sessions, T clicks, N items, D components of a query

_NO_LOG = float(np.finfo(np.float32).min)  # for the log of 0, which JSON cannot write
_MOST_BYTES = 2**31 - 2**24  # a file of protocol buffers ends there


@dataclass(frozen=True)
class StatePart:
    """One tensor of an encoder's state."""

    name: str
    shape: tuple[int, ...]
    """Of one session."""
    initial: float
    """The number that it is filled with before the first click."""

    @property
    def after(self) -> str:
        """The name of what it is after a click."""
        return f"next_{self.name}"


@dataclass(frozen=True)
class Exported:
    """A GRU4Rec as graphs are made of it."""

    recommender: GRU4Rec
    weights: dict[str, npt.NDArray[Any]]
    """Those of the model, by its own names."""
    state: list[StatePart]
    step: Step

    @classmethod
    def of(cls, recommender: Recommender) -> "Exported":
        """Look at a recommender. Raise DataError for one that no graph is made of."""
        if not isinstance(recommender, GRU4Rec):
            raise DataError(
                f"a {recommender.name} has no graph of its own; export a checkpoint of GRU4Rec"
            )
        config, model = recommender.config.encoder, recommender.model
        if not model.encoder.streams:
            raise DataError(
                f"the encoder {config.name} reads whole sessions, and a graph takes a click at a "
                f"time; train one of {', '.join(STEPS)}"
            )
        if len(recommender.side_inputs):
            raise DataError(
                f"the model reads {', '.join(recommender.side_inputs.values)} of a click besides "
                "its item, which a graph does not take; train one without inputs",
                mend_with=["inputs"],
            )
        if model.scores_by_q:
            raise DataError("scores with Q have no graph yet; train with q_scores = false")
        step = choose("encoder that can be exported", config.name, STEPS)
        parts = zip(step.states(config), model.encoder.initial_state(1), strict=True)
        state = [
            StatePart(name, tuple(part.shape[1:]), max(float(part.amax()), _NO_LOG))
            if part.numel()
            else StatePart(name, tuple(part.shape[1:]), 0.0)
            for name, part in parts
        ]
        weights = {
            name: weight.numpy(force=True)
            for name, weight in model.state_dict().items()
            if weight.is_floating_point()
        }
        return cls(recommender, weights, state, step)

    @property
    def query_size(self) -> int:
        """Components of a query, and of an item's vector."""
        model = self.recommender.model
        return model.encoder.output_size + (not model.cosine)

    def one_step(self) -> bytes:
        """Return the file of the graph of one click of B sessions."""
        self._refuse_too_large(self._input_bytes)
        graph = Graph(self.weights)
        vector, after = self._click(graph, "item", [part.name for part in self.state])
        for part, value in zip(self.state, after, strict=True):
            graph.named(value, part.after)
        graph.named(self._query(graph, vector), "query")
        shapes: list[Shape] = [("batch", *part.shape) for part in self.state]
        names = zip(self.state, shapes, strict=True)
        states = [(part, ("FLOAT", shape)) for part, shape in names]
        return graph.model(
            "one_step",
            {"item": ("INT64", ["batch"]), **{part.name: kind for part, kind in states}},
            {
                **{part.after: kind for part, kind in states},
                "query": ("FLOAT", ["batch", self.query_size]),
            },
            self.metadata("one step"),
        )

    def top_k(self, k: int) -> bytes:
        """Return the file of the graph of a whole session and its best k items; k is N at most."""
        vectors = self._item_vectors()
        self._refuse_too_large(self._input_bytes + vectors.nbytes)
        graph = Graph(self.weights)
        items_T = graph.add("Squeeze", "items", graph.constant(np.array([0])))
        vector = self._after_all(graph, items_T)
        kept = graph.constant(vectors, "item_vectors")
        if vectors.dtype != np.float32:
            kept = graph.add("Cast", kept, to=1)
        scores = graph.add("Gemm", self._query(graph, vector), kept, transB=1)
        if self.recommender.repeats is not None:
            scores = rescored(graph, self.recommender.repeats, items_T, scores)
        best = graph.add_many("TopK", 2, scores, graph.constant(np.array([k])), axis=1)
        for name, value in zip(("scores", "top"), best, strict=True):
            graph.named(value, name)
        return graph.model(
            "top_k",
            {"items": ("INT64", [1, "clicks"])},
            {"scores": ("FLOAT", [1, k]), "top": ("INT64", [1, k])},
            self.metadata("top k"),
        )

    def metadata(self, kind: str) -> dict[str, str]:
        """Return what the file of a graph says of itself."""
        state = {part.name: {"shape": part.shape, "initial": part.initial} for part in self.state}
        return {
            "gru4rec.graph": kind,
            "gru4rec.encoder": self.recommender.config.encoder.name,
            "gru4rec.scoring": self.recommender.config.flat()["training.scoring"],
            "gru4rec.state": json.dumps(state),
        }

    def _click(self, graph: Graph, item: Value, before: list[Value]) -> tuple[Value, list[Value]]:
        """Add a click of sessions, by item indexes [B]; return vectors and the state after it."""
        table = "output_table" if self.recommender.model.shared else "_input_table"
        read = graph.add("Gather", graph.weight(table), item)
        if self.weights[table].dtype != np.float32:
            read = graph.add("Cast", read, to=1)
        return self.step.run(graph, self.recommender.config.encoder, "encoder.", read, before)

    def _after_all(self, graph: Graph, items_T: Value) -> Value:
        """Add a loop over the clicks of one session, and return its vector [1, H]."""
        size = self.recommender.model.encoder.output_size
        carried = [*self.state, StatePart("vector", (size,), 0.0)]
        body = graph.inner()
        item = body.add("Unsqueeze", "item", body.constant(np.array([0])))
        vector, after = self._click(body, item, [part.name for part in self.state])
        for part, value in zip(carried, (*after, vector), strict=True):
            body.named(value, part.after)
        shapes: dict[str, Shape] = {part.name: (1, *part.shape) for part in carried}
        loop = body.body({**shapes, "item": ()}, [part.after for part in carried], item="item")
        starts = [
            graph.constant(np.full((1, *part.shape), part.initial, np.float32), f"no {part.name}")
            for part in carried
        ]
        last = graph.add_many("Scan", len(carried), *starts, items_T, body=loop, num_scan_inputs=1)
        return last[-1]

    def _query(self, graph: Graph, vector: Value) -> Value:
        """Return what is multiplied with item vectors, as `Model.query_vectors` makes it."""
        add, model = graph.add, self.recommender.model
        if not model.cosine:  # a 1 behind it, for the bias
            one = graph.constant(np.float32(1))
            return add("Pad", vector, graph.constant(np.array([0, 0, 0, 1])), one)
        at_1 = graph.constant(np.array([1]))
        square = add("ReduceSum", add("Mul", vector, vector), at_1, keepdims=1)
        length = add("Max", add("Sqrt", square), graph.constant(np.float32(1e-12)))
        return add("Mul", add("Div", vector, length), graph.constant(np.float32(model.scale)))

    @torch.inference_mode()
    def _item_vectors(self) -> npt.NDArray[Any]:
        vectors: npt.NDArray[Any] = self.recommender.kept_vectors()
        return vectors

    @property
    def _input_bytes(self) -> int:
        return sum(weight.nbytes for weight in self.weights.values())

    def _refuse_too_large(self, size: int) -> None:
        if size > _MOST_BYTES:
            raise DataError(
                f"the graph would take {size / 2**30:.1f} GiB, and an ONNX file holds 2; shrink "
                "the items to float16, or train with a smaller hidden_size",
                mend_with=["hidden_size"],
            )
