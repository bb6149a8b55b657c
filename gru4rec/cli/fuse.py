"""`gru4rec fuse`: a checkpoint, its training log and baselines → `Fusion` → a checkpoint."""

from pathlib import Path
from typing import Any

import click

from gru4rec.cli.options import click_log_options, device_option, read_options


@click.command("fuse")
@click.argument("checkpoint", metavar="DIR")
@click.argument("clicks", nargs=-1, required=True)
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), metavar="DIR",
    help="Checkpoint folder to write.",
)  # fmt: skip
@click.option(
    "--with", "baselines", multiple=True, default=("vstan",), show_default=True, metavar="NAME",
    help="Baseline to mix in; may be repeated.",
)  # fmt: skip
@click.option(
    "--valid", metavar="PATH",
    help="Sessions that DIR has not learned from, to fit the weights on; else DIR weighs 0.75.",
)  # fmt: skip
@click.option("--valid-where", metavar="SQL", help="Rows of the --valid log to take.")
@click.option("--force", is_flag=True, help="Replace the checkpoint that stands at the output.")
@click_log_options
@device_option
def command(checkpoint: str, clicks: tuple[str, ...], **options: Any) -> None:
    """Mix the checkpoint DIR with baselines fitted on CLICKS, the log that it was trained on.

    The result is a checkpoint as any other. It keeps the sessions of CLICKS, which neighbour
    methods look up.
    """
    from gru4rec.baselines import make_baseline
    from gru4rec.checkpoint import check_free
    from gru4rec.clicks import read_clicks
    from gru4rec.fusion import Fusion
    from gru4rec.loading import load

    check_free(options["output"], force=options["force"])
    baselines = [make_baseline(name) for name in options["baselines"]]
    read = read_options(options)
    trained = load(checkpoint, device=options["device"])
    log = read_clicks(clicks, **read).collect()
    fusion = Fusion([trained, *(baseline.fit(log) for baseline in baselines)])
    if options["valid"] is not None:
        also = list(trained.side_inputs.values)
        where = {**read, "where": options["valid_where"], "also": also}
        fusion.weigh(read_clicks(options["valid"], **where))
    fusion.save(options["output"], force=options["force"])
    weights = (f"{part.name} {w:.2f}" for part, w in zip(fusion.parts, fusion.weights, strict=True))
    click.echo(f"saved {options['output']}: {', '.join(weights)}", err=True)
