"""`gru4rec shrink`: a checkpoint → `compare` → a table, and a smaller checkpoint if asked for."""

from collections.abc import Iterable
from itertools import chain
from typing import Any

import click

from gru4rec.cli.guard import Guarded, Reads, WritesFolder
from gru4rec.cli.options import click_log_options, device_option, read_options

_FORMATS = ("table", "json", "csv")


@click.command("shrink", cls=Guarded)
@click.argument("checkpoint", metavar="DIR", type=Reads())
@click.argument("clicks", nargs=-1, required=True, type=Reads())
@click.option(
    "-o",
    "--output",
    type=WritesFolder(),
    metavar="OUT",
    help="Folder to write the smaller checkpoint to; without it, five kinds are measured only.",
)
@click.option(
    "--encoder", metavar="float32|bf16|int8", help="Encoder weights, in the file. Else as they are."
)
@click.option(
    "--items",
    metavar="float32|float16|sq8",
    help="Item vectors: float16 in tables and index, sq8 in the index alone. Else as they are.",
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
    from gru4rec.cli.output import choose_format, write_table
    from gru4rec.cli.progress import Display
    from gru4rec.clicks import read_clicks
    from gru4rec.errors import DataError
    from gru4rec.layout import check_free
    from gru4rec.recommenders import GRU4Rec, load
    from gru4rec.tuning import VARIANTS, compare, shrink

    output, asked = options["output"], {name: options[name] for name in ("encoder", "items")}
    if (output is not None) != any(asked.values()):
        raise click.UsageError("Give -o OUT together with --encoder or --items, or none of them.")
    form = choose_format(options["form"], None, _FORMATS)
    if output is not None:
        check_free(output, force=options["force"])
    recommender = load(checkpoint, device=options["device"])
    if not isinstance(recommender, GRU4Rec):
        raise DataError(
            f"{checkpoint} is of {recommender.name}, which has no weights to shrink of its own"
        )
    extra_columns = list(recommender.side_inputs.values)
    log = read_clicks(clicks, **read_options(options), also=extra_columns)
    if output is None:
        smaller: Iterable[GRU4Rec] = (
            shrink(recommender, encoder=bits, items=kept) for bits, kept in VARIANTS
        )
        count = len(VARIANTS)
    else:
        small = shrink(recommender, **asked)
        smaller, count = [small], 1
    with Display("measuring") as display:
        table = compare(display.over(chain([recommender], smaller), 1 + count), log)
    write_table(table, form, None)
    if output is not None:
        small.save(output, force=options["force"])
