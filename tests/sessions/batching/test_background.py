"""Prefetching changes when things are made, and nothing else."""

import threading

import pytest

from gru4rec.sessions.batching import prefetch


def worker_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("gru4rec")]


def test_items_come_in_order():
    assert list(prefetch(lambda i: i * i, range(100), ahead=3)) == [i * i for i in range(100)]


def test_an_error_of_the_maker_is_raised_where_the_item_is_asked_for():
    def make(index: int) -> int:
        if index == 2:
            raise ValueError("two")
        return index

    made = prefetch(make, range(5))
    assert [next(made), next(made)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        next(made)
    assert not worker_threads()


def test_the_thread_ends_when_the_consumer_stops_early():
    made = prefetch(lambda i: i, range(1000), ahead=2)
    assert next(made) == 0
    made.close()
    assert not worker_threads()


def test_no_more_than_ahead_items_wait():
    seen = []
    made = prefetch(lambda i: seen.append(i) or i, range(50), ahead=2)
    next(made)
    made.close()
    assert len(seen) <= 5  # one taken, two waiting, one in hand, one being made
