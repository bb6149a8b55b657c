"""`gru4rec train`: options → a config → `GRU4Rec.fit` → a checkpoint folder."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from gru4rec.cli.event_options import event_options
from gru4rec.cli.guard import Reads, WritesFolder
from gru4rec.cli.options import (
    click_log_options,
    device_option,
    initial_vectors_option,
    item_features_option,
    items_of,
    long_sessions_option,
    read_options,
    track_option,
    vectors_of,
)
from gru4rec.cli.together import Together
from gru4rec.cli.training_options import config_of, setting_options, valid_source

if TYPE_CHECKING:
    from gru4rec.config import Config
    from gru4rec.training import Ranks

_AT_ONCE = 1.0  # seconds: launchers pass on a Ctrl-C that processes of a terminal have got already


@click.command("train", cls=Together)
@click.argument("clicks", nargs=-1, required=True, type=Reads())
@click.option(
    "-o",
    "--output",
    type=WritesFolder(),
    metavar="DIR",
    help="Checkpoint folder to write.",
)
@click.option(
    "--valid",
    type=Reads(),
    metavar="PATH|1d|10%",
    help="Log, duration or share to measure on after each epoch.",
)
@click.option("--valid-where", metavar="SQL", help="Rows of the --valid file to take.")
@click_log_options
@long_sessions_option
@item_features_option
@initial_vectors_option
@event_options
@setting_options
@device_option
@track_option
@click.option("--resume", is_flag=True, help="Go on with the training that was interrupted at DIR.")
@click.option(
    "--keep-minutes",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    metavar="X",
    help="How often to keep the state of training at DIR, besides after each epoch.",
)
@click.option("--updatable", is_flag=True, help="Keep what `update` goes on from.")
@click.option("--force", is_flag=True, help="Replace an older checkpoint at DIR.")
@click.option("--show-config", is_flag=True, help="Print the settings as TOML and stop.")
def command(clicks: tuple[str, ...], **options: Any) -> None:
    """Train GRU4Rec on the click logs CLICKS and write the checkpoint folder DIR.

    What no option and no config file says is decided from the log, and printed. A training that was
    interrupted, by Ctrl-C too, goes on with the same command and --resume. Started by torchrun,
    several processes train together.
    """
    from gru4rec.cli.progress import TrainingDisplay
    from gru4rec.clicks import read_clicks
    from gru4rec.errors import DivergenceError, StoppedError
    from gru4rec.layout import is_unfinished
    from gru4rec.recommenders import GRU4Rec
    from gru4rec.training import ONE

    ranks: Ranks = click.get_current_context().obj or ONE
    output, resume = options["output"], options["resume"]
    if not ranks.found_by_first(lambda: _may_start(output, options)):
        return
    config = config_of(options, default=_begun(output, ranks) if resume else None)
    recommender = GRU4Rec(config, device=options["device"])
    items, initial = items_of(options), vectors_of(options)
    read = {**read_options(options), "also": config.columns}
    log, valid = read_clicks(clicks, **read), valid_source(options, read)
    if options["show_config"]:
        if ranks.is_first:
            click.echo(recommender.decide(log, valid=valid).to_toml(), nl=False)
        return
    run = {
        "keep": output,
        "keep_minutes": options["keep_minutes"],
        "resume": resume,
        "updatable": options["updatable"],
        "item_features": items,
        "track": options["track"],
        "initial_vectors": initial,
        "ranks": ranks,
    }
    try:
        with (
            _stop_request(ranks) as stopping,
            TrainingDisplay(hidden=not ranks.is_first) as display,
        ):
            recommender.fit(log, valid=valid, on_progress=display, stopping=stopping, **run)
    except StoppedError as stop:
        if ranks.is_first:
            click.echo(f"{stop}; the same command with --resume goes on from there", err=True)
        sys.exit(130)
    except DivergenceError as error:
        if not ranks.is_first:  # which all find, and the first one says
            sys.exit(2)
        if not is_unfinished(output):
            raise
        raise DivergenceError(
            f"{error}, and add resume to go on before it", mend_with=[*error.mend_with, "resume"]
        ) from error
    if not ranks.is_first:
        return
    recommender.save(output, force=True)
    click.echo(f"saved {output} after {recommender.meta.seconds:.1f} s", err=True)


def _begun(output: Path, ranks: "Ranks") -> "Config | None":
    """Return the settings of the training interrupted at `output`, which the first rank sees."""
    from gru4rec.config import Config
    from gru4rec.training import load_snapshot

    def settings() -> dict[str, Any] | None:
        snapshot = load_snapshot(output)
        return None if snapshot is None else snapshot.config.to_dict()

    begun = ranks.found_by_first(settings)
    return None if begun is None else Config.from_dict(begun)


def _may_start(output: Path | None, options: dict[str, Any]) -> bool:
    """Return whether there is something to do.

    Raise UsageError or CheckpointError if no checkpoint may be written to `output`.
    """
    from gru4rec.layout import check_free, is_finished

    if options["resume"] and (options["force"] or options["show_config"]):
        raise click.UsageError("--resume goes without --force and --show-config.")
    if options["show_config"]:
        return True
    if output is None:
        raise click.UsageError("Missing option '-o' / '--output'.")
    if options["resume"] and is_finished(output):
        click.echo(f"{output} is complete: there is nothing to go on with", err=True)
        return False
    check_free(output, force=options["force"] or options["resume"])
    return True


class _StopRequest:
    """Whether a signal asks a training to stop; the training calls it where it can stop well.

    Once it was called, a first signal asks for that. Before, and on a second signal, the program is
    interrupted as usual. Of several ranks the first one says so, and signals within a second are
    one.
    """

    def __init__(self, ranks: "Ranks") -> None:
        self._ranks = ranks
        self._asked = self._heeded = False
        self._asked_at = 0.0

    def __call__(self) -> bool:
        """Return whether to stop."""
        self._heeded = True
        return self._asked

    def signalled(self, number: int, frame: FrameType | None) -> None:
        """Take a signal."""
        now = time.monotonic()
        if self._asked and self._ranks.size > 1 and now - self._asked_at < _AT_ONCE:
            return
        if self._asked or not self._heeded:
            raise KeyboardInterrupt
        self._asked, self._asked_at = True, now
        if self._ranks.size == 1 or (self._ranks.is_first and number == signal.SIGINT):
            click.echo("\nstopping; once more to stop at once", err=True)


@contextmanager
def _stop_request(ranks: "Ranks") -> Iterator[_StopRequest]:
    """Yield a request to stop, which Ctrl-C and SIGTERM make while this lasts."""
    request = _StopRequest(ranks)
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, request.signalled) for number in signals]
    try:
        yield request
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
