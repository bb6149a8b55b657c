"""What recommenders do on held-out sessions: figures, intervals, explanations, the page."""

from typing import TYPE_CHECKING

from gru4rec.faces import lazy_face

if TYPE_CHECKING:
    from gru4rec.evaluation.comparison import evaluate
    from gru4rec.evaluation.inspection import explain, neighbours, summary
    from gru4rec.evaluation.report import html_page, report_needs, rows_asked_for

__all__ = [
    "evaluate",
    "explain",
    "html_page",
    "neighbours",
    "report_needs",
    "rows_asked_for",
    "summary",
]

__getattr__, __dir__ = lazy_face(__name__)
