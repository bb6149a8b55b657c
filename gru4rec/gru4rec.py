"""GRU4Rec as a recommender: settings, training, recommendation, saving and loading."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
import torch
from torch import Tensor

from gru4rec import auto, checkpoint
from gru4rec.arrays import FloatArray, IntArray, SessionArrays, to_arrays
from gru4rec.catalog import Catalog
from gru4rec.clicks import ClickSource, read_clicks
from gru4rec.config import Config
from gru4rec.device import find_device, has_fast_bf16
from gru4rec.encoders import ENCODERS
from gru4rec.encoding import session_vectors
from gru4rec.errors import CheckpointError, DataError, choose
from gru4rec.index import ItemIndex
from gru4rec.live_session import LiveSession
from gru4rec.losses import LOSSES
from gru4rec.metrics import mrr_at, recall_at
from gru4rec.model import Model
from gru4rec.recommender import Recommender, chunks
from gru4rec.schema import TIMESTAMP
from gru4rec.split import is_part, split_last
from gru4rec.trainer import Progress, Trainer
from gru4rec.training_batch import TrainingBatches

logger = logging.getLogger(__name__)

_IN_MEMORY = 20_000_000  # rows of a log that are read once and kept

_CANDIDATES = 2500  # of a window, about

_PACKAGES = ("gru4rec", "torch", "faiss-cpu", "polars", "numpy", "safetensors")


class GRU4Rec(Recommender):
    """A GRU over the clicks of the session (Hidasi et al., arXiv 1511.06939 and 1706.03847).

    After `fit` or `load` it has a `config` with every setting decided, a `catalog`, a `model`, an
    `index` and `meta` (versions, seed, counts, metrics, history, seconds).
    """

    def __init__(self, config: Config | None = None, *, device: str = "auto") -> None:
        """What `config` leaves open, `auto` decides at `fit`.

        Raises ConfigError for an unknown encoder or loss, DeviceError for an absent device.
        """
        self._asked = self.config = config if config is not None else Config()
        choose("encoder", self.config.encoder.name, ENCODERS)
        choose("loss", self.config.training.loss, LOSSES)
        self.device = find_device(device)

    def fit(
        self,
        clicks: ClickSource,
        *,
        valid: ClickSource | None = None,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> Self:
        """Train on the sessions of a click log; all of its items make the catalog.

        With `valid`, a log or a part of `clicks` to hold out ("1d", "10%"), Recall@20 and MRR@20
        are measured after each epoch, on a sample of it where all would take long, and the best
        epoch by `stop_on` is kept. Raises DataError if there is nothing to learn from. A fit that
        fails leaves the recommender as it was.
        """
        fresh = type(self)(self._asked, device=self.device.type)
        fresh._fit(clicks, valid, on_progress)
        vars(self).update(vars(fresh))
        return self

    def _fit(
        self,
        clicks: ClickSource,
        valid: ClickSource | None,
        on_progress: Callable[[Progress], None],
    ) -> None:
        started = time.perf_counter()
        log, held_out = _parts(clicks, valid)
        self.catalog, sessions = _sessions_to_learn(log)
        targets = None if held_out is None else to_arrays(held_out, self.catalog).with_targets()
        if targets is not None and not len(targets):
            raise DataError(
                "no session of the validation log has two clicks on items of the training log"
            )
        statistics = auto.LogStatistics.of(sessions, self.catalog)
        self.config, choices = self._decide(statistics)
        _report(statistics, choices)

        self.model = Model(self.config, len(self.catalog))
        self.model.initialize(torch.Generator().manual_seed(self.config.seed))
        batches = TrainingBatches(sessions, self.catalog.support, self.config)
        trainer = Trainer(self.model, batches, self.config, self.device)
        if targets is not None:
            targets = _cheap_to_measure(targets, len(self.catalog), statistics.pairs)
        validate = (
            None if targets is None else lambda: _validation_metrics(self.target_ranks(targets))
        )
        history = trainer.run(validate=validate, on_progress=on_progress)
        self._index_items()
        self.meta: Mapping[str, Any] = {
            "versions": {package: version(package) for package in _PACKAGES},
            "seed": self.config.seed,
            "counts": vars(statistics),
            "times": _time_range(log),
            "auto": {choice.setting: choice.reason for choice in choices},
            "metrics": _of_kept_epoch(history, f"{self.config.training.stop_on}@20")
            if targets is not None
            else {},
            "history": history,
            "device": str(self.device),
            "seconds": round(time.perf_counter() - started, 3),
        }

    def decide(self, clicks: ClickSource, *, valid: ClickSource | None = None) -> Config:
        """The config that `fit` would train with: every setting decided. Trains nothing."""
        catalog, sessions = _sessions_to_learn(_parts(clicks, valid)[0])
        return self._decide(auto.LogStatistics.of(sessions, catalog))[0]

    def _decide(self, statistics: auto.LogStatistics) -> tuple[Config, list[auto.Choice]]:
        return auto.resolve(self._asked, statistics, fast_bf16=has_fast_bf16(self.device))

    @torch.inference_mode()
    def score(self, sessions: SessionArrays, clicks: IntArray) -> Iterator[tuple[IntArray, Tensor]]:
        """See `Recommender.score`."""
        item_vectors = self.model.item_vectors().t()
        for some, vectors in session_vectors(self.model, sessions, clicks):
            queries = self.model.query_vectors(vectors)
            for rows in chunks(np.arange(len(some)), len(self.catalog)):
                yield some[rows], queries[rows[0] : rows[-1] + 1] @ item_vectors

    @torch.inference_mode()
    def _top(
        self, sessions: SessionArrays, clicks: IntArray, k: int
    ) -> Iterator[tuple[IntArray, FloatArray, IntArray]]:
        for some, vectors in session_vectors(self.model, sessions, clicks):
            yield some, *self.index.search(self.model.query_vectors(vectors).cpu().numpy(), k)

    def start_session(self) -> LiveSession:
        """A running session to which clicks are added one by one."""
        catalog = self.catalog
        return LiveSession(self.model, catalog, self.index)

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write the checkpoint folder `path`; with `force` it replaces an older checkpoint whole.

        Raises CheckpointError if something stands there or when the disk refuses, NotFittedError
        before `fit`.
        """
        catalog = self.catalog
        weights = {name: weight.cpu() for name, weight in self.model.state_dict().items()}
        saved = checkpoint.Checkpoint(self.config, self.meta, catalog, weights, self.index)
        checkpoint.save(saved, path, force=force)

    @classmethod
    def load(cls, path: str | Path, *, device: str = "auto") -> Self:
        """The recommender that `save` wrote. Raises CheckpointError if it is not there whole."""
        saved = checkpoint.load(path)
        recommender = cls(saved.config, device=device)
        recommender.meta, recommender.catalog, recommender.index = (
            saved.meta,
            saved.catalog,
            saved.index,
        )
        recommender.model = Model(saved.config, len(saved.catalog))
        try:
            recommender.model.load_state_dict(saved.weights)
        except RuntimeError as error:
            raise CheckpointError(
                f"the weights of {path} do not fit its config; train again"
            ) from error
        recommender.model.to(recommender.device)
        if saved.index.width != recommender.model.item_vectors().shape[1] or len(
            saved.index
        ) != len(saved.catalog):
            raise CheckpointError(
                f"the index of {path} does not fit its catalog and weights; train again"
            )
        return recommender

    def _index_items(self) -> None:
        with torch.inference_mode():
            self.index = ItemIndex.build(self.model.item_vectors().cpu().numpy())


