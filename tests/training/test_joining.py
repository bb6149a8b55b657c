"""How a process meets those that it trains with, and what it says if it does not."""

import logging
import socket
import time
from collections.abc import Iterator

import pytest
from rank_threads import together

import gru4rec as g4r
from gru4rec.training import Ranks, join_ranks, joining


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The second of two processes, whose first one is not there."""
    with socket.socket() as taken:  # but listens to nobody
        taken.bind(("127.0.0.1", 0))
        said = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
        for name, value in {**said, "MASTER_PORT": str(taken.getsockname()[1])}.items():
            monkeypatch.setenv(name, value)
        yield monkeypatch


def refused(error: type[g4r.Gru4RecError], said: str, patience: float = 0.5) -> None:
    began = time.monotonic()
    with pytest.raises(error, match=said), join_ranks(patience=patience):
        pass
    assert time.monotonic() - began < patience + 30


def test_nobody_to_meet_is_said_after_as_long_as_is_allowed(launched):
    refused(g4r.LostRankError, "rank 1 of 2 has not met the others at 127.0.0.1:")
    launched.setenv("MASTER_ADDR", "nobody.invalid")
    refused(g4r.LostRankError, "rank 1 of 2 has not met the others at nobody.invalid:")


def test_a_process_that_waits_says_so(launched, caplog):
    launched.setattr(joining, "_QUIET", 0.1)
    with caplog.at_level(logging.WARNING, logger="gru4rec"):
        refused(g4r.LostRankError, "has not met")
    assert "rank 1 of 2 has not yet met the others at 127.0.0.1:" in caplog.text


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("RANK", "2", "RANK is 2, but 2 processes have the ranks 0 to 1"),
        ("RANK", "-1", "RANK is -1"),
        ("RANK", "", "WORLD_SIZE is 2, but RANK of the environment says nothing"),
        ("MASTER_PORT", "abc", "MASTER_PORT of the environment is 'abc', no number"),
    ],
)
def test_variables_that_say_nothing_are_refused_at_once(launched, name, value, said):
    launched.setenv(name, value)
    refused(g4r.ConfigError, said)


def test_what_the_first_cannot_find_ends_the_others():
    def find() -> int:
        raise OSError("no disk")

    def work(ranks: Ranks) -> str:
        with pytest.raises(OSError if ranks.is_first else g4r.LostRankError) as error:
            ranks.found_by_first(find)
        return str(error.value)

    assert together(2, work) == ["no disk", "rank 1 of 2: rank 0 has failed"]
    assert together(2, lambda ranks: ranks.found_by_first(lambda: [1, "x"])) == [[1, "x"]] * 2
