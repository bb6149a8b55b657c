"""Tables of vectors that items start from: how they are read, and what is refused."""

import numpy as np
import polars as pl
import pytest

import gru4rec as g4r
from gru4rec.sessions import Catalog, InitialVectors, read_vectors

CATALOG = Catalog(pl.Series("item_id", ["a", "b", "c"]), np.array([3, 2, 1]))

TABLES = {
    "lists": pl.DataFrame({"item_id": ["c", "a"], "v": [[1, 2], [3, 4]], "n": [9, 9]}),
    "arrays": pl.DataFrame(
        {"item_id": ["c", "a"], "text": ["x", "y"], "v": [[1.0, 2.0], [3.0, 4.0]]},
        schema_overrides={"v": pl.Array(pl.Float64, 2)},
    ),
    "columns": pl.DataFrame({"item_id": ["c", "a"], "x": [1, 3], "t": ["?", "!"], "y": [2.0, 4.0]}),
}


@pytest.mark.parametrize("kind", TABLES)
def test_vectors_are_lists_arrays_or_columns_of_numbers(kind):
    table = read_vectors(TABLES[kind])
    assert table.schema == {"item_id": pl.String, "vector": pl.Array(pl.Float32, 2)}
    assert read_vectors(table).equals(table)
    initial = InitialVectors.of(table, CATALOG)
    assert initial.vectors.tolist() == [[3, 4], [0, 0], [1, 2]]
    assert initial.are_given.tolist() == [True, False, True]
    assert initial.take(np.array([2, 1])).vectors.tolist() == [[1, 2], [0, 0]]


def test_a_file_of_text_is_read_by_its_columns(tmp_path):
    (tmp_path / "v.csv").write_text("sku,x,y\na,1.5,2\nb,NULL,3\n")
    with pytest.raises(g4r.DataError, match="item 'b' has a component that is missing"):
        read_vectors(tmp_path / "v.csv", item_col="sku", null=["NULL"])
    (tmp_path / "v.csv").write_text("sku,x,y\na,1.5,2\nb,-1,3\n")
    table = read_vectors(tmp_path / "v.csv", item_col="sku")
    assert table["vector"].to_list() == [[1.5, 2.0], [-1.0, 3.0]]


def test_what_the_table_has_is_counted_in_one_line(caplog):
    caplog.set_level("INFO")
    rows = {"item_id": ["a", "x", "a", "b", "c"], "v": [[1.0], [2.0], [7.0], [0.0], None]}
    initial = InitialVectors.of(read_vectors(pl.DataFrame(rows)), CATALOG)
    assert initial.vectors.tolist() == [[1], [0], [0]]
    assert [record.message for record in caplog.records] == [
        "1 initial vectors are of items that had one: the first counts",
        "1 of 3 items start from a vector; 1 of the table are not in the log, and 1 are zeros",
    ]


NAN, HUGE = float("nan"), 1e300


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"v": [[1.0, NAN], [1.0, 2.0]]}, "item 'a' has a component that is missing or no finite"),
        ({"v": [[1.0, 2.0], [None, 2.0]]}, "item 'b' has a component that is missing"),
        ({"v": [[1.0, 2.0], [float("inf"), 2.0]]}, "item 'b' has a component"),
        ({"v": [[1.0, 2.0], [HUGE, 2.0]]}, "item 'b' has a component"),
        ({"x": [1.0, NAN], "y": [1, 2]}, "item 'b' has a component"),
        ({"v": [[1.0], [1.0, 2.0]]}, "item 'b' has 2, the first one has 1"),
        ({"v": [[1.0], []]}, "item 'b' has 0, the first one has 1"),
        ({"v": [[1.0], [1.0]], "w": [[1.0], [1.0]]}, "several columns of vectors, v, w; keep one"),
        ({"v": ["x", "y"]}, r"no column of lists of numbers .* it has \['item_id', 'v'\]"),
        ({"v": [["x"], ["y"]]}, "no column of lists of numbers"),
        ({}, "no column of lists of numbers"),
    ],
)
def test_what_is_no_vector_is_refused(columns, message):
    with pytest.raises(g4r.DataError, match=message) as refusal:
        read_vectors(pl.DataFrame({"item_id": ["a", "b"], **columns}))
    assert refusal.value.mend_with == ("initial_vectors",)


def test_a_table_without_a_vector_or_an_item_of_the_log_is_refused():
    none = pl.DataFrame({"item_id": ["a"], "v": [None]}, schema_overrides={"v": pl.List(pl.Int8)})
    with pytest.raises(g4r.DataError, match="has no vector"):
        read_vectors(none)
    other = read_vectors(pl.DataFrame({"item_id": ["z"], "v": [[1.0]]}))
    with pytest.raises(g4r.DataError, match="none of an item of the log; check item_id"):
        InitialVectors.of(other, CATALOG)
    with pytest.raises(g4r.DataError, match="cannot take the table of initial vectors: no click"):
        read_vectors("nowhere.parquet")
