"""`gru4rec inspect` shows what a checkpoint is, items alike, and why it recommends."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Run = Callable[..., Result]


def test_the_command_shows_all_three(run: Run, model: Path) -> None:
    shown = json.loads(run("inspect", model, "--format", "json").stdout)
    assert {"what", "value", "why"} == shown[0].keys()
    alike = run("inspect", model, "--item", "c00-0001", "-k", 3, "--format", "csv").stdout
    assert alike.splitlines()[0] == "rank,item_id,cosine,support"
    assert len(alike.splitlines()) == 4
    why = run("inspect", model, "--items", "c00-0001,c00-0002", "--target", "c00-0003").stdout
    assert "influence" in why
    assert "c00-0003" in why


@pytest.mark.parametrize(
    ("options", "said"),
    [(("--item", "a", "--items", "a"), "either"), (("--target", "a"), "--items")],
)
def test_options_that_do_not_go_together_are_refused(
    usage_error: Callable[..., str], model: Path, options: tuple[str, ...], said: str
) -> None:
    assert said in usage_error("inspect", model, *options)
