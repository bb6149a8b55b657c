"""`gru4rec evaluate`: a checkpoint, baselines and held-out sessions → `evaluate` → a table."""

import math
import shutil
import sys
from collections.abc import Container
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gru4rec.cli.event_options import event_options, events_of
from gru4rec.cli.guard import Guarded, Reads, Writes
from gru4rec.cli.options import click_log_options, device_option, output_options, read_options
from gru4rec.cli.rule_options import measured_rule_options, rule_sets_of

if TYPE_CHECKING:
    import polars as pl

    from gru4rec.recommenders import Recommender

_FORMATS = ("table", "json", "csv")
_ASKED = (
    "ks", "metrics", "by", "against", "intervals", "ties", "through_index", "category",
    "outcome",
)  # fmt: skip


@click.command("evaluate", cls=Guarded)
@click.argument("checkpoint", metavar="DIR", type=Reads())
@click.argument("clicks", nargs=-1, required=True, type=Reads())
@click.option(
    "-k",
    "ks",
    multiple=True,
    type=int,
    default=(5, 10, 20),
    show_default=True,
    metavar="N",
    help="Cut-off; may be repeated.",
)
@click.option(
    "--with",
    "others",
    multiple=True,
    type=Reads(),
    metavar="DIR",
    help="Another checkpoint to compare with, named by its folder; may be repeated.",
)
@click.option(
    "--baseline",
    "baselines",
    multiple=True,
    metavar="NAME",
    help="Baseline to compare with; may be repeated.",
)
@click.option(
    "--train",
    multiple=True,
    type=Reads(),
    metavar="CLICKS",
    help="Log to fit the baselines on; may be repeated.",
)
@click.option("--train-where", metavar="SQL", help="Rows of the --train log to take.")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    default=("recall", "mrr"),
    show_default=True,
    metavar="NAME",
    help="recall, mrr, ndcg, tie_rate, serendipity, popularity, novelty, tail_share, "
    "intra_list_diversity, category_diversity, calibration, coverage, gini or reward; may be "
    "repeated.",
)
@click.option(
    "--category",
    metavar="COLUMN",
    help="Column of the items table for category_diversity and calibration.",
)
@click.option(
    "--by",
    multiple=True,
    metavar="NAME",
    help="Also slice by slice: length, position, support, repeat or event; may be repeated.",
)
@click.option(
    "--against",
    metavar="NAME",
    help="Recommender of the table that all are compared with, session by session.",
)
@click.option(
    "--intervals/--no-intervals",
    default=True,
    show_default=True,
    help="95 % intervals, by bootstrap over sessions.",
)
@click.option(
    "--through-index", is_flag=True, help="Read ranks from what the index returns, not from scores."
)
@click.option(
    "--outcome",
    is_flag=True,
    help="Also measure how well the outcome of sessions is foretold: auc, log_loss and "
    "calibration_error.",
)
@click.option(
    "--report",
    type=Writes(),
    metavar="FILE.html",
    help="Also write a page with pictures: curves, slices, a session explained, training.",
)
@click.option(
    "--ties",
    default="conservative",
    show_default=True,
    metavar="RULE",
    help="Equal scores: conservative, standard or median.",
)
@click.option(
    "--history",
    multiple=True,
    type=Reads(),
    metavar="CLICKS",
    help="Log that came before, for models that read the earlier sessions of users.",
)
@measured_rule_options
@event_options
@output_options(_FORMATS)
@click_log_options
@device_option
def command(checkpoint: str, clicks: tuple[str, ...], **options: Any) -> None:
    """Measure the checkpoint DIR on the sessions in CLICKS: Recall@k and MRR@k of next clicks.

    Other checkpoints and baselines stand in the same table.
    """
    from gru4rec.atomic import write_beside
    from gru4rec.cli.output import choose_format
    from gru4rec.cli.progress import Display
    from gru4rec.clicks import read_clicks
    from gru4rec.evaluation import (
        check_packages,
        evaluate,
        evaluate_with_page,
        extra_columns,
    )

    if bool(options["baselines"]) != bool(options["train"]):
        raise click.UsageError("--baseline and --train go together: baselines are fitted on a log.")
    form = choose_format(options["form"], options["output"], _FORMATS)
    asked = {name: options[name] for name in _ASKED}
    asked |= _rules_and_table(options) | events_of(options)
    if options["report"] is not None:  # before anything is measured
        check_packages()
    read = read_options(options)
    recommenders = _recommenders(checkpoint, options, read)
    also = extra_columns(recommenders, options["event_col"], outcome=options["outcome"])
    log = read_clicks(clicks, **read, also=also).collect()
    if options["history"]:
        asked["history"] = read_clicks(options["history"], **{**read, "where": None}, also=also)
    with Display("evaluating") as display:
        asked["on_progress"] = display.show
        if options["report"] is None:
            table = evaluate(recommenders, log, **asked)
        else:
            table, page = evaluate_with_page(recommenders, log, **asked)
    _show(table, form, options)
    if options["report"] is not None:
        write_beside(options["report"], lambda file: file.write_text(page, encoding="utf-8"))


def _rules_and_table(options: dict[str, Any]) -> dict[str, Any]:
    """The sets of rules, and the table of items for the metrics; one that nothing reads is said."""
    rules, table = rule_sets_of(options), options["items_table"]
    by_metrics = table is not None and options["category"] is not None
    if table is not None and not by_metrics and not any(one.reads_table for one in rules.values()):
        click.echo("no rule and no metric reads the table of items: it is left out", err=True)
    return {"rules": rules, "items_table": table if by_metrics else None}


def _recommenders(
    checkpoint: str, options: dict[str, Any], read: dict[str, Any]
) -> "dict[str, Recommender]":
    """The checkpoint, the others and the fitted baselines by the names they have in the table."""
    from gru4rec.clicks import read_clicks
    from gru4rec.recommenders import load, make_baseline

    baselines = {name: make_baseline(name) for name in options["baselines"]}
    first = load(checkpoint, device=options["device"])
    recommenders = {first.name: first}
    for folder in options["others"]:
        other = load(folder, device=options["device"])
        recommenders[_unlike(Path(folder).resolve().name, recommenders)] = other
    if baselines:
        train = read_clicks(options["train"], **{**read, "where": options["train_where"]}).collect()
        for name, baseline in baselines.items():
            recommenders[_unlike(name, recommenders)] = baseline.fit(train)
    return recommenders


def _unlike(name: str, taken: Container[str]) -> str:
    """The name, with a number behind it if it is taken."""
    numbered = (f"{name} {number}" for number in count(2))
    return next(free for free in chain([name], numbered) if free not in taken)


def _show(table: "pl.DataFrame", form: str, options: dict[str, Any]) -> None:
    """Write the table: for people on standard output as `table`, else in its long form."""
    from gru4rec.cli.comparison_table import comparison_text
    from gru4rec.cli.output import write_table

    if form != "table" or options["output"] is not None:
        write_table(table, form, options["output"])
        return
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else math.inf
    click.echo(comparison_text(table, against=options["against"], room=room))