def load(path: str | Path, *, device: str = "auto") -> GRU4Rec:
    """The recommender saved at `path`; see `GRU4Rec.load`."""
    return GRU4Rec.load(path, device=device)


def _parts(
    clicks: ClickSource, valid: ClickSource | None
) -> tuple[pl.LazyFrame, pl.LazyFrame | None]:
    """(the log to train on, the log to measure on): `valid` may ask for a part of `clicks`."""
    log = read_clicks(clicks)
    if log.select(pl.len()).collect(engine="streaming").item() <= _IN_MEMORY:
        log = log.collect().lazy()  # else it is scanned again for each thing asked of it
    if isinstance(valid, str) and is_part(valid):
        return split_last(log, valid)
    return log, None if valid is None else read_clicks(valid)


def _sessions_to_learn(log: pl.LazyFrame) -> tuple[Catalog, SessionArrays]:
    """The catalog of all items of a log, and its sessions of two clicks or more."""
    catalog = Catalog.of(log)
    sessions = to_arrays(log, catalog).with_targets()
    if not len(sessions):
        raise DataError(
            "no session has two clicks, so there is no next click to learn; check --session-col"
        )
    return catalog, sessions


def _cheap_to_measure(targets: SessionArrays, num_items: int, pairs: int) -> SessionArrays:
    """Validation sessions whose measurement costs about a tenth of an epoch, or 10,000 targets.

    A target is scored against the whole catalog, a pair learned from against some thousand
    candidates, three times over (forward and backward).
    """
    found = len(targets.items) - len(targets)
    nth = math.ceil(found / max(10_000, 0.1 * pairs * 3 * _CANDIDATES / num_items))
    if nth > 1:
        logger.info("measuring on one in %d of the validation sessions, to save time", nth)
    return targets.every(nth)


def _of_kept_epoch(history: list[dict[str, float]], measure: str) -> dict[str, float]:
    """The validation metrics of the epoch whose weights training kept: the first of the best."""
    kept = max(history, key=lambda row: row[measure])
    return {"epoch": kept["epoch"], "recall@20": kept["recall@20"], "mrr@20": kept["mrr@20"]}


def _validation_metrics(ranks: Tensor) -> dict[str, float]:
    return {"recall@20": recall_at(20, ranks), "mrr@20": mrr_at(20, ranks)}


def _report(statistics: auto.LogStatistics, choices: list[auto.Choice]) -> None:
    """Log what is learned from and what `auto` made of it."""
    logger.info(
        "training on %d clicks in %d sessions of two or more, %d items",
        statistics.pairs + statistics.sessions, statistics.sessions, statistics.items,
    )  # fmt: skip
    for choice in choices:
        logger.info("auto: %s = %s (%s)", choice.setting, choice.value, choice.reason)


def _time_range(log: pl.LazyFrame) -> dict[str, str] | None:
    """First and last time of a log in ISO form, None where it has no times."""
    if TIMESTAMP not in log.collect_schema():
        return None
    stamp = pl.col(TIMESTAMP)
    ends = log.select(stamp.min().alias("first"), stamp.max().alias("last"))
    text = pl.all().dt.to_string("%Y-%m-%dT%H:%M:%S%.6f").str.strip_suffix(".000000")
    return ends.select(text).collect().row(0, named=True)
