"""A robot's endless session in a log: it is told of, and costs what its clicks cost."""

import logging

import numpy as np
import pytest
from toys import TINY, clicks_of

import gru4rec as g4r
from gru4rec.config import Config
from gru4rec.sessions import Catalog, to_arrays
from gru4rec.training import TrainingLog
from gru4rec.training.batch import TrainingBatches

WINDOWS = {"training.lanes": 32, "training.steps": 16}  # of 512 clicks
PEOPLE = [[n % 50, (n + 1) % 50, (n + 3) % 50] for n in range(2000)]


def robot(clicks: int) -> list[int]:
    return np.random.default_rng(1).integers(0, 50, clicks).tolist()


@pytest.fixture
def warnings(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("gru4rec"), "propagate", True)
    caplog.set_level(logging.WARNING, logger="gru4rec")
    return lambda: [record.getMessage() for record in caplog.records]


def test_an_endless_session_is_told_of_with_its_share_and_what_limits_it(warnings):
    TrainingLog.read(clicks_of([*PEOPLE, robot(1500)]), None)
    (line,) = warnings()
    assert "session 2000 has 1500 of 7500 clicks (20 %)" in line
    assert "max_session_clicks" in line


@pytest.mark.parametrize(
    "sessions",
    [PEOPLE, [robot(1000)], [robot(1001), *[robot(500)] * 200]],
    ids=["ordinary", "1000 clicks", "less than a hundredth"],
)
def test_of_sessions_that_a_person_may_have_or_that_hardly_matter_nothing_is_said(
    sessions, warnings
):
    TrainingLog.read(clicks_of(sessions), None)
    assert warnings() == []


def test_nothing_is_said_where_the_first_clicks_are_read(warnings):
    log = g4r.read_clicks(clicks_of([*PEOPLE, robot(1500)]), max_session_clicks=200)
    assert TrainingLog.read(log, None).sessions.lengths.max() == 200
    assert warnings() == []


def updates(sessions: list[list[int]], encoder: str) -> int:
    log = clicks_of(sessions).lazy()
    catalog = Catalog.of(log)
    arrays = to_arrays(log, catalog).with_targets()
    settings = {**TINY, "encoder.name": encoder, "training.sample_alpha": 0.5} | WINDOWS
    return len(TrainingBatches(arrays, catalog.support, Config().replace(settings)))


@pytest.mark.parametrize("encoder", ["gru", "transformer_gru"])
@pytest.mark.parametrize("clicks", [4000, 200_000])
def test_an_epoch_has_about_as_many_more_updates_as_a_robot_fills_windows(encoder, clicks):
    before = updates(PEOPLE, encoder)
    with_robot = updates([*PEOPLE[:1000], robot(clicks), *PEOPLE[1000:]], encoder)
    # On one lane they would be clicks / 16. A quarter of the epoch, or 256 steps, may come on top.
    assert clicks / 512 - 2 < with_robot - before < 1.25 * clicks / 512 + 256 / 16
