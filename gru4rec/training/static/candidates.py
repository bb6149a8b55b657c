"""Candidates of a window, made on the device: as `training.candidates`, without a size that varies.

There are always C columns. The distinct candidates come first, in rising order; what is left of the
columns scores −∞. How often an item of the catalog occurs is counted in arrays as long as that: on
a GPU a pass over a million items takes some microseconds, less than to sort what occurs.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gru4rec.model import kernels_for
from gru4rec.training.candidates import CandidateSampler
from gru4rec.training.static.windows import Window

_NEVER = 2**62
_NOBODY = -2
_DRAWN = -1  # stands for a session, beside those that have numbers from 0 on

# M places of a window, R draws, C columns, U rows of the input table, N items


@dataclass(frozen=True, eq=False)
class Columns:
    """What a window scores."""

    items: Tensor
    """Item of each column [C]; any one of those that are left."""
    count: Tensor
    """How many columns are candidates []."""
    targets: Tensor
    """Column of each click's target; of places without a click any [M]."""
    correction: Tensor
    """What is subtracted from each column's scores, ∞ from those that are left [C], float32."""
    owners: Tensor
    """The session of the window that alone brought a column, as a target; or a number below 0 [C].
    No other target of that session is ranked against it."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Which rows of the input table a window moves."""

    items: Tensor
    """Item of each row [U]; of a shared table those of the columns come first."""
    count: Tensor
    """How many rows are moved []."""
    places: Tensor
    """The row of each click's input; of places without a click any [M]."""


@dataclass(frozen=True, eq=False)
class Sampling:
    """What a `CandidateSampler` knows of the items, on a device."""

    cumulative: Tensor
    """Sums of support^alpha up to each item [N], float64."""
    log_untargeted: Tensor
    """Log of the probability that a target is another item [N], float64."""
    log_unsampled: Tensor
    """The same of a draw [N], float64."""
    log_support: Tensor | None
    """If the correction is by support, its log [N], float64."""
    draws: int
    """Draws of a window, R."""
    alpha: float
    logq: float
    shared: bool
    """Whether inputs are rows of the output table."""


class DeviceCandidates:
    """Does what a `CandidateSampler` does, on a device."""

    def __init__(self, sampler: CandidateSampler, device: torch.device, *, shared: bool) -> None:
        """Take what is sampled, and whether inputs are rows of the output table."""

        def there(values: np.ndarray) -> Tensor:
            return torch.from_numpy(values).to(device)

        self._is_whole, self._device = sampler.whole, device
        self._sampling = Sampling(
            cumulative=there(sampler.cumulative),
            log_untargeted=there(sampler.log_untargeted),
            log_unsampled=there(sampler.log_unsampled),
            log_support=None if sampler.log_support is None else there(sampler.log_support),
            draws=sampler.draws,
            alpha=sampler.alpha,
            logq=sampler.logq,
            shared=shared,
        )
        self._clicked = there(sampler.clicked)
        self._all = torch.tensor(len(sampler.clicked), device=device)
        column_of = np.zeros(len(sampler.cumulative), dtype=np.int64)
        column_of[sampler.clicked] = np.arange(len(sampler.clicked))
        self._column_of = there(column_of)

    def draw(self, random: torch.Generator) -> Tensor:
        """Draw item indexes with replacement ∝ support^alpha [R]."""
        points = torch.rand(
            self._sampling.draws, dtype=torch.float64, device=self._device, generator=random
        )
        find = _find
        if kernels_for(points):
            from gru4rec.training.static.candidate_kernels import find
        return find(points, self._sampling.cumulative)

    def of(self, window: Window, random: torch.Generator) -> tuple[Columns, Rows]:
        """Return what a window scores and which rows it reads."""
        if self._is_whole:
            return self._whole(window)
        return self.sampled(window, self.draw(random))

    def sampled(self, window: Window, draws: Tensor) -> tuple[Columns, Rows]:
        """Return the targets and draws of a window, each item once, and the rows it reads."""
        join = _join
        if kernels_for(draws):
            from gru4rec.training.static.candidate_kernels import join
        return join(window, draws, self._sampling)

    def _whole(self, window: Window) -> tuple[Columns, Rows]:
        """Return the whole catalog: nothing is drawn, corrected or masked."""
        items = self._clicked
        columns = Columns(
            items=items,
            count=self._all,
            targets=self._column_of[window.targets],
            correction=torch.zeros(len(items), device=self._device),
            owners=torch.full_like(items, _NOBODY),
        )
        if self._sampling.shared:
            return columns, Rows(items, self._all, self._column_of[window.inputs])
        is_read = torch.zeros_like(self._column_of)
        is_read.scatter_reduce_(0, window.inputs, window.filled.long(), "amax")
        ranks = is_read.cumsum(0)
        rows, places = _listed(window.inputs, window.filled, ranks - 1)
        return columns, Rows(rows, ranks[-1], places)


