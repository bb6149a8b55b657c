"""Generate click logs that a session model can learn, from a seed."""

import numpy as np
import polars as pl

from gru4rec.arraytypes import IntArray
from gru4rec.schema import ITEM_ID, SESSION_ID, TIMESTAMP

_START = np.datetime64("2026-03-02T00:00:00", "ms")
_DAY_MS = 86_400_000
_STRIDES = np.array([-5, -4, -3, -2, -1, 1, 2, 3, 4, 5])
_MAX_LENGTH = 60
_TRIES = 6
_LOG_PAUSE_MS = 10.3  # half of the clicks come within half a minute

# Chances of what a visitor does next: click an earlier item of the session once more, click a
# popular item of the category, go to another category. Else the walk along the category goes on.
_AGAIN, _POPULAR, _JUMP = 0.10, 0.08, 0.06


def generate_clicks(
    *, sessions: int = 9_000, items: int = 600, categories: int = 12, days: int = 14, seed: int = 0
) -> pl.DataFrame:
    """Return a click log that a session model can learn; the same one for the same arguments.

    Items stand on a ring within their category. A session has a stride that nobody tells, and
    mostly walks along its ring by it. So the last click alone leaves several next items open, and
    the last two nearly settle it. Sometimes a session repeats an item, visits a popular one, or
    jumps to another category. Popularity follows Zipf's law. Two fifths of the items appear during
    the `days`, and all lose interest with age. Visits follow the hours of the day, session lengths
    a power law.

    Columns: session_id (Int64), item_id (String), timestamp (Datetime, ms). Rows in time order.
    """
    random = np.random.default_rng(seed)
    shop = _Shop(random, items, categories, days)
    start_ms = _start_times(random, sessions, days)
    lengths = _lengths(random, sessions)
    clicked, times_ms = _visits(random, shop, start_ms, lengths)

    session, nth = np.nonzero(np.arange(_MAX_LENGTH) < lengths[:, None])
    order = np.argsort(times_ms[session, nth], kind="stable")
    session, nth = session[order], nth[order]
    names = pl.Series([f"c{shop.category_of[i]:02d}-{i:04d}" for i in range(items)])
    return pl.DataFrame(
        {
            SESSION_ID: session + 1,
            ITEM_ID: names.gather(clicked[session, nth]),
            TIMESTAMP: times_ms[session, nth] + _START.astype(np.int64),
        }
    ).with_columns(pl.col(TIMESTAMP).cast(pl.Datetime("ms")))


class _Shop:
    """The items: categories of neighbouring numbers, popularity, time of appearance."""

    def __init__(self, random: np.random.Generator, items: int, categories: int, days: int) -> None:
        self.category_of: IntArray = np.sort(np.arange(items) % categories)
        self.first = np.searchsorted(self.category_of, np.arange(categories))
        self.size: IntArray = np.bincount(self.category_of, minlength=categories)
        popularity = 1 / (1 + random.permutation(items)) ** 0.8
        self.cumulative = np.concatenate(([0.0], np.cumsum(popularity)))
        appears = random.uniform(-days, days * 0.8, items)
        self.born_ms: IntArray = (
            np.where(random.random(items) < 0.4, appears, -days * random.random(items)) * _DAY_MS
        ).astype(np.int64)
        self.born_ms[self.first] = -_DAY_MS  # each category always has an item
        self.life_ms = days * _DAY_MS

    def any_category(self, random: np.random.Generator, count: int) -> IntArray:
        """Draw `count` categories by the popularity of their items."""
        points = random.random(count) * self.cumulative[-1]
        drawn = np.searchsorted(self.cumulative, points, side="right") - 1
        return np.asarray(self.category_of[np.minimum(drawn, len(self.category_of) - 1)])

    def visit(self, random: np.random.Generator, category: IntArray, now_ms: IntArray) -> IntArray:
        """Draw an item of each category that has appeared, by popularity and youth."""
        low = self.cumulative[self.first[category]]
        high = self.cumulative[self.first[category] + self.size[category]]
        chosen = self.first[category].copy()
        open_ = np.ones(len(category), dtype=bool)
        for _ in range(_TRIES):
            points = low + random.random(len(category)) * (high - low)
            drawn = np.searchsorted(self.cumulative, points, side="right") - 1
            drawn = np.minimum(drawn, self.first[category] + self.size[category] - 1)
            age = now_ms - self.born_ms[drawn]
            wanted = random.random(len(category)) < np.exp(-age / self.life_ms)
            taken = open_ & (age >= 0) & wanted
            chosen[taken] = drawn[taken]
            open_ &= ~taken
        return chosen

    def walk(self, item: IntArray, stride: IntArray, now_ms: IntArray) -> IntArray:
        """Return the item one stride along the ring, or the first on that way that has appeared.

        If none has within a few strides, the item itself.
        """
        category = self.category_of[item]
        first, size = self.first[category], self.size[category]
        place = item
        for _ in range(_TRIES):
            place = first + (place - first + stride) % size
            stride = np.where(self.born_ms[place] <= now_ms, 0, stride)
        return np.where(stride == 0, place, item)


