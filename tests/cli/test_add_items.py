"""`gru4rec train --item-features` and `gru4rec add-items`: files in, a checkpoint out."""

import polars as pl
import pytest
from click.testing import CliRunner, Result
from toys import QUICK

import gru4rec as g4r
from gru4rec.cli import main


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def shop(log, tmp_path):
    """A table of items, one of new ones, and a checkpoint that knows attributes."""
    ids = pl.read_parquet(log)["item_id"].unique().sort().to_list()
    lines = ["item_id,category", *(f"{item},{item[:3]}" for item in ids)]
    (tmp_path / "items.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "new.csv").write_text("sku,category\nfresh,c01\nodd,c99\nnone,?\n")
    learned = run(
        "train", log, "-o", tmp_path / "m", "--item-features", tmp_path / "items.csv", *QUICK
    )
    assert learned.exit_code == 0, learned.stderr
    return tmp_path


def test_new_items_join_a_checkpoint(shop):
    result = run(
        "add-items", shop / "m", shop / "new.csv", "-o", shop / "n", "--item-col", "sku",
        "--null", "?",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert "added 1 items to" in result.stderr
    assert "2 of 3 new items have no attribute that the model knows: left out" in result.stderr
    assert g4r.load(shop / "n").catalog.find("fresh") is not None
    rows = run(
        "recommend", shop / "n", "--items", "c01-0019", "-k", 1000, "--explain", "--format", "csv"
    )
    (fresh,) = [line for line in rows.stdout.splitlines() if "fresh" in line]
    assert "attributes" in fresh
    shown = run("inspect", shop / "n").stdout
    assert "counts.placed_by_attributes" in shown
    assert "attributes.category" in shown
    alike = run("inspect", shop / "n", "--item", "fresh")
    assert "nobody clicked item fresh yet: its attributes place it" in alike.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.csv", "-o", "n"], "cannot take the table of items: no click log at nowhere.csv"),
        (["new.csv", "-o", "n"], "click log lacks 'item_id'"),
        (["new.csv", "-o", "m", "--item-col", "sku"], "would replace"),
        (["new.csv", "-o", "n", "--item-col", "sku", "--where", "category = 'c99'"], "no new item"),
    ],
)
def test_what_cannot_be_added_is_said_in_one_line(shop, monkeypatch, arguments, message):
    monkeypatch.chdir(shop)
    result = run("add-items", "m", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr.splitlines()[-1]
    assert not (shop / "n").exists()


def test_a_model_without_attributes_says_what_to_do(shop, log):
    run("train", log, "-o", shop / "bare", *QUICK)
    result = run("add-items", shop / "bare", shop / "items.csv", "-o", shop / "n")
    assert result.exit_code == 2
    assert "train it with --item-features" in result.stderr
    missing = run("train", log, "-o", shop / "x", "--item-features", shop / "none.csv", *QUICK)
    assert missing.exit_code == 2
    assert "cannot take the table of items" in missing.stderr
