"""What recommenders do on held-out sessions: figures, intervals, explanations, the page."""

from typing import TYPE_CHECKING

from gru4rec.faces import lazy_face

if TYPE_CHECKING:
    from gru4rec.evaluation.backtesting import WAYS, backtest
    from gru4rec.evaluation.comparison import evaluate, extra_columns
    from gru4rec.evaluation.inspection import explain, neighbours, summary
    from gru4rec.evaluation.report import check_packages, evaluate_with_page

__all__ = [
    "WAYS",
    "backtest",
    "check_packages",
    "evaluate",
    "evaluate_with_page",
    "explain",
    "extra_columns",
    "neighbours",
    "summary",
]

__getattr__, __dir__ = lazy_face(__name__)
