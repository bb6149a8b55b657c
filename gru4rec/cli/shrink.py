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
    metavar="float32|float16|sq8|pq",
    help="Item vectors: float16 in tables and index; sq8 and pq are those of the index alone, of "
    "8 and about 2 bits a component. Else as they are.",
)
@click.option(
    "--sparsity", type=float, metavar="X",
    help="Share of the encoder's weights that become 0, from 0 on and below 1. Else as they are.",
)  # fmt: skip
@click.option(
    "--train", multiple=True, type=Reads(), metavar="CLICKS",
    help="Log to learn from while weights become 0; may be repeated. Not the one to measure on.",
)  # fmt: skip
@click.option("--train-where", metavar="SQL", help="Rows of the --train log to take.")
@click.option("--force", is_flag=True, help="Replace an older checkpoint at OUT.")
@click.option("--format", "form", type=click.Choice(_FORMATS), help="Of the table printed.")
@click_log_options
@device_option
def command(checkpoint: str, clicks: tuple[str, ...], **options: Any) -> None:
    """Keep the checkpoint DIR in fewer bits or with fewer weights, and see what that costs.

    Prints size, latency, Recall@20 and MRR@20 of the checkpoint and of smaller ones, measured on
    the sessions of CLICKS as they would be served: through the index, click by click.
    """
    from gru4rec.cli.output import choose_format, write_table
    from gru4rec.cli.progress import Display, TrainingDisplay
    from gru4rec.clicks import read_clicks
    from gru4rec.errors import DataError
    from gru4rec.evaluation import extra_columns
    from gru4rec.layout import check_free
    from gru4rec.recommenders import GRU4Rec, load
    from gru4rec.tuning import VARIANTS, compare, shrink

    output, train = options["output"], options["train"]
    asked = {name: options[name] for name in ("encoder", "items", "sparsity")}
    if (output is not None) != any(choice not in (None, "") for choice in asked.values()):
        raise click.UsageError(
            "Give -o OUT together with --encoder, --items or --sparsity, or none of them."
        )
    if train and asked["sparsity"] is None:
        raise click.UsageError("--train goes with --sparsity: it is learned while weights go.")
    form = choose_format(options["form"], None, _FORMATS)
    if output is not None:
        check_free(output, force=options["force"])
    recommender = load(checkpoint, device=options["device"])
    if not isinstance(recommender, GRU4Rec):
        raise DataError(
            f"{checkpoint} is of {recommender.name}, which has no weights to shrink of its own"
        )
    read = {**read_options(options), "also": extra_columns({recommender.name: recommender})}
    log = read_clicks(clicks, **read)
    if output is None:
        smaller: Iterable[GRU4Rec] = (
            shrink(recommender, encoder=bits, items=kept) for bits, kept in VARIANTS
        )
        count = len(VARIANTS)
    else:
        if train:
            asked["train"] = read_clicks(train, **{**read, "where": options["train_where"]})
        with TrainingDisplay(hidden=not train) as learning:
            small = shrink(recommender, **asked, on_progress=learning)
        smaller, count = [small], 1
    with Display("measuring") as display:
        table = compare(display.over(chain([recommender], smaller), 1 + count), log)
    write_table(table, form, None)
    if output is not None:
        small.save(output, force=options["force"])
