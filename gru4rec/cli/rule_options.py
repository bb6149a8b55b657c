"""Options of rules of lists: one set for `recommend`, sets to measure beside each other."""

from typing import TYPE_CHECKING, Any

import click

from gru4rec.cli.guard import Reads
from gru4rec.cli.options import chain

if TYPE_CHECKING:
    from gru4rec.serving import ListRules

_SINGLE = ("allow_where", "at_most", "per", "diversity")
_NAMES = {
    "diversity": "diversity {diversity:g}",
    "at_most": "at most {at_most} per {per}",
    "allow_where": "where {allow_where}",
}

_single_options = chain(
    click.option(
        "--items-table",
        type=Reads(),
        metavar="TABLE",
        help="Table of item_id and attributes, for what reads it.",
    ),
    click.option(
        "--allow-where",
        metavar="SQL",
        help='Only items of which this is true, by the items table, e.g. "price < 50".',
    ),
    click.option(
        "--at-most", type=int, metavar="N", help="At most so many items of one --per in a list."
    ),
    click.option("--per", metavar="COLUMN", help="Column of the items table for --at-most."),
)

list_options = chain(
    _single_options,
    click.option(
        "--diversity", type=float, metavar="X", help="How varied a list is to be, from 0 to 1."
    ),
    click.option(
        "--rules", type=Reads(), metavar="FILE.toml", help="Rules from a file, a section a set."
    ),
    click.option("--rule-set", metavar="NAME", help="Which set of --rules, if it has several."),
)
"""Rules of all lists, from a file or one by one."""

measured_rule_options = chain(
    _single_options,
    click.option(
        "--diversity",
        metavar="X,X,…",
        help="Also with lists varied so much, from 0 to 1: a set of rules for each number.",
    ),
    click.option(
        "--rules",
        type=Reads(),
        metavar="FILE.toml",
        help="Also under each set of rules of this file, a section each.",
    ),
)
"""Sets of rules: --at-most and --allow-where hold with each --diversity; those of --rules besides.
"""


def rules_of(options: dict[str, Any]) -> "ListRules | None":
    """Return the rules that options ask for; None without.

    Raise UsageError for options that do not go together, ConfigError for values that are none.
    """
    from gru4rec.serving import ListRules

    table, file, name = (options[key] for key in ("items_table", "rules", "rule_set"))
    single = {key: options[key] for key in _SINGLE if options[key] is not None}
    if file is not None and single:
        raise click.UsageError("--rules has all rules: leave the single ones out, or in the file.")
    if name is not None and file is None:
        raise click.UsageError("--rule-set goes with --rules: it names a set of that file.")
    if file is None:
        rules = ListRules(**single, items_table=table)
    else:
        rules = ListRules.from_toml(file, name, items_table=table)
    if table is not None and not rules.reads_table:
        click.echo("no rule reads the table of items: it is left out", err=True)
    return rules if file is not None or single else None


def allowed_of(options: dict[str, Any]) -> dict[str, Any]:
    """Return what the options let be recommended: keyword arguments of `recommend`."""
    from gru4rec.clicks import read_items

    rules = rules_of(options)
    allowed: dict[str, Any] = {"exclude_clicked": options["exclude_clicked"], "rules": rules}
    for name in ("allow", "deny"):
        if options[name] is not None:
            allowed[name] = read_items(options[name], item_col=options["item_col"])
    return allowed


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
