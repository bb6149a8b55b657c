"""Settings of any kind: texts in a list, sections in sections, and the way to TOML and back."""

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gru4rec.errors import ConfigError
from gru4rec.settings import Settings, bounds, setting


@dataclass(frozen=True, kw_only=True)
class Inner(Settings):
    names: tuple[str, ...] = setting(None)
    """May be left out."""
    usual: tuple[str, ...] = setting(("a", "b"))
    """Has a default."""
    size: int = setting(None, low=1)
    """May be left out."""
    on: bool = False
    """A truth value."""
    counts: dict[str, float] = field(
        default_factory=dict, hash=False, metadata=bounds(low=0.0, below=9.0)
    )
    """Numbers by name."""

    def __post_init__(self) -> None:
        self.check("middle.inner.")


@dataclass(frozen=True, kw_only=True)
class Middle(Settings):
    inner: Inner = field(default_factory=Inner)
    """A section in a section."""
    text: str = setting(None)
    """May be left out."""
    kind: str = setting("one", choices="one two")
    """One of two."""

    def __post_init__(self) -> None:
        self.check("middle.")


@dataclass(frozen=True, kw_only=True)
class Outer(Settings):
    number: int = setting(3, low=0)
    """A number."""
    middle: Middle = field(default_factory=Middle)
    """A section."""

    def __post_init__(self) -> None:
        self.check()


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
TEXTS = st.lists(TEXT, max_size=3)
INNER = st.fixed_dictionaries(
    {},
    optional={
        "names": TEXTS,
        "usual": TEXTS,
        "size": st.integers(1, 10**9),
        "on": st.booleans(),
        "counts": st.dictionaries(TEXT.filter(bool), st.floats(0, 8)),
    },
)
MIDDLE = st.fixed_dictionaries(
    {}, optional={"inner": INNER, "text": TEXT, "kind": st.sampled_from(["one", "two"])}
)
OUTER = st.fixed_dictionaries({}, optional={"number": st.integers(0, 10**9), "middle": MIDDLE})


def refusal(values: dict[str, Any]) -> str:
    """The one line with which settings are refused."""
    with pytest.raises(ConfigError) as refused:
        Outer.from_dict(values)
    message = str(refused.value)
    assert message.splitlines() == [message]
    return message


# Lists of texts


def test_a_list_becomes_a_tuple_so_that_settings_stay_frozen() -> None:
    names = ["x", "y"]
    inner = Outer.from_dict({"middle": {"inner": {"names": names}}}).middle.inner
    names.append("z")
    assert inner.names == ("x", "y")
    assert hash(inner) == hash(Inner(names=("x", "y")))


def test_an_empty_list_is_not_one_that_was_left_out() -> None:
    assert Inner.from_dict({"names": []}).names == ()
    assert Inner().names is None
    assert "names" not in Inner().to_dict()
    assert Inner.from_dict({"names": []}).to_dict()["names"] == ()


@pytest.mark.parametrize("value", [[1], ["a", 2], ["a", None], [["a"]], [True]])
def test_a_list_of_anything_but_texts_is_refused(value: list[object]) -> None:
    message = refusal({"middle": {"inner": {"names": value}}})
    assert "middle.inner.names must be a list of texts" in message
    assert repr(value) in message


@pytest.mark.parametrize("value", ["a", 3, True, {"a": "b"}])
def test_what_is_no_list_is_refused_for_one(value: object) -> None:
    message = refusal({"middle": {"inner": {"names": value}}})
    assert "middle.inner.names" in message
    assert repr(value) in message


@pytest.mark.parametrize(("section", "key"), [("middle", "text"), ("inner", "size")])
def test_a_list_is_refused_where_one_value_is_wanted(section: str, key: str) -> None:
    values = {key: ["a"]}
    message = refusal({"middle": values if section == "middle" else {"inner": values}})
    assert key in message
    assert "['a']" in message


def test_nothing_is_no_list_where_there_is_a_default() -> None:
    assert "middle.inner.usual" in refusal({"middle": {"inner": {"usual": None}}})


# Sections in sections


def test_the_sections_of_a_class_are_its_fields_that_are_settings() -> None:
    assert Outer.sections() == {"middle": Middle}
    assert Middle.sections() == {"inner": Inner}
    assert Inner.sections() == {}


def test_a_key_of_an_inner_section_is_given_by_its_dotted_name() -> None:
    changed = Outer(middle=Middle(text="t")).replace({"middle.inner.size": 4, "number": 5})
    assert changed == Outer(number=5, middle=Middle(text="t", inner=Inner(size=4)))


