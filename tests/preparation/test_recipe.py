"""A recipe is TOML, and each of its settings an option of `gru4rec prepare`."""

import dataclasses
import json
import logging
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from toys import without_idle_rules

from gru4rec.cli import main
from gru4rec.cli.prepare import _SETTINGS
from gru4rec.errors import ConfigError
from gru4rec.preparation.recipe import Columns, Layout, Recipe, Rules, Split

SECTIONS = {"layout": Layout, "columns": Columns, "rules": Rules, "split": Split}
PROGRAM = str(Path(sysconfig.get_path("scripts")) / "gru4rec")

Prepare = Callable[..., Result]


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """`main` sets up the package's logger; undo it for the tests that follow."""
    logger = logging.getLogger("gru4rec")
    before = logger.handlers, logger.propagate, logger.level
    yield
    logger.handlers, logger.propagate = before[:2]
    logger.setLevel(before[2])


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A raw log: sessions of four clicks on five days, the second click repeated."""
    rows = [
        (session, item, datetime(2020, 1, 1 + session, minute))
        for session in range(5)
        for minute, item in enumerate(["x", "y", "y", f"z{session}"])
    ]
    log = pl.DataFrame(rows, schema=["session_id", "item_id", "timestamp"], orient="row")
    log = log.with_columns(pl.Series("kind", ["view", "view", "buy", "view"] * 5))
    log.write_csv(tmp_path / "raw.csv")
    return tmp_path / "raw.csv"


@pytest.fixture
def prepare(raw: Path) -> Prepare:
    """Calls `gru4rec prepare` of the raw log into the folder "out" beside it."""

    def call(*options: object) -> Result:
        given = [str(raw), "-o", str(raw.with_name("out")), *map(str, options)]
        return CliRunner().invoke(main, ["prepare", *given], catch_exceptions=False)

    return call


def written(path: Path, **values: dict[str, Any]) -> Path:
    """A file of a recipe."""
    path.write_text(Recipe.from_dict(values).to_toml(), encoding="utf-8")
    return path


def used(raw: Path) -> Recipe:
    return Recipe.from_toml(raw.with_name("out") / "recipe.toml")


# Recipes

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)


def allowed(spec: dataclasses.Field[Any]) -> st.SearchStrategy[Any]:
    """Any value that a field takes."""
    if choices := spec.metadata.get("choices"):
        return st.sampled_from(choices)
    if spec.type is bool:
        return st.booleans()
    if spec.type is int:
        return st.integers(spec.metadata["low"], 10**9)
    return TEXTS if spec.type is str else st.lists(TEXTS, max_size=3)


def some_of(section: type) -> st.SearchStrategy[dict[str, Any]]:
    """Values for any of a section's settings, but those that need another which is not there."""
    specs = {spec.name: allowed(spec) for spec in dataclasses.fields(section)}
    return st.fixed_dictionaries({}, optional=specs).map(without_idle)


def without_idle(values: dict[str, Any]) -> dict[str, Any]:
    """Without events or event_col alone, and without what the refused rules would work on."""
    if not {"events", "event_col"} <= values.keys():
        values = {k: v for k, v in values.items() if k not in ("events", "event_col")}
        values.pop("gap_before_events", None)
    dotted = without_idle_rules({f"rules.{key}": value for key, value in values.items()})
    return {key.removeprefix("rules."): value for key, value in dotted.items()}


@given(st.fixed_dictionaries({}, optional={name: some_of(kind) for name, kind in SECTIONS.items()}))
def test_a_recipe_is_the_same_after_toml_and_back(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]
) -> None:
    recipe = Recipe.from_dict(values)
    path = tmp_path_factory.getbasetemp() / "recipe.toml"
    path.write_text(recipe.to_toml(), encoding="utf-8")
    assert Recipe.from_toml(path) == recipe
    for name, section in values.items():
        lists = {key: tuple(v) if isinstance(v, list) else v for key, v in section.items()}
        assert getattr(recipe, name).to_dict().items() >= lists.items()


