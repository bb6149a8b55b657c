"""`gru4rec train`: options → a config → `GRU4Rec.fit` → a checkpoint folder."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gru4rec.cli.options import click_log_options, device_option, read_options

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
    "--seed": ("seed", int, "Seed of every random draw."),
}


def _setting_options(function: Any) -> Any:
    for flag, (key, kind, text) in reversed(_SETTINGS.items()):
        metavar = {int: "N", float: "X", str: "NAME"}[kind]
        function = click.option(
            flag, key.replace(".", "__"), type=kind, metavar=metavar, help=text
        )(function)
    return function


@click.command("train")
@click.argument("clicks", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Checkpoint folder to write.",
)
@click.option(
    "--valid", metavar="PATH|1d|10%", help="Log, duration or share to measure on after each epoch."
)
@click.option("--valid-where", metavar="SQL", help="Rows of the --valid file to take.")
@click.option(
    "-c", "--config", type=click.Path(path_type=Path), metavar="FILE", help="Settings in TOML."
)
@click.option("--preset", metavar="NAME", help="Settings by name: paper, rsc15, retailrocket, …")
@click_log_options
@_setting_options
@click.option(
    "--dropout", type=float, metavar="X", help="Drop probability of embeddings and session vectors."
)
@device_option
@click.option("--resume", is_flag=True, help="Go on with the training that was interrupted at DIR.")
@click.option(
    "--keep-minutes",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    metavar="X",
    help="How often to keep the state of training at DIR, besides after each epoch.",
)
@click.option("--force", is_flag=True, help="Replace an older checkpoint at DIR.")
@click.option("--show-config", is_flag=True, help="Print the settings as TOML and stop.")
def command(clicks: tuple[str, ...], **options: Any) -> None:
    """Train GRU4Rec on the click logs CLICKS and write the checkpoint folder DIR.

    What no option and no config file says is decided from the log, and printed. A training that was
    interrupted, by Ctrl-C too, goes on with the same command and --resume.
    """
    from gru4rec.checkpoint import is_unfinished
    from gru4rec.cli.progress import ProgressPrinter
    from gru4rec.cli.stopping import stop_request
    from gru4rec.clicks import read_clicks
    from gru4rec.errors import DivergenceError, StoppedError
    from gru4rec.gru4rec import GRU4Rec
    from gru4rec.split import is_part

    output, resume = options["output"], options["resume"]
    if not _may_start(output, options):
        return
    recommender = GRU4Rec(_config(output, options), device=options["device"])
    read = read_options(options)
    log = read_clicks(clicks, **read)
    valid = options["valid"]
    if valid is not None and not is_part(valid):
        valid = read_clicks(valid, **{**read, "where": options["valid_where"]})
    elif options["valid_where"] is not None:
        raise click.UsageError("--valid-where filters the file of --valid, and none was given.")
    if options["show_config"]:
        click.echo(recommender.decide(log, valid=valid).to_toml(), nl=False)
        return
    run = {"keep": output, "keep_minutes": options["keep_minutes"], "resume": resume}
    try:
        with stop_request() as stopping:
            recommender.fit(
                log, valid=valid, on_progress=ProgressPrinter(), stopping=stopping, **run
            )
    except StoppedError as stop:
        click.echo(f"{stop}; the same command with --resume goes on from there", err=True)
        sys.exit(130)
    except DivergenceError as error:
        if not is_unfinished(output):
            raise
        raise DivergenceError(f"{error}, and add --resume to go on before it") from error
    recommender.save(output, force=True)
    click.echo(f"saved {output} after {recommender.meta['seconds']:.1f} s", err=True)


def _may_start(output: Path | None, options: dict[str, Any]) -> bool:
    """Whether there is something to do. Raises if a checkpoint may not be written to `output`."""
    from gru4rec.checkpoint import check_free, is_finished

    if options["config"] is not None and options["preset"] is not None:
        raise click.UsageError("-c and --preset both give settings; take one of them.")
    if options["resume"] and (options["force"] or options["show_config"]):
        raise click.UsageError("--resume goes without --force and --show-config.")
    if options["show_config"]:
        return True
    if output is None:
        raise click.UsageError("Missing option '-o' / '--output'.")
    if options["resume"] and is_finished(output):
        click.echo(f"{output} is complete: there is nothing to go on with", err=True)
        return False
    check_free(output, force=options["force"] or options["resume"])
    return True


def _config(output: Path | None, options: dict[str, Any]) -> "Config":
    """The settings asked for; those of an interrupted training where nothing else is asked."""
    from gru4rec import resume
    from gru4rec.config import Config
    from gru4rec.presets import preset

    config = Config()
    if options["config"] is not None:
        config = Config.from_toml(options["config"])
    elif options["preset"] is not None:
        config = preset(options["preset"])
    elif options["resume"] and output is not None and (begun := resume.load(output)) is not None:
        config = begun.config
    given = {key: options[key.replace(".", "__")] for key, _, _ in _SETTINGS.values()}
    given |= dict.fromkeys(
        ("training.embedding_dropout", "training.hidden_dropout"), options["dropout"]
    )
    return config.replace({key: value for key, value in given.items() if value is not None})
