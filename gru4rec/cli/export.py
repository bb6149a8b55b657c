"""`gru4rec export`: a checkpoint → `export_onnx`, or tables of vectors → files for others."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gru4rec.cli.guard import Guarded, Reads, Writes
from gru4rec.cli.options import click_log_options, device_option, read_options

if TYPE_CHECKING:
    import polars as pl

    from gru4rec.recommenders import Recommender


@click.command("export", cls=Guarded)
@click.argument("checkpoint", metavar="DIR", type=Reads())
@click.argument("clicks", nargs=-1, type=Reads())
@click.option(
    "-o", "--output", required=True, type=Writes(), metavar="FILE",
    help="File to write: .onnx, or with --vectors .parquet.",
)  # fmt: skip
@click.option(
    "-k", type=int, metavar="N",
    help="Write the graph that takes a whole session and gives its N best items.",
)  # fmt: skip
@click.option(
    "--vectors", type=click.Choice(["items", "sessions"]),
    help="Write vectors: of the items, or of the sessions of CLICKS after their last click.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace a file at FILE.")
@click_log_options
@device_option
def command(checkpoint: str, clicks: tuple[str, ...], **options: Any) -> None:
    """Write the checkpoint DIR as a file that other programs run or read.

    FILE.onnx is the graph of one click of running sessions, and FILE.items.json has the ids of the
    items. Vectors are a Parquet table, whose dot products are the scores.
    """
    vectors, output = options["vectors"], options["output"]
    if (vectors == "sessions") != bool(clicks):
        raise click.UsageError("Give CLICKS with --vectors sessions, and only then.")
    if vectors is None:
        _write_graph(checkpoint, output, options)
        return
    if options["k"] is not None:
        raise click.UsageError("-k is of a graph, and --vectors writes none.")
    _check_place(output, force=options["force"])

    from gru4rec.cli.output import write_pieces
    from gru4rec.exporting import item_table
    from gru4rec.recommenders import load

    read = read_options(options)
    recommender = load(checkpoint, device=options["device"])
    pieces = iter([item_table(recommender)])
    if vectors == "sessions":
        pieces = _of_sessions(recommender, clicks, read)
    write_pieces(pieces, "parquet", output)
    click.echo(f"wrote {output}", err=True)


def _write_graph(checkpoint: str, output: Path, options: dict[str, Any]) -> None:
    """Write the graph and the ids of its items."""
    from gru4rec.exporting import export_onnx, names_file
    from gru4rec.recommenders import load

    names = names_file(output)
    recommender = load(checkpoint, device="cpu")
    export_onnx(recommender, output, k=options["k"], force=options["force"])
    click.echo(f"wrote {output} and {names}", err=True)


def _of_sessions(
    recommender: "Recommender", clicks: tuple[str, ...], read: dict[str, Any]
) -> "Iterator[pl.DataFrame]":
    from gru4rec.clicks import read_clicks
    from gru4rec.exporting import session_pieces

    return session_pieces(recommender, read_clicks(clicks, **read, also=recommender.extra_columns))


def _check_place(output: Path, *, force: bool) -> None:
    """Raise DataError unless vectors may be written there."""
    from gru4rec.errors import DataError

    if output.suffix.lower() != ".parquet":
        raise DataError(
            f"vectors are written as Parquet, and nothing else; name a file that ends in .parquet, "
            f"not {output}"
        )
    if output.exists() and not force:
        raise DataError(f"{output} exists; choose another file, or replace it with --force")