def test_counts_of_a_recipe_are_sections_of_a_section(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text("[published.train]\nclicks = 5\n[published.test]\nitems = 2\n")
    recipe = Recipe.from_toml(tmp_path / "r.toml")
    assert recipe.published.train.clicks == 5
    assert recipe.published.test.items == 2
    assert recipe.published.kept.clicks is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rules.min_item_clicks", 0),
        ("rules.min_session_clicks", 0),
        ("rules.filter_rounds", 0),
        ("rules.max_session_clicks", 0),
        ("rules.long_sessions", "split"),
        ("rules.drop_repeats", 1),
        ("rules.gap", 30),
        ("split.split_by", "middle"),
        ("split.test", 1),
        ("layout.header", "a,b"),
        ("layout.header", [1]),
        ("columns.user_col", ["a"]),
    ],
)
def test_an_impossible_setting_is_refused_by_its_name(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=key.replace(".", r"\.")):
        Recipe().replace({key: value})


@pytest.mark.parametrize("what", ["clicks", "sessions", "items"])
def test_a_count_below_zero_is_refused_by_its_name(what: str) -> None:
    with pytest.raises(ConfigError, match=rf"published\..*{what}"):
        Recipe().replace({f"published.train.{what}": -1})


def test_kinds_of_event_need_the_column_they_are_in_and_it_them() -> None:
    for rules in ({"events": ["view"]}, {"event_col": "kind"}):
        with pytest.raises(ConfigError, match="go together"):
            Recipe.from_dict({"rules": rules})


# Options


def test_every_option_is_a_setting_of_the_recipe() -> None:
    for key, kind, *_ in _SETTINGS.values():
        section, name = key.split(".")
        fields = {spec.name: spec for spec in dataclasses.fields(SECTIONS[section])}
        assert name in fields
        whole = {"header": tuple, "events": tuple, "null": tuple}.get(name, fields[name].type)
        assert kind is whole


def test_every_setting_is_an_option_of_its_name() -> None:
    flags = {key: flag for flag, (key, *_) in _SETTINGS.items()}
    wanted = {
        f"{section}.{spec.name}": f"--{spec.name.replace('_', '-')}"
        for section, kind in SECTIONS.items()
        for spec in dataclasses.fields(kind)
    }
    assert flags == wanted


def test_every_option_is_in_the_help() -> None:
    words = CliRunner().invoke(main, ["prepare", "--help"]).stdout.split()
    for flag, (_, kind, *_) in _SETTINGS.items():
        assert flag in words
        assert (f"--no-{flag[2:]}" in words) == (kind is bool)


@pytest.mark.parametrize("flag", sorted({*_SETTINGS} - {"--header", "--explode"}))
def test_an_option_that_is_given_is_in_the_recipe_that_is_followed(
    raw: Path, prepare: Prepare, flag: str
) -> None:
    key, kind, *_ = _SETTINGS[flag]
    section, name = key.split(".")
    good: dict[str, tuple[object, ...]] = {
        "--session-col": ("session_id",), "--item-col": ("item_id",), "--time-col": ("timestamp",),
        "--user-col": ("kind",), "--time-offset-col": ("session_id",),
        "--where": ("item_id = 'x'",), "--event-col": ("kind", "--events", "view"),
        "--events": ("view, buy", "--event-col", "kind"),
        "--null": ("NULL",),
        "--gap": ("1h",), "--long-sessions": ("newest", "--max-session-clicks", 3),
        "--max-session-clicks": (3,), "--min-item-clicks": (2,), "--min-session-clicks": (2,),
        "--filter-rounds": (1, "--min-item-clicks", 2),
        "--valid": ("25%",), "--test": ("20%",), "--split-by": ("end",),
    }  # fmt: skip
    values = good.get(flag, ())
    assert bool(values) == (kind is not bool)
    needed = ("--event-col", "kind", "--events", "view") if flag == "--gap-before-events" else ()
    result = prepare(flag, *values, *needed)
    assert result.exit_code == 0, result.stderr
    found = getattr(getattr(used(raw), section), name)
    texts = {"--events": ("view", "buy"), "--null": ("NULL",)}
    wanted = texts.get(flag, values[0] if values else True)
    assert found == wanted


def test_options_override_the_recipe_and_leave_the_rest_of_it(
    raw: Path, prepare: Prepare, tmp_path: Path
) -> None:
    rules = {"min_item_clicks": 2, "events": ["view"], "event_col": "kind", "drop_repeats": True}
    path = written(tmp_path / "r.toml", rules=rules, split={"test": "20%", "valid": "25%"})
    assert prepare("--recipe", path, "--events", "view,buy", "--test", "40%").exit_code == 0
    expected = Recipe.from_dict(
        {"rules": rules | {"events": ["view", "buy"]}, "split": {"test": "40%", "valid": "25%"}}
    )
    assert used(raw) == expected
    test = pl.read_parquet(raw.with_name("out") / "test.parquet")
    assert test["session_id"].unique().sort().to_list() == [3, 4]
    assert test["item_id"].to_list() == ["x", "y"] * 2


