"""What every baseline is: settings, one table that it learns from a log, scores made of that."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from inspect import signature
from typing import Any, ClassVar, Self

import polars as pl
import torch
from torch import Tensor

from gru4rec.arraytypes import FloatingArray, IntArray, Rows
from gru4rec.clicks import ClickSource, read_clicks
from gru4rec.errors import CheckpointError, ConfigError, DataError
from gru4rec.layout import LEARNED, META
from gru4rec.recommenders.baselines.choosing import Choosing
from gru4rec.recommenders.baselines.learned import Column, check_learned, of_items
from gru4rec.recommenders.checkpoint import Checkpoint
from gru4rec.recommenders.kept_items import KeptItems
from gru4rec.recommenders.meta import Meta
from gru4rec.recommenders.recommender import Recommender
from gru4rec.serving import row_chunks
from gru4rec.sessions import Catalog, SeenSessions, SessionArrays, to_arrays
from gru4rec.settings import Settings
from gru4rec.training import parts_of_log

_CALLED = ("on_progress", "stopping")  # while a model learns
_OPTIONS = {name: each.default for name, each in signature(Recommender.update).parameters.items()}


class Baseline(Recommender):
    """A recommender without a neural net.

    Keyword arguments are the fields of its settings. What is left out is, of the settings that were
    `published`, what does better on the newest sessions of the log: a peer with the settings of
    another kind of log can look several points weaker than it is.
    """

    settings: Settings
    settings_class: ClassVar[type[Settings]]
    columns: ClassVar[Mapping[str, Column]] = {}
    """What the columns of the table are that it learns: checked when it comes from a file, and told
    how to forget items."""
    published: ClassVar[Sequence[Mapping[str, object]]] = ({},)
    """Settings that its authors or others fitted to a log, as far as they are not the defaults."""
    steps: ClassVar[Mapping[str, Sequence[object]]] = {}
    """Values that a search tries of a setting."""
    needs_whole_log: ClassVar[str | None] = "it learns from a whole log only"
    """Why it is not updated; None where `learn_too` counts new clicks too."""

    def __init__(self, **settings: object) -> None:
        """Take settings. Raise ConfigError for a keyword that is none, or a value out of range."""
        self._asked = settings
        self.settings = self._with({})

    def _with(self, published: Mapping[str, object]) -> Settings:
        settings = {**published, **self._asked}
        return self.settings_class.from_dict(settings, prefix=f"{self.name}.")

    def fit(
        self, clicks: ClickSource, *, valid: ClickSource | None = None, search: bool = False
    ) -> Self:
        """Learn from a click log; `valid` is not needed. Raise DataError for a bad log.

        With `search` what is left out of the settings is searched, from the best that were
        published, by as many trials as `steps` has values or some times that: seconds to minutes.
        Raise ConfigError where there is nothing to search.
        """
        if search and not self.steps.keys() - self._asked.keys():
            raise ConfigError(f"{self.name} has no settings left to search; leave search out")
        log = read_clicks(clicks)
        catalog = Catalog.of(log)
        sessions = to_arrays(log, catalog, times=self.reads_times)
        self.settings = self._choose_settings(sessions, catalog, search=search)
        self.fit_arrays(sessions, catalog, clicks=len(sessions.items))
        self.meta = Meta(
            recommender=self.name,
            versions={package: version(package) for package in ("gru4rec", "polars", "numpy")},
            timed=sessions.timed,
            counts={"clicks": len(sessions.items), "items": len(catalog)},
            seen=SeenSessions.of(log, sessions),
        )
        return self

    def fit_arrays(self, sessions: SessionArrays, catalog: Catalog, *, clicks: int) -> Self:
        """Learn from sessions with the settings as they are.

        Of a log without times, running sessions come after so many `clicks`. There is no `meta`.
        """
        self._restore(catalog, self.learn(sessions, catalog), sessions.timed, clicks)
        return self

    def update(
        self, clicks: ClickSource, *, drop_unseen: str | None = None, **options: Any
    ) -> Self:
        """Count new clicks beside those that were learned from; return self.

        It then answers as if it had been fitted on all of them, with the settings that it has, but
        for the order of equal scores; a session that goes on counts as another one. `drop_unseen`
        is as for `GRU4Rec.update`. Raise DataError for a kind that needs the whole log, ids of
        another type, and as `KeptItems.of` does; ConfigError for options that say how a model
        learns.
        """
        before = self.catalog
        if self.needs_whole_log is not None:
            raise self._is_not_updated()
        self._refuse(options)
        log, _ = parts_of_log(clicks, None, ())
        catalog = before.grown(log)
        sessions = to_arrays(log, catalog, times=self.reads_times)
        learned, kept = self.learn_too(sessions, catalog), None
        added = {
            "clicks": len(sessions.items),
            "sessions": len(sessions),
            "items": len(catalog) - len(before),
        }
        seen = SeenSessions.of(log, sessions)
        seen = seen if self.meta.seen is None else self.meta.seen.merged(seen)
        timed = self._timed and sessions.timed
        meta = replace(self.meta.updated(added, seen), timed=timed)
        if drop_unseen is not None:
            kept = KeptItems.of(before, catalog, sessions, drop_unseen)
            meta = meta.keeping(kept)
        if kept is not None and kept.num_dropped:
            learned = of_items(learned, self.columns, kept.items, len(catalog))
            catalog = catalog.take(kept.items)
        self._restore(catalog, learned, timed, self._num_clicks + len(sessions.items))
        self.meta = meta
        return self

    def keep_items(self, kept: KeptItems) -> None:
        """See `Recommender.keep_items`."""
        self.meta = self.meta.keeping(kept)
        if kept.num_dropped:
            learned = of_items(self.learned, self.columns, kept.items, len(self.catalog))
            catalog = self.catalog.take(kept.items)
            self._restore(catalog, learned, self._timed, self._num_clicks)

    def _refuse(self, options: Mapping[str, object]) -> None:
        """Raise ConfigError for options of an update that would do nothing here."""
        for name, value in options.items():
            if name not in _OPTIONS:
                raise TypeError(f"update() got an unexpected keyword argument {name!r}")
            default = _OPTIONS[name]  # a log has no truth value to compare
            given = value is not None if default is None else value != default
            if given and name not in _CALLED:
                raise ConfigError(
                    f"{name} says how a model learns, and {self.name} counts clicks; leave it out",
                    mend_with=[name],
                )

    def _choose_settings(
        self, sessions: SessionArrays, catalog: Catalog, *, search: bool
    ) -> Settings:
        """Return the published settings that do best on the newest sessions, or found from them."""

        def learned(settings: Settings, older: SessionArrays) -> Baseline:
            return type(self)(**settings.to_dict()).fit_arrays(older, catalog, clicks=0)

        choosing = Choosing(sessions, learned)
        best = choosing.best_of(list(dict.fromkeys(map(self._with, self.published))))
        if search:
            steps = {name: values for name, values in self.steps.items() if name not in self._asked}
            best = choosing.climb(best, steps)
        choosing.log(self.name, best)
        return best

    def _restore(
        self, catalog: Catalog, learned: pl.DataFrame, timed: bool, num_clicks: int
    ) -> None:
        self.catalog, self.learned = catalog, learned
        self._timed, self._num_clicks = timed, num_clicks
        self.prepare()

    @abstractmethod
    def learn(self, sessions: SessionArrays, catalog: Catalog) -> pl.DataFrame:
        """Return the table that is all it keeps of a log besides the catalog."""

    def learn_too(self, sessions: SessionArrays, catalog: Catalog) -> pl.DataFrame:
        """Return the table once these sessions were learned from too.

        `catalog` has grown by them. Raise DataError for a log that does not go with the older one,
        and unless `needs_whole_log` is None.
        """
        raise self._is_not_updated()

    def _is_not_updated(self) -> DataError:
        return DataError(
            f"{self.name} is not updated: {self.needs_whole_log}; fit it again, on the older "
            "clicks too"
        )

    @abstractmethod
    def prepare(self) -> None:
        """Make of the table `learned` and the `catalog` what scoring needs."""

    @abstractmethod
    def scores(self, sessions: SessionArrays, clicks: IntArray) -> FloatingArray:
        """Return the scores of all items [n, N] after each of a few clicks; see `Scorer.score`."""

    def score(self, sessions: SessionArrays, clicks: IntArray) -> Iterator[tuple[Rows, Tensor]]:
        """See `Scorer.score`."""
        for rows in row_chunks(len(clicks), len(self.catalog)):
            yield rows, torch.from_numpy(self.scores(sessions, clicks[rows]))

    def settings_dict(self) -> dict[str, Any]:
        """See `Scorer.settings_dict`."""
        return self.settings.to_dict()

    def contents(self) -> Checkpoint:
        """See `Scorer.contents`."""
        catalog = self.catalog
        return Checkpoint(self.settings_dict(), self.meta, catalog, learned=self.learned)

    @classmethod
    def of(cls, saved: Checkpoint, *, device: str = "auto") -> Self:
        """See `Scorer.of`."""
        baseline = cls(**saved.config)
        learned, timed = saved.learned, saved.meta.timed
        clicks = (saved.meta.counts or {}).get("clicks")
        if learned is None or timed is None or clicks is None:
            raise CheckpointError(
                f"the checkpoint lacks {LEARNED}, or its clicks or times in {META}; fit again"
            )
        check_learned(learned, cls.columns, len(saved.catalog))
        baseline._restore(saved.catalog, learned, timed, clicks)
        baseline.meta = saved.meta
        return baseline
