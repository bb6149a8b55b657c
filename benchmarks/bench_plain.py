"""Training speed against the loop that a careful reader of the paper would write in plain torch.

    python benchmarks/bench_plain.py
    python benchmarks/bench_plain.py --hidden-size 224 --lanes 80 --threads 1

The plain loop takes one step of all lanes an update: `nn.GRUCell`, `nn.Embedding(sparse=True)` for
clicked and scored items, autograd and `torch.optim.Adagrad`. Both learn from the same windows,
candidates and logQ correction (dot products, no dropout), on the same threads, in turns; the plain
loop gets them ready made, so that only its arithmetic is timed. Ours is timed with the paper's
single steps and with windows of `--steps`, its own preparation of batches included.
"""

import argparse
import time

import torch
from machine import description
from torch import nn
from torch.nn.functional import cross_entropy

import gru4rec as g4r
from gru4rec.model.network import Model
from gru4rec.sessions import SessionArrays, to_arrays
from gru4rec.sessions.catalog import Catalog
from gru4rec.training.batch import TrainingBatches
from gru4rec.training.trainer import Trainer

_SETTINGS = {
    "training.precision": "float32", "training.loss": "cross_entropy",
    "training.scoring": "dot", "training.scale": 16.0, "training.sample_alpha": 0.5,
    "training.learning_rate": 0.1, "training.momentum": 0.0, "training.schedule": "constant",
    "training.final_rate": 1.0, "training.epochs": 1, "training.embedding_dropout": 0.0,
    "training.hidden_dropout": 0.0,
}  # fmt: skip


class PlainLoop:
    """The model and its optimiser, as torch's own pieces."""

    def __init__(self, num_items: int, hidden: int, rate: float) -> None:
        self.items = nn.Embedding(num_items, hidden, sparse=True)
        self.bias = nn.Embedding(num_items, 1, sparse=True)
        self.cell = nn.GRUCell(hidden, hidden)
        parts = (self.items, self.bias, self.cell)
        weights = [weight for part in parts for weight in part.parameters()]
        self.optimizer = torch.optim.Adagrad(weights, lr=rate)

    def step(self, batch: object, hidden: torch.Tensor | None) -> torch.Tensor:
        """One update; the hidden state of each lane that has a session."""
        before = torch.zeros(len(batch.inputs), self.cell.hidden_size)
        if hidden is not None:
            before[batch.carried] = hidden[batch.carried_from]
        after = self.cell(self.items(batch.inputs), before)
        scores = after @ self.items(batch.candidates).t() + self.bias(batch.candidates).t()
        loss = cross_entropy(scores - batch.correction, batch.targets)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return after.detach()


def plain(
    sessions: SessionArrays, catalog: Catalog, config: g4r.Config, windows: int
) -> tuple[float, float]:
    """(clicks/s, updates/s) of the plain loop."""
    batches = TrainingBatches(sessions, catalog.support, config)
    ready = [batches.make(0, window) for window in range(min(windows, len(batches)))]
    loop = PlainLoop(len(catalog), config.encoder.hidden_size, config.training.learning_rate)
    hidden, started = None, time.perf_counter()
    for batch in ready:
        hidden = loop.step(batch, hidden)
    seconds = time.perf_counter() - started
    return sum(len(batch.inputs) for batch in ready) / seconds, len(ready) / seconds


def ours(
    sessions: SessionArrays, catalog: Catalog, config: g4r.Config, windows: int
) -> tuple[float, float]:
    """(clicks/s, updates/s) of the package's trainer."""
    batches = TrainingBatches(sessions, catalog.support, config)
    model = Model(config, len(catalog))
    model.initialize(torch.Generator().manual_seed(0))
    trainer = Trainer(model, batches, config, torch.device("cpu"))
    clicks, state, started = 0, (), time.perf_counter()
    count = min(windows, len(batches))
    for batch in trainer._prefetched(0, range(count)):
        _, state = trainer.learner.step(batch, state, 1.0)
        clicks += len(batch.inputs)
    seconds = time.perf_counter() - started
    return clicks / seconds, count / seconds


def main() -> None:
    """Print a line a run: the plain loop, ours in single steps, ours in windows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hidden-size", type=int, default=100)
    parser.add_argument("--lanes", type=int, default=32)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--negatives", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--updates", type=int, default=400)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    log = g4r.generate_clicks(sessions=90_000, items=17_000, categories=300).lazy()
    catalog = Catalog.of(log)
    sessions = to_arrays(log, catalog).with_targets()
    sizes = {
        "encoder.hidden_size": options.hidden_size,
        "training.lanes": options.lanes,
        "training.negatives": options.negatives,
    }
    config = g4r.Config().replace({**_SETTINGS, **sizes, "training.steps": 1})
    windows = config.replace({"training.steps": options.steps})
    print(f"{description()}; {options.hidden_size} units, {options.lanes} lanes")
    for _ in range(options.runs):
        loop = plain(sessions, catalog, config, options.updates)
        single = ours(sessions, catalog, config, options.updates)
        whole = ours(sessions, catalog, windows, options.updates // 4)
        print(
            f"plain loop {loop[0]:,.0f} clicks/s ({loop[1]:.0f} updates/s)   "
            f"ours, 1 step {single[0]:,.0f} ({single[1]:.0f})   "
            f"ours, {options.steps} steps {whole[0]:,.0f} ({whole[1]:.0f})   "
            f"ratios {single[0] / loop[0]:.1f} and {whole[0] / loop[0]:.1f}"
        )


if __name__ == "__main__":
    main()
