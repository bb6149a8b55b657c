"""A small part of `benchmarks/attack.py`: everything that is read ends in an answer or one line."""

import sys
from itertools import groupby
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def trials():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import attack_inputs
    finally:
        sys.path.remove(str(BENCHMARKS))
    by_kind = groupby(attack_inputs.trials(number=30, seed=15), key=lambda trial: trial[0])
    return {kind: [trial for _, _, trial in of_kind] for kind, of_kind in by_kind}


KINDS = [
    "damaged log", "column of a strange type", "value at a door", "predicate", "line of the pipe",
    "settings", "name of a file",
]  # fmt: skip


def test_every_kind_of_trial_is_there(trials):
    assert [*trials] == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_trials_hold(trials, kind):
    assert [fault for trial in trials[kind] if (fault := trial())] == []
