"""Write files and folders whole: beside their place, then swapped in by renames."""

import os
import shutil
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from pathlib import Path
from threading import get_ident

from gru4rec.errors import DataError, Gru4RecError


def check_free(
    path: Path,
    *,
    force: bool,
    kind: str,
    marks: Set[str],
    files: Set[str],
    error: type[Gru4RecError],
) -> None:
    """Raise `error` unless a folder of this `kind` may be written to `path`.

    With `force` an older one may stand there, known by one of its `marks` and by having no names
    but `files`, or an empty folder, and nothing else. What a crash left beside the path is put back
    first.
    """
    path = path.resolve()
    mend(path, error=error)
    if not path.exists():
        above = next(parent for parent in path.parents if parent.exists())
        if not above.is_dir() or not os.access(above, os.W_OK):
            raise error(f"cannot write {path}: {above} is no folder to write in")
        return
    if not force:
        raise error(
            f"{path} exists; choose another folder, or replace it with force", mend_with=["force"]
        )
    names = {file.name for file in path.iterdir()} if path.is_dir() else {"a file"}
    if names and not (marks & names and names <= files):
        raise error(
            f"{path} is no {kind}, so force does not replace it; choose another folder",
            mend_with=["force"],
        )


@contextmanager
def replaced(path: Path, *, error: type[Gru4RecError]) -> Iterator[Path]:
    """An empty folder to fill, which becomes `path` at the end; after a failure it is gone.

    A reader finds the older folder or the new one, never a mix. What a crash on the way leaves is
    put back by `mend`.
    """
    path = path.resolve()
    new, old = beside(path, "new"), beside(path, "old")
    try:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        yield new
        for written in filter(Path.is_file, new.iterdir()):
            with written.open("rb") as file:
                os.fsync(file.fileno())
        if path.exists():
            path.rename(old)
        new.rename(path)
        shutil.rmtree(old, ignore_errors=True)
    except BaseException:
        mend(path, error=error)
        shutil.rmtree(new, ignore_errors=True)
        raise


def beside(path: Path, role: str) -> Path:
    """Where the "new" or the "old" folder lies while `path` is being replaced."""
    return path.with_name(f".{path.name}.{role}")


def mend(path: Path, *, error: type[Gru4RecError]) -> None:
    """Undo what a crash between the two renames of a swap left: the older folder comes back."""
    old = beside(path, "old")
    if not old.is_dir():
        return
    try:
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.rename(path)
    except OSError as refusal:
        raise error(f"{path} was being replaced; rename {old} to it ({refusal})") from refusal


def write_beside(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, then rename it: a failure leaves `path` as it was.

    Raises DataError where the file cannot be written.
    """
    if path.is_dir():
        raise DataError(f"cannot write {path}: it is a folder; name a file in it")
    beside = path.with_name(f".{path.name}.{os.getpid()}.{get_ident()}.new")
    try:
        write(beside)
        beside.replace(path)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        beside.unlink(missing_ok=True)
