"""Packages that only some features need."""

from importlib import import_module
from types import ModuleType

from gru4rec.errors import MissingExtraError


def import_extra(package: str, *, extra: str) -> ModuleType:
    """The package, which comes with an extra of this one.

    Raises MissingExtraError, which says what to install, where it is not there.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise MissingExtraError(
            f"{package} is not installed, and this needs it; pip install 'gru4rec[{extra}]'"
        ) from error
