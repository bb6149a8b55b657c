"""Import packages that only some features need."""

from importlib import import_module
from types import ModuleType

from gru4rec.errors import MissingExtraError


def import_extra(package: str, *, extra: str) -> ModuleType:
    """Import a package that comes with an extra of this one, and return it.

    Raise MissingExtraError, which says what to install, if it is not there.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise MissingExtraError(
            f"{package} is not installed, and this needs it; pip install 'gru4rec[{extra}]'"
        ) from error
