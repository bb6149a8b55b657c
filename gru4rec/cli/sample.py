"""`gru4rec sample`: the generator's log → a file."""

from pathlib import Path

import click

from gru4rec.cli.guard import Guarded, Writes

_FORMATS = ("parquet", "csv")


@click.command("sample", cls=Guarded)
@click.option(
    "-o",
    "--output",
    required=True,
    type=Writes(),
    metavar="FILE",
    help="File to write, .parquet or .csv.",
)
@click.option(
    "--format", "form", type=click.Choice(_FORMATS), help="Else the suffix of FILE decides."
)
@click.option("--force", is_flag=True, help="Replace a file at FILE.")
def command(output: Path, form: str | None, force: bool) -> None:
    """Write the sample click log, the one in datasets/sample, to FILE."""
    from gru4rec.cli.output import choose_format, write_table
    from gru4rec.clicks import generate_clicks
    from gru4rec.errors import DataError

    if output.exists() and not force:
        raise DataError(f"{output} exists; choose another file, or replace it with --force")
    chosen = choose_format(form, output, _FORMATS)
    clicks = generate_clicks()
    write_table(clicks, chosen, output)
    click.echo(f"wrote {clicks.height:,} clicks to {output}", err=True)
