"""How many operations of torch one update takes: each is a kernel, or a few, on a GPU.

    python benchmarks/operations.py
    python benchmarks/operations.py --hidden-size 128 --negatives 4352 --by-name

Counted on a CPU, by tracing one update of the packed path and one of the windows of one shape that
a GPU records and replays. Views and what only takes memory are not counted. Where Triton is, the
latter is counted again with kernels of our own, each as one; Triton's interpreter runs them.
"""

import argparse
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from typing import Any

os.environ["TRITON_INTERPRET"] = "1"  # before Triton is imported, which torch may do

import torch
from speed import decided, read_log
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from gru4rec.model import use_kernels
from gru4rec.model.network import Model
from gru4rec.training.batch import TrainingBatches
from gru4rec.training.learner import Learner
from gru4rec.training.static.engine import StaticEngine

_FREE = {
    "view", "_unsafe_view", "t", "transpose", "select", "slice", "split", "split_with_sizes",
    "detach", "expand", "unsqueeze", "squeeze", "as_strided", "alias", "empty", "empty_like",
    "new_empty", "permute", "unbind", "empty_strided", "_reshape_alias", "is_pinned", "chunk",
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
    def kernels(self) -> Iterator[None]:
        """Count the kernels that Triton's interpreter runs, and nothing that it does for them."""
        from triton.runtime.interpreter import InterpretedFunction

        run = InterpretedFunction.run

        def counted(kernel: Any, *args: Any, **kwargs: Any) -> None:
            self.counts[f"kernel {kernel.fn.__module__.split('.')[-1]}.{kernel.fn.__name__}"] += 1
            with _disable_current_modes():
                run(kernel, *args, **kwargs)

        InterpretedFunction.run = counted
        yield
        InterpretedFunction.run = run


def counts(settings: dict[str, object]) -> dict[str, Counter[str]]:
    """The operations of one update of each path."""
    log = read_log(None)
    config = decided(log, settings)
    paths = {}
    for name in ("packed", "static", "kernels")[: 3 if find_spec("triton") else 2]:
        model = Model(config, len(log.catalog))
        model.initialize(torch.Generator().manual_seed(0))
        batches = TrainingBatches(log.sessions, log.catalog.support, config)
        learner = Learner(model, config.training, torch.device("cpu"))
        if name == "packed":
            batch = batches.make(0, 0)
            with Counted() as counted:
                learner.step(batch, (), 1.0)
        else:
            engine = StaticEngine(learner, batches, config)
            engine.windows.place(range(1), lambda window: 1.0)
            by_kernels = name == "kernels"
            counted = Counted()
            kernels = counted.kernels() if by_kernels else nullcontext()
            with use_kernels(on_cpu=by_kernels), counted, kernels:
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
