"""Compare what onnxruntime computes by a graph with what torch does, on random sessions."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gru4rec.arraytypes import Float32Array, IntArray
from gru4rec.errors import CheckpointError, import_extra
from gru4rec.exporting.onnx_graphs import Exported
from gru4rec.sessions import NO_SIDE_INPUTS, REACH, RunningSession, SessionArrays, arrays_of

TOLERANCE = 1e-5
"""Between numbers, relative to the largest of them where that is above 1."""

_STEPS, _BATCH = 20, 3
_LENGTHS = (1, 2, 5, 20, REACH + 15)  # beyond what the repeat head looks at

Run = Callable[[dict[str, Any]], list[Any]]


# N items, D components of a query
def check_one_step(exported: Exported, file: Path) -> None:
    """Run sessions side by side, click by click. Raise CheckpointError if a query differs."""
    run = runner(file)
    sessions = _sessions(exported, [_STEPS] * _BATCH)
    arrays, states = _arrays(sessions), initial_states(exported, _BATCH)
    queries = np.empty((len(arrays.items), exported.query_size), np.float32)
    for step in range(_STEPS):
        items = np.array([session[step] for session in sessions])
        *after, query = run({"item": items, **states})
        states = {part.name: value for part, value in zip(exported.state, after, strict=True)}
        queries[arrays.offsets[:-1] + step] = query
    expected = np.empty_like(queries)
    for rows, vectors in exported.recommender.queries(arrays, np.arange(len(arrays.items))):
        expected[rows] = vectors.numpy(force=True)
    _compare(queries, expected)


def check_top_k(exported: Exported, file: Path, *, k: int) -> None:
    """Ask for the best k of sessions of several lengths. Raise CheckpointError if any differs."""
    run = runner(file)
    sessions = _sessions(exported, _LENGTHS)
    arrays = _arrays(sessions)
    every = np.empty((len(sessions), len(exported.recommender.catalog)), np.float32)
    for rows, scores_MN in exported.recommender.score(arrays, arrays.offsets[1:] - 1):
        every[rows] = scores_MN.numpy(force=True)
    for session, scores_N in zip(sessions, every, strict=True):
        (scores,), (top,) = run({"items": np.array([session])})
        if len(np.unique(top)) < k:
            raise _differs("names an item twice")
        _compare(scores, -np.sort(-scores_N)[:k])
        _compare(scores, scores_N[top])


def runner(file: Path) -> Run:
    """Return what runs a graph on one thread: all inputs by name in, all outputs out."""
    onnxruntime = import_extra("onnxruntime", extra="onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda inputs: list(session.run(None, inputs))


def initial_states(exported: Exported, count: int) -> dict[str, Float32Array]:
    """Return the state of so many sessions without a click."""
    return {
        part.name: np.full((count, *part.shape), part.initial, np.float32)
        for part in exported.state
    }


def _sessions(exported: Exported, lengths: Any) -> list[IntArray]:
    """Draw sessions that come back to items now and then."""
    random = np.random.default_rng(0)
    size = len(exported.recommender.catalog)
    few = [random.integers(size, size=max(1, length // 2)) for length in lengths]
    return [random.choice(items, length) for items, length in zip(few, lengths, strict=True)]


def _arrays(sessions: list[IntArray]) -> SessionArrays:
    running = [
        RunningSession(items.tolist(), [[] for _ in items], [None] * len(items))
        for items in sessions
    ]
    return arrays_of(running, NO_SIDE_INPUTS)


def _compare(given: Float32Array, expected: Float32Array) -> None:
    far = float(np.abs(given - expected).max() / max(1.0, np.abs(expected).max()))
    if not far <= TOLERANCE:
        raise _differs(f"is {far:.1e} away")


def _differs(how: str) -> CheckpointError:
    version = import_extra("onnxruntime", extra="onnx").__version__
    return CheckpointError(
        f"what onnxruntime {version} computes by the graph {how} from what the model does; nothing "
        "is written. Try another version of onnxruntime"
    )
