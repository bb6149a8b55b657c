"""Texts that stand for nothing: taken as ids with a warning, or named and made null."""

import logging

import polars as pl
import pytest

import gru4rec as g4r


def log_with(marker: str) -> str:
    return f"session_id,item_id,price\n1,5,1\n1,{marker},2\n1,7,{marker}\n"


@pytest.mark.parametrize("marker", ["\\N", "NULL", "NaN", "None", "null"])
def test_a_marker_is_taken_as_an_id_and_counted_in_a_warning(tmp_path, caplog, marker):
    (tmp_path / "log.csv").write_text(log_with(marker))
    with caplog.at_level(logging.WARNING):
        clicks = g4r.read_clicks(tmp_path / "log.csv").collect()
    assert clicks["item_id"].to_list() == ["5", marker, "7"]
    assert f"item_id is {marker!r} or the like in 1 rows" in caplog.text


@pytest.mark.parametrize("null", ["NULL", ["NULL"], ("-", "NULL")])
def test_named_markers_are_null_and_leave_the_other_ids_their_type(tmp_path, caplog, null):
    (tmp_path / "log.csv").write_text(log_with("NULL"))
    with pytest.raises(g4r.DataError, match="null or empty item_id in 1 of 3 rows, first in row 2"):
        g4r.read_clicks(tmp_path / "log.csv", null=null)
    with caplog.at_level(logging.WARNING):
        clicks = g4r.read_clicks(
            tmp_path / "log.csv", null=null, drop_invalid=True, also=["price"]
        ).collect()
    assert clicks["item_id"].to_list() == [5, 7]
    assert clicks["price"].to_list() == ["1", None]
    assert "or the like" not in caplog.text


def test_markers_of_a_table_are_named_the_same_way():
    table = pl.DataFrame({"session_id": ["1", "1"], "item_id": ["a", "NULL"]})
    clicks = g4r.read_clicks(table, null="NULL", drop_invalid=True).collect()
    assert clicks["item_id"].to_list() == ["a"]


def test_a_marker_that_is_no_text_is_refused():
    with pytest.raises(g4r.DataError, match=r"null takes texts .* got \[0\]"):
        g4r.read_clicks(pl.DataFrame({"session_id": [1], "item_id": [1]}), null=[0])


def test_ordinary_ids_are_not_warned_of(caplog):
    with caplog.at_level(logging.WARNING):
        g4r.read_clicks(pl.DataFrame({"session_id": [1], "item_id": ["Nullarbor"]}))
    assert not caplog.text
