"""`gru4rec sample`: the generator's log → a file."""

from pathlib import Path

import click


@click.command("sample")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Parquet file to write.",
)
@click.option("--force", is_flag=True, help="Replace a file at FILE.")
def command(output: Path, force: bool) -> None:
    """Write the sample click log, the one in datasets/sample, to FILE."""
    from gru4rec.cli.output import write_beside
    from gru4rec.errors import DataError
    from gru4rec.synthetic import generate_clicks

    if output.exists() and not force:
        raise DataError(f"{output} exists; choose another file, or replace it with --force")
    clicks = generate_clicks()
    write_beside(output, clicks.write_parquet)
    click.echo(f"wrote {clicks.height:,} clicks to {output}", err=True)
