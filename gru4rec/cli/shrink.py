"""`gru4rec shrink`: a checkpoint → `compare` → a table, and a smaller checkpoint if asked for."""

from pathlib import Path
from typing import Any

import click

from gru4rec.cli.options import click_log_options, device_option, read_options

_FORMATS = ("table", "json", "csv")
_ENCODER, _ITEMS = ("float32", "bf16", "int8"), ("float32", "float16", "sq8")


@click.command("shrink")
@click.argument("checkpoint", metavar="DIR")
@click.argument("clicks", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="OUT",
    help="Folder to write the smaller checkpoint to; without, some are only measured.",
)
@click.option(
    "--encoder",
    type=click.Choice(_ENCODER),
    default="float32",
    show_default=True,
    help="Weights of the encoder, in the file.",
)
@click.option(
    "--items",
    type=click.Choice(_ITEMS),
    default="float32",
    show_default=True,
    help="Item vectors: of the tables, and of the index, which alone has sq8.",
)
@click.option("--force", is_flag=True, help="Replace an older checkpoint at OUT.")
@click.option("--format", "form", type=click.Choice(_FORMATS), help="Of the table printed.")
@click_log_options
@device_option
def command(checkpoint: str, clicks: tuple[str, ...], **options: Any) -> None:
    """Keep the checkpoint DIR in fewer bits, and see what that costs.

    Prints size, latency, Recall@20 and MRR@20 of the checkpoint and of smaller ones, measured on
    the sessions of CLICKS as they would be served: through the index, click by click.
    """
    from gru4rec.checkpoint import check_free
    from gru4rec.cli.output import choose_format, write_table
    from gru4rec.clicks import read_clicks
    from gru4rec.errors import DataError
    from gru4rec.gru4rec import GRU4Rec
    from gru4rec.loading import load
    from gru4rec.shrinking import VARIANTS, compare, shrink

    output, asked = options["output"], (options["encoder"], options["items"])
    if (output is not None) != (asked != ("float32", "float32")):
        raise click.UsageError("Give -o OUT together with --encoder or --items, or none of them.")
    form = choose_format(options["form"], None, _FORMATS)
    if output is not None:
        check_free(output, force=options["force"])
    recommender = load(checkpoint, device=options["device"])
    if not isinstance(recommender, GRU4Rec):
        raise DataError(f"{checkpoint} is of {recommender.name}, which has no weights to shrink")
    also = list(recommender.side_inputs.values)
    log = read_clicks(clicks, **read_options(options), also=also)
    write_table(compare(recommender, log, VARIANTS if output is None else [asked]), form, None)
    if output is not None:
        small = shrink(recommender, encoder=asked[0], items=asked[1])
        small.save(output, force=options["force"])
