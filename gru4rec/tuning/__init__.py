"""What measurement finds better: settings, an index, fewer bits."""

from typing import TYPE_CHECKING

from gru4rec.faces import lazy_face

if TYPE_CHECKING:
    from gru4rec.tuning.index_choice import choose_index
    from gru4rec.tuning.search import Trial, tune
    from gru4rec.tuning.shrinking import VARIANTS, compare, shrink

__all__ = ["VARIANTS", "Trial", "choose_index", "compare", "shrink", "tune"]

__getattr__, __dir__ = lazy_face(__name__)
