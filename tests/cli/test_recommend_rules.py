"""Rules of lists on the command line: one by one, from a file, and in the pipe."""

import json

import polars as pl
import pytest
from click.testing import CliRunner, Result

import gru4rec as g4r
from gru4rec.cli import main


def run(*arguments: object, **given: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], **given)


@pytest.fixture(scope="module")
def shop(model, clicks, tmp_path_factory):
    """A folder with a table of items and a file of rules."""
    folder = tmp_path_factory.mktemp("shop")
    ids = clicks["item_id"].unique().sort()
    prices = pl.int_range(len(ids), eager=True)
    pl.DataFrame({"item_id": ids, "brand": ids.str.slice(0, 3), "price": prices}).write_csv(
        folder / "items.csv"
    )
    (folder / "rules.toml").write_text(
        "[front]\nat_most = 1\nper = 'brand'\n[cheap]\nallow_where = 'price < 5'\n"
    )
    (folder / "one.toml").write_text("[front]\ndiversity = 0.5\n")
    return folder


def listed(model, *arguments: object) -> list[str]:
    result = run("recommend", model, "--items", "c01-0019", "--format", "jsonl", *arguments)
    assert result.exit_code == 0, result.stderr
    return [json.loads(line)["item_id"] for line in result.stdout.splitlines()]


def test_rules_one_by_one_and_from_a_file_give_what_python_gives(model, shop):
    table = shop / "items.csv"
    recommender = g4r.load(model, device="cpu")
    few = g4r.ListRules(at_most=1, per="brand", items_table=table)
    expected = recommender.next_items(["c01-0019"], 5, only=few.on(recommender))[0]
    assert len(expected) == 3
    asked = ["--items-table", table, "-k", 5]
    assert listed(model, *asked, "--at-most", 1, "--per", "brand") == expected
    named = ["--rules", shop / "rules.toml", "--rule-set"]
    assert listed(model, *asked, *named, "front") == expected
    cheap = listed(model, *asked, *named, "cheap")
    assert listed(model, *asked, "--allow-where", "price < 5") == cheap
    assert len(cheap) == 5
    varied = listed(model, "-k", 5, "--rules", shop / "one.toml")
    assert varied == listed(model, "-k", 5, "--diversity", 0.5)
    line = json.dumps({"items": ["c01-0019"]}) + "\n"
    piped = run("recommend", model, "-", *asked, *named, "front", input=line)
    assert json.loads(piped.stdout)["items"] == expected
    assert "rules: 40 of 40 items may be shown" in piped.stderr


def test_a_table_that_no_rule_reads_is_said_and_left_out(model, shop):
    asked = ["recommend", model, "--items", "c01-0019", "--diversity", "0.2"]
    result = run(*asked, "--items-table", shop / "items.csv")
    assert "no rule reads the table of items" in result.stderr
    assert result.stdout == run(*asked).stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rules", "one.toml", "--diversity", "0.2"], "--rules has all rules"),
        (["--rule-set", "front"], "--rule-set goes with --rules"),
        (["--rules", "rules.toml"], "choose one of front, cheap by --rule-set"),
        (["--rules", "rules.toml", "--rule-set", "x"], "no set of rules 'x'"),
        (["--at-most", "2"], "--at-most (1 or more) and --per (a column) go together"),
        (["--allow-where", "price < 5"], "there is no table of these"),
        (["--diversity", "2"], "--diversity lies between 0 and 1"),
        (["--allow-where", "price < 0", "--items-table", "items.csv"], "let none of the 40"),
        (["--allow-where", "cost < 5", "--items-table", "items.csv"], "has brand, price"),
    ],
)
def test_what_does_nothing_or_cannot_be_is_said(model, shop, monkeypatch, arguments, message):
    monkeypatch.chdir(shop)
    result = run("recommend", model, "--items", "c01-0019", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr.splitlines()[-1]
    assert result.stdout == ""
