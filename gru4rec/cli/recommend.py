"""`gru4rec recommend`: sessions → `Recommender.recommend` → a table."""

from pathlib import Path
from typing import Any

import click

from gru4rec.cli.options import click_log_options, device_option, read_options

_FORMATS = ("table", "jsonl", "csv", "parquet")


@click.command("recommend")
@click.argument("checkpoint", metavar="DIR")
@click.argument("clicks", nargs=-1)
@click.option("--items", metavar="A,B,C", help="One session given by hand: its items, in order.")
@click.option(
    "-k", default=20, show_default=True, metavar="N", help="Items to recommend for each session."
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="File to write."
)
@click.option(
    "--format", "form", type=click.Choice(_FORMATS), help="Else the suffix of FILE decides."
)
@click_log_options
@device_option
def command(checkpoint: str, clicks: tuple[str, ...], **options: Any) -> None:
    """Recommend the next items of every session in CLICKS, or of --items, by the checkpoint DIR."""
    from gru4rec.cli.output import choose_format, write_table
    from gru4rec.clicks import read_clicks
    from gru4rec.loading import load
    from gru4rec.recommender import Prefixes

    if bool(clicks) == (options["items"] is not None):
        raise click.UsageError("Give either CLICKS or --items.")
    form = choose_format(options["form"], options["output"], _FORMATS)
    read = read_options(options)
    recommender = load(checkpoint, device=options["device"])
    prefixes: Prefixes
    if clicks:
        prefixes = read_clicks(clicks, **read, also=list(recommender.side_inputs.values))
    else:
        prefixes = [[item.strip() for item in options["items"].split(",")]]
    write_table(recommender.recommend(prefixes, options["k"]), form, options["output"])
