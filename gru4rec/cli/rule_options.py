"""Options that make sets of rules of lists, to be measured beside each other."""

from typing import TYPE_CHECKING, Any

import click

from gru4rec.cli.guard import Reads
from gru4rec.cli.options import chain

if TYPE_CHECKING:
    from gru4rec.serving import ListRules

_NAMES = {
    "diversity": "diversity {diversity:g}",
    "at_most": "at most {at_most} per {per}",
    "allow_where": "where {allow_where}",
}

rule_options = chain(
    click.option(
        "--rules",
        type=Reads(),
        metavar="FILE.toml",
        help="Also under each set of rules of this file, a section each.",
    ),
    click.option(
        "--diversity",
        metavar="X,X,…",
        help="Also with lists varied so much, from 0 to 1: a set of rules for each number.",
    ),
    click.option(
        "--at-most", type=int, metavar="N", help="Also with N items of one --per at most in a list."
    ),
    click.option("--per", metavar="COLUMN", help="Column of the items table for --at-most."),
    click.option(
        "--allow-where",
        metavar="SQL",
        help='Also with these items alone, by the items table, e.g. "price < 10".',
    ),
    click.option(
        "--items-table",
        type=Reads(),
        metavar="TABLE",
        help="Table of item_id and attributes, for rules and metrics that read it.",
    ),
)
"""Sets of rules: --at-most and --allow-where hold with each --diversity; those of --rules besides.
"""


def rule_sets_of(options: dict[str, Any]) -> "dict[str, ListRules]":
    """Return the sets of rules that the options ask for, by name.

    Raise ConfigError for a value that is none, and for two sets of one name.
    """
    from gru4rec.errors import ConfigError
    from gru4rec.serving import ListRules, rule_sets

    table = options["items_table"]
    sets = {} if options["rules"] is None else rule_sets(options["rules"], items_table=table)
    asked: dict[str, Any] = {name: options[name] for name in ("at_most", "per", "allow_where")}
    common = {name: value for name, value in asked.items() if value is not None}
    varied: list[dict[str, Any]] = [common] if common else []
    if options["diversity"] is not None:
        varied = [{"diversity": degree, **common} for degree in _numbers(options["diversity"])]
    for given in varied:
        rules = ListRules(**given, items_table=table)
        name = ", ".join(says.format(**given) for key, says in _NAMES.items() if key in given)
        if name in sets:
            raise ConfigError(f"two sets of rules would be {name!r}; name that of the file anew")
        sets[name] = rules
    return sets


def _numbers(text: str) -> list[float]:
    """Return the numbers of a list with commas, each once. Raise ConfigError for what is none."""
    from gru4rec.errors import ConfigError
    from gru4rec.untrusted import shown

    try:
        return list(dict.fromkeys(float(number) for number in text.split(",")))
    except ValueError as error:
        raise ConfigError(
            f"diversity is numbers from 0 to 1 with commas between them, got {shown(text)}",
            mend_with=["diversity"],
        ) from error
