"""Learn a model from batches: forward, loss, update, epoch after epoch."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gru4rec.batching import prefetch
from gru4rec.config import Config
from gru4rec.encoders import State, dropout
from gru4rec.errors import DivergenceError
from gru4rec.model import Model
from gru4rec.objective import make_objective
from gru4rec.optimizers import Adagrad, DenseOptimizer
from gru4rec.training_batch import TrainingBatch, TrainingBatches

logger = logging.getLogger(__name__)

_REPORT_SECONDS = 0.5


@dataclass(frozen=True)
class Progress:
    """How far training is."""

    epoch: int
    """The epoch that runs, from 1."""
    epochs: float
    """Epochs asked for."""
    share: float
    """Share of the epoch that is done."""
    loss: float
    """Mean loss of the epoch so far."""
    clicks_per_second: float
    """(click, next click) pairs learned from per second in this epoch."""
    metrics: Mapping[str, float] | None = None
    """Validation metrics, at the end of an epoch."""


class Trainer:
    """Owns the optimiser's state and the run's device; the model is trained in place."""

    def __init__(
        self, model: Model, batches: TrainingBatches, config: Config, device: torch.device
    ) -> None:
        training = config.training
        self.model = model.to(device)
        self.batches = batches
        self.config = training
        self._device = device
        self._objective = make_objective(training)
        self._random = torch.Generator(device)
        tables = {model.output_table, model.input_table}
        tables |= set() if model.bias is None else {model.bias}
        self._tables = {table: Adagrad(table, training.momentum) for table in tables}
        self._dense = DenseOptimizer(
            model.encoder.parameters(),
            name=training.dense_optimizer,
            momentum=training.momentum,
            adamw_rate=training.dense_learning_rate,
        )

    def run(
        self,
        *,
        validate: Callable[[], Mapping[str, float]] | None = None,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> list[dict[str, float]]:
        """Train for the epochs of the config; return the history: a row of figures per epoch.

        With `validate` (its mapping must hold "mrr@20" or "recall@20", as `stop_on` says) the epoch
        that is best by that is kept, and training stops after `patience` epochs without a better.
        """
        history: list[dict[str, float]] = []
        best, best_epoch, measure = -1.0, 0, f"{self.config.stop_on}@20"
        kept: dict[str, Tensor] = {}
        for epoch in range(math.ceil(self.config.epochs)):
            done = self._epoch(epoch, on_progress)
            metrics = {} if validate is None else dict(validate())
            history.append(
                {
                    "epoch": epoch + 1,
                    "loss": done.loss,
                    "clicks_per_second": done.clicks_per_second,
                    **metrics,
                }
            )
            on_progress(Progress(**{**vars(done), "metrics": metrics}))
            if validate is None:
                continue
            if metrics[measure] > best:
                best, best_epoch = metrics[measure], epoch
                kept = {name: weight.clone() for name, weight in self.model.state_dict().items()}
            elif epoch - best_epoch >= self.config.patience:
                logger.info("stopped: no better %s than that of epoch %d", measure, best_epoch + 1)
                break
        if kept:
            self.model.load_state_dict(kept)
        return history

    def _epoch(self, epoch: int, on_progress: Callable[[Progress], None]) -> Progress:
        """Learn from every window once, or in a share of an epoch from the last of them."""
        self.model.train()
        total = len(self.batches)
        windows = max(1, round(total * min(1.0, self.config.epochs - epoch)))
        loss_sum = torch.zeros((), dtype=torch.float64, device=self._device)
        clicks, started, reported = 0, time.perf_counter(), time.perf_counter()
        state: State = ()
        for window, batch in enumerate(self._prefetched(epoch, range(total - windows, total))):
            loss, state = self.step(batch, state, self._rate_factor(epoch + window / total))
            loss_sum += loss * len(batch.inputs)
            clicks += len(batch.inputs)
            now = time.perf_counter()
            if now - reported >= _REPORT_SECONDS or window == windows - 1:
                progress = Progress(
                    epoch=epoch + 1,
                    epochs=self.config.epochs,
                    share=(window + 1) / total,
                    loss=loss_sum.item() / clicks,
                    clicks_per_second=clicks / (time.perf_counter() - started),
                )
                if not math.isfinite(progress.loss):
                    raise self._diverged(epoch, window, f"whose mean loss is {progress.loss}")
                on_progress(progress)
                reported = now
        if not all(bool(weight.isfinite().all()) for weight in self.model.state_dict().values()):
            raise self._diverged(epoch, total - 1, "which leaves weights that are no numbers")
        return progress

    def _diverged(self, epoch: int, window: int, how: str) -> DivergenceError:
        rate = self.config.learning_rate
        return DivergenceError(
            f"training diverged by window {window + 1} of {len(self.batches)} in epoch "
            f"{epoch + 1}, {how}; lower --learning-rate, which is {rate:g}"
        )

    def _prefetched(self, epoch: int, windows: range) -> Iterator[TrainingBatch]:
        return prefetch(lambda window: self.batches.make(epoch, window), windows)

    def _rate_factor(self, epochs_done: float) -> float:
        """What the schedule leaves of the rate."""
        config = self.config
        rise = min(1.0, epochs_done / config.warmup) if config.warmup > 0 else 1.0
        if config.schedule == "constant":
            return rise
        return rise * (1.0 - (1.0 - config.final_rate) * epochs_done / config.epochs)

    def step(self, batch: TrainingBatch, state: State, rate_factor: float) -> tuple[Tensor, State]:
        """One update; return its mean loss and the state that the next window goes on from.

        Every click counts the same: a window of few clicks, as the last ones of an epoch are, where
        the longest sessions run alone, moves the weights less.
        """
        batch = batch.to(self._device)
        model, config = self.model, self.config
        self._random.manual_seed(batch.seed)

        inputs_ME = model.input_table.index_select(0, batch.inputs).requires_grad_()
        outputs_CD = model.output_table.index_select(0, batch.candidates).requires_grad_()
        offset_C = -batch.correction
        if model.bias is not None:
            bias_C = model.bias.index_select(0, batch.candidates).requires_grad_()
            offset_C = bias_C + offset_C

        before = model.encoder.carry(
            len(batch.packing.ends), state, batch.carried, batch.carried_from
        )
        dropped_ME = dropout(inputs_ME, config.embedding_dropout, self._random)
        vectors_MD, after = model.encoder(dropped_ME, batch.packing, before, self._random)
        vectors_MD = dropout(vectors_MD, config.hidden_dropout, self._random)
        compared = model.comparable(vectors_MD, outputs_CD)
        loss = self._objective(*compared, offset_C, batch.targets, batch.masked)
        weight = len(batch.inputs) / self.batches.clicks_per_window
        (loss * weight).backward()  # type: ignore[no-untyped-call]

        rate = config.learning_rate * rate_factor
        self._update_tables(batch, inputs_ME, outputs_CD, rate)
        if model.bias is not None:
            self._tables[model.bias].update_rows(batch.candidates, _gradient(bias_C), rate)
        self._dense.update(rate, rate_factor)
        return loss.detach(), tuple(part.detach() for part in after)

    def _update_tables(
        self, batch: TrainingBatch, inputs: Tensor, outputs: Tensor, rate: float
    ) -> None:
        """Move the rows of the item tables; a shared table takes the sum of both uses."""
        gradient = inputs.new_zeros(len(batch.input_rows), inputs.shape[1])
        if self.model.shared:
            gradient[: len(batch.candidates)] = _gradient(outputs)
        else:
            self._tables[self.model.output_table].update_rows(
                batch.candidates, _gradient(outputs), rate
            )
        gradient.index_add_(0, batch.input_places, _gradient(inputs))
        self._tables[self.model.input_table].update_rows(batch.input_rows, gradient, rate)


def _gradient(leaf: Tensor) -> Tensor:
    """What `backward` left on a leaf that the loss depends on."""
    if leaf.grad is None:
        raise RuntimeError("a leaf has no gradient; call this after backward")
    return leaf.grad
