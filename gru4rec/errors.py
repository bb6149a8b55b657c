"""The exceptions that a user of gru4rec can mend.

    Gru4RecError            the root: catch this one to catch them all
    ├── DataError           a click log cannot be read, or has nothing to learn from
    ├── ConfigError         a setting is unknown, of the wrong type or out of range
    ├── CheckpointError     a checkpoint folder is missing, damaged, or in the way
    ├── DeviceError         the device asked for is not on this machine
    ├── DivergenceError     training left the finite numbers
    ├── MissingExtraError   a feature needs a package that is not installed
    ├── LostRankError       another process of the same training is gone
    ├── StoppedError        work was stopped before its end
    ├── ForkedError         a process was forked after Polars had run, and needs its threads
    └── NotFittedError      a recommender is used before it has learned

Every message says in one line what is wrong, what was given and what to do. Any other exception is
a bug of ours.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import TypeVar

from gru4rec.untrusted import shown

Entry = TypeVar("Entry")

_MOST, _KEPT = 480, (300, 170)  # characters of a message; of a longer one its beginning and end


class Gru4RecError(Exception):
    """Root of the errors that a user can mend."""

    def __init__(self, message: str, *, mend_with: Sequence[str] = ()) -> None:
        """Take the message, and the arguments in it that would mend the error.

        The command line writes these as its options: `item_col` with two dashes and a hyphen. The
        message becomes one line, and of a long one, which quotes what was given, the middle is cut.
        """
        super().__init__(_one_line(message))
        self.mend_with = tuple(mend_with)


def _one_line(message: str) -> str:
    start, end = _KEPT
    if len(message) > _MOST:
        message = f"{message[:start]} … {message[-end:]}"
    return " ".join(message.splitlines())


class DataError(Gru4RecError):
    """A click log cannot be read, or has nothing to learn from."""


class ConfigError(Gru4RecError):
    """A setting is unknown, of the wrong type, out of range, or contradicts another."""


class CheckpointError(Gru4RecError):
    """A checkpoint folder is missing, damaged, incomplete, or in the way."""


class DeviceError(Gru4RecError):
    """The device asked for is not on this machine."""


class DivergenceError(Gru4RecError):
    """Training left the finite numbers: its rate is too high."""


class MissingExtraError(Gru4RecError):
    """A feature needs a package that is not installed."""


class StoppedError(Gru4RecError):
    """Work was stopped before its end: a training as asked, or a process of several."""


class LostRankError(Gru4RecError):
    """Another process of the same training is gone, or does not answer."""


class ForkedError(Gru4RecError):
    """A process was forked after Polars had run, and needs threads that only its parent has."""


class NotFittedError(Gru4RecError):
    """A recommender is used before it has learned."""


def choose(kind: str, name: str, table: Mapping[str, Entry]) -> Entry:
    """Return the entry of that name. Raise ConfigError for an unknown one; it lists the table."""
    if name not in table:
        raise ConfigError(f"no {kind} {shown(name)}; choose from {', '.join(table)}")
    return table[name]


def import_extra(package: str, *, extra: str) -> ModuleType:
    """Import a package that comes with an extra of this one, or a part of it, and return that.

    Raise MissingExtraError, which says what to install, if it is not there.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise MissingExtraError(
            f"{package.partition('.')[0]} is not installed, and this needs it; "
            f"pip install 'gru4rec[{extra}]'"
        ) from error
