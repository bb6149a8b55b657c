"""GRU4Rec as a recommender: settings, training, recommendation, saving and loading."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Self

import polars as pl
from torch import Tensor

from gru4rec.atomic import place_of
from gru4rec.clicks import ClickSource
from gru4rec.config import AUTO, Config
from gru4rec.errors import CheckpointError, choose
from gru4rec.layout import META
from gru4rec.model import (
    AS_TRAINED,
    Model,
    Placement,
    check_encoder,
    find_device,
    packed,
    unpacked,
)
from gru4rec.recommenders.added_items import NewItems
from gru4rec.recommenders.checkpoint import Checkpoint, write_checkpoint
from gru4rec.recommenders.gru4rec_meta import meta_of
from gru4rec.recommenders.gru4rec_update import Known, learned_too
from gru4rec.recommenders.kept_items import KeptItems
from gru4rec.recommenders.neighbour_teacher import NeighbourTeacher
from gru4rec.recommenders.of_model import OfModel, kept_vectors_of, vectors_of
from gru4rec.recommenders.saved_model import items_of, model_of, placement_of
from gru4rec.serving import ItemIndex
from gru4rec.sessions import SideInputs, read_item_table, read_vectors, without_vectors
from gru4rec.training import (
    LOSSES,
    ONE,
    Hooks,
    Progress,
    Ranks,
    Trackers,
    Tracking,
    TrainingLog,
    decide,
    train,
)


class GRU4Rec(OfModel):
    """A trained encoder of the session's clicks, a GRU unless settings name another one.

    The algorithm is that of Hidasi et al. (arXiv 1511.06939 and 1706.03847).

    After `fit` or `load` it has a `config` with every setting decided, a `catalog`, a `model`, an
    `index` and `meta` (versions, seed, counts, metrics, history, seconds).
    """

    name = "gru4rec"
    learns_by_steps = True

    def __init__(self, config: Config | None = None, *, device: str = "auto") -> None:
        """Take settings; what `config` leaves open, `auto` decides at `fit`.

        Raise ConfigError for an unknown encoder or loss, DeviceError for an absent device.
        """
        self._asked = self.config = config if config is not None else Config()
        self.inputs = self.config.columns
        check_encoder(self.config.encoder)
        if self.config.training.loss is not AUTO:
            choose("loss", self.config.training.loss, LOSSES)
        self.device = find_device(device)
        self._keep: Path | None = None
        self._optimizer: Mapping[str, Tensor] | None = None
        self.placement: Placement | None = None
        self.items: pl.DataFrame | None = None

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
        updatable: bool = False,
        item_features: ClickSource | None = None,
        track: Trackers = (),
        initial_vectors: ClickSource | None = None,
        ranks: Ranks = ONE,
    ) -> Self:
        """Train on the sessions of a click log; all of its items make the catalog.

        With `valid`, a log or a part of `clicks` to hold out ("1d", "10%"), Recall@20 and MRR@20
        are measured after each epoch, on a sample of it where all would take long, and the best
        epoch by `stop_on` is kept.
        With `keep`, the folder that `save` will be given, the state of training is kept in it after
        every epoch and every `keep_minutes`. With `resume` training goes on from the state that is
        there, if any, to the same weights: to the bit on a CPU with as many threads. Once
        `stopping()` is true the state is kept, and StoppedError raised.
        With `updatable` the state of the optimisers is kept, so that `update` goes on from it; it
        is once or twice as large as the model.
        With `item_features`, a table of items (item_id and columns of categories, numbers, times or
        lists of numbers), what items alike have in common is learned by their attributes: see
        `model/placement.py`. Then `add_items` places new ones.
        With `initial_vectors`, a table of item_id and a column of lists of numbers, or columns of
        numbers, the embeddings of its items start from these: see `training/starting.py`. `track`
        takes trackers, or their names ("tensorboard", "mlflow=http://host"). One that fails is left
        out, with a warning.
        With several `ranks`, of `join_ranks`, all fit the same together: each runs its part of the
        lanes, the first calls `on_progress`, tracks and keeps. Then all have what one would have.

        Raise DataError if there is nothing to learn from, DivergenceError, and CheckpointError or
        ConfigError if the state cannot be kept, or is of another log or other settings; before
        anything is read, as `Tracking`. A fit that fails leaves the recommender as it was.
        """
        folder = None if keep is None else place_of(keep, CheckpointError)
        tracking = Tracking(track if ranks.is_first else (), folder)
        items = None if item_features is None else read_item_table(item_features)
        initial = None if initial_vectors is None else read_vectors(initial_vectors)
        hooks = Hooks(on_progress=on_progress, save_seconds=60 * keep_minutes, stopping=stopping)
        with tracking:
            trained = tracking.trained = train(
                TrainingLog.read(clicks, valid, self._asked, items, initial),  # each keeps a part
                self._asked,
                device=self.device,
                hooks=tracking.hooks(hooks),
                neighbours_in=NeighbourTeacher,
                keep=folder,
                resume=resume,
                ranks=ranks,
            )
        log, index = trained.log, ItemIndex.build(vectors_of(trained.model))
        kept = None if items is None else without_vectors(items, log.catalog)
        meta = meta_of(trained, log, name=self.name, device=str(self.device))
        self._take(trained.config, trained.model, log.catalog, log.side_inputs, index, meta)
        self._optimizer = trained.optimizer if updatable else None
        self._keep, self.placement, self.items = folder, trained.placement, kept
        return self

    def add_items(self, item_features: ClickSource) -> Self:
        """Put the items of a table into the catalog, without training; return self.

        Those that it has already stay as they are. The new ones stand behind them, with support 0,
        where their attributes place them. Running sessions end, as by `update`. Raise DataError if
        the model has learned no attributes, if it knows none of any new item, and for ids of
        another type.
        """
        table = read_item_table(item_features)
        new = NewItems.of(table, self.catalog, self.placement)
        if len(new.attributes) and self.placement is not None:
            known = self._known.with_items(new, self.placement)
            items = without_vectors(table, known.catalog, self.items)
            self._become(known, self.index.extended(vectors_of(known.model)))
            self.items = items
        return self

    def update(
        self,
        clicks: ClickSource,
        *,
        item_features: ClickSource | None = None,
        drop_unseen: str | None = None,
        replay: ClickSource | None = None,
        replay_share: float = 1.0,
        half_life: str | None = None,
        epochs: float = 2.0,
        on_progress: Callable[[Progress], None] = lambda progress: None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> Self:
        """Learn from new clicks on top of what was learned; return self.

        New items join the catalog behind the others, which keep their indexes. They begin where the
        items lie that they are clicked beside; those that are clicked beside none, where their
        attributes in a table of items place them, if the model has learned such. With `drop_unseen`
        items leave it that were not clicked for so long ("30d") before the newest click, once the
        new ones are learned; then the indexes of the others close up.

        With `replay`, an older log, so many of its sessions are learned again beside the new ones
        as `replay_share` says, as a share of these. After a `half_life` ("7d") clicks count half as
        much in the supports, by which negatives are drawn and popular items chosen. A log without a
        session of two clicks changes nothing, and no item leaves.

        Running sessions end: a store takes them over by `save` and `restore`. Raise DataError for
        ids of another type, for clicks older than all that was learned and where `drop_unseen`
        lacks the times of clicks or would leave one item, CheckpointError for a model that was
        shrunk, and DivergenceError. An update that fails changes nothing.
        """
        if item_features is not None:
            item_features = read_item_table(item_features)
        learned = learned_too(
            self._known,
            clicks,
            repeats=self.repeats,
            placement=self.placement,
            item_features=item_features,
            device=self.device,
            hooks=Hooks(on_progress=on_progress, stopping=stopping),
            epochs=epochs,
            drop_unseen=drop_unseen,
            replay=replay,
            replay_share=replay_share,
            half_life=half_life,
        )
        if learned is not None:
            items = self.items
            if item_features is not None:
                items = without_vectors(item_features, learned.catalog, items)
            self._become(learned, self.index.rebuilt(vectors_of(learned.model)))
            self.items = None if items is None else without_vectors(items, learned.catalog)
        return self

    def keep_items(self, kept: KeptItems) -> None:
        """See `Recommender.keep_items`."""
        if kept.num_dropped:
            known = self._known.keeping(kept)
            self._become(known, self.index.rebuilt(vectors_of(known.model)))
            if self.items is not None:
                self.items = without_vectors(self.items, known.catalog)
        else:
            self.meta = self.meta.keeping(kept)

    @property
    def _known(self) -> Known:
        return Known(
            self.catalog, self.config, self.side_inputs, self.model, self._optimizer, self.meta
        )

    def _become(self, known: Known, index: ItemIndex) -> None:
        index = index.with_vectors(kept_vectors_of(known.model))
        self._take(self.config, known.model, known.catalog, self.side_inputs, index, known.meta)
        self._optimizer = known.optimizer

    def forget_optimizer(self) -> None:
        """Let go of the state of the optimisers, which nothing but an update needs."""
        self._optimizer = None

    def decide(self, clicks: ClickSource, *, valid: ClickSource | None = None) -> Config:
        """Return the config that `fit` would train with. Train nothing.

        Every setting is decided but `training.smoothing` and `training.neighbours`, where they are
        to be fitted with repeats.
        """
        log = TrainingLog.read(clicks, valid, self._asked)
        return decide(self._asked, log.statistics, self.device)[0]

    def contents(self) -> Checkpoint:
        """See `Scorer.contents`."""
        catalog = self.catalog
        weights = {name: weight.cpu() for name, weight in self.model.state_dict().items()}
        weights = packed(weights, **(self.meta.stored_as or AS_TRAINED))
        return Checkpoint(
            self.settings_dict(),
            self.meta,
            catalog,
            weights,
            self.index,
            optimizer=self._optimizer,
            placement=None if self.placement is None else self.placement.state_dict(),
            items=self.items,
        )

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """See `Recommender.save`; what `fit` kept there of this training is replaced freely."""
        keep, place = self._keep, place_of(path, CheckpointError)
        own = keep is not None and keep == place and not (keep / META).exists()
        write_checkpoint(self.contents(), path, force=force or own)

    @classmethod
    def of(cls, saved: Checkpoint, *, device: str = "auto") -> Self:
        """See `Scorer.of`."""
        recommender = cls(Config.from_dict(saved.config), device=device)
        model = model_of(recommender.config, saved).to(recommender.device)
        vectors = kept_vectors_of(model)
        size = len(saved.catalog), vectors.shape[1]
        if saved.index is None or (len(saved.index), saved.index.width) != size:
            raise CheckpointError(
                "the index of the checkpoint does not fit its catalog and weights; train again"
            )
        index = saved.index.with_vectors(vectors)
        side_inputs = SideInputs(saved.meta.inputs or {})
        recommender._take(recommender.config, model, saved.catalog, side_inputs, index, saved.meta)
        recommender._optimizer = saved.optimizer
        recommender.placement = placement_of(model, saved)
        recommender.items = items_of(saved)
        return recommender

    def with_weights_as(self, stored_as: Mapping[str, str]) -> Self:
        """Return a copy whose weights are kept in other bits, as `packed` takes them."""
        copy = type(self)(self.config, device=self.device.type)
        weights = {name: weight.cpu() for name, weight in self.model.state_dict().items()}
        model = Model(self.config, len(self.catalog), self.side_inputs, self.model.num_classes)
        model.load(unpacked(packed(weights, **stored_as), weights))
        index = self.index.with_vectors(kept_vectors_of(model.to(copy.device)))
        meta = replace(self.meta, stored_as=stored_as)
        copy._take(self.config, model, self.catalog, self.side_inputs, index, meta)
        copy.placement, copy.items = self.placement, self.items
        return copy
