"""`gru4rec evaluate` under sets of rules: their rows, their names, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from click.testing import Result
from polars.testing import assert_frame_equal

import gru4rec as g4r

Run = Callable[..., Result]
Refusal = Callable[..., str]


@pytest.fixture(scope="module")
def items(clicks: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of a brand and a price for each item; for reading only."""
    path = tmp_path_factory.mktemp("items") / "items.csv"
    ids = clicks["item_id"].unique().sort()
    place = pl.int_range(len(ids), eager=True)
    pl.DataFrame({"item_id": ids, "brand": place % 3, "price": place}).write_csv(path)
    return path


def test_there_is_a_row_for_each_set_and_the_library_gives_the_same(
    run: Run, model: Path, log: Path, items: Path, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text("[front-page]\nexclude_clicked = true\n")
    result = run(
        "evaluate", model, log, "-k", 5, "--items-table", items, "--rules", rules,
        "--diversity", "0,.2", "--at-most", 2, "--per", "brand", "--allow-where", "price < 30",
        "--metric", "recall", "--metric", "category_diversity", "--category", "brand",
        "--against", "gru4rec", "--format", "json",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    common = {"at_most": 2, "per": "brand", "allow_where": "price < 30", "items_table": items}
    sets = {"front-page": g4r.ListRules(exclude_clicked=True)}
    for degree in (0, 0.2):
        name = f"diversity {degree:g}, at most 2 per brand, where price < 30"
        sets[name] = g4r.ListRules(diversity=degree, **common)  # type: ignore[arg-type]
    expected = g4r.evaluate(
        {"gru4rec": g4r.load(model, device="cpu")}, log, ks=[5], rules=sets, against="gru4rec",
        metrics=["recall", "category_diversity"], items_table=items, category="brand",
    )  # fmt: skip
    found = pl.DataFrame(json.loads(result.stdout))
    assert found["recommender"].unique(maintain_order=True).to_list() == [
        "gru4rec", *(f"gru4rec, {name}" for name in sets)
    ]  # fmt: skip
    assert_frame_equal(found, expected, check_dtypes=False, rel_tol=1e-9)


def test_rules_that_are_not_varied_are_one_set(
    run: Run, model: Path, log: Path, items: Path
) -> None:
    result = run(
        "evaluate", model, log, "-k", 5, "--items-table", items, "--at-most", 1, "--per", "brand"
    )
    assert result.exit_code == 0, result.stderr
    assert "gru4rec, at most 1 per brand  " in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--diversity", "some"), "--diversity is numbers from 0 to 1 with commas"),
        (("--diversity", "0,,1"), "--diversity is numbers"),
        (("--diversity", "0,2"), "--diversity lies between 0 and 1, got 2.0"),
        (("--at-most", 2), "--at-most (1 or more) and --per (a column) go together"),
        (("--per", "brand"), "--per (a column) go together"),
        (("--allow-where", "price < 3"), "give --items-table"),
        (
            ("--items-table", "ITEMS", "--category", "brand"),
            "reads --category and --items-table",
        ),
        (("--category", "brand"), "no other reads --category"),
        (("--metric", "calibration"), "need --category"),
        (("--metric", "calibration", "--category", "brand"), "give --items-table"),
        (
            ("--metric", "calibration", "--category", "x", "--items-table", "ITEMS"),
            "choose from brand, price",
        ),
        (("--diversity", ".2", "--metric", "tie_rate"), "under rules there are no ties"),
        (("--rules", "RULES", "--diversity", ".2"), "two sets of rules would be 'diversity 0.2'"),
    ],
)
def test_what_says_nothing_or_cannot_be_is_one_line(
    refusal: Refusal, model: Path, log: Path, items: Path, tmp_path: Path, arguments, message
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('["diversity 0.2"]\ndiversity = 0.2\n')
    files = {"ITEMS": items, "RULES": rules}
    given = [files.get(argument, argument) for argument in arguments]
    assert message in refusal("evaluate", model, log, *given)
