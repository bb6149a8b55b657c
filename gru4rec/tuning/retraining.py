"""Prune a GRU4Rec little by little, with a log that it learns in between."""

from collections.abc import Callable
from dataclasses import replace

from gru4rec.clicks import ClickSource, read_clicks
from gru4rec.errors import CheckpointError, ConfigError, DataError
from gru4rec.model import AS_TRAINED
from gru4rec.recommenders import GRU4Rec
from gru4rec.sessions import event_types_of
from gru4rec.training import Hooks, Progress, prune_gradually


def retrained(
    recommender: GRU4Rec, train: ClickSource, share: float, on_progress: Callable[[Progress], None]
) -> GRU4Rec:
    """Return a copy of which a share of the encoder is pruned, little by little.

    It learns a log in between; a head of outcomes too, if the log has them. Raise ConfigError for a
    share of 0, CheckpointError for one that was shrunk, DataError for a log with nothing to learn,
    and DivergenceError.
    """
    if not share:
        raise ConfigError(
            "there is nothing to train again where nothing is pruned; give sparsity, or leave out "
            "train",
            mend_with=["sparsity", "train"],
        )
    if recommender.meta.stored_as:
        raise CheckpointError(
            "a model that was shrunk cannot learn on; shrink the checkpoint it was made of"
        )
    log = read_clicks(train, also=recommender.inputs)
    events = event_types_of(log, recommender.config.training, strict=False)
    sessions = replace(recommender.reader, events=events).arrays(log)
    sessions = recommender.outcome_classes.if_there(sessions, log).with_targets()
    if not len(sessions):
        raise DataError(
            "no session of the log to train on has two clicks on items of the catalog",
            mend_with=["train"],
        )
    learned = recommender.with_weights_as(AS_TRAINED)
    learned.model = prune_gradually(
        recommender.model,
        sessions,
        recommender.catalog.support,
        recommender.config,
        sparsity=share,
        optimizer=recommender.contents().optimizer,
        device=recommender.device,
        hooks=Hooks(on_progress=on_progress),
    )
    learned.index = recommender.index.rebuilt(learned.item_vectors())
    # Metrics, and what was measured of the index, are of the model before.
    learned.meta = replace(recommender.meta, metrics=None, index=None)
    return learned
