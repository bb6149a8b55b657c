"""Choose a baseline's settings by what they are worth on the newest sessions of its log."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

from torch import Tensor

from gru4rec.arraytypes import IntArray, Rows
from gru4rec.errors import ConfigError
from gru4rec.metrics import ranks_in_pieces, recall_plus_mrr
from gru4rec.sessions import SessionArrays
from gru4rec.settings import Settings

logger = logging.getLogger(__name__)

_SESSIONS, _TARGETS = 2000, 5000  # that settings are tried on

S = TypeVar("S", bound=Settings)


class _Scores(Protocol):
    """A baseline that has learned."""

    def score(self, sessions: SessionArrays, clicks: IntArray) -> Iterator[tuple[Rows, Tensor]]:
        """See `Scorer.score`."""
        ...


class Choosing:
    """Measures settings on the newest tenth of a log's sessions, each once.

    Baselines learn from the sessions before those. What counts is Recall@20 + MRR@20.
    """

    def __init__(
        self, sessions: SessionArrays, learned: Callable[[Settings, SessionArrays], _Scores]
    ) -> None:
        """Take a log, and what makes a baseline of settings that learns from a part of it."""
        newest = min(len(sessions) // 10, _SESSIONS)
        self._older, self._held_out = sessions.split_before(len(sessions) - newest)
        self._prefixes = self._held_out.prefixes(most=_TARGETS)
        self._learned = learned
        self._worth: dict[Settings, float] = {}

    def best_of(self, choices: Sequence[S]) -> S:
        """Return the best of some settings; the first if nothing can be measured."""
        if len(choices) == 1 or not len(self._prefixes):
            return choices[0]
        return max(choices, key=self.worth)  # of equal ones the first

    def climb(self, start: S, steps: Mapping[str, Sequence[object]]) -> S:
        """Return what a search by coordinates comes to from some settings.

        One setting after the other takes the best of its `steps`, until a round changes none.
        """
        best, before = start, None
        while best != before and len(self._prefixes):
            before = best
            for name, values in steps.items():
                best = self.best_of([best, *_changed(best, name, values)])
        return best

    def log(self, name: str, chosen: Settings) -> None:
        """Log what the settings that were chosen are worth, and what the others."""
        if not self._worth:
            return
        others = sorted((worth for s, worth in self._worth.items() if s != chosen), reverse=True)
        logger.info(
            "%s: of %d settings those with Recall@20 + MRR@20 of %.3f on the newest %d sessions "
            "(next best: %s)",
            name, len(self._worth), self.worth(chosen), len(self._held_out),
            ", ".join(f"{worth:.3f}" for worth in others[:3]),
        )  # fmt: skip

    def worth(self, settings: Settings) -> float:
        """Return Recall@20 + MRR@20 with some settings."""
        if settings not in self._worth:
            scored = self._learned(settings, self._older).score(self._held_out, self._prefixes)
            ranks = ranks_in_pieces(scored, self._held_out.items[self._prefixes + 1])
            self._worth[settings] = recall_plus_mrr(ranks)
        return self._worth[settings]


def _changed(settings: S, name: str, values: Sequence[object]) -> Iterator[S]:
    """Yield settings with other values of one; values that do not go with the others are none."""
    for value in values:
        try:
            yield type(settings).from_dict({**settings.to_dict(), name: value})
        except ConfigError:
            continue
