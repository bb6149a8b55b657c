"""Options that give settings, and the config they make."""

from typing import TYPE_CHECKING, Any

import click

from gru4rec.cli.event_options import events_of
from gru4rec.cli.guard import Reads
from gru4rec.cli.options import chain

if TYPE_CHECKING:
    from gru4rec.config import Config

# option: (setting, type, help); a flag left out leaves the setting to the config file or to `auto`
_SETTINGS: dict[str, tuple[str, type, str]] = {
    "--encoder": ("encoder.name", str, "Encoder of the clicks so far."),
    "--loss": ("training.loss", str, "What training minimises."),
    "--hidden-size": ("encoder.hidden_size", int, "Units of each layer."),
    "--lanes": ("training.lanes", int, "Sessions that run side by side."),
    "--steps": ("training.steps", int, "Clicks of each lane in one update; 1 is the paper."),
    "--negatives": ("training.negatives", int, "Sampled negatives of one update."),
    "--precision": ("training.precision", str, "Of scores in training: float32 or bf16."),
    "--epochs": ("training.epochs", float, "Passes over the log; 0.5: over its newer half."),
    "--learning-rate": ("training.learning_rate", float, "Rate of Adagrad."),
    "--teachers": ("training.teachers", int, "Models that are trained first and teach this one."),
    "--neighbours": ("training.neighbours", int, "Clicks after which similar sessions teach too."),
    "--outcome": ("training.outcome", str, "Column of the outcome of sessions, to foretell."),
    "--outcome-weight": ("training.outcome_weight", float, "Of its loss; 1: learn it alone."),
    "--user-col": ("encoder.user_column", str, "Column of users, whose sessions go on."),
    "--seed": ("seed", int, "Seed of every random draw."),
}

setting_options = chain(
    click.option("-c", "--config", type=Reads(), metavar="FILE", help="Settings in TOML."),
    click.option("--preset", metavar="NAME", help="Settings by name: paper, rsc15, …"),
    *(
        click.option(
            flag,
            key.replace(".", "__"),
            type=kind,
            metavar={int: "N", float: "X", str: "NAME"}[kind],
            help=text,
        )
        for flag, (key, kind, text) in _SETTINGS.items()
    ),
    click.option(
        "--input",
        "inputs",
        multiple=True,
        metavar="NAME",
        help="Side input: gap, hour or a column; may be repeated.",
    ),
    click.option(
        "--repeats/--no-repeats",
        "encoder__repeats",
        default=None,
        help="Score a session's own items by a head fitted on held-out sessions.",
    ),
    click.option(
        "--dropout",
        type=float,
        metavar="X",
        help="Drop probability of embeddings and session vectors.",
    ),
)
"""Every way to give settings; `config_of` reads them."""


def config_of(options: dict[str, Any], *, default: "Config | None" = None) -> "Config":
    """Return the settings of -c or --preset, else `default`, changed by the single options.

    Raise UsageError if -c and --preset are both given.
    """
    from gru4rec.config import Config
    from gru4rec.training import preset

    config = default if default is not None else Config()
    if options["config"] is not None and options["preset"] is not None:
        raise click.UsageError("-c and --preset both give settings; take one of them.")
    if options["config"] is not None:
        config = Config.from_toml(options["config"])
    elif options["preset"] is not None:
        config = preset(options["preset"])
    given = {key: options[key.replace(".", "__")] for key, _, _ in _SETTINGS.values()}
    given["encoder.repeats"] = options["encoder__repeats"]
    given |= dict.fromkeys(
        ("training.embedding_dropout", "training.hidden_dropout"), options["dropout"]
    )
    if "event_col" in options:
        given |= {f"training.{name}": value for name, value in events_of(options).items()}
    given["encoder.inputs"] = list(options["inputs"]) or None
    return config.replace({key: value for key, value in given.items() if value is not None})


def valid_source(options: dict[str, Any], read: dict[str, Any]) -> Any:
    """Return what --valid names: a part of the log, or a file, read as the log is read.

    Raise UsageError if --valid-where has no file to filter.
    """
    from gru4rec.clicks import is_part, read_clicks

    valid, where = options["valid"], options["valid_where"]
    if valid is not None and not is_part(valid):
        return read_clicks(valid, **{**read, "where": where})
    if where is not None:
        raise click.UsageError("--valid-where filters the file of --valid, and none was given.")
    return valid
