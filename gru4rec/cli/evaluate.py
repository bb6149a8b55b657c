"""`gru4rec evaluate`: a checkpoint, baselines and held-out sessions → `evaluate` → a table."""

from pathlib import Path
from typing import Any

import click

from gru4rec.cli.options import click_log_options, device_option, read_options

_FORMATS = ("table", "json", "csv")


@click.command("evaluate")
@click.argument("checkpoint", metavar="DIR")
@click.argument("clicks", nargs=-1, required=True)
@click.option(
    "-k",
    "ks",
    multiple=True,
    type=int,
    default=(5, 10, 20),
    show_default=True,
    metavar="N",
    help="Cut-off; may be repeated.",
)
@click.option(
    "--baseline",
    "baselines",
    multiple=True,
    metavar="NAME",
    help="Baseline to compare with; may be repeated.",
)
@click.option(
    "--train", multiple=True, metavar="CLICKS", help="Log to fit the baselines on; may be repeated."
)
@click.option("--train-where", metavar="SQL", help="Rows of the --train log to take.")
@click.option(
    "--ties",
    default="conservative",
    show_default=True,
    metavar="RULE",
    help="Equal scores: conservative, standard or median.",
)
@click.option(
    "--format", "form", type=click.Choice(_FORMATS), help="Else the suffix of FILE decides."
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="File to write."
)
@click_log_options
@device_option
def command(checkpoint: str, clicks: tuple[str, ...], **options: Any) -> None:
    """Measure the checkpoint DIR on the sessions in CLICKS: Recall@k and MRR@k of next clicks."""
    from gru4rec.baselines import make_baseline
    from gru4rec.cli.output import choose_format, write_table
    from gru4rec.clicks import read_clicks
    from gru4rec.evaluation import evaluate
    from gru4rec.loading import load
    from gru4rec.recommender import Recommender

    baselines = {name: make_baseline(name) for name in options["baselines"]}
    if bool(baselines) != bool(options["train"]):
        raise click.UsageError("--baseline and --train go together: baselines are fitted on a log.")
    form = choose_format(options["form"], options["output"], _FORMATS)
    read = read_options(options)
    trained = load(checkpoint, device=options["device"])
    sessions = read_clicks(clicks, **read, also=list(trained.side_inputs.values))
    recommenders: dict[str, Recommender] = {"gru4rec": trained}
    if baselines:
        train = read_clicks(options["train"], **{**read, "where": options["train_where"]}).collect()
        recommenders |= {name: baseline.fit(train) for name, baseline in baselines.items()}
    table = evaluate(recommenders, sessions, ks=options["ks"], ties=options["ties"])
    write_table(table, form, options["output"])
