"""What a GRU4Rec knows, and how an update changes it."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gru4rec.clicks import ClickSource
from gru4rec.config import Config
from gru4rec.errors import CheckpointError
from gru4rec.model import Model, Placement
from gru4rec.recommenders.added_items import NewItems, model_with, optimizer_with, placed_rows
from gru4rec.recommenders.gru4rec_meta import updated_meta
from gru4rec.recommenders.kept_items import KeptItems
from gru4rec.recommenders.meta import Meta
from gru4rec.serving import RepeatHead
from gru4rec.sessions import Catalog, SideInputs
from gru4rec.training import Hooks, UpdateLog, optimizer_of_items, update

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Known:
    """What a GRU4Rec knows, less the index of its vectors."""

    catalog: Catalog
    config: Config
    side_inputs: SideInputs
    model: Model
    optimizer: Mapping[str, Tensor] | None
    """The state of the optimisers, if it is kept."""
    meta: Meta

    def keeping(self, kept: KeptItems) -> "Known":
        """Return what is known of the items that are kept."""
        meta = self.meta.keeping(kept)
        if not kept.num_dropped:  # to the bit what it was, and no table is copied
            return replace(self, meta=meta)
        items = torch.from_numpy(kept.items)
        optimizer = None if self.optimizer is None else optimizer_of_items(self.optimizer, items)
        return replace(
            self,
            model=self.model.of_items(items),
            optimizer=optimizer,
            catalog=self.catalog.take(kept.items),
            meta=meta,
        )

    def with_items(self, new: NewItems, placement: Placement) -> "Known":
        """Return what is known once new items stand where their attributes place them."""
        counts = {**(self.meta.counts or {}), "items": len(new.catalog)}
        return replace(
            self,
            model=model_with(new, self.model, placement, self.config, self.side_inputs),
            optimizer=optimizer_with(new, self.optimizer),
            catalog=new.catalog,
            meta=replace(self.meta, counts=counts, index=None),  # measured of the one before
        )


def learned_too(
    known: Known,
    clicks: ClickSource,
    *,
    repeats: RepeatHead | None,
    placement: Placement | None,
    item_features: ClickSource | None,
    device: torch.device,
    hooks: Hooks,
    epochs: float,
    drop_unseen: str | None,
    replay: ClickSource | None,
    replay_share: float,
    half_life: str | None,
) -> Known | None:
    """Return what is known once clicks were learned; None if they have no next click to learn.

    What is given stays as it is. See `GRU4Rec.update`.
    """
    if known.meta.stored_as:
        raise CheckpointError(
            "a model that was shrunk cannot learn on; update the checkpoint it was made of"
        )
    number = 1 + (known.meta.updates[-1]["number"] if known.meta.updates else 0)
    log = UpdateLog.read(
        clicks,
        catalog=known.catalog,
        side_inputs=known.side_inputs,
        seen=known.meta.seen,
        config=known.config,
        replay=replay,
        replay_share=replay_share,
        half_life=half_life,
        seed=known.config.seed + number,
        outcome=known.meta.outcome_classes,
    )
    kept = None
    if drop_unseen is not None:  # what cannot be dropped is said before the model learns
        kept = KeptItems.of(known.catalog, log.catalog, log.new, drop_unseen)
    if not len(log.new):
        logger.warning(
            "no session has two clicks: nothing is learned, nothing has changed%s",
            "" if kept is None else ", no item is dropped",
        )
        return None
    placed = None
    if item_features is not None:
        placed = placed_rows(item_features, log.catalog, placement)
    updated = update(
        known.model,
        log,
        known.config,
        side_inputs=known.side_inputs,
        placed=placed,
        optimizer=known.optimizer,
        repeats=repeats,
        epochs=epochs,
        number=number,
        device=device,
        hooks=hooks,
    )
    meta = updated_meta(known.meta, updated, log, known.catalog)
    learned = replace(
        known, model=updated.model, optimizer=updated.optimizer, catalog=log.catalog, meta=meta
    )
    return learned if kept is None else learned.keeping(kept)
