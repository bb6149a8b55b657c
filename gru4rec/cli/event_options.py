"""Options of what the type of a click says of it as a target: `train` and `evaluate` share them."""

from typing import Any

import click

from gru4rec.cli.options import chain

# option that gives numbers by type: the setting of a training
_BY_TYPE = {"weight": "event_weights", "reward": "rewards"}

event_options = chain(
    click.option("--event-col", metavar="C", help="Column of the type of clicks: view, cart, buy."),
    click.option(
        "--weight",
        metavar="TYPE=X,…",
        help="What targets of a type weigh, e.g. view=1,buy=10; 1 if not named, 0: read alone.",
    ),
    click.option(
        "--target-events",
        metavar="TYPE,…",
        help="Types that are targets; others are read alone.",
    ),
    click.option(
        "--reward",
        metavar="TYPE=X,…",
        help="What a click of a type is worth, e.g. view=.2,buy=1; 0 if not named.",
    ),
)
"""What the types of events say of targets; `events_of` reads them."""


def events_of(options: dict[str, Any]) -> dict[str, Any]:
    """Return what is given of events, as the settings of a training have it.

    Raise ConfigError for weights and rewards that are none.
    """
    given: dict[str, Any] = {}
    if options["event_col"] is not None:
        given["event_column"] = options["event_col"]
    for option, setting in _BY_TYPE.items():
        if options[option] is not None:
            given[setting] = _numbers(option, options[option])
    if options["target_events"] is not None:
        names = [name.strip() for name in options["target_events"].split(",")]
        given["target_events"] = [name for name in names if name]
    return given


def _numbers(option: str, text: str) -> dict[str, float]:
    from gru4rec.errors import ConfigError
    from gru4rec.untrusted import shown

    pairs = [part.rpartition("=") for part in text.split(",")]
    try:
        numbers = {name.strip(): float(number) for name, _, number in pairs}
    except ValueError:
        numbers = {"": 0.0}
    if "" in numbers or len(numbers) < len(pairs):
        raise ConfigError(
            f"{option} is TYPE=NUMBER with commas between them, each type once, as in "
            f"view=1,buy=10; got {shown(text)}",
            mend_with=[option],
        )
    return numbers
