"""What `meta.json` says of a GRU4Rec: of its training, and of its updates."""

from dataclasses import replace
from importlib.metadata import version

from gru4rec.recommenders.meta import Meta
from gru4rec.sessions import Catalog
from gru4rec.training import Trained, TrainingLog, Updated, UpdateLog

_PACKAGES = ("gru4rec", "torch", "faiss-cpu", "polars", "numpy", "safetensors")


def meta_of(trained: Trained, log: TrainingLog, *, name: str, device: str) -> Meta:
    """Return what is said of a recommender that was trained on a log."""
    counts = log.statistics.counts()
    if log.initial is not None:
        counts = {**counts, "initial_vectors": int(log.initial.are_given.sum())}
    return Meta(
        recommender=name,
        versions={package: version(package) for package in _PACKAGES},
        seed=trained.config.seed,
        counts=counts,
        seen=log.seen,
        inputs={name: list(values) for name, values in log.side_inputs.values.items()},
        outcome=log.outcome.to_dict() if len(log.outcome) else None,
        attributes=None if log.attributes is None else log.attributes.to_dict(),
        auto=trained.reasons,
        repeats=None if trained.repeats is None else trained.repeats.to_dict(),
        metrics=trained.metrics,
        history=trained.history,
        device=device,
        seconds=round(trained.seconds, 3),
    )


def updated_meta(meta: Meta, updated: Updated, log: UpdateLog, catalog: Catalog) -> Meta:
    """Return what is said once a log was learned too; `catalog` is that of before."""
    added = {
        "clicks": log.num_clicks,
        "sessions": len(log.new),
        "items": len(log.catalog) - len(catalog),
        "pairs": len(log.new.items) - len(log.new),
    }
    repeats = None if updated.repeats is None else updated.repeats.to_dict()
    figures = {"loss": updated.history[-1]["loss"], "seconds": round(updated.seconds, 3)}
    # Metrics, and what was measured of the index, are of the model before.
    before = replace(meta, repeats=repeats, metrics=None, index=None)
    return before.updated(added, log.seen, **figures)
