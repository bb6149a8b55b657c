"""A recommender behind HTTP: running sessions, their next items, and a page to see them."""

from typing import TYPE_CHECKING

from gru4rec.faces import lazy_face

if TYPE_CHECKING:
    from gru4rec.service.running import serve
    from gru4rec.service.settings import ServiceSettings

__all__ = ["ServiceSettings", "serve"]

__getattr__, __dir__ = lazy_face(__name__)
