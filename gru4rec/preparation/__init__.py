"""A raw log becomes train, valid and test sessions on disk, by a recipe."""

from typing import TYPE_CHECKING

from gru4rec.faces import lazy_face

if TYPE_CHECKING:
    from gru4rec.preparation.card import Card
    from gru4rec.preparation.pipeline import prepare
    from gru4rec.preparation.recipe import Recipe

__all__ = ["Card", "Recipe", "prepare"]

__getattr__, __dir__ = lazy_face(__name__)
