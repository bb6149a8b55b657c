"""`gru4rec fuse`: a checkpoint, its training log and baselines → `Fusion` → a checkpoint."""

from pathlib import Path
from typing import Any

import click

from gru4rec.cli.guard import Guarded, Reads, WritesFolder
from gru4rec.cli.options import (
    click_log_options,
    device_option,
    long_sessions_option,
    read_options,
)


@click.command("fuse", cls=Guarded)
@click.argument("checkpoint", metavar="DIR", type=Reads())
@click.argument("clicks", nargs=-1, required=True, type=Reads())
@click.option(
    "-o", "--output", required=True, type=WritesFolder(), metavar="DIR",
    help="Checkpoint folder to write.",
)  # fmt: skip
@click.option(
    "--with", "others", multiple=True, default=("vstan",), show_default=True, type=Reads(),
    metavar="NAME|DIR",
    help="Baseline, or checkpoint trained on the same log, to mix in; may be repeated.",
)  # fmt: skip
@click.option(
    "--valid", type=Reads(), metavar="PATH",
    help="Sessions that DIR has not learned from, to fit the weights on; else DIR weighs 0.75.",
)  # fmt: skip
@click.option("--valid-where", metavar="SQL", help="Rows of the --valid log to take.")
@click.option("--force", is_flag=True, help="Replace the checkpoint that stands at the output.")
@click_log_options
@long_sessions_option
@device_option
def command(checkpoint: str, clicks: tuple[str, ...], **options: Any) -> None:
    """Mix the checkpoint DIR with others of CLICKS, the log that it was trained on.

    Baselines are fitted on CLICKS. The result is a checkpoint as any other; with a neighbour method
    in it, it keeps the sessions of CLICKS.
    """
    from gru4rec.cli.progress import Display
    from gru4rec.clicks import read_clicks
    from gru4rec.layout import check_free, is_finished
    from gru4rec.recommenders import Fusion, load, make_baseline

    if options["valid_where"] is not None and options["valid"] is None:
        raise click.UsageError("--valid-where goes with --valid.")
    check_free(options["output"], force=options["force"])
    names = options["others"]
    baselines = {name: make_baseline(name) for name in names if not is_finished(Path(name))}
    read = read_options(options)
    trained = load(checkpoint, device=options["device"])
    log = read_clicks(clicks, **read).collect()
    others, total = [], len(names) + (options["valid"] is not None)
    with Display("fusing") as display:
        for number, name in enumerate(names):
            display.show(number, total, name)
            baseline = baselines.get(name)
            others.append(
                load(name, device=options["device"]) if baseline is None else baseline.fit(log)
            )
        fusion = Fusion([trained, *others])
        if options["valid"] is not None:
            display.show(len(names), total, "weights")
            where = {"where": options["valid_where"], "also": list(fusion.side_inputs.values)}
            fusion.weigh(read_clicks(options["valid"], **{**read, **where}))
    fusion.save(options["output"], force=options["force"])
    weights = (f"{part.name} {w:.2f}" for part, w in zip(fusion.parts, fusion.weights, strict=True))
    click.echo(f"saved {options['output']}: {', '.join(weights)}", err=True)
