"""The seeded generator of learnable click logs."""

from dataclasses import dataclass

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


@dataclass(frozen=True)
class _Behaviour:
    """Chances of what a visitor does next; the rest is a walk on along the category."""

    again: float = 0.10
    """Clicks an earlier item of the session once more."""
    popular: float = 0.08
    """Clicks a popular item of the category."""
    jump: float = 0.06
    """Goes to another category."""


def generate_clicks(
    *, sessions: int = 9_000, items: int = 600, categories: int = 12, days: int = 14, seed: int = 0
) -> pl.DataFrame:
    """A click log that a session model can learn; the same one for the same arguments.

    Items stand on a ring within their category. A session has a stride that nobody tells, and
    mostly walks along its ring by it: the last click alone leaves several next items open, the last
    two nearly settle it. Sometimes it repeats an item, visits a popular one, or jumps to another
    category. Popularity follows Zipf's law, two fifths of the items appear during the `days`, all
    lose interest with age, visits follow the hours of the day, session lengths a power law.

    Columns, in time order: session_id (Int64), item_id (String), timestamp (Datetime, ms).
    """
    random = np.random.default_rng(seed)
    shop = _Shop(random, items, categories, days)
    start_ms = _start_times(random, sessions, days)
    lengths = _lengths(random, sessions)
    stride = random.choice(_STRIDES, sessions)
    behaviour = _Behaviour()

    clicked = np.empty((sessions, _MAX_LENGTH), dtype=np.int64)
    times = np.empty((sessions, _MAX_LENGTH), dtype=np.int64)
    clicked[:, 0] = shop.visit(random, shop.any_category(random, sessions), start_ms)
    times[:, 0] = start_ms
    for position in range(1, lengths.max()):
        active = np.flatnonzero(lengths > position)
        last = clicked[active, position - 1]
        pause_ms = random.lognormal(_LOG_PAUSE_MS, 1.0, len(active)).astype(np.int64)
        now = times[active, position - 1] + pause_ms
        chance = random.random(len(active))
        following = shop.walk(last, stride[active], now)
        anywhere = shop.any_category(random, len(active))
        category = np.where(chance < behaviour.jump, anywhere, shop.category_of[last])
        visited = shop.visit(random, category, now)
        following = np.where(chance < behaviour.jump + behaviour.popular, visited, following)
        earlier = clicked[active, random.integers(0, position, len(active))]
        following = np.where(chance > 1 - behaviour.again, earlier, following)
        clicked[active, position], times[active, position] = following, now

    session, nth = np.nonzero(np.arange(_MAX_LENGTH) < lengths[:, None])
    order = np.argsort(times[session, nth], kind="stable")
    session, nth = session[order], nth[order]
    names = pl.Series([f"c{shop.category_of[i]:02d}-{i:04d}" for i in range(items)])
    return pl.DataFrame(
        {
            SESSION_ID: session + 1,
            ITEM_ID: names.gather(clicked[session, nth]),
            TIMESTAMP: times[session, nth] + _START.astype(np.int64),
        }
    ).with_columns(pl.col(TIMESTAMP).cast(pl.Datetime("ms")))


class _Shop:
    """The catalog: categories of neighbouring item numbers, popularity, time of appearance."""

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
        """Categories drawn by the popularity of their items."""
        points = random.random(count) * self.cumulative[-1]
        drawn = np.searchsorted(self.cumulative, points, side="right") - 1
        return np.asarray(self.category_of[np.minimum(drawn, len(self.category_of) - 1)])

    def visit(self, random: np.random.Generator, category: IntArray, now_ms: IntArray) -> IntArray:
        """An item of each category by popularity, of those that are there, the younger likelier."""
        low = self.cumulative[self.first[category]]
        high = self.cumulative[self.first[category] + self.size[category]]
        chosen = self.first[category].copy()
        open_ = np.ones(len(category), dtype=bool)
        for _ in range(_TRIES):
            points = low + random.random(len(category)) * (high - low)
            drawn = np.searchsorted(self.cumulative, points, side="right") - 1
            drawn = np.minimum(drawn, self.first[category] + self.size[category] - 1)
            age = now_ms - self.born_ms[drawn]
            taken = (
                open_ & (age >= 0) & (random.random(len(category)) < np.exp(-age / self.life_ms))
            )
            chosen[taken] = drawn[taken]
            open_ &= ~taken
        return chosen

    def walk(self, item: IntArray, stride: IntArray, now_ms: IntArray) -> IntArray:
        """The item one stride along the ring, or the first on the way that has appeared."""
        category = self.category_of[item]
        first, size = self.first[category], self.size[category]
        place = item
        for _ in range(_TRIES):
            place = first + (place - first + stride) % size
            stride = np.where(self.born_ms[place] <= now_ms, 0, stride)
        return np.where(stride == 0, place, item)


def _start_times(random: np.random.Generator, sessions: int, days: int) -> IntArray:
    """Milliseconds since the first day: few visits at night, most in the evening."""
    hours = np.arange(24)
    rhythm = 1.2 + np.sin((hours - 13) / 24 * 2 * np.pi)
    hour = random.choice(hours, sessions, p=rhythm / rhythm.sum())
    within = random.integers(0, 3_600_000, sessions)
    return np.sort(random.integers(0, days, sessions) * _DAY_MS + hour * 3_600_000 + within)


def _lengths(random: np.random.Generator, sessions: int) -> IntArray:
    """Clicks per session: P(n) ∝ n^−1.9 from 1 to the longest."""
    sizes = np.arange(1, _MAX_LENGTH + 1)
    weights = (sizes + 1.0) ** -1.9
    return random.choice(sizes, sessions, p=weights / weights.sum())
