"""A raw log becomes train, valid and test sessions on disk, by a recipe."""

from typing import TYPE_CHECKING

from gru4rec.faces import lazy_face

if TYPE_CHECKING:
    from gru4rec.preparation.card import (
        Card,
        Tally,
        compare,
        counted,
        described,
        measured_line,
        rule_lines,
        share,
        transitions,
    )
    from gru4rec.preparation.pipeline import check_free, prepare, raw_rows_of, write_card
    from gru4rec.preparation.recipe import Recipe, Rules
    from gru4rec.preparation.rules import (
        CLICKS,
        by_start,
        refuse_nothing,
        revisits,
        stages,
        tallies_of,
        tidy,
        verbs_of,
    )
    from gru4rec.preparation.splitting import cut_as_asked, times_of
    from gru4rec.preparation.verbs import SUPPORT, fixpoint, keep_items, support

__all__ = [
    "CLICKS",
    "SUPPORT",
    "Card",
    "Recipe",
    "Rules",
    "Tally",
    "by_start",
    "check_free",
    "compare",
    "counted",
    "cut_as_asked",
    "described",
    "fixpoint",
    "keep_items",
    "measured_line",
    "prepare",
    "raw_rows_of",
    "refuse_nothing",
    "revisits",
    "rule_lines",
    "share",
    "stages",
    "support",
    "tallies_of",
    "tidy",
    "times_of",
    "transitions",
    "verbs_of",
    "write_card",
]

__getattr__, __dir__ = lazy_face(__name__)
