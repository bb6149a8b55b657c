"""How many operations of torch one update takes: each is a kernel, or a few, on a GPU.

    python benchmarks/operations.py
    python benchmarks/operations.py --hidden-size 128 --negatives 4352 --by-name

Counted on a CPU, by tracing one update of the packed path and one of the windows of one shape that
a GPU records and replays: without kernels of our own (`model/encoders/gru_kernels.py` and others),
and with them, as Triton's interpreter runs them; then each launch of one counts as an operation.
Views and what only takes memory are not counted. A replay sets the state of the generator besides.
"""

import argparse
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any
from unittest.mock import patch

os.environ["TRITON_INTERPRET"] = "1"  # before Triton is imported

from speed import decided, read_log, trainer_of
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from gru4rec.model import use_kernels
from gru4rec.training.static.engine import StaticEngine

_FREE = {
    "view", "_unsafe_view", "t", "transpose", "select", "slice", "split", "split_with_sizes",
    "detach", "expand", "unsqueeze", "squeeze", "as_strided", "alias", "empty", "empty_like",
    "new_empty", "permute", "unbind", "empty_strided", "new_empty_strided", "_reshape_alias",
    "is_pinned", "chunk",
}  # fmt: skip


class Counted(TorchDispatchMode):
    """Counts the operations that do some work, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = func.name().removeprefix("aten::").partition(".")[0]
        if name not in _FREE:
            self.counts[name] += 1
        return func(*args, **(kwargs or {}))


@contextmanager
def counted_launches(counts: Counter[str]) -> Iterator[None]:
    """Count launches of kernels by name, and none of what the interpreter does for one."""
    from triton.runtime.interpreter import GridExecutor

    launch = GridExecutor.__call__

    def counted(executor: GridExecutor, *args: Any, **kwargs: Any) -> None:
        module = executor.fn.__module__.rpartition(".")[2]
        counts[f"{module}.{executor.fn.__name__.removeprefix('_')}"] += 1
        with _disable_current_modes():
            launch(executor, *args, **kwargs)

    with patch.object(GridExecutor, "__call__", counted):
        yield


def counts(settings: dict[str, object]) -> dict[str, Counter[str]]:
    """The operations of one update of each path."""
    log = read_log(None)
    config = decided(log, settings)
    paths = {}
    names = ["packed", "static"]
    if find_spec("triton") is None:
        print("Triton is not installed: kernels are left out")
    else:
        names.append("static, with kernels")
    for name in names:
        trainer = trainer_of(log, config)
        if name == "packed":
            batch = trainer.batches.make(0, 0)
            with Counted() as counted:
                trainer.learner.step(batch, (), 1.0)
        else:
            engine = StaticEngine(trainer.learner, trainer.batches, config)
            engine.windows.place(range(1), lambda window: 1.0)
            with Counted() as counted:
                if name == "static":
                    engine.step(engine.windows.heights[0])
                else:
                    with use_kernels(on_cpu=True), counted_launches(counted.counts):
                        engine.step(engine.windows.heights[0])
        paths[name] = counted.counts
    return paths


def main() -> None:
    """Print how many there are."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hidden-size", type=int, default=100)
    parser.add_argument("--lanes", type=int, default=32)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--negatives", type=int, default=2048)
    parser.add_argument("--by-name", action="store_true", help="the operations of each kind")
    options = parser.parse_args()
    settings = {
        "encoder.hidden_size": options.hidden_size,
        "training.lanes": options.lanes,
        "training.steps": options.steps,
        "training.negatives": options.negatives,
        "training.precision": "bf16",
    }
    for name, counted in counts(settings).items():
        print(f"{name}: {counted.total()} operations an update")
        if options.by_name:
            for operation, count in counted.most_common():
                print(f"    {operation:32} {count}")


if __name__ == "__main__":
    main()