def test_a_list_is_replaced_whole() -> None:
    before = Outer(middle=Middle(inner=Inner(names=("a", "b"))))
    after = before.replace({"middle.inner.names": ["c"]})
    assert after.middle.inner.names == ("c",)
    assert before.middle.inner.names == ("a", "b")


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"middel": {}}, "middel"),
        ({"middle": {"txt": "a"}}, "middle.txt"),
        ({"middle": {"inner": {"nam": []}}}, "middle.inner.nam"),
    ],
)
def test_an_unknown_key_is_refused_by_its_whole_name(values: dict[str, Any], name: str) -> None:
    assert f"no setting {name};" in refusal(values)


@pytest.mark.parametrize("value", [3, "a", None, ["a"]])
def test_an_inner_section_that_is_no_table_is_refused_by_its_whole_name(value: object) -> None:
    assert "[middle.inner] must be a table" in refusal({"middle": {"inner": value}})


@pytest.mark.parametrize("value", [1, 0, "true", None])
def test_what_is_no_truth_value_is_refused_for_one(value: object) -> None:
    message = refusal({"middle": {"inner": {"on": value}}})
    assert "middle.inner.on must be bool" in message


def test_a_choice_of_an_inner_section_is_checked() -> None:
    assert "choose from one, two" in refusal({"middle": {"kind": "three"}})


@pytest.mark.parametrize("kind", [Inner, Middle, Outer])
def test_settings_with_lists_are_frozen(kind: type) -> None:
    made = kind()
    for spec in dataclasses.fields(kind):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(made, spec.name, 1)


def test_numbers_by_name_are_checked_one_by_one() -> None:
    assert Inner.from_dict({"counts": {"a": 1, "b": 2.5}}).counts == {"a": 1.0, "b": 2.5}
    assert "counts.b must be at least 0" in refusal({"middle": {"inner": {"counts": {"b": -1}}}})
    assert "counts.b must be below 9" in refusal({"middle": {"inner": {"counts": {"b": 9.0}}}})
    assert "finite" in refusal({"middle": {"inner": {"counts": {"b": float("nan")}}}})
    assert "must be float" in refusal({"middle": {"inner": {"counts": {"b": "much"}}}})
    assert "must be dict" in refusal({"middle": {"inner": {"counts": [1.0]}}})
    assert "names for keys" in refusal({"middle": {"inner": {"counts": {"": 1.0}}}})


# There and back


@given(OUTER)
def test_settings_are_the_same_after_a_dict_and_back(values: dict[str, Any]) -> None:
    made = Outer.from_dict(values)
    assert Outer.from_dict(made.to_dict()) == made


@given(OUTER)
def test_settings_with_lists_of_any_texts_are_the_same_after_toml_and_back(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]
) -> None:
    made = Outer.from_dict(values)
    path = tmp_path_factory.getbasetemp() / "settings.toml"
    path.write_text(made.to_toml(), encoding="utf-8")
    assert Outer.from_toml(path) == made


@given(OUTER)
def test_every_setting_that_is_given_is_in_the_toml(values: dict[str, Any]) -> None:
    written = tomllib.loads(Outer.from_dict(values).to_toml())
    assert written["number"] == values.get("number", 3)
    middle = values.get("middle", {})
    assert written["middle"].items() >= {k: v for k, v in middle.items() if k != "inner"}.items()
    assert written["middle"]["inner"].items() >= middle.get("inner", {}).items()


def test_toml_has_the_keys_of_a_section_before_the_sections_in_it() -> None:
    made = Outer(middle=Middle(text='say "x"', inner=Inner(names=("a,b", "c\n"), on=True)))
    assert made.to_toml().splitlines() == [
        "number = 3",
        "",
        "[middle]",
        'text = "say \\"x\\""',
        'kind = "one"',
        "",
        "[middle.inner]",
        'names = ["a,b", "c\\n"]',
        'usual = ["a", "b"]',
        "on = true",
        "counts = {}",
    ]


def test_a_section_with_nothing_but_sections_in_it_survives_toml(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("[middle.inner]\nnames = []\n")
    made = Outer.from_toml(tmp_path / "settings.toml")
    assert made == Outer(middle=Middle(inner=Inner(names=())))


def test_a_wrong_list_in_a_file_is_refused_by_its_name_and_that_of_the_file(
    tmp_path: Path,
) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("[middle.inner]\nnames = [1, 2]\n")
    with pytest.raises(ConfigError, match=r"middle\.inner\.names") as refused:
        Outer.from_toml(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
