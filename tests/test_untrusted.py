"""What others wrote is read within bounds, has the types it should, and is quoted shortly."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from gru4rec.untrusted import brief, fits, read_json, read_text, shown


def test_a_quote_is_one_line_and_is_cut() -> None:
    assert brief("a\n b\x00") == "a b?"
    assert brief(300 * "x") == 199 * "x" + "…"
    assert brief(KeyError()) == "KeyError()"


def test_what_python_cannot_write_is_named_by_its_type() -> None:
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    assert shown(nested) == "list too large to show"
    assert shown(10**10_000) == "int too large to show"
    assert shown("a\nb") == r"'a\nb'"


def test_a_text_may_have_as_many_characters_as_are_allowed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("äöü", encoding="utf-8")
    assert read_text(tmp_path / "file", most=3) == "äöü"
    with pytest.raises(ValueError, match="more than 2 characters"):
        read_text(tmp_path / "file", most=2)


def test_json_must_be_an_object(tmp_path: Path) -> None:
    (tmp_path / "file").write_text('{"a": 1}')
    assert read_json(tmp_path / "file", most=100) == {"a": 1}
    (tmp_path / "file").write_text("[1]")
    with pytest.raises(ValueError, match=r"an object, got \[1\]"):
        read_json(tmp_path / "file", most=100)


@pytest.mark.parametrize(
    ("value", "kind", "fit"),
    [
        (1, int, True),
        (True, int, False),
        (2**63, int, False),
        (1, float, True),
        (2**63, float, False),
        (0.5, int, False),
        ("a", str, True),
        ("\ud800", str, False),
        (None, str | None, True),
        (None, str, False),
        (["a"], Sequence[str], True),
        (["a", 1], Sequence[str], False),
        ("abc", Sequence[str], False),
        ({"a": ["b"]}, Mapping[str, Sequence[str]], True),
        ({"a": "b"}, Mapping[str, Sequence[str]], False),
        ({"\ud800": 1}, Mapping[str, int], False),
        ({"a": [{}]}, Mapping[str, Any], True),
    ],
)
def test_a_value_fits_its_type(value: object, kind: Any, fit: bool) -> None:
    assert fits(value, kind) is fit
