"""What `meta.json` says of a GRU4Rec: of its training, and of its updates."""

from dataclasses import replace
from importlib.metadata import version

from gru4rec.recommenders.meta import Meta
from gru4rec.sessions import Catalog
from gru4rec.training import Trained, TrainingLog, Updated, UpdateLog

_PACKAGES = ("gru4rec", "torch", "faiss-cpu", "polars", "numpy", "safetensors")
_MOST_UPDATES = 1000  # rows that are kept, the newest


def meta_of(trained: Trained, log: TrainingLog, *, name: str, device: str) -> Meta:
    """Return what is said of a recommender that was trained on a log."""
    return Meta(
        recommender=name,
        versions={package: version(package) for package in _PACKAGES},
        seed=trained.config.seed,
        counts=log.statistics.counts(),
        seen=log.seen,
        inputs={name: list(values) for name, values in log.side_inputs.values.items()},
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
    counts = {name: count + added.get(name, 0) for name, count in (meta.counts or {}).items()}
    row = {
        "number": 1 + (meta.updates[-1]["number"] if meta.updates else 0),
        **{name: added[name] for name in ("clicks", "sessions", "items")},
        **({"until": log.seen.times["last"]} if log.seen.times else {}),
        "loss": updated.history[-1]["loss"],
        "seconds": round(updated.seconds, 3),
    }
    return replace(
        meta,
        counts=counts,
        seen=log.seen,
        repeats=None if updated.repeats is None else updated.repeats.to_dict(),
        metrics=None,  # they are of the model before
        index=None,
        updates=[*(meta.updates or ()), row][-_MOST_UPDATES:],
    )
