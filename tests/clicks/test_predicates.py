"""A predicate may use columns and literals, and reads no other file."""

import polars as pl
import pytest

import gru4rec as g4r

SECRET = "secret-first-line"
CLICKS = pl.DataFrame({"session_id": [1, 1], "item_id": ["select", "b"], "read_at": [1, 2]})

REFUSED = [
    "item_id IN (SELECT a FROM read_csv('{file}'))",
    "item_id IN (sElEcT\na FROM read_csv('{file}'))",
    "item_id = (SELECT a FROM read_csv('{file}') LIMIT 1)",
    "item_id = 'x' OR EXISTS (SELECT 1 FROM read_csv('{file}'))",
    "item_id = $$'$$ AND item_id IN (SELECT a FROM read_csv('{file}'))",
    "/* ' */ item_id IN (SELECT a FROM read_csv('{file}')) /* ' */",
    "item_id = E'\\'' OR item_id IN (SELECT a FROM read_csv('{file}'))",
    "item_id IN (FROM read_csv('{file}'))",
    "read_csv('{file}')",
    "-- '\nitem_id IN (SELECT a FROM read_csv('{file}')) -- '",
]


@pytest.mark.parametrize("where", REFUSED)
def test_a_predicate_that_asks_a_file_is_refused_and_shows_nothing_of_it(tmp_path, where):
    (tmp_path / "other.csv").write_text(f"{SECRET}\nb\n")
    with pytest.raises(g4r.DataError) as error:
        g4r.read_clicks(CLICKS, where=where.format(file=tmp_path / "other.csv"))
    assert SECRET not in str(error.value)
    assert "columns and literals only" in str(error.value)


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("item_id = 'select'", 1),
        ("item_id <> 'select from read_csv(''x'')'", 2),
        ("read_at = 1", 1),
        ('"read_at" > 0', 2),
        ("LOWER(item_id) = 'b' AND read_at IN (1, 2)", 1),
    ],
)
def test_words_of_queries_may_stand_in_literals_and_names(where, rows):
    assert g4r.read_clicks(CLICKS, where=where).collect().height == rows
