"""What a column says of each session, and that it stays beside its session."""

import numpy as np
import polars as pl
import pytest

import gru4rec as g4r
from gru4rec.sessions import Catalog, OutcomeClasses, SessionArrays, to_arrays


def log_of(values: list[object], ids: list[int] | None = None) -> pl.LazyFrame:
    ids = ids if ids is not None else list(range(len(values)))
    items = [f"i{number}" for number in range(len(ids))]
    frame = {"session_id": ids, "item_id": items, "outcome": values}
    return pl.LazyFrame(frame, strict=False)


@pytest.mark.parametrize(
    ("values", "classes", "names"),
    [
        ([True, False, None, True], (False, True), ["false", "true"]),
        ([10, 9, 9, None], (9, 10), ["9", "10"]),
        ([1.0, 0.0, None, 1.0], (0, 1), ["0", "1"]),
        (["b", "a", "c", None], ("a", "b", "c"), ["a", "b", "c"]),
    ],
)
def test_the_classes_are_the_values_of_the_column_rising(values, classes, names):
    found = OutcomeClasses.of(log_of(values), "outcome")
    assert found.values == classes
    assert [type(value) for value in found.values] == [type(classes[0])] * len(classes)
    assert found.names == names


def test_shares_are_of_the_sessions_whose_outcome_is_known():
    log = log_of([True, True, False, None, None], ids=[0, 0, 1, 2, 3])
    assert OutcomeClasses.of(log, "outcome").shares == (0.5, 0.5)


def test_a_session_has_the_outcome_that_any_of_its_rows_says():
    log = log_of([None, True, False, False], ids=[0, 0, 1, 1])
    classes = OutcomeClasses.of(log, "outcome")
    assert classes.on(to_arrays(log, Catalog.of(log)), log).outcomes.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("values", "ids", "says"),
    [
        ([True, False, True], [7, 7, 8], "session 7 has two outcomes, outcome 'false' and 'true'"),
        ([True, True], None, "has 1 different values, and classes are 2 to 100"),
        (list(range(101)), None, "has 101 different values"),
        ([0.5, 1.0], None, "has the value 0.5, no whole number"),
        ([[1], [2]], None, "is of type List"),
    ],
)
def test_what_is_no_outcome_is_refused(values, ids, says):
    with pytest.raises(g4r.DataError, match=says):
        OutcomeClasses.of(log_of(values, ids), "outcome")


@pytest.mark.parametrize("column", ["absent", "item_id"])
def test_the_column_must_be_there_and_none_of_every_log(column):
    with pytest.raises(g4r.DataError) as error:
        OutcomeClasses.of(log_of([True, False]), column)
    assert error.value.mend_with == ("outcome",)


def test_a_class_that_was_not_learned_is_unknown_and_said(caplog):
    classes = OutcomeClasses.of(log_of(["a", "b"]), "outcome")
    other = log_of(["b", "x", None])
    assert classes.on(to_arrays(other, Catalog.of(other)), other).outcomes.tolist() == [1, -1, -1]
    assert "sessions with the outcome x are left out" in caplog.text


def test_truth_values_are_found_in_text_too():
    classes = OutcomeClasses.of(log_of([True, False]), "outcome")
    written = log_of(["false", "true"])
    assert classes.on(to_arrays(written, Catalog.of(written)), written).outcomes.tolist() == [0, 1]


def test_what_was_written_is_read_again_and_nonsense_is_not():
    classes = OutcomeClasses.of(log_of([3, 1, 3]), "outcome")
    assert OutcomeClasses.from_dict(classes.to_dict()) == classes
    sound = classes.to_dict()
    for wrong in ({}, {**sound, "values": [1, "1"]}, {**sound, "shares": [1.0]},
                  {**sound, "column": ""}, {**sound, "values": [1, 1]}):  # fmt: skip
        with pytest.raises(ValueError, match="an outcome cannot be"):
            OutcomeClasses.from_dict(wrong)


def arrays() -> SessionArrays:
    return SessionArrays(
        pl.Series(["p", "q", "r"]),
        np.array([0, 1, 2, 0, 1, 2]),
        np.array([0, 1, 3, 6]),
        outcomes=np.array([1, -1, 0]),
    )


def test_outcomes_stay_with_their_sessions():
    sessions = arrays()
    assert sessions.take(np.array([2, 0])).outcomes.tolist() == [0, 1]
    assert [piece.outcomes.tolist() for piece in sessions.pieces(2)] == [[1, -1], [0]]
    assert sessions.with_targets().outcomes.tolist() == [-1, 0]
    assert sessions.renumbered(np.array([-1, 0, 1])).outcomes.tolist() == [1, -1, 0]
    assert sessions.followed_by(sessions.take(np.array([0]))).outcomes.tolist() == [1, -1, 0, 1]


def test_every_click_has_the_outcome_of_its_session_but_those_of_earlier_ones():
    assert arrays().click_outcomes.tolist() == [1, -1, -1, 0, 0, 0]
    from dataclasses import replace

    led = replace(arrays(), leads=np.array([0, 0, 2]))
    assert led.click_outcomes.tolist() == [1, -1, -1, -1, -1, 0]
