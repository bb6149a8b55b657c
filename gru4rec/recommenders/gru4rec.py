"""GRU4Rec as a recommender: settings, training, recommendation, saving and loading."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from gru4rec.arraytypes import Float32Array, IntArray
from gru4rec.clicks import ClickSource
from gru4rec.config import AUTO, Config
from gru4rec.errors import CheckpointError, ConfigError, choose
from gru4rec.layout import META
from gru4rec.metrics import mrr_at, recall_at
from gru4rec.model import (
    AS_TRAINED,
    STORED_AS,
    Model,
    check_encoder,
    find_device,
    has_fast_bf16,
    packed,
    running_vectors,
    session_vectors,
    states_after,
    unpacked,
)
from gru4rec.recommenders.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from gru4rec.recommenders.recommender import Recommender
from gru4rec.serving import AnyVectors, ItemFilter, ItemIndex, best_allowed, row_blocks, row_chunks
from gru4rec.sessions import RunningSession, SessionArrays, SideInputs, arrays_of
from gru4rec.training import (
    LOSSES,
    Choice,
    Hooks,
    Keeper,
    LogStatistics,
    Progress,
    Trainer,
    TrainingBatches,
    TrainingLog,
    log_choices,
    resolve,
    settings_of,
)

logger = logging.getLogger(__name__)

_PACKAGES = ("gru4rec", "torch", "faiss-cpu", "polars", "numpy", "safetensors")


class GRU4Rec(Recommender):
    """A GRU over the clicks of the session (Hidasi et al., arXiv 1511.06939 and 1706.03847).

    After `fit` or `load` it has a `config` with every setting decided, a `catalog`, a `model`, an
    `index` and `meta` (versions, seed, counts, metrics, history, seconds).
    """

    name = "gru4rec"

    def __init__(self, config: Config | None = None, *, device: str = "auto") -> None:
        """What `config` leaves open, `auto` decides at `fit`.

        Raises ConfigError for an unknown encoder or loss, DeviceError for an absent device.
        """
        self._asked = self.config = config if config is not None else Config()
        self.inputs = self.config.encoder.inputs
        check_encoder(self.config.encoder)
        if self.config.training.loss is not AUTO:
            choose("loss", self.config.training.loss, LOSSES)
        self.device = find_device(device)
        self._keep: Path | None = None

    def fit(
        self,
        clicks: ClickSource,
        *,
        valid: ClickSource | None = None,
        on_progress: Callable[[Progress], None] = lambda progress: None,
        keep: str | Path | None = None,
        keep_minutes: float = 10.0,
        resume: bool = False,
        stopping: Callable[[], bool] = lambda: False,
    ) -> Self:
        """Train on the sessions of a click log; all of its items make the catalog.

        With `valid`, a log or a part of `clicks` to hold out ("1d", "10%"), Recall@20 and MRR@20
        are measured after each epoch, on a sample of it where all would take long, and the best
        epoch by `stop_on` is kept.

        With `keep`, the folder that `save` will be given, the state of training is kept in it after
        every epoch and every `keep_minutes`. With `resume` training goes on from the state that is
        there, if any, to the same weights: to the bit on a CPU with as many threads. Once
        `stopping()` is true the state is kept, and StoppedError raised.

        Raises DataError if there is nothing to learn from, DivergenceError, and CheckpointError or
        ConfigError if the state cannot be kept, or is of another log or other settings. A fit that
        fails leaves the recommender as it was.
        """
        fresh = type(self)(self._asked, device=self.device.type)
        log = TrainingLog.read(clicks, valid, self.inputs)
        hooks = Hooks(on_progress=on_progress, save_seconds=60 * keep_minutes, stopping=stopping)
        fresh._keep = Path(keep).resolve() if keep is not None else None
        keeper = Keeper(fresh._keep, log.fingerprint()) if fresh._keep is not None else None
        fresh._fit(log, hooks, keeper, resume)
        vars(self).update(vars(fresh))
        return self

    def _fit(self, log: TrainingLog, hooks: Hooks, keeper: Keeper | None, resume: bool) -> None:
        started, earlier = time.perf_counter(), 0.0
        self.catalog, self.side_inputs = log.catalog, log.side_inputs
        snapshot = keeper.begin(resume=resume) if keeper else None
        asked = settings_of(snapshot, self._asked) if snapshot else self._asked
        self.config, choices = self._decide(asked, log.statistics)
        log_choices(log.statistics, choices)

        self.model = Model(self.config, len(self.catalog), self.side_inputs)
        self.model.initialize(torch.Generator().manual_seed(self.config.seed))
        batches = TrainingBatches(log.sessions, self.catalog.support, self.config)
        trainer = Trainer(self.model, batches, self.config, self.device)
        if (targets := log.cheap_to_measure()) is not None:
            hooks = replace(hooks, validate=lambda: _measured(self.target_ranks(targets)))
        reasons = {choice.setting: choice.reason for choice in choices}
        if snapshot is not None:
            trainer.restore(snapshot.position, snapshot.tensors)
            earlier, reasons = snapshot.seconds, dict(snapshot.reasons)
        if keeper is not None:
            saving = keeper.saving(self.config, reasons, since=started - earlier)
            hooks = replace(hooks, save=saving)
        history = trainer.run(hooks)
        self.index = ItemIndex.build(self.item_vectors())
        self.meta = {
            "recommender": self.name,
            "versions": {package: version(package) for package in _PACKAGES},
            "seed": self.config.seed,
            "counts": vars(log.statistics),
            **log.trained_on,
            "inputs": {name: list(values) for name, values in self.side_inputs.values.items()},
            "auto": reasons,
            "metrics": _of_kept_epoch(history, f"{self.config.training.stop_on}@20")
            if targets is not None
            else {},
            "history": history,
            "device": str(self.device),
            "seconds": round(earlier + time.perf_counter() - started, 3),
        }

    def decide(self, clicks: ClickSource, *, valid: ClickSource | None = None) -> Config:
        """The config that `fit` would train with: every setting decided. Trains nothing."""
        log = TrainingLog.read(clicks, valid, self.inputs)
        return self._decide(self._asked, log.statistics)[0]

    def _decide(self, asked: Config, statistics: LogStatistics) -> tuple[Config, list[Choice]]:
        return resolve(asked, statistics, fast_bf16=has_fast_bf16(self.device))

    @torch.inference_mode()
    def score(self, sessions: SessionArrays, clicks: IntArray) -> Iterator[tuple[IntArray, Tensor]]:
        """See `Recommender.score`."""
        item_vectors = self.model.item_vectors().t()
        for block in row_blocks(clicks):
            vectors = item_vectors.new_empty(len(block), self.model.encoder.output_size)
            for some, found in session_vectors(self.model, sessions, block):
                vectors[torch.from_numpy(np.searchsorted(block, some)).to(vectors.device)] = found
            queries = self.model.query_vectors(vectors)
            for rows in row_chunks(np.arange(len(block)), len(self.catalog)):
                yield block[rows], queries[rows[0] : rows[-1] + 1] @ item_vectors

    def probabilities(self, scores_MN: Tensor) -> Tensor:
        """Scores as shares of 1 [M, N]: their softmax, as cross-entropy learns them."""
        return torch.softmax(scores_MN, dim=1)

    @torch.inference_mode()
    def top(
        self, sessions: SessionArrays, clicks: IntArray, k: int, *, only: ItemFilter | None = None
    ) -> Iterator[tuple[IntArray, Float32Array, IntArray]]:
        """See `Recommender.top`: through the index; if that is exact, on a GPU by scores."""
        if self.device.type == "cuda" and self.index.is_exact:
            yield from super().top(sessions, clicks, k, only=only)
            return
        for some, vectors in session_vectors(self.model, sessions, clicks):
            yield some, *self._search(vectors, k, only, sessions, some)

    def _search(
        self,
        vectors: Tensor,
        k: int,
        only: ItemFilter | None,
        sessions: SessionArrays,
        clicks: IntArray,
    ) -> tuple[Float32Array, IntArray]:
        """Scores and items [S, k] of the best that may be recommended, by session vectors [S, D]
        and the sessions up to and with the clicks [S]."""
        queries = self.model.query_vectors(vectors).cpu().numpy()
        if only is None:
            return self.index.search(queries, k)
        return best_allowed(self.index, queries, k, only, sessions, clicks)

    def settings_dict(self) -> dict[str, Any]:
        """See `Recommender.settings_dict`."""
        return self.config.to_dict()

    def next_states(
        self, states: Sequence[Float32Array | None], items: IntArray, sides: IntArray
    ) -> Sequence[Float32Array | None]:
        """See `Recommender.next_states`: the encoder's state and vector, if it streams."""
        return states_after(self.model, states, items, sides)

    @torch.inference_mode()
    def best_next(
        self, sessions: Sequence[RunningSession], k: int, only: ItemFilter | None
    ) -> tuple[Float32Array, IntArray]:
        """See `Recommender.best_next`."""
        scores, items = self._popular(len(sessions), k, only)
        known = [row for row, session in enumerate(sessions) if session.items]
        if known:
            some = [sessions[row] for row in known]
            # All clicks are needed only to leave them out.
            last = None if only is not None and only.exclude_clicked else 1
            arrays = arrays_of(some, self.side_inputs, last=last)
            vectors = running_vectors(self.model, some, self.side_inputs)
            found = self._search(vectors, items.shape[1], only, arrays, arrays.offsets[1:] - 1)
            scores[known], items[known] = found
        return scores, items

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write the checkpoint folder `path`; with `force` it replaces an older checkpoint whole.

        What `fit` kept there of this recommender's training gives way without it.
        Raises CheckpointError if something stands there or when the disk refuses, NotFittedError
        before `fit`.
        """
        catalog = self.catalog
        weights = {name: weight.cpu() for name, weight in self.model.state_dict().items()}
        weights = packed(weights, **self.meta.get(STORED_AS, AS_TRAINED))
        saved = Checkpoint(self.settings_dict(), self.meta, catalog, weights, self.index)
        own = self._keep == Path(path).resolve() and not (self._keep / META).exists()
        write_checkpoint(saved, path, force=force or own)

    @classmethod
    def load(cls, path: str | Path, *, device: str = "auto") -> Self:
        """The recommender that `save` wrote. Raises CheckpointError if it is not there whole."""
        return read_checkpoint(path, lambda saved, folder: cls.of(saved, device=device))

    @classmethod
    def of(cls, saved: Checkpoint, *, device: str = "auto") -> Self:
        """The recommender of a checkpoint. Raises CheckpointError if it does not fit together."""
        if saved.kind != cls.name:
            raise CheckpointError(f"the checkpoint is of {saved.kind}, not gru4rec; use g4r.load")
        try:
            recommender = cls(Config.from_dict(saved.config), device=device)
        except ConfigError as error:
            raise CheckpointError(f"cannot read the settings of the checkpoint: {error}") from error
        if saved.weights is None or saved.index is None:
            raise CheckpointError("the checkpoint has no weights or no index; train again")
        recommender.meta, recommender.catalog = saved.meta, saved.catalog
        recommender.side_inputs = SideInputs(saved.meta.get("inputs", {}))
        recommender.model = Model(recommender.config, len(saved.catalog), recommender.side_inputs)
        try:
            recommender.model.load(unpacked(saved.weights))
        except RuntimeError as error:
            raise CheckpointError(
                "the weights of the checkpoint do not fit its config; train again"
            ) from error
        recommender.model.to(recommender.device)
        vectors = recommender.kept_vectors()
        if (len(saved.index), saved.index.width) != (len(saved.catalog), vectors.shape[1]):
            raise CheckpointError(
                "the index of the checkpoint does not fit its catalog and weights; train again"
            )
        recommender.index = saved.index.with_vectors(vectors)
        return recommender

    @torch.inference_mode()
    def item_vectors(self) -> Float32Array:
        """The vectors of all items whose dot products with a session's are their scores [N, D]."""
        vectors: Float32Array = self.model.item_vectors().cpu().numpy()
        return vectors

    @torch.inference_mode()
    def kept_vectors(self) -> AnyVectors:
        """The same in the precision of the item table, which holds them exactly."""
        dtype = self.model.output_table.dtype
        vectors: AnyVectors = self.model.item_vectors().to(dtype).cpu().numpy()
        return vectors


def _of_kept_epoch(history: list[dict[str, float]], measure: str) -> dict[str, float]:
    """The validation metrics of the epoch whose weights training kept: the first of the best."""
    kept = max(history, key=lambda row: row[measure])
    return {"epoch": kept["epoch"], "recall@20": kept["recall@20"], "mrr@20": kept["mrr@20"]}


def _measured(ranks: Tensor) -> dict[str, float]:
    return {"recall@20": recall_at(20, ranks), "mrr@20": mrr_at(20, ranks)}
