"""`gru4rec evaluate`: a checkpoint, baselines and held-out sessions → `evaluate` → a table."""

from collections.abc import Container
from itertools import chain, count
from pathlib import Path
from typing import Any

import click

from gru4rec.cli.options import click_log_options, device_option, output_options, read_options

_FORMATS = ("table", "json", "csv")


@click.command("evaluate")
@click.argument("checkpoint", metavar="DIR")
@click.argument("clicks", nargs=-1, required=True)
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
    "--train", multiple=True, metavar="CLICKS", help="Log to fit the baselines on; may be repeated."
)
@click.option("--train-where", metavar="SQL", help="Rows of the --train log to take.")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    default=("recall", "mrr"),
    show_default=True,
    metavar="NAME",
    help="recall, mrr, ndcg, popularity, coverage or tie_rate; may be repeated.",
)
@click.option(
    "--by",
    multiple=True,
    metavar="NAME",
    help="Also slice by slice: length, position or support; may be repeated.",
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
    "--report",
    type=click.Path(path_type=Path),
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
@output_options(_FORMATS)
@click_log_options
@device_option
def command(checkpoint: str, clicks: tuple[str, ...], **options: Any) -> None:
    """Measure the checkpoint DIR on the sessions in CLICKS: Recall@k and MRR@k of next clicks.

    Other checkpoints and baselines stand in the same table.
    """
    from gru4rec.atomic import write_beside
    from gru4rec.cli.output import choose_format, write_table
    from gru4rec.clicks import read_clicks
    from gru4rec.evaluation import evaluate
    from gru4rec.extras import import_extra
    from gru4rec.recommenders import Recommender, load, make_baseline

    baselines = {name: make_baseline(name) for name in options["baselines"]}
    if bool(baselines) != bool(options["train"]):
        raise click.UsageError("--baseline and --train go together: baselines are fitted on a log.")
    form = choose_format(options["form"], options["output"], _FORMATS)
    if options["report"] is not None:  # before anything is measured
        import_extra("matplotlib", extra="report")
    read = read_options(options)
    trained = load(checkpoint, device=options["device"])
    recommenders: dict[str, Recommender] = {trained.name: trained}
    for folder in options["others"]:
        other = load(folder, device=options["device"])
        recommenders[unlike(Path(folder).resolve().name, recommenders)] = other
    if baselines:
        train = read_clicks(options["train"], **{**read, "where": options["train_where"]}).collect()
        for name, baseline in baselines.items():
            recommenders[unlike(name, recommenders)] = baseline.fit(train)
    also = [name for each in recommenders.values() for name in each.side_inputs.values]
    log = read_clicks(clicks, **read, also=also).collect()
    asked = {name: options[name] for name in ("ks", "metrics", "by", "against", "intervals")}
    how = {name: options[name] for name in ("ties", "through_index")}
    if options["report"] is None:
        write_table(evaluate(recommenders, log, **asked, **how), form, options["output"])
        return
    from gru4rec.evaluation import html_page, report_needs, rows_asked_for

    table = evaluate(recommenders, log, **report_needs(**asked, first=trained.name), **how)
    write_table(rows_asked_for(table, **asked), form, options["output"])
    page = html_page(table, recommenders, log, against=options["against"])
    write_beside(options["report"], lambda file: file.write_text(page, encoding="utf-8"))


def unlike(name: str, taken: Container[str]) -> str:
    """The name, with a number behind it if it is taken."""
    numbered = (f"{name} {number}" for number in count(2))
    return next(each for each in chain([name], numbered) if each not in taken)
