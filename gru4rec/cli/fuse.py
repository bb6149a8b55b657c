"""`gru4rec fuse`: a checkpoint, its training log and baselines → `Fusion` → a checkpoint.

With --best: a training log → `fit_best` → a checkpoint; with --as-one: checkpoints → `Ensemble`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
from click.core import ParameterSource

from gru4rec.cli.guard import Guarded, Reads, WritesFolder
from gru4rec.cli.options import (
    click_log_options,
    device_option,
    long_sessions_option,
    read_options,
)

if TYPE_CHECKING:
    from gru4rec.recommenders import Ensemble, Fusion, Recommender

_OF_AS_ONE = ("output", "others", "as_one", "best", "force", "device")  # it reads no log


@click.command("fuse", cls=Guarded)
@click.argument("clicks", metavar="[DIR] CLICKS...", nargs=-1, required=True, type=Reads())
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
@click.option(
    "--as-one",
    is_flag=True,
    help="Make DIR and each --with DIR, GRU4Recs of one log, one model with one index; no CLICKS.",
)
@click.option(
    "--best",
    is_flag=True,
    help="Train all parts on CLICKS alone: GRU4Rec by several seeds, and vstan.",
)
@click.option(
    "--seeds",
    type=click.IntRange(1, 16),
    default=3,
    show_default=True,
    metavar="N",
    help="Models of --best.",
)
@click.option("--force", is_flag=True, help="Replace the checkpoint that stands at the output.")
@click_log_options
@long_sessions_option
@device_option
def command(clicks: tuple[str, ...], **options: Any) -> None:
    """Mix the checkpoint DIR with others of CLICKS, the log that it was trained on.

    Baselines are fitted on CLICKS. The result is a checkpoint as any other; with a neighbour method
    in it, it keeps the sessions of CLICKS.

    With --as-one the scores are the mean of those of several GRU4Recs, and no log is read.

    With --best there is no DIR: models by several seeds and vstan are trained on CLICKS, and mixed
    by weights that are fitted on --valid, or on the newest tenth of the sessions. It says what each
    part does there.
    """
    from gru4rec.layout import check_free

    _check(clicks, options)
    check_free(options["output"], force=options["force"])
    make = _best if options["best"] else _joined if options["as_one"] else _mixed
    mixed = make(clicks, options)
    mixed.save(options["output"], force=options["force"])
    click.echo(f"saved {options['output']}: {_named(mixed)}", err=True)


def _check(clicks: tuple[str, ...], options: dict[str, Any]) -> None:
    """Raise UsageError for arguments and options that do not go together."""
    from gru4rec.layout import is_finished

    best, as_one, context = options["best"], options["as_one"], click.get_current_context()
    given = {
        parameter.name: parameter.opts[0]
        for parameter in context.command.params
        if context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
    }
    if options["valid_where"] is not None and options["valid"] is None:
        raise click.UsageError("--valid-where goes with --valid.")
    for name, goes in (("others", not best), ("as_one", not best), ("seeds", best)):
        if not goes and name in given:
            raise click.UsageError(f"{given[name]} goes {'without' if best else 'with'} --best.")
    if best and is_finished(Path(clicks[0])):
        raise click.UsageError("--best trains its parts itself: give CLICKS alone, no DIR.")
    if as_one:
        idle = [given[name] for name in given if name not in (*_OF_AS_ONE, "clicks")]
        if idle or len(clicks) > 1:
            what = idle[0] if idle else "CLICKS"
            raise click.UsageError(f"--as-one reads no log: leave {what} out.")
        if "others" not in given:
            raise click.UsageError("--as-one joins DIR with others: give them by --with DIR.")
    elif not best and len(clicks) < 2:
        raise click.UsageError("Missing argument 'CLICKS...'.")


def _named(mixed: "Recommender") -> str:
    """Return what a recommender is made of, in a few words."""
    if not mixed.parts:
        return mixed.name
    parts = [_named(part) for part in mixed.parts]
    weights = mixed.settings_dict().get("weights")
    if weights is None:
        return f"{mixed.name} of {len(parts)} {mixed.parts[0].name}"
    return ", ".join(f"{name} {weight:.2f}" for name, weight in zip(parts, weights, strict=True))


def _joined(checkpoints: tuple[str, ...], options: dict[str, Any]) -> "Ensemble":
    """Return checkpoints of GRU4Rec as one model."""
    from gru4rec.recommenders import Ensemble, GRU4Rec, load

    models = [load(path, device=options["device"]) for path in (*checkpoints, *options["others"])]
    return Ensemble(cast(list[GRU4Rec], models))


def _mixed(paths: tuple[str, ...], options: dict[str, Any]) -> "Fusion":
    """Return the mixture of a checkpoint, the first path, with others; then comes its log."""
    from gru4rec.addresses import refuse_address
    from gru4rec.cli.progress import Display
    from gru4rec.clicks import read_clicks
    from gru4rec.errors import CheckpointError
    from gru4rec.layout import is_finished
    from gru4rec.recommenders import Fusion, load, make_baseline

    checkpoint, *clicks = paths
    names = options["others"]
    for name in names:
        refuse_address(name, CheckpointError)
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
            where = {"where": options["valid_where"], "also": fusion.extra_columns}
            fusion.weigh(read_clicks(options["valid"], **{**read, **where}))
    return fusion


def _best(clicks: tuple[str, ...], options: dict[str, Any]) -> "Fusion":
    """Return the best mixture of a log, and say on stderr what its parts do."""
    from gru4rec.cli.comparison_table import comparison_text
    from gru4rec.cli.progress import Display
    from gru4rec.clicks import read_clicks
    from gru4rec.evaluation import evaluate
    from gru4rec.recommenders import fit_best

    read = read_options(options)
    valid = None
    if options["valid"] is not None:
        valid = read_clicks(options["valid"], **{**read, "where": options["valid_where"]})
    log = read_clicks(clicks, **read)
    with Display("fusing") as display:
        best = fit_best(
            log,
            valid=valid,
            seeds=options["seeds"],
            device=options["device"],
            on_part=display.show,
        )
    table = evaluate(best.parts(), best.held_out, ks=(20,), against="gru4rec")
    text = comparison_text(table, against="gru4rec")
    click.echo(f"on the sessions that the weights were fitted on:\n\n{text}", err=True)
    return best.fusion
