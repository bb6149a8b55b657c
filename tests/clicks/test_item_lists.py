"""Items by hand: plain, or literal in JSON; a line of a list file is the id as it stands."""

import pytest

import gru4rec as g4r
from gru4rec.clicks import items_of_text, read_items


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("a, b,c", ["a", "b", "c"]),
        ('["a,1", " b "]', ["a,1", " b "]),
        ("[1, 2]", [1, 2]),
        (' ["a"]', ["a"]),
        ("[x], y", ["[x]", "y"]),
        ('{"a": 1}', ['{"a": 1}']),
    ],
)
def test_a_json_list_is_literal_and_a_list_with_commas_plain(text, items):
    assert items_of_text(text) == items


@pytest.mark.parametrize("text", ["[[1]]", "[null]", "[true]", "[1.5]", '[{"a": 1}]'])
def test_a_json_list_of_what_is_no_id_is_refused(text):
    with pytest.raises(g4r.DataError, match="is no item id"):
        items_of_text(text)


def test_a_line_is_the_id_as_it_stands_but_for_its_end(tmp_path):
    (tmp_path / "deny.txt").write_bytes("\ufeffa \r\n b\n\na,1\n\x0bc\u2028d\n \nlast".encode())
    ids = read_items(tmp_path / "deny.txt")
    assert ids == ["a ", " b", "a,1", "\x0bc\u2028d", " ", "last"]


@pytest.mark.parametrize("path", ["/", "."])
def test_a_folder_is_no_list(path):
    with pytest.raises(g4r.DataError, match="is a folder; name a file"):
        read_items(path)
