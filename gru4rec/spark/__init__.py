"""Preparation and batch answers on Spark: its workers run our rules and recommenders on pieces."""

from typing import TYPE_CHECKING

from gru4rec.faces import lazy_face

if TYPE_CHECKING:
    from gru4rec.spark.from_paths import prepare_paths
    from gru4rec.spark.preparing import Prepared, prepare
    from gru4rec.spark.recommending import recommend
    from gru4rec.spark.table_answers import Answers

__all__ = ["Answers", "Prepared", "prepare", "prepare_paths", "recommend"]

__getattr__, __dir__ = lazy_face(__name__)
