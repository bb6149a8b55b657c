"""`gru4rec index`: a checkpoint → `choose_index` → the checkpoint with that index, and a table."""

from typing import Any

import click

from gru4rec.cli.guard import Guarded, Reads
from gru4rec.cli.options import click_log_options, device_option, output_options, read_options

_FORMATS = ("table", "json", "csv")


@click.command("index", cls=Guarded)
@click.argument("checkpoint", metavar="DIR", type=Reads())
@click.argument("clicks", nargs=-1, type=Reads())
@click.option(
    "--kind", "kinds", multiple=True, metavar="KIND",
    help="flat, hnsw, ivf, ivf-sq8 or a FAISS factory string; may be repeated. Else all four.",
)  # fmt: skip
@click.option(
    "--min-overlap", type=float, default=0.99, show_default=True, metavar="SHARE",
    help="Share of the exact 20 best items that an index must find.",
)  # fmt: skip
@output_options(_FORMATS)
@click_log_options
@device_option
def command(checkpoint: str, clicks: tuple[str, ...], **options: Any) -> None:
    """Give the checkpoint DIR the index that answers soonest, of those that find enough.

    Measured with the sessions of CLICKS or, without, with walks along the model's own
    recommendations. Scores stay exact: an index proposes, the item vectors decide.
    """
    from gru4rec.cli.output import choose_format, write_table
    from gru4rec.cli.progress import Display
    from gru4rec.clicks import read_clicks
    from gru4rec.errors import DataError
    from gru4rec.recommenders import Indexed, load
    from gru4rec.tuning import choose_index

    form = choose_format(options["form"], options["output"], _FORMATS)
    read = read_options(options)
    recommender = load(checkpoint, device=options["device"])
    if not isinstance(recommender, Indexed):
        raise DataError(
            f"{checkpoint} is of {recommender.name}, which has no item vectors to index"
        )
    log = read_clicks(clicks, **read, also=recommender.extra_columns) if clicks else None
    asked = {"kinds": options["kinds"], "min_overlap": options["min_overlap"]}
    with Display("measuring indexes") as display:
        table = choose_index(recommender, log, **asked, on_progress=display.show)
    recommender.save(checkpoint, force=True)
    write_table(table, form, options["output"])
