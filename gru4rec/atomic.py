"""Write files and folders whole: a reader sees the old one or the new one, never a mix.

New content is written in a hidden folder beside its place, and swapped in at the end by renames. A
rename either happens or it does not. A folder needs two of them: the older folder steps aside, then
the new one takes its place. If the machine stops between the two, nothing stands at the path and
the older folder stands beside it, and `mend` puts it back.

The hidden folder is locked while it is written, and a lock ends with its process. So the next write
to the same path tells what a dead process left, and removes it.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import get_ident

import polars as pl

from gru4rec.errors import DataError, Gru4RecError

_LONGEST_NAME = 200  # bytes of a name that hidden ones are made of; file systems take 255

Refusals = (OSError, UnicodeError, pl.exceptions.PolarsError)
"""What the system and the engines raise where they cannot write."""


@contextmanager
def replaced(path: Path, *, error: type[Gru4RecError]) -> Iterator[Path]:
    """Give an empty folder to fill, which becomes `path` at the end.

    After a failure the new folder is gone, and `path` is as it was before. Raise `error` if another
    process is writing there.
    """
    path = path.resolve()
    new, old = beside(path, "new"), beside(path, "old")
    if not _is_left(new):
        raise error(f"{path} is being written by another process; wait for its end")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        with _locked(new):
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
    name = os.fsencode(path.name)
    if len(name) > _LONGEST_NAME:
        name = name[: _LONGEST_NAME // 2] + hashlib.sha256(name).hexdigest().encode()
    return path.with_name(f".{name.decode(errors='replace')}.{role}")


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
    path = _place(path, error)
    _try_to_write_beside(path, error)
    mend(path, error=error)
    if not path.exists():
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


def check_writable(path: Path) -> None:
    """Raise DataError unless a file can be written to `path`, so that no work is done in vain."""
    place = _place(path, DataError)
    if place.is_dir():
        raise DataError(f"cannot write {path}: it is a folder; name a file in it")
    if not place.parent.is_dir():
        raise DataError(f"cannot write {path}: {place.parent} is no folder; make it first")
    if _is_device(place):
        return
    _try_to_write_beside(place, DataError)


def write_beside(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, then rename it; a failure leaves `path` as it was.

    A link is followed. A device or a pipe is filled at the end, never renamed over. Raise DataError
    if the file cannot be written.
    """
    check_writable(path)
    place = _place(path, DataError)
    try:
        if _is_device(place):
            with TemporaryDirectory() as folder:
                _fill(place, write, Path(folder) / "content")
        else:
            _replace(place, write)
    except Refusals as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"cannot write {path}: {reason}") from error


def _fill(device: Path, write: Callable[[Path], object], content: Path) -> None:
    write(content)
    with content.open("rb") as source, device.open("wb") as stream:
        shutil.copyfileobj(source, stream)


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    name = beside(path, "").name
    hidden = re.compile(re.escape(name) + r"\d+\.\d+\.new")
    for left in filter(lambda other: hidden.match(other.name), list(path.parent.iterdir())):
        if _is_left(left):
            _remove(left)
    folder = path.with_name(f"{name}{os.getpid()}.{get_ident()}.new")
    folder.mkdir()
    try:
        with _locked(folder):
            new = folder / "content"
            write(new)
            if path.exists():
                shutil.copymode(path, new)
            new.replace(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _place(path: Path, error: type[Gru4RecError]) -> Path:
    """Return where a path leads. Raise `error` if its name is none that a file can have."""
    try:
        str(path).encode()
        place = path.resolve()
        place.exists()
    except UnicodeError as refusal:
        raise error(f"cannot write {path!r}: its name is no UTF-8; choose another") from refusal
    except (OSError, RuntimeError, ValueError) as refusal:
        raise error(f"cannot write {str(path)[:100]!r}: {refusal}") from refusal
    if not place.name:
        raise error(f"cannot write {path}: it is the whole disk; name a place on it")
    return place


def _try_to_write_beside(path: Path, error: type[Gru4RecError]) -> None:
    """Raise `error` unless a folder can be made where `path` will be."""
    above = next(parent for parent in path.parents if parent.exists())
    try:
        with TemporaryDirectory(dir=above, prefix=".") as folder:
            parts = path.relative_to(above).parts
            (Path(folder) / parts[0]).mkdir()  # a name too long, or of signs that it cannot have
    except (OSError, ValueError) as refusal:
        reason = getattr(refusal, "strerror", None) or str(refusal)
        raise error(
            f"cannot write {path}: {above} is no folder to write in ({reason})"
        ) from refusal


def _is_device(path: Path) -> bool:
    """Whether something stands there that is neither a file nor a folder."""
    return path.exists() and not path.is_file() and not path.is_dir()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder while this lasts; where a system knows no such locks, do nothing."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _is_left(path: Path) -> bool:
    """Whether nothing stands there, or what a dead process left."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
