"""`gru4rec backtest`: a log → `backtest` → a table of what freshness is worth."""

import sys
from typing import TYPE_CHECKING, Any

import click

from gru4rec.cli.guard import Guarded, Reads, Writes, WritesFolder
from gru4rec.cli.options import (
    click_log_options,
    device_option,
    long_sessions_option,
    output_options,
    read_options,
)
from gru4rec.cli.training_options import config_of, setting_options

if TYPE_CHECKING:
    import polars as pl

_FORMATS = ("table", "json", "csv")
_INTERRUPTED = "\ninterrupted; the same command with --resume goes on from there"


@click.command("backtest", cls=Guarded)
@click.argument("clicks", nargs=-1, required=True, type=Reads())
@click.option(
    "--train",
    "duration",
    required=True,
    metavar="14d",
    help="Time that is learned from at each step.",
)
@click.option("--every", required=True, metavar="1d", help="Time between two steps.")
@click.option("--test", metavar="1d", help="Time that is measured after each; else as --every.")
@click.option(
    "--ways", default="stale,update,full", show_default=True, metavar="NAME,…",
    help="How a model is kept: left as it is, updated, trained anew.",
)  # fmt: skip
@click.option(
    "--baseline", "baselines", multiple=True, metavar="NAME",
    help="Baseline that is fitted at each step; may be repeated.",
)  # fmt: skip
@click.option(
    "-k", "ks", multiple=True, type=int, default=(20,), show_default=True, metavar="N",
    help="Cut-off; may be repeated.",
)  # fmt: skip
@click.option(
    "--keep", type=WritesFolder(), metavar="DIR",
    help="Folder to keep what is done in, until the table is written.",
)  # fmt: skip
@click.option(
    "--resume", is_flag=True, help="Go on with the backtest that was interrupted at --keep DIR."
)
@click.option("--force", is_flag=True, help="Start afresh where one was interrupted at --keep DIR.")
@click.option(
    "--report", type=Writes(), metavar="FILE.html",
    help="Also write a page with pictures: figures, seconds and unknown items over time.",
)  # fmt: skip
@output_options(_FORMATS)
@click_log_options
@long_sessions_option
@setting_options
@device_option
def command(clicks: tuple[str, ...], **options: Any) -> None:
    """Measure what freshness is worth: go through the log CLICKS step by step.

    At each step a model that was left as it is, one that was updated and one that was trained anew
    are measured on the sessions that begin after it. With --keep a backtest that was interrupted
    goes on by the same command and --resume.
    """
    import polars as pl

    from gru4rec.atomic import write_beside
    from gru4rec.cli.output import choose_format, write_table
    from gru4rec.clicks import read_clicks
    from gru4rec.evaluation import backtest, backtest_page, check_packages, forget_steps

    keep = options["keep"]
    if keep is None and (options["resume"] or options["force"]):
        raise click.UsageError("--resume and --force go with --keep: they need its folder.")
    if options["resume"] and options["force"]:
        raise click.UsageError("--resume goes on, --force starts afresh; take one of them.")
    form = choose_format(options["form"], options["output"], _FORMATS)
    config = config_of(options)
    if options["report"] is not None:  # before anything is measured
        check_packages()
    read = {**read_options(options), "also": config.columns}

    def tell(step: Any, way: str) -> None:
        click.echo(f"step {step.number}, {step.start:%Y-%m-%d %H:%M}: {way}", err=True)

    log = read_clicks(clicks, **read).collect()
    if options["force"]:
        forget_steps(keep)
    asked = {
        "train": options["duration"],
        "every": options["every"],
        "test": options["test"],
        "config": config,
        "device": options["device"],
    }
    steps = backtest(
        log,
        **asked,
        ways=[way for way in options["ways"].split(",") if way],
        baselines=options["baselines"],
        ks=options["ks"],
        keep=keep,
        resume=options["resume"],
        on_step=tell,
    )
    try:
        table = pl.concat(steps)
    except KeyboardInterrupt:
        if keep is None:
            raise
        try:
            click.echo(_INTERRUPTED, err=True)
        except KeyboardInterrupt:  # Polars raises one itself, beside the one of Python
            click.echo(_INTERRUPTED, err=True)
        sys.exit(130)
    people = form == "table" and options["output"] is None
    write_table(_for_people(table) if people else table, form, options["output"])
    if options["report"] is not None:
        page = backtest_page(table, log, **asked)
        write_beside(options["report"], lambda file: file.write_text(page, encoding="utf-8"))
    if keep is not None:
        forget_steps(keep)


def _for_people(table: "pl.DataFrame") -> "pl.DataFrame":
    """Return a row for each step and one for all, with a column for each way and cut-off.

    Recall@k / MRR@k of all targets, those on unknown items as misses; below, the seconds of a step
    after the first.
    """
    import polars as pl

    from gru4rec.evaluation import means_over_steps

    of_all = pl.col("metric").is_in(["recall_all", "mrr_all"])
    every = means_over_steps(table).filter(of_all).with_columns(step=pl.lit("all"))
    steps = table.filter(of_all).with_columns(step=pl.col("start").dt.to_string("%Y-%m-%d %H:%M"))
    shown = ["step", "way", "metric", "k", "value"]
    rows = pl.concat([steps.select(shown), every.select(shown)])
    if rows["k"].n_unique() > 1:
        rows = rows.with_columns(way=pl.format("{} @{}", "way", "k"))
        every = every.with_columns(way=pl.format("{} @{}", "way", "k"))
    both = rows.pivot("metric", index=["step", "way"], values="value")
    pairs = zip(both["recall_all"], both["mrr_all"], strict=True)
    text = ["-" if recall is None else f"{recall:.3f} / {mrr:.3f}" for recall, mrr in pairs]
    cells = both.with_columns(text=pl.Series(text, dtype=pl.String))
    cells = cells.pivot("way", index="step", values="text")
    seconds = dict(every.select("way", "seconds").iter_rows())
    last = {"step": "seconds"} | {way: f"{seconds[way]:.1f}" for way in cells.columns[1:]}
    return pl.concat([cells, pl.DataFrame([last], schema=cells.schema)])
