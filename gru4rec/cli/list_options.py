"""Options that say what the lists of `recommend` are to be, and the rules they make."""

from typing import TYPE_CHECKING, Any

import click

from gru4rec.cli.guard import Reads
from gru4rec.cli.options import chain

if TYPE_CHECKING:
    from gru4rec.serving import ListRules

_SINGLE = ("allow_where", "at_most", "per", "diversity")

list_options = chain(
    click.option(
        "--items-table",
        type=Reads(),
        metavar="TABLE",
        help="Table of item_id and attributes, which rules read.",
    ),
    click.option(
        "--allow-where",
        metavar="SQL",
        help='Recommend only items of which this is true, e.g. "price < 50".',
    ),
    click.option("--at-most", type=int, metavar="N", help="Items of one kind in a list, by --per."),
    click.option("--per", metavar="COLUMN", help="Column that says the kind of an item."),
    click.option(
        "--diversity", type=float, metavar="X", help="How varied a list is to be, from 0 to 1."
    ),
    click.option(
        "--rules", type=Reads(), metavar="FILE.toml", help="Rules from a file, a section a set."
    ),
    click.option("--rule-set", metavar="NAME", help="Which set of --rules, if it has several."),
)
"""Rules of lists, from a file or one by one."""


def rules_of(options: dict[str, Any]) -> "ListRules | None":
    """Return the rules that options ask for; None without.

    Raise UsageError for options that do not go together, ConfigError for values that are none.
    """
    from gru4rec.errors import ConfigError, choose
    from gru4rec.serving import ListRules, rule_sets

    table, file, name = (options[key] for key in ("items_table", "rules", "rule_set"))
    single = {key: options[key] for key in _SINGLE if options[key] is not None}
    if file is not None and single:
        raise click.UsageError("--rules has all rules: leave the single ones out, or in the file.")
    if name is not None and file is None:
        raise click.UsageError("--rule-set goes with --rules: it names a set of that file.")
    if file is not None:
        sets = rule_sets(file, items_table=table)
        if name is None and len(sets) > 1:
            raise ConfigError(
                f"{file} has several sets of rules; choose one of {', '.join(sets)} by rule_set",
                mend_with=["rule_set"],
            )
        rules = choose("set of rules", name or next(iter(sets)), sets)
    else:
        rules = ListRules(**single, items_table=table)
    if table is not None and not rules.reads_table:
        raise click.UsageError("No rule reads --items-table; leave it out, or give --allow-where.")
    return rules if file is not None or single else None
