"""`gru4rec recommend`: sessions → `Recommender.recommend` → a table."""

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from gru4rec.cli.guard import Guarded, Reads
from gru4rec.cli.options import click_log_options, device_option, output_options, read_options
from gru4rec.cli.rule_options import allowed_of, list_options

if TYPE_CHECKING:
    from gru4rec.recommenders import Recommender

_FORMATS = ("table", "jsonl", "csv", "parquet")


@click.command("recommend", cls=Guarded)
@click.argument("checkpoint", metavar="DIR", type=Reads())
@click.argument("clicks", nargs=-1, type=Reads())
@click.option(
    "--items",
    metavar="A,B,C",
    help='One session given by hand: its items, in order; or as JSON, \'["A", "B"]\'.',
)
@click.option(
    "-k", default=20, show_default=True, metavar="N", help="Items to recommend for each session."
)
@output_options(_FORMATS)
@click.option("--exclude-clicked", is_flag=True, help="Leave out the items of the session itself.")
@click.option(
    "--allow",
    type=Reads(),
    metavar="FILE",
    help="Recommend only the items of this file: an id a line, or a table with a column of them.",
)
@click.option(
    "--deny",
    type=Reads(),
    metavar="FILE",
    help="Recommend none of the items of this file.",
)
@click.option(
    "--explain",
    is_flag=True,
    help="Say of each session whether the model or popularity answers, and how many clicks on "
    "unknown items were passed over.",
)
@click.option(
    "--outcome",
    is_flag=True,
    help="Say of each session how likely its outcome is, by a model that was trained with one.",
)
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Answer a log by so many processes, which share the cores.",
)
@list_options
@click_log_options
@device_option
def command(checkpoint: str, clicks: tuple[str, ...], **options: Any) -> None:
    """Recommend the next items of every session in CLICKS, or of --items, by the checkpoint DIR.

    CLICKS - reads standard input line by line as {"session_id": 1, "items": ["A", "B"]} and
    answers each line with one, {"session_id": 1, "items": […], "scores": […]} or {"error": "…"},
    before it reads the next.
    """
    from gru4rec.cli.output import choose_format, write_pieces
    from gru4rec.cli.processes import Processes, check_processes
    from gru4rec.cli.progress import counted
    from gru4rec.clicks import items_of_text, read_clicks
    from gru4rec.recommenders import fingerprint_of, load
    from gru4rec.serving import filter_of
    from gru4rec.sessions import Prefixes

    if bool(clicks) == (options["items"] is not None):
        raise click.UsageError("Give either CLICKS or --items.")
    form = choose_format(options["form"], options["output"], _FORMATS)
    if options["processes"] > 1:
        check_processes(clicks, options["device"])
    output, read = options["output"], read_options(options)
    options["item_col"] = read["item_col"]
    loaded = fingerprint_of(checkpoint)
    recommender = load(checkpoint, device=options["device"])
    allowed = allowed_of(options)
    if options["outcome"]:
        recommender.check_outcome()
    if clicks == ("-",):
        _reply(recommender, options, allowed)
        return
    prefixes: Prefixes
    if clicks:
        prefixes = read_clicks(clicks, **read, also=recommender.extra_columns)
    else:
        prefixes = [items_of_text(options["items"])]
    k, told = options["k"], {name: options[name] for name in ("explain", "outcome")}
    with ExitStack() as stack:
        if options["processes"] == 1:
            pieces = recommender.recommend_in_pieces(prefixes, k, **told, **allowed)
        else:
            filter_of(recommender, **allowed)  # what it refuses is said before they begin
            processes = stack.enter_context(Processes(checkpoint, loaded, options, allowed))
            pieces = recommender.answered(prefixes, k, **told, answer=processes.answer)
        # A bar would stand between rows that go to the same terminal as they come.
        on_terminal = output is None and sys.stdout.isatty()
        write_pieces(counted(pieces, hidden=on_terminal and form != "table"), form, output)


def _reply(recommender: "Recommender", options: dict[str, Any], allowed: dict[str, Any]) -> None:
    """Reply to the lines of standard input until it ends, or nobody reads any more."""
    from gru4rec.cli.json_lines import reply_lines
    from gru4rec.cli.streams import forget_output
    from gru4rec.serving import filter_of

    if options["output"] is not None or options["form"] not in (None, "jsonl"):
        raise click.UsageError("CLICKS - answers on standard output as JSON lines.")
    item_filter = filter_of(recommender, **allowed)
    lines, output = sys.stdin.buffer, sys.stdout.buffer
    how = {name: options[name] for name in ("explain", "outcome")} | {"item_filter": item_filter}
    try:
        for reply in reply_lines(lines, recommender, options["k"], **how):
            output.write(reply.encode() + b"\n")
            output.flush()
    except BrokenPipeError:  # the reader has gone, and with it the need for replies
        forget_output()
