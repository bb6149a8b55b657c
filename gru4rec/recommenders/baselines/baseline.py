"""What every baseline is: settings, one table that it learns from a log, scores made of that."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any, ClassVar, Self

import polars as pl
import torch
from torch import Tensor

from gru4rec.arraytypes import FloatingArray, IntArray, Rows
from gru4rec.clicks import ClickSource, read_clicks
from gru4rec.errors import CheckpointError, ConfigError
from gru4rec.layout import LEARNED, META
from gru4rec.recommenders.baselines.choosing import Choosing
from gru4rec.recommenders.baselines.learned import Column, check_learned
from gru4rec.recommenders.checkpoint import Checkpoint
from gru4rec.recommenders.meta import Meta
from gru4rec.recommenders.recommender import Recommender
from gru4rec.serving import row_chunks
from gru4rec.sessions import Catalog, SeenSessions, SessionArrays, to_arrays
from gru4rec.settings import Settings


class Baseline(Recommender):
    """A recommender without a neural net.

    Keyword arguments are the fields of its settings. What is left out is, of the settings that were
    `published`, what does better on the newest sessions of the log: a peer with the settings of
    another kind of log can look several points weaker than it is.
    """

    settings: Settings
    settings_class: ClassVar[type[Settings]]
    columns: ClassVar[Mapping[str, Column]] = {}
    """What the columns of the table are that it learns: checked when it comes from a file."""
    published: ClassVar[Sequence[Mapping[str, object]]] = ({},)
    """Settings that its authors or others fitted to a log, as far as they are not the defaults."""
    steps: ClassVar[Mapping[str, Sequence[object]]] = {}
    """Values that a search tries of a setting."""

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