def _visits(
    random: np.random.Generator, shop: _Shop, start_ms: IntArray, lengths: IntArray
) -> tuple[IntArray, IntArray]:
    """Return (items, times in ms) of every click [sessions, longest].

    What lies past the length of a session is not set.
    """
    sessions = len(lengths)
    stride = random.choice(_STRIDES, sessions)
    clicked = np.empty((sessions, _MAX_LENGTH), dtype=np.int64)
    times_ms = np.empty((sessions, _MAX_LENGTH), dtype=np.int64)
    clicked[:, 0] = shop.visit(random, shop.any_category(random, sessions), start_ms)
    times_ms[:, 0] = start_ms
    for position in range(1, lengths.max()):
        active = np.flatnonzero(lengths > position)
        pause_ms = random.lognormal(_LOG_PAUSE_MS, 1.0, len(active)).astype(np.int64)
        now_ms = times_ms[active, position - 1] + pause_ms
        before = clicked[active, :position]
        clicked[active, position] = _next_items(random, shop, before, stride[active], now_ms)
        times_ms[active, position] = now_ms
    return clicked, times_ms


def _next_items(
    random: np.random.Generator, shop: _Shop, before: IntArray, stride: IntArray, now_ms: IntArray
) -> IntArray:
    """Return what is clicked at `now_ms` after the clicks `before` [n, position] of sessions."""
    sessions, position = before.shape
    last = before[:, -1]
    chance = random.random(sessions)
    walked = shop.walk(last, stride, now_ms)
    anywhere = shop.any_category(random, sessions)
    category = np.where(chance < _JUMP, anywhere, shop.category_of[last])
    visited = shop.visit(random, category, now_ms)
    items = np.where(chance < _JUMP + _POPULAR, visited, walked)
    earlier = before[np.arange(sessions), random.integers(0, position, sessions)]
    return np.where(chance > 1 - _AGAIN, earlier, items)


def _start_times(random: np.random.Generator, sessions: int, days: int) -> IntArray:
    """Draw sorted milliseconds since the first day: few at night, most in the evening."""
    hours = np.arange(24)
    rhythm = 1.2 + np.sin((hours - 13) / 24 * 2 * np.pi)
    hour = random.choice(hours, sessions, p=rhythm / rhythm.sum())
    within = random.integers(0, 3_600_000, sessions)
    return np.sort(random.integers(0, days, sessions) * _DAY_MS + hour * 3_600_000 + within)


def _lengths(random: np.random.Generator, sessions: int) -> IntArray:
    """Draw the clicks of each session: P(n) ∝ (n + 1)^−1.9 for n from 1 to the longest."""
    sizes = np.arange(1, _MAX_LENGTH + 1)
    weights = (sizes + 1.0) ** -1.9
    return random.choice(sizes, sessions, p=weights / weights.sum())