def test_an_option_turns_off_what_the_recipe_turns_on(
    raw: Path, prepare: Prepare, tmp_path: Path
) -> None:
    path = written(tmp_path / "r.toml", rules={"drop_repeats": True, "min_item_clicks": 2})
    whole = ("--valid", "none", "--test", "none", "--recipe", path)
    assert prepare(*whole).exit_code == 0
    assert pl.read_parquet(raw.with_name("out") / "train.parquet").height == 10
    assert prepare(*whole, "--no-drop-repeats", "--force").exit_code == 0
    assert used(raw).rules.drop_repeats is False
    assert pl.read_parquet(raw.with_name("out") / "train.parquet").height == 15


def test_without_a_recipe_or_options_the_log_is_prepared_by_the_defaults(
    raw: Path, prepare: Prepare
) -> None:
    assert prepare().exit_code == 0
    assert used(raw) == Recipe()


# What is said


def test_the_card_goes_to_stderr_and_nothing_to_stdout(raw: Path, prepare: Prepare) -> None:
    result = prepare("--drop-repeats")
    assert result.exit_code == 0
    assert result.stdout == ""
    lines = [line.split() for line in result.stderr.splitlines()]
    assert ["drop", "repeats", "15", "5", "7", "5"] in lines
    assert f"wrote {raw.with_name('out')}" in result.stderr


def test_a_process_of_its_own_prepares_a_log(raw: Path) -> None:
    out = raw.with_name("out")
    done = subprocess.run(
        [PROGRAM, "prepare", str(raw), "-o", str(out), "--min-item-clicks", "2"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "fewest clicks" in done.stderr
    card = json.loads((out / "card.json").read_text(encoding="utf-8"))
    assert card["rules"][-1]["clicks"] == 15
    assert pl.read_parquet(out / "train.parquet").schema["timestamp"] == pl.Datetime("us")
    assert list(pl.read_parquet(out / "test.parquet")["timestamp"].dt.date().unique()) == [
        (datetime(2020, 1, 1) + timedelta(days=4)).date()
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[rules]\nmin_items = 2\n", "rules.min_items"),
        ("[rulez]\n", "rulez"),
        ("[rules]\nevents = 3\n", "rules.events"),
        ("[rules\n", "r.toml"),
    ],
)
def test_a_bad_recipe_is_one_line_and_exit_status_2(
    raw: Path, prepare: Prepare, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "r.toml").write_text(text)
    result = prepare("--recipe", tmp_path / "r.toml")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("Error: ")
    assert said in result.stderr
    assert not raw.with_name("out").exists()


def test_a_folder_that_exists_is_kept_and_the_way_out_is_named(raw: Path, prepare: Prepare) -> None:
    assert prepare().exit_code == 0
    result = prepare("--drop-repeats")
    assert result.exit_code == 2
    assert "--force" in result.stderr.splitlines()[-1]
    assert used(raw) == Recipe()


def test_several_files_are_one_log_in_their_order(raw: Path, tmp_path: Path) -> None:
    log = pl.read_csv(raw)
    log.filter(pl.col("session_id") >= 2).write_csv(tmp_path / "b.csv")
    log.filter(pl.col("session_id") < 2).write_parquet(tmp_path / "a.parquet")
    files = [str(tmp_path / name) for name in ("b.csv", "a.parquet")]
    whole = ["--valid", "none", "--test", "none", "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(main, ["prepare", *files, *whole], catch_exceptions=False)
    assert result.exit_code == 0
    assert pl.read_parquet(tmp_path / "out" / "train.parquet").height == 20


@pytest.mark.parametrize(
    ("rules", "needed"),
    [
        ({"gap_before_events": True}, "events"),
        ({"long_sessions": "drop"}, "max_session_clicks"),
        ({"filter_rounds": 1, "min_session_clicks": 2}, "min_item_clicks"),
    ],
)
def test_a_rule_that_would_do_nothing_is_refused(rules: dict[str, Any], needed: str) -> None:
    with pytest.raises(ConfigError, match=f"does nothing without rules.{needed}"):
        Recipe.from_dict({"rules": rules})
