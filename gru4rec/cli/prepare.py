"""`gru4rec prepare`: options → a recipe → `prepare` → a folder of sessions and its card."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gru4rec.cli.guard import Guarded, Reads, WritesFolder

if TYPE_CHECKING:
    from gru4rec.preparation import Card

# option: (setting of the recipe, type, metavar, help); what is left out, the recipe says
_SETTINGS: dict[str, tuple[str, Any, str | None, str]] = {
    "--session-col": ("columns.session_col", str, "C", "Column of the session id."),
    "--user-col": ("columns.user_col", str, "C", "Column of the user id, to make sessions of."),
    "--item-col": ("columns.item_col", str, "C", "Column of the item id."),
    "--time-col": ("columns.time_col", str, "C", "Column of the time."),
    "--time-offset-col": (
        "columns.time_offset_col", str, "C", "Column of milliseconds since the session's date."
    ),
    "--header": ("layout.header", tuple, "A,B,C", "Column names of text files without this line."),
    "--explode": ("layout.explode", str, "C", "Column that lists a session's clicks as structs."),
    "--null": (
        "layout.null", tuple, "TEXT", "Text that stands for a missing value; may be repeated."
    ),
    "--where": ("rules.where", str, "SQL", "Rows to take, e.g. \"country = 'BE'\"."),
    "--drop-invalid": ("rules.drop_invalid", bool, None, "Drop and count rows that are invalid."),
    "--event-col": ("rules.event_col", str, "C", "Column of the kind of event."),
    "--events": ("rules.events", tuple, "A,B", "Kinds of event to keep."),
    "--gap": ("rules.gap", str, "30m", "Pause that ends a session; 30m where users make them."),
    "--gap-before-events": (
        "rules.gap_before_events", bool, None, "End sessions before kinds of event are dropped."
    ),
    "--drop-doubles": ("rules.drop_doubles", bool, None, "Keep one of rows equal in all columns."),
    "--drop-repeats": (
        "rules.drop_repeats", bool, None, "Keep one of clicks on an item that follow each other."
    ),
    "--max-session-clicks": ("rules.max_session_clicks", int, "N", "Most clicks of a session."),
    "--long-sessions": (
        "rules.long_sessions", str, "cut|newest|drop",
        "Of longer sessions keep the first clicks, the newest, or nothing."
    ),
    "--min-item-clicks": ("rules.min_item_clicks", int, "N", "Fewest clicks of an item."),
    "--min-session-clicks": ("rules.min_session_clicks", int, "N", "Fewest clicks of a session."),
    "--filter-rounds": (
        "rules.filter_rounds", int, "N", "Rounds of these two; left out, until nothing changes."
    ),
    "--valid": ("split.valid", str, "1d|10%|DATE", "Part to validate on, or none."),
    "--test": ("split.test", str, "1d|10%|DATE", "Part to test on, or none."),
    "--split-by": (
        "split.split_by", str, "start|end",
        "Leave out sessions that run across a cut, or give them to the later part."
    ),
}  # fmt: skip

_REPEATED = {"--null"}  # options of texts in which a comma may stand


def _options(function: Any) -> Any:
    for flag, (key, kind, metavar, text) in reversed(_SETTINGS.items()):
        name = key.replace(".", "__")
        if kind is bool:
            both = f"{flag}/--no-{flag.removeprefix('--')}"
            function = click.option(both, name, default=None, help=text)(function)
        else:
            one = str if kind is tuple else kind
            option = click.option(
                flag, name, type=one, multiple=flag in _REPEATED, metavar=metavar, help=text
            )
            function = option(function)
    return function


@click.command("prepare", cls=Guarded)
@click.argument("raw", nargs=-1, required=True, type=Reads())
@click.option(
    "-o",
    "--output",
    required=True,
    type=WritesFolder(),
    metavar="DIR",
    help="Folder to write.",
)
@click.option("--recipe", type=Reads(), metavar="FILE", help="Recipe in TOML; options override it.")
@_options
@click.option(
    "--engine",
    type=click.Choice(["polars", "spark"]),
    default="polars",
    show_default=True,
    help="What works: this machine, or Spark, by its own settings (extra [spark]).",
)
@click.option("--force", is_flag=True, help="Replace older prepared sessions at DIR.")
def command(raw: tuple[str, ...], output: Path, **options: Any) -> None:
    """Make sessions of the raw logs RAW: DIR/train.parquet, valid.parquet, test.parquet.

    The rules work in the order of the options. DIR/card.json says what each dropped and what is
    left; DIR/recipe.toml repeats it. With --engine spark the parts are folders of Parquet files.
    """
    from gru4rec.cli.progress import Display
    from gru4rec.preparation import Recipe, prepare

    recipe = Recipe() if options["recipe"] is None else Recipe.from_toml(options["recipe"])
    given = {key: options[key.replace(".", "__")] for key, *_ in _SETTINGS.values()}
    for key, kind, *_ in _SETTINGS.values():
        if kind is tuple and isinstance(given[key], str):
            given[key] = [name.strip() for name in given[key].split(",")]
        elif kind is tuple:
            given[key] = list(given[key] or ()) or None
    recipe = recipe.replace({key: value for key, value in given.items() if value is not None})
    with Display("preparing") as display:
        how = {"force": options["force"], "on_progress": display.show}
        if options["engine"] == "spark":
            from gru4rec.spark import prepare_paths

            card = prepare_paths(raw, output, recipe, **how)
        else:
            card = prepare(raw, output, recipe, **how)
    click.echo(as_text(card), err=True)
    click.echo(f"wrote {output}", err=True)


def as_text(card: "Card") -> str:
    """Return the card of a prepared log as text for a terminal."""
    lines: list[tuple[str, ...]] = [("", "clicks", "sessions", "items", "dropped")]
    for rule in card["rules"]:
        name = f"{rule['rule']} {rule['setting']}".strip()
        lines.append((name, *(_number(rule[key]) for key in lines[0][1:])))
    out = card["split"]["left_out"]
    lines.append(("across a cut, in no part", *map(_number, (out["clicks"], out["sessions"]))))
    for name, part in card["parts"].items():
        lines.append((name, *(_number(part[key]) for key in lines[0][1:4])))
    width = max(len(line[0]) for line in lines)
    text = [line[0].ljust(width) + "".join(cell.rjust(14) for cell in line[1:]) for line in lines]
    return "\n".join([*text, "", *_statistics(card), *_published(card)])


def _statistics(card: "Card") -> Iterator[str]:
    statistics = card["statistics"]
    if card["time"]:
        yield "sessions: " + ", ".join(f"{what} {when}" for what, when in card["time"].items())
    for name, cut in card["split"]["cuts"].items():
        yield f"{name} {cut['asked']}: from {cut['at']}"
    for name in ("session_clicks", "item_clicks"):
        steps = "  ".join(f"{at} {value:g}" for at, value in statistics[name].items())
        yield f"{name.replace('_', ' ')}: {steps}"
    yield f"targets clicked before in their session: {_percent(statistics['revisit_share'])}"
    yield (
        "transitions of train to the most frequent follower (how much order matters): "
        f"{_percent(statistics['order_share'])}"
    )
    for name, part in card["parts"].items():
        if "unknown_target_share" in part:
            yield f"{name} targets on items not in train: {_percent(part['unknown_target_share'])}"


def _published(card: "Card") -> Iterator[str]:
    for line in card["published"]:
        off = "" if line["found"] is None else f" ({line['found'] / line['published'] - 1:+.2%})"
        yield (
            f"published {line['of']} {line['what']} {_number(line['published'])}, "
            f"found {_number(line['found'])}{off}"
        )


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _percent(value: float | None) -> str:
    return "none" if value is None else f"{value:.1%}"
