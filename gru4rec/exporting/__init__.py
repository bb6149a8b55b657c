"""A trained model becomes files that other programs run or read."""

from typing import TYPE_CHECKING

from gru4rec.faces import lazy_face

if TYPE_CHECKING:
    from gru4rec.exporting.onnx_file import MOST_SCORED, export_onnx, names_file
    from gru4rec.exporting.steps import STEPS
    from gru4rec.exporting.vector_tables import item_table, session_pieces, session_table

__all__ = [
    "MOST_SCORED",
    "STEPS",
    "export_onnx",
    "item_table",
    "names_file",
    "session_pieces",
    "session_table",
]

__getattr__, __dir__ = lazy_face(__name__)
