"""A rank's part of each window to learn from, with the candidates of all."""

from dataclasses import dataclass, replace

import numpy as np

from gru4rec.arraytypes import IntArray
from gru4rec.config import Config
from gru4rec.sessions import WindowPart
from gru4rec.training.ahead import Agreement, note_of
from gru4rec.training.batch import TrainingBatch, TrainingBatches, sampler_of
from gru4rec.training.candidates import Candidates
from gru4rec.training.clock import Due
from gru4rec.training.dealt_log import DealtLog
from gru4rec.training.teaching import SessionNeighbours, taught

_SEEDS = 0x9E3779B97F4A7C15  # apart, so that no two ranks drop the same


@dataclass(frozen=True)
class RankBatch:
    """A window to learn from together."""

    own: TrainingBatch
    """The part of this rank; without a click perhaps."""
    clicks: int
    """Clicks of all ranks."""
    due: Due
    """What is due after it, on all ranks."""
    all_leave: bool
    """Whether all ranks want no further windows."""


class RankBatches(TrainingBatches):
    """Makes a rank's part of any (epoch, window), together with the other ranks.

    They give each other the items of their clicks. So all draw the same negatives, score the same
    candidates and know which rows of the input table are read.
    """

    def __init__(
        self, log: DealtLog, config: Config, neighbours: SessionNeighbours | None = None
    ) -> None:
        """Take a log of which this rank has its part, and who teaches of the whole log."""
        sessions, share = log.sessions, log.share
        self._neighbours, self._teaching = neighbours, config.training.teaching
        self._soft_targets = None
        self.items, self.sides = sessions.items, sessions.sides
        self._shared = config.encoder.embedding == "shared"
        self._seed = config.seed
        self._pairs = log.statistics.pairs
        self.ranks, self.parts = share.ranks, share.windows
        self.windows = self.parts
        self._starts = share.starts
        self._shifts = share.starts - sessions.offsets[:-1]
        self.sampler = sampler_of(share.targets, log.catalog.support, config.training)

    def together(self, epoch: int, window: int, due: Due, *, leaves: bool = False) -> RankBatch:
        """Return the batch of a window, and what is `due` after it by what all ranks say.

        Reports and saves are due when the first rank says so, a stop when any does. `leaves` says
        that this rank wants no further windows.
        """
        random = self._random_of(epoch, window)
        part = self.parts.part(window)
        own = self.parts.of(window, part)
        read = self.places(np.concatenate((own.clicks, own.earlier.ravel())))
        inputs = self.items[read]
        said = note_of(due, leaves=leaves)
        targets = self.items[read[: len(own.clicks)] + 1]
        if self._neighbours is not None:
            rows = len(part.whole.clicks), part.rows
            targets = taught(
                self._neighbours, own.clicks, targets, self._teaching, random, own=rows
            )
        notes, all_targets, all_inputs = self._exchanged(part, said, targets, inputs)

        candidates = self.sampler.candidates(all_targets, part.whole, random)
        touched, places = self._input_rows(all_inputs, candidates.items)
        seed = (int(random.integers(2**63)) + self.ranks.rank * _SEEDS) % 2**63
        batch = self._packed(
            own, _of_rows(candidates, part.rows), inputs, read, touched, places[part.read], seed
        )
        agreed = Agreement.of(notes)
        return RankBatch(batch, len(all_targets), agreed.due, agreed.all_leave)

    def places(self, clicks: IntArray) -> IntArray:
        """Return the places of own clicks among these, by those in the whole log [n]."""
        return clicks - self._shifts[np.searchsorted(self._starts, clicks, side="right") - 1]

    def _exchanged(
        self, part: WindowPart, said: IntArray, targets: IntArray, inputs: IntArray
    ) -> tuple[IntArray, IntArray, IntArray]:
        """Return what each rank has said [ranks, n], and targets and inputs of the window."""
        rows, read = part.counts()
        starts = [len(said) + count for count in rows]
        counts = [start + count for start, count in zip(starts, read, strict=True)]
        sent = np.concatenate((said, targets, inputs))
        answers = self.ranks.gathered(sent, counts, ahead=True)
        order = np.argsort(part.owners_R, kind="stable")
        all_inputs = np.empty(len(order), dtype=np.int64)
        all_inputs[order] = np.concatenate(
            [answer[start:] for answer, start in zip(answers, starts, strict=True)]
        )
        all_targets = np.empty(sum(rows), dtype=np.int64)
        all_targets[order[order < len(all_targets)]] = np.concatenate(
            [answer[len(said) : start] for answer, start in zip(answers, starts, strict=True)]
        )
        return np.stack([answer[: len(said)] for answer in answers]), all_targets, all_inputs


def _of_rows(candidates: Candidates, rows: IntArray) -> Candidates:
    """Return the candidates of some rows of a window."""
    width = len(candidates.items)
    place = np.full(len(candidates.targets), -1)
    place[rows] = np.arange(len(rows))
    row = place[candidates.masked // width]
    masked = (row * width + candidates.masked % width)[row >= 0]
    named = candidates.named[rows] if candidates.named.size else candidates.named
    return replace(candidates, targets=candidates.targets[rows], masked=masked, named=named)
