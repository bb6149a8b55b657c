"""What a service tells of itself to Prometheus, of all its workers together."""

import os
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

_SECONDS = (.0005, .001, .002, .003, .005, .0075, .01, .02, .05, .1, .25, 1.0, 5.0)  # fmt: skip
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """The figures of one worker; with `is_shared` they are kept where the others find them.

    Where that is, `running` tells the environment before prometheus_client is imported.
    """

    def __init__(self, *, is_shared: bool) -> None:
        self._registry = registry = CollectorRegistry()
        self._is_shared = is_shared
        self._fingerprint: str | None = None
        self.seconds = Histogram(
            "gru4rec_request_seconds", "Time from a request's head to its answer.",
            ["route", "status"], buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.batch = Histogram(
            "gru4rec_batch_size", "Requests that were answered together.",
            buckets=_SIZES, registry=registry,
        )  # fmt: skip
        self.clicks = Counter(
            "gru4rec_clicks", "Clicks, by whether the catalog has their item.",
            ["item"], registry=registry,
        )  # fmt: skip
        self.answers = Counter(
            "gru4rec_answers", "Answers with items, by what chose them.",
            ["reason"], registry=registry,
        )  # fmt: skip
        self.without_history = Counter(
            "gru4rec_answers_without_history",
            "Answers while the shared sessions could not be reached.", registry=registry,
        )  # fmt: skip
        self.sessions = Gauge(
            "gru4rec_sessions", "Sessions that are held; of a Redis, the keys of its database.",
            multiprocess_mode="mostrecent", registry=registry,
        )  # fmt: skip
        self.model = Gauge(
            "gru4rec_model", "1 for the model that is served, 0 for those before it.",
            ["fingerprint"], multiprocess_mode="livemin", registry=registry,
        )  # fmt: skip
        self.trained = Gauge(
            "gru4rec_model_trained_timestamp_seconds", "When the model's checkpoint was written.",
            multiprocess_mode="livemin", registry=registry,
        )  # fmt: skip
        self.swaps = Counter(
            "gru4rec_model_swaps", "Models that took the place of another.", registry=registry
        )
        self.refused = Gauge(
            "gru4rec_model_refused", "1 while the folder has a checkpoint that is not served.",
            multiprocess_mode="livemax", registry=registry,
        )  # fmt: skip

    def tell_model(self, fingerprint: str, trained: float, *, refused: bool) -> None:
        """Say which model is served since when it was written, and whether another is refused."""
        if self._fingerprint not in (None, fingerprint):
            self.model.labels(self._fingerprint).set(0)
            self.swaps.inc()
        self._fingerprint = fingerprint
        self.model.labels(fingerprint).set(1)
        self.trained.set(trained)
        self.refused.set(refused)

    def text(self) -> bytes:
        """Return all figures as Prometheus reads them."""
        if not self._is_shared:
            return generate_latest(self._registry)
        every = CollectorRegistry()
        multiprocess.MultiProcessCollector(every)  # type: ignore[no-untyped-call]
        return generate_latest(every)


def forget_the_dead(folder: Path) -> None:
    """Forget the live figures of workers that are no more."""
    for file in folder.glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            multiprocess.mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
        except OSError:
            continue
