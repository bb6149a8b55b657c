"""Write files and folders whole: a reader sees the old one or the new one, never a mix.

New content is written beside its place, under a hidden name, and swapped in at the end by renames.
A rename either happens or it does not. A folder needs two of them: the older folder steps aside,
then the new one takes its place. If the machine stops between the two, nothing stands at the path
and the older folder stands beside it, and `mend` puts it back.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from pathlib import Path
from threading import get_ident

from gru4rec.errors import DataError, Gru4RecError


@contextmanager
def replaced(path: Path, *, error: type[Gru4RecError]) -> Iterator[Path]:
    """Give an empty folder to fill, which becomes `path` at the end.

    After a failure the new folder is gone, and `path` is as it was before.
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
    """Return where the "new" or the "old" folder lies while `path` is being replaced."""
    return path.with_name(f".{path.name}.{role}")


def mend(path: Path, *, error: type[Gru4RecError]) -> None:
    """Put the older folder back, if a crash came between the two renames of `replaced`.

    If the new folder had already taken its place, remove the older one. Raise `error` if the older
    folder cannot be renamed.
    """
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

    Nothing may stand there, and the folder above must be one to write in. With `force` an empty
    folder or an older one of this kind may stand there, and nothing else. One of this kind has a
    file of `marks`, and no names but `files`. What a crash left beside the path is put back first.
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


def write_beside(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, then rename it; a failure leaves `path` as it was.

    Raise DataError if the file cannot be written.
    """
    if path.is_dir():
        raise DataError(f"cannot write {path}: it is a folder; name a file in it")
    new = path.with_name(f".{path.name}.{os.getpid()}.{get_ident()}.new")
    try:
        write(new)
        new.replace(path)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        new.unlink(missing_ok=True)
