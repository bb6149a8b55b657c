"""A small part of `benchmarks/attack_outputs.py`: no output replaces an input, no stream hangs."""

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def attack():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import attack_outputs
    finally:
        sys.path.remove(str(BENCHMARKS))
    return attack_outputs


def faults(attack, kind, step):
    """What one trial in `step` of a kind did; there must be some."""
    trials = [trial for of, _, trial in attack.trials(number=1) if of == kind][::step]
    assert trials
    return [fault for trial in trials if (fault := trial())]


@pytest.mark.parametrize("kind", ["file over an input", "folder over an input"])
def test_an_output_that_would_replace_an_input_is_refused(attack, kind):
    assert faults(attack, kind, 11) == []


@pytest.mark.process
@pytest.mark.parametrize(("kind", "step"), [("streams", 9), ("killed", 1)])
def test_streams_that_are_shut_and_writers_that_are_killed_lose_nothing(attack, kind, step):
    assert faults(attack, kind, step) == []
