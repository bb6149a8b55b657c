"""`gru4rec add-items`: a checkpoint and a table of items → `add_items` → a checkpoint."""

from typing import Any

import click

from gru4rec.cli.guard import Guarded, Reads, WritesFolder
from gru4rec.cli.options import click_log_options, read_options


@click.command("add-items", cls=Guarded)
@click.argument("checkpoint", metavar="DIR", type=Reads())
@click.argument("table", type=Reads())
@click.option(
    "-o", "--output", type=WritesFolder(), metavar="NEWDIR", required=True,
    help="Checkpoint folder to write.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace an older checkpoint at NEWDIR.")
@click_log_options
def command(checkpoint: str, table: str, **options: Any) -> None:
    """Put the new items of TABLE into the checkpoint DIR by their attributes, and write NEWDIR.

    Nothing is trained: they stand where the model, trained with --item-features, places items of
    such attributes. Items that the checkpoint has already stay as they are. --where and the like
    are of TABLE; columns of sessions and times that are named are no attributes.
    """
    from gru4rec.layout import check_free
    from gru4rec.recommenders import load
    from gru4rec.sessions import read_item_table

    output, force = options["output"], options["force"]
    check_free(output, force=force)
    recommender = load(checkpoint, device="cpu")
    before = len(recommender.catalog)
    recommender.add_items(read_item_table(table, **read_options(options)))
    recommender.save(output, force=force)
    added = len(recommender.catalog) - before
    click.echo(f"added {added:,} items to {before:,}; saved {output}", err=True)
