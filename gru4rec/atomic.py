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
import time
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import get_ident

import polars as pl

from gru4rec.addresses import refuse_address, trouble_with
from gru4rec.errors import DataError, Gru4RecError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_LONGEST_NAME = 200  # bytes of a name that hidden ones are made of; file systems take 255
_LINKS = 40  # on the way to a file, as Linux has it
_ATTEMPTS, _PAUSE = 40, 0.01  # seconds between them

Refusals = (OSError, UnicodeError, pl.exceptions.PolarsError)
"""What the system and the engines raise where they cannot write."""


@contextmanager
def replaced(path: Path, *, error: type[Gru4RecError]) -> Iterator[Path]:
    """Give an empty folder to fill, which becomes `path` at the end.

    After a failure the new folder is gone, and `path` is as it was before. Raise `error` if another
    process is writing there.
    """
    path = place_of(path, error)
    old = beside(path, "old")
    with _held(beside(path, "new"), path, error) as new:
        yield new
        for written in filter(Path.is_file, new.iterdir()):
            with written.open("rb") as file:
                os.fsync(file.fileno())
        _put_back(path, error=error)
        try:
            if path.exists():
                path.rename(old)
            new.rename(path)
        except BaseException:
            _put_back(path, error=error)
            raise
        shutil.rmtree(old, ignore_errors=True)


def beside(path: Path, role: str) -> Path:
    """Return where the "new" or the "old" folder lies while `path` is being replaced."""
    name = os.fsencode(path.name)
    if len(name) > _LONGEST_NAME:
        name = name[: _LONGEST_NAME // 2] + hashlib.sha256(name).hexdigest().encode()
    return path.with_name(f".{name.decode(errors='replace')}.{role}")


def mend(path: Path, *, error: type[Gru4RecError]) -> None:
    """Put the older folder back, if a crash came between the two renames of `replaced`.

    If the new folder had already taken its place, remove the older one. Raise `error` if the older
    folder cannot be renamed. What another process is at is left to it.
    """
    with suppress(OSError):  # nothing stands there
        if (lock := locked(beside(path, "new"))) is None:
            return
        os.close(lock)
    _put_back(path, error=error)


def _put_back(path: Path, *, error: type[Gru4RecError]) -> None:
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
    path: Path, *, force: bool, kind: str, marks: Set[str], files: Set[str],
    error: type[Gru4RecError],
) -> None:  # fmt: skip
    """Raise `error` unless a folder of this `kind` may be written to `path`.

    Nothing may stand there, and the folder above must be one to write in. With `force` an empty
    folder or an older one of this kind may stand there, and nothing else. One of this kind has a
    file of `marks`, and no names but `files`. What a crash left beside the path is put back first.
    """
    path = place_of(path, error)
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
    place = place_of(path, DataError)
    if _descriptor_of(path) is not None:
        return
    if place.is_dir():
        raise DataError(f"cannot write {path}: it is a folder; name a file in it")
    if not place.parent.is_dir():
        raise DataError(f"cannot write {path}: {place.parent} is no folder; make it first")
    if _is_device(place):
        return
    _try_to_write_beside(place, DataError)


def write_beside(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, then rename it; a failure leaves `path` as it was.

    A link is followed. A device, a pipe or an open file (/dev/stdout) is filled at the end, never
    renamed over. Raise DataError if the file cannot be written.
    """
    check_writable(path)
    place = place_of(path, DataError)
    try:
        number = _descriptor_of(path)
        if number is not None or _is_device(place):
            with TemporaryDirectory() as folder:
                content = Path(folder) / "content"
                write(content)
                # An open file goes on where it stands: the shell's >> keeps what is there.
                stream = place.open("wb") if number is None else os.fdopen(os.dup(number), "wb")
                with stream, content.open("rb") as source:
                    shutil.copyfileobj(source, stream)
        else:
            _replace(place, write)
    except Refusals as error:
        if trouble_with(error) is not None:  # with what is read meanwhile
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"cannot write {path}: {reason}") from error


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    name = beside(path, "").name
    hidden = re.compile(re.escape(name) + r"\d+\.\d+\.new(?:\.\w+)?")
    for left in list(path.parent.iterdir()):
        if hidden.fullmatch(left.name):
            with suppress(OSError):
                _remove_left(left)
    folder = path.with_name(f"{name}{os.getpid()}.{get_ident()}.new")
    with _held(folder, path, DataError):
        new = folder / "content"
        write(new)
        if path.exists():
            shutil.copymode(path, new)
        new.replace(path)


def place_of(path: str | Path, error: type[Gru4RecError]) -> Path:
    """Return where a path leads. Raise `error` for an address, and a name that no file can have."""
    refuse_address(path, error, writes=True)
    try:
        str(path).encode()
        place = Path(path).resolve()
        place.exists()
    except UnicodeError as refusal:
        raise error(f"cannot write {str(path)!r}: its name is no UTF-8") from refusal
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
        raise error(f"cannot write {path}: {above} takes no such folder ({reason})") from refusal


def _is_device(path: Path) -> bool:
    """Whether something stands there that is neither a file nor a folder."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _descriptor_of(path: Path) -> int | None:
    """Return the open file that a path stands for, as /dev/stdout and /dev/fd/3 do; else None."""
    for _ in range(_LINKS):
        above = path.parent.resolve()
        if above == Path(f"/proc/{os.getpid()}/fd") and path.name.isdecimal():
            return int(path.name)
        if not path.is_symlink():
            break
        path = above / path.readlink()
    return None


@contextmanager
def _held(folder: Path, path: Path, error: type[Gru4RecError]) -> Iterator[Path]:
    """Make a hidden folder and lock it while this lasts; remove it, if it is still there then.

    Raise `error` if somebody else is writing `path` there.
    """
    for _ in range(_ATTEMPTS):
        if (lock := _made(folder)) is not None:
            break
        time.sleep(_PAUSE)  # a left-over is being looked at
    else:
        raise error(f"{path} is being written by another process; wait for its end")
    try:
        yield folder
    finally:
        if _is_at(lock, folder):
            shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _made(folder: Path) -> int | None:
    """Make a folder and return what locks it; None where somebody else is at it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        _remove_left(folder)
        folder.mkdir()
        lock = locked(folder)
    except (FileExistsError, FileNotFoundError):
        return None
    if lock is not None and not _is_at(lock, folder):  # taken for a left-over before it was locked
        os.close(lock)
        return None
    return lock


def _remove_left(path: Path) -> None:
    """Remove what a dead process left, if that is what stands there. Raise OSError."""
    if not path.exists() or (lock := locked(path)) is None:
        return
    try:
        if _is_at(lock, path):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    finally:
        os.close(lock)


def locked(path: Path) -> int | None:
    """Return an open file that locks a file or folder until it is closed, None if another does.

    The lock ends with the process. Where a system knows no such locks, nothing is locked.
    """
    if fcntl is None:
        path.stat()
        return os.open(os.devnull, os.O_RDONLY)
    lock = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    except OSError:  # a file system without locks
        pass
    return lock


def _is_at(lock: int, path: Path) -> bool:
    """Whether what is locked still is what stands at the path."""
    try:
        return fcntl is None or os.path.samestat(os.fstat(lock), path.stat())
    except OSError:
        return False
