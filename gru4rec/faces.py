"""Give a package a lazy face: a name is imported from its module when it is first used.

torch and faiss take seconds to import, and `gru4rec --help` needs neither. So a package
says what it offers in `__all__`, and where it comes from in imports that only the type checker
runs:

    if TYPE_CHECKING:
        from gru4rec.clicks.split import split_by_time

    __all__ = ["split_by_time"]

    __getattr__, __dir__ = lazy_face(__name__)
"""

import ast
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any


def lazy_face(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the `__getattr__` and `__dir__` of a package.

    The first imports a name at its first use, and keeps it in the package for the next one. Where a
    name comes from is read from the package's own `if TYPE_CHECKING:` block.
    """

    def get_attribute(name: str) -> Any:
        home = _homes(package).get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(home), name)
        setattr(sys.modules[package], name, value)
        return value

    def list_names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *_homes(package)})

    return get_attribute, list_names


@cache
def _homes(package: str) -> dict[str, str]:
    """Return the module that each name of a package is imported from."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ImportError(f"{package} has no source to read its names from")
    with open(spec.origin, encoding="utf-8") as source:  # noqa: PTH123 - no pathlib at import
        tree = ast.parse(source.read())
    return {
        alias.asname or alias.name: statement.module
        for block in tree.body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for statement in block.body
        if isinstance(statement, ast.ImportFrom) and statement.module
        for alias in statement.names
    }
