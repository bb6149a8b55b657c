"""`gru4rec tune`: a click log → `tune` → the best settings as TOML, and a table of the trials."""

from typing import TYPE_CHECKING, Any

import click

from gru4rec.cli.guard import Guarded, Reads, Writes
from gru4rec.cli.options import (
    click_log_options,
    device_option,
    long_sessions_option,
    read_options,
)
from gru4rec.cli.training_options import config_of, setting_options, valid_source

if TYPE_CHECKING:
    from gru4rec.tuning import Trial

_ROWS = 10


@click.command("tune", cls=Guarded)
@click.argument("clicks", nargs=-1, required=True, type=Reads())
@click.option(
    "-o",
    "--output",
    required=True,
    type=Writes(),
    metavar="FILE.toml",
    help="File of the best settings to write.",
)
@click.option(
    "--valid",
    default="10%",
    show_default=True,
    type=Reads(),
    metavar="PATH|1d|10%",
    help="Log, duration or share to measure on.",
)
@click.option("--valid-where", metavar="SQL", help="Rows of the --valid file to take.")
@click.option(
    "--trials", type=int, default=50, show_default=True, metavar="N", help="Trainings, in all."
)
@click.option(
    "--study",
    type=Writes(),
    metavar="FILE",
    help="File of the search, to stop and go on with.",
)
@click_log_options
@long_sessions_option
@setting_options
@device_option
def command(clicks: tuple[str, ...], **options: Any) -> None:
    """Search for the settings that suit the click logs CLICKS best.

    Settings given other values than the defaults are held. Nothing but the --valid part is
    measured on. With --study the same command goes on with a search that was stopped.
    """
    from gru4rec.atomic import write_beside
    from gru4rec.cli.output import write_table
    from gru4rec.cli.progress import Display
    from gru4rec.clicks import read_clicks
    from gru4rec.errors import DataError
    from gru4rec.tuning import tune

    config = config_of(options)
    output = options["output"]
    if output.is_dir() or not output.resolve().parent.is_dir():
        raise DataError(f"cannot write {output}: name a file in a folder that is there with -o")
    read = {**read_options(options), "also": config.columns}
    with Display("tuning") as display:

        def show(trial: "Trial") -> None:
            display.say(_trial_line(trial))
            display.show(trial.number + 1, options["trials"])

        tuning = tune(
            read_clicks(clicks, **read),
            valid=valid_source(options, read),
            config=config,
            trials=options["trials"],
            study=options["study"],
            device=options["device"],
            on_trial=show,
        )
    settings = tuning.config.to_toml()
    write_beside(output, lambda file: file.write_text(settings, encoding="utf-8"))
    best = tuning.trials.head(_ROWS)
    shown = best[[column.name for column in best if not column.is_null().all()]]
    write_table(shown.rename(lambda name: name.removeprefix("training.")), "table", None)
    click.echo(f"saved {output}; train with it: gru4rec train … -c {output}", err=True)


def _trial_line(trial: "Trial") -> str:
    measured = "diverged" if trial.measure is None else f"{trial.measure:.4f}"
    settings = "  ".join(
        f"{name.removeprefix('training.')} {f'{value:.3g}' if isinstance(value, float) else value}"
        for name, value in trial.settings.items()
    )
    return f"trial {trial.number}: {measured}, {trial.state}  {settings}"
