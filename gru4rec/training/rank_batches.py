"""A rank's part of each window to learn from, with the candidates of all."""

from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np

from gru4rec.arraytypes import IntArray
from gru4rec.config import Config
from gru4rec.sessions import RankWindows, WindowPart
from gru4rec.training.ahead import Agreement, note_of
from gru4rec.training.batch import TrainingBatch, TrainingBatches
from gru4rec.training.candidates import NOTHING, Candidates
from gru4rec.training.clock import Due
from gru4rec.training.dealt_log import DealtLog
from gru4rec.training.ranks import RANK_SEEDS
from gru4rec.training.teaching import SessionNeighbours, SoftTargets, taught


@dataclass(frozen=True)
class RankBatch(Agreement):
    """A window to learn from together."""

    own: TrainingBatch
    """The part of this rank; without a click perhaps."""
    clicks: int
    """Clicks of all ranks."""


class RankBatches(TrainingBatches):
    """Makes a rank's part of any (epoch, window), together with the other ranks.

    They give each other the items of their clicks, and what teachers name after these. So all draw
    the same negatives, score the same candidates and know which rows of the input table are read.
    """

    windows: RankWindows

    def __init__(
        self,
        log: DealtLog,
        config: Config,
        *,
        neighbours: SessionNeighbours | None = None,
        soft_targets: SoftTargets | None = None,
    ) -> None:
        """Take a log of which this rank has its part, and who teaches.

        Neighbours speak of all clicks of the log, `soft_targets` of this rank's.
        """
        sessions, share = log.sessions, log.share
        self._soft_targets = soft_targets
        self._takes(sessions, config, share.counts, log.catalog.support, neighbours)
        self.ranks, self.windows = share.ranks, share.windows
        self._starts = share.starts
        self._shifts = share.starts - sessions.offsets[:-1]

    def together(self, epoch: int, window: int, due: Due, *, leaves: bool = False) -> RankBatch:
        """Return the batch of a window, and what is `due` after it by what all ranks say.

        Reports and saves are due when the first rank says so, a stop when any does. `leaves` says
        that this rank wants no further windows.
        """
        random = self._random_of(epoch, window)
        part = self.windows.part(window)
        own = self.windows.of(window, part)
        read = self.places(np.concatenate((own.clicks, own.earlier.ravel())))
        inputs = self.items[read]
        clicks = read[: len(own.clicks)]
        targets, rows = self.items[clicks + 1], (len(part.whole.clicks), part.rows)
        if self._neighbours is not None:
            targets = taught(
                self._neighbours, own.clicks, targets, self._teaching, random, own=rows
            )
        named = NOTHING
        if self._soft_targets is not None:
            named = self._soft_targets.drawn(clicks, random, own=rows)
        said = np.append(note_of(due, leaves=leaves), self._known(clicks))
        notes, all_targets, all_inputs, all_named = self._exchanged(
            part, said, targets, inputs, named
        )

        candidates = self.sampler.candidates(all_targets, part.whole, random, named=all_named)
        touched, places = self._input_rows(all_inputs, candidates.items)
        seed = (int(random.integers(2**63)) + self.ranks.rank * RANK_SEEDS) % 2**63
        own_candidates, own_places = _of_rows(candidates, part.rows), places[part.read]
        batch = self._packed(own, own_candidates, inputs, read, touched, own_places, seed)
        all_known = int(notes[:, -1].sum())
        if all_known:
            batch = replace(batch, known_outcomes=all_known * len(own.clicks) / len(all_targets))
        agreed = Agreement.of(notes[:, :-1])
        return RankBatch(agreed.due, agreed.all_leave, batch, len(all_targets))

    def places(self, clicks: IntArray) -> IntArray:
        """Return the places of own clicks among these, by those in the whole log [n]."""
        return clicks - self._shifts[np.searchsorted(self._starts, clicks, side="right") - 1]

    def _exchanged(
        self,
        part: WindowPart,
        said: IntArray,
        targets: IntArray,
        inputs: IntArray,
        named: IntArray,
    ) -> tuple[IntArray, IntArray, IntArray, IntArray]:
        """Return what each rank has said [ranks, n], and the window's targets, inputs and named.

        The latter are those of all ranks, each where it stands in the window.
        """
        rows, read = part.counts()
        width = named.shape[1]
        lengths = [
            (len(said), count, count_read, count * width)
            for count, count_read in zip(rows, read, strict=True)
        ]
        sent = np.concatenate((said, targets, inputs, named.ravel()))
        answers = self.ranks.gathered(sent, [sum(parts) for parts in lengths], ahead=True)
        cut = [
            np.split(answer, list(accumulate(parts))[:-1])
            for answer, parts in zip(answers, lengths, strict=True)
        ]
        notes, *others = zip(*cut, strict=True)
        all_targets, all_inputs, all_named = (np.concatenate(parts) for parts in others)
        order = np.argsort(part.owners_R, kind="stable")
        order_of_rows = order[order < sum(rows)]
        return (
            np.stack(notes),
            _placed(all_targets, order_of_rows),
            _placed(all_inputs, order),
            _placed(all_named.reshape(len(all_targets), width), order_of_rows),
        )


def _placed(values: IntArray, places: IntArray) -> IntArray:
    """Return values, each at its place [n, …]."""
    placed = np.empty_like(values)
    placed[places] = values
    return placed


def _of_rows(candidates: Candidates, rows: IntArray) -> Candidates:
    """Return the candidates of some rows of a window."""
    width = len(candidates.items)
    place = np.full(len(candidates.targets), -1)
    place[rows] = np.arange(len(rows))
    row = place[candidates.masked // width]
    masked = (row * width + candidates.masked % width)[row >= 0]
    targets, named = candidates.targets[rows], candidates.named[rows]
    return replace(candidates, targets=targets, masked=masked, named=named)
