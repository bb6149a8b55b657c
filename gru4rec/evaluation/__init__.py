"""What recommenders do on held-out sessions: figures, intervals, explanations, the page."""

from typing import TYPE_CHECKING

from gru4rec.faces import lazy_face

if TYPE_CHECKING:
    from gru4rec.evaluation.backtest_report import backtest_page
    from gru4rec.evaluation.backtesting import backtest
    from gru4rec.evaluation.comparison import evaluate
    from gru4rec.evaluation.inspection import explain, neighbours, summary
    from gru4rec.evaluation.kept_steps import forget_steps
    from gru4rec.evaluation.page import check_packages
    from gru4rec.evaluation.reading import extra_columns
    from gru4rec.evaluation.report import evaluate_with_page
    from gru4rec.evaluation.step_means import means_over_steps
    from gru4rec.evaluation.upkeep import WAYS

__all__ = [
    "WAYS",
    "backtest",
    "backtest_page",
    "check_packages",
    "evaluate",
    "evaluate_with_page",
    "explain",
    "extra_columns",
    "forget_steps",
    "means_over_steps",
    "neighbours",
    "summary",
]

__getattr__, __dir__ = lazy_face(__name__)