def _find(points: Tensor, cumulative: Tensor) -> Tensor:
    """Return the item whose share of all weights has each point of [0, 1) in it [R]."""
    items = torch.searchsorted(cumulative, points * cumulative[-1], right=True)
    return items.clamp_max(len(cumulative) - 1)


def _join(window: Window, draws: Tensor, sampling: Sampling) -> tuple[Columns, Rows]:
    """Return the targets and draws of a window, each item once, and the rows it reads."""
    size, num_scored = len(sampling.cumulative), len(window.targets) + len(draws)
    first, last, read = _occurrences(window, draws, size)
    is_scored, is_read = first < _NEVER, read < _NEVER
    further = is_read & ~is_scored if sampling.shared else is_read
    ranks = torch.cat((is_scored, further)).cumsum(0)
    of_scored, of_further, count = ranks[:size] - 1, ranks[size:] - 1, ranks[size - 1]

    values = torch.cat((window.targets, draws, window.inputs))
    filled = torch.cat((window.filled, torch.ones_like(draws, dtype=torch.bool)))
    if sampling.shared:
        filled = torch.cat((filled, window.filled))
        of_items = torch.where(is_scored, of_scored, of_further)
        rows, places = _listed(values, filled, of_items)
        items, columns = rows[: min(num_scored, size)], places[:num_scored]
        read_rows = Rows(rows, ranks[-1], places[num_scored:])
    else:
        items, columns = _listed(values[:num_scored], filled, of_scored)
        rows, places = _listed(window.inputs, window.filled, of_further - count)
        read_rows = Rows(rows, ranks[-1] - count, places)
    correction = _correction(window, items, columns, sampling)
    used = torch.arange(len(items), device=draws.device) < count
    owners = first[items]
    return Columns(
        items=items,
        count=count,
        targets=columns[: len(window.targets)],
        correction=torch.where(used, correction, torch.inf),
        owners=torch.where(owners == last[items], owners, _NOBODY),
    ), read_rows


def _occurrences(window: Window, draws: Tensor, size: int) -> Tensor:
    """Return the first and last session with each item as a target, and if it is read [3, N].

    A draw is a session of its own. All is _NEVER for an item that does not occur.
    """
    items = torch.cat((
        window.targets, draws, window.targets + size, draws + size, window.inputs + 2 * size
    ))  # fmt: skip
    drawn = torch.full_like(draws, _DRAWN)
    values = torch.cat((
        torch.where(window.filled, window.sessions, _NEVER), drawn,
        torch.where(window.filled, -window.sessions, _NEVER), -drawn,
        torch.where(window.filled, 0, _NEVER),
    ))  # fmt: skip
    marks = torch.full((3 * size,), _NEVER, device=draws.device)
    marks.scatter_reduce_(0, items, values, "amin")
    first, last, read = marks.view(3, size)
    return torch.stack((first, -last, read))


def _correction(window: Window, items: Tensor, columns: Tensor, sampling: Sampling) -> Tensor:
    """Return what is subtracted from each column's scores [C]; see `Candidates`."""
    num_targets = len(window.targets)
    if sampling.log_support is None:
        if sampling.logq == 0:
            return torch.zeros(len(items), device=items.device)
        absent = window.others * sampling.log_untargeted[items]
        absent = (absent + sampling.draws * sampling.log_unsampled[items]).clamp_max(-1e-12)
        correction = sampling.logq * torch.log(-torch.expm1(absent))
        if sampling.draws == 0:  # a click that has no negatives has nothing to correct
            correction = correction * (window.others > 0)
        return correction.float()
    once = window.filled.double()
    as_target, drawn = once.new_zeros(2, len(items))
    as_target.index_add_(0, columns[:num_targets], once)
    drawn.index_add_(0, columns[num_targets:], once.new_ones(len(columns) - num_targets))
    scaled = -sampling.logq * sampling.log_support[items]
    weight = as_target * torch.exp(scaled) + drawn * torch.exp(sampling.alpha * scaled)
    return -torch.log(weight).float()


def _listed(values: Tensor, filled: Tensor, rank: Tensor) -> tuple[Tensor, Tensor]:
    """List each item of `values` once, where its `rank` [N] says, and say where each value stands.

    Values that are not `filled` are none. The list is as long as it may get; what is left of it
    has item 0.
    """
    size = min(len(values), len(rank))
    places = rank[values]
    items = torch.zeros(size + 1, dtype=torch.int64, device=values.device)
    items.scatter_(0, torch.where(filled, places, size), values)  # beyond the end: for what is none
    return items[:size], torch.where(filled, places, 0)
