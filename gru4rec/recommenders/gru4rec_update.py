"""What a GRU4Rec knows, and how an update changes it."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gru4rec.clicks import ClickSource
from gru4rec.config import Config
from gru4rec.errors import CheckpointError
from gru4rec.model import Model
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
        return Known(self.catalog.take(kept.items), self.model.of_items(items), optimizer, meta)


def learned_too(
    known: Known,
    clicks: ClickSource,
    *,
    config: Config,
    side_inputs: SideInputs,
    repeats: RepeatHead | None,
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
        side_inputs=side_inputs,
        seen=known.meta.seen,
        replay=replay,
        replay_share=replay_share,
        half_life=half_life,
        seed=config.seed + number,
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
    updated = update(
        known.model,
        log,
        config,
        side_inputs=side_inputs,
        optimizer=known.optimizer,
        repeats=repeats,
        epochs=epochs,
        number=number,
        device=device,
        hooks=hooks,
    )
    meta = updated_meta(known.meta, updated, log, known.catalog)
    learned = Known(log.catalog, updated.model, updated.optimizer, meta)
    return learned if kept is None else learned.keeping(kept)
