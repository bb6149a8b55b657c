"""`gru4rec update`: a checkpoint and new clicks → `GRU4Rec.update` → a checkpoint."""

import time
from typing import TYPE_CHECKING, Any

import click

from gru4rec.cli.guard import Guarded, Reads, WritesFolder
from gru4rec.cli.options import (
    click_log_options,
    device_option,
    item_features_option,
    items_of,
    long_sessions_option,
    read_options,
)

if TYPE_CHECKING:
    from gru4rec.recommenders import Recommender


@click.command("update", cls=Guarded)
@click.argument("checkpoint", metavar="DIR", type=Reads())
@click.argument("clicks", nargs=-1, required=True, type=Reads())
@click.option(
    "-o", "--output", type=WritesFolder(), metavar="NEWDIR", required=True,
    help="Checkpoint folder to write.",
)  # fmt: skip
@click.option(
    "--drop-unseen", metavar="30d",
    help="Drop items that were not clicked for so long before the newest click.",
)  # fmt: skip
@click.option(
    "--replay", type=Reads(), metavar="PATH",
    help="Older log, of which some sessions are learned again beside the new ones.",
)  # fmt: skip
@click.option(
    "--replay-share", type=click.FloatRange(min=0), default=1.0, show_default=True, metavar="X",
    help="How many, as a share of the new sessions.",
)  # fmt: skip
@click.option("--replay-where", metavar="SQL", help="Rows of the --replay log to take.")
@click.option(
    "--half-life",
    metavar="7d",
    help="Time after which clicks count half as much in the items' supports.",
)
@click.option(
    "--epochs", type=click.FloatRange(min=0, min_open=True), default=2.0, show_default=True,
    metavar="X", help="How often to learn them.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace an older checkpoint at NEWDIR.")
@click_log_options
@long_sessions_option
@item_features_option
@device_option
def command(checkpoint: str, clicks: tuple[str, ...], **options: Any) -> None:
    """Learn the click logs CLICKS on top of the checkpoint DIR, and write NEWDIR.

    New items join the catalog; with --drop-unseen older ones leave it. What was trained with
    --updatable goes on from the state of its optimisers.
    """
    from gru4rec.cli.progress import TrainingDisplay
    from gru4rec.clicks import read_clicks
    from gru4rec.layout import check_free
    from gru4rec.recommenders import load

    output = options["output"]
    check_free(output, force=options["force"])
    recommender = load(checkpoint, device=options["device"])
    items = items_of(options)
    read = {**read_options(options), "also": recommender.inputs}
    older = {**read, "where": options["replay_where"]}
    replay = options["replay"]
    before, began = recommender.meta, time.monotonic()
    with TrainingDisplay() as display:
        recommender.update(
            read_clicks(clicks, **read),
            item_features=items,
            drop_unseen=options["drop_unseen"],
            replay=None if replay is None else read_clicks(replay, **older),
            replay_share=options["replay_share"],
            half_life=options["half_life"],
            epochs=options["epochs"],
            on_progress=display,
        )
    recommender.save(output, force=options["force"])
    if recommender.meta is not before:
        took = time.monotonic() - began
        dropped = ""
        if options["drop_unseen"] is not None:
            dropped = f", {_num_dropped(recommender):,} dropped"
        click.echo(f"{len(recommender.catalog):,} items{dropped} after {took:.1f} s", err=True)
    click.echo(f"saved {output}", err=True)


def _num_dropped(recommender: "Recommender") -> int:
    """Return how many items the newest update dropped; of a mixture the same in each part."""
    while recommender.parts:
        recommender = recommender.parts[0]
    updates = recommender.meta.updates or [{}]
    return int(updates[-1].get("dropped", 0))
