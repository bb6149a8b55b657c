"""Learn from the windows of an epoch together with other ranks."""

import queue
import threading
from collections.abc import Iterator

import torch
from torch import Tensor

from gru4rec.model import State
from gru4rec.training.clock import Clock, Due
from gru4rec.training.engine import PackedEngine, RateFactor
from gru4rec.training.rank_batches import RankBatch, RankBatches
from gru4rec.training.rank_learner import RankLearner

_AHEAD = 4
_WAIT_SECONDS = 0.1
_LEAVE_SECONDS = 2.0  # for the others to leave too; those that are gone never do


class RankEngine(PackedEngine):
    """Packs this rank's part of each window ahead of its update; see `PackedEngine`."""

    def __init__(self, learner: RankLearner, batches: RankBatches) -> None:
        super().__init__(learner, batches)
        self._together = batches

    def learn(
        self, epoch: int, windows: range, rate_factor: RateFactor, clock: Clock
    ) -> Iterator[tuple[int, Due]]:
        """See `Engine.learn`: clicks are those of all ranks, and the same is due on all.

        After a window at which a stop is due there is none.
        """
        made = _made_ahead(self._together, epoch, windows, clock)
        for window, batch in zip(windows, made, strict=False):
            loss_sum, self._carried = self._learner.step(
                batch.own,
                self._carried,
                rate_factor(window),
                weight=len(batch.own.targets) / self._batches.clicks_per_window,
            )
            self.loss_sum += loss_sum
            yield batch.clicks, batch.due

    def carried(self, window: int) -> State:
        """See `Engine.carried`: the state of all ranks."""
        if window == 0:
            return ()
        part = self._together.parts.part(window - 1)
        encoder = self._learner.model.encoder
        own = self._carried or encoder.initial_state(len(part.segments))
        segments = torch.from_numpy(part.segments).to(self._learner.device)
        return tuple(self._of_all(values, segments, len(part.owners_S)) for values in own)

    def carry_on(self, window: int, carried: State) -> None:
        """See `Engine.carry_on`: of the state of all, take what is this rank's."""
        self._carried = ()
        if window and carried:
            part = self._together.parts.part(window - 1)
            segments = torch.from_numpy(part.segments).to(self._learner.device)
            self._carried = tuple(values.index_select(0, segments) for values in carried)

    def _of_all(self, values: Tensor, segments: Tensor, count: int) -> Tensor:
        """Return the rows of all ranks' segments, of which `values` are those of this one."""
        whole = values.new_zeros(count, *values.shape[1:])
        return self._together.ranks.all_sum_(whole.index_copy_(0, segments, values))


def _made_ahead(
    batches: RankBatches, epoch: int, windows: range, clock: Clock
) -> Iterator[RankBatch]:
    """Yield the batches of windows, made in a background thread; see `sessions.prefetch`.

    A rank that wants no further ones makes them until the others want none either: else these would
    wait for it.
    """
    made: queue.Queue[RankBatch | BaseException] = queue.Queue(maxsize=_AHEAD)
    leaves = threading.Event()

    def put(what: RankBatch | BaseException) -> None:
        while not leaves.is_set():
            try:
                made.put(what, timeout=_WAIT_SECONDS)
                return
            except queue.Full:
                continue

    def work() -> None:
        try:
            for window in windows:
                batch = batches.together(epoch, window, clock.due(), leaves=leaves.is_set())
                put(batch)
                if batch.due.stop or batch.all_leave:
                    return
        except BaseException as error:  # noqa: BLE001 - handed to the consumer, who raises it
            put(error)

    worker = threading.Thread(target=work, name="gru4rec-ranks", daemon=True)
    worker.start()
    try:
        for _ in windows:
            what = made.get()
            if isinstance(what, BaseException):
                raise what
            yield what
            if what.due.stop:
                return
    finally:
        leaves.set()
        worker.join(_LEAVE_SECONDS)
