"""Options that several commands share."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from gru4rec.cli.guard import Reads, Writes

Function = TypeVar("Function", bound=Callable[..., Any])


def chain(*decorators: Callable[[Any], Any]) -> Callable[[Function], Function]:
    """Return one decorator for several, the first of them outermost."""

    def decorate(function: Function) -> Function:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


click_log_options = chain(
    click.option("--session-col", metavar="C", help="Column of the session id."),
    click.option("--item-col", metavar="C", help="Column of the item id."),
    click.option("--time-col", metavar="C", help="Column of the time."),
    click.option(
        "--where", metavar="SQL", help="Rows of CLICKS to take, e.g. \"split = 'train'\"."
    ),
    click.option(
        "--null",
        multiple=True,
        metavar="TEXT",
        help="Text that stands for a missing value, such as NULL; may be repeated.",
    ),
    click.option("--drop-invalid", is_flag=True, help="Drop and count rows with bad ids or times."),
)
"""How to read CLICKS: keyword arguments of `read_clicks`."""

item_features_option = click.option(
    "--item-features",
    type=Reads(),
    metavar="TABLE",
    help="Table of item_id and attributes, by which items alike lie near each other.",
)

initial_vectors_option = click.option(
    "--initial-vectors",
    type=Reads(),
    metavar="TABLE",
    help="Table of item_id and a vector, from which its items start.",
)

long_sessions_option = click.option(
    "--max-session-clicks",
    type=int,
    metavar="N",
    help="Learn from the first N clicks of a longer session.",
)
"""Where CLICKS are learned from, a further keyword argument of `read_clicks`."""

track_option = click.option(
    "--track",
    multiple=True,
    metavar="NAME[=WHERE]",
    help="Tell tensorboard, mlflow or wandb how it goes; may be repeated.",
)

device_option = click.option(
    "--device", default="auto", show_default=True, metavar="auto|cpu|cuda", help="Where to compute."
)


def output_options(formats: Sequence[str]) -> Callable[[Function], Function]:
    """Return the options that say where a command writes its table, and in which format."""
    return chain(
        click.option(
            "--format", "form", type=click.Choice(formats), help="Else the suffix of FILE decides."
        ),
        click.option("-o", "--output", type=Writes(), metavar="FILE", help="File to write."),
    )


def items_of(options: dict[str, Any]) -> Any:
    """Return the table of --item-features, read as the log is; None without."""
    from gru4rec.sessions import read_item_table

    path = options["item_features"]
    asked = {name: options[name] for name in ("item_col", "null")}
    return None if path is None else read_item_table(path, **asked)


def vectors_of(options: dict[str, Any]) -> Any:
    """Return the table of --initial-vectors, read as the log is; None without."""
    from gru4rec.sessions import read_vectors

    path = options["initial_vectors"]
    asked = {name: options[name] for name in ("item_col", "null")}
    return None if path is None else read_vectors(path, **asked)


def read_options(options: dict[str, Any]) -> dict[str, Any]:
    """Take the keyword arguments of `read_clicks` out of a command's options, and return them."""
    names = (
        "session_col", "item_col", "time_col", "where", "null", "drop_invalid",
        "max_session_clicks",
    )  # fmt: skip
    return {name: options.pop(name) for name in names if name in options}
