"""`gru4rec inspect`: a checkpoint → what it is, the items alike to one, or why it recommends."""

from typing import Any

import click

from gru4rec.cli.guard import Guarded, Reads
from gru4rec.cli.options import output_options

_FORMATS = ("table", "json", "csv")


@click.command("inspect", cls=Guarded)
@click.argument("checkpoint", metavar="DIR", type=Reads())
@click.option("--item", metavar="ID", help="Show the items alike to this one.")
@click.option(
    "--items", metavar="A,B,C", help="Show what each click of this session does to its best item."
)
@click.option("--target", metavar="ID", help="Item that --items is to explain, not the best one.")
@click.option("-k", default=10, show_default=True, metavar="N", help="Items alike to show.")
@output_options(_FORMATS)
def command(checkpoint: str, **options: Any) -> None:
    """Show the settings, counts, metrics and sizes of the checkpoint DIR.

    With --item, the items whose embeddings have the largest cosine with its own. With --items, for
    each click of a session how far it moved the session vector, how open the gates of the GRU were
    (reset: how much of the state was read; update: how much of it was replaced), and by how much
    the best item's score would fall without that click.
    """
    from gru4rec.cli.output import choose_format, write_table
    from gru4rec.clicks import items_of_text
    from gru4rec.errors import DataError
    from gru4rec.evaluation import explain, neighbours, summary
    from gru4rec.recommenders import GRU4Rec, load

    item, items, target = options["item"], options["items"], options["target"]
    if item is not None and items is not None:
        raise click.UsageError("Give either --item or --items.")
    if target is not None and items is None:
        raise click.UsageError("--target goes with --items.")
    form = choose_format(options["form"], options["output"], _FORMATS)
    if item is not None:
        recommender = load(checkpoint)
        if not isinstance(recommender, GRU4Rec):
            raise DataError(
                f"{checkpoint} is of {recommender.name}, which has no item embeddings of its own"
            )
        table = neighbours(recommender, item, options["k"])
    elif items is not None:
        table = explain(load(checkpoint), items_of_text(items), target=target)
    else:
        table = summary(checkpoint)
    write_table(table, form, options["output"])
