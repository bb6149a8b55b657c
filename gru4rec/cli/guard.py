"""Know what a command reads and writes, and refuse an output that would replace an input.

Every parameter that is a path has one of the types `Reads`, `Writes` and `WritesFolder`; before a
command begins, its outputs are compared with its inputs and with each other.
"""

import glob
import os
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import click


class Reads(click.ParamType[Any]):
    """A path that is read: a file, a folder with all below it, or a glob of either.

    Click logs and tables may be addresses of object stores, which no output replaces.
    """

    name = "path"


class Writes(click.ParamType[Any]):
    """A path of a file that is written."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path. Raise DataError for an address, and for one that says it is a folder."""
        from gru4rec.addresses import refuse_address
        from gru4rec.errors import DataError

        refuse_address(value, DataError, writes=True)

        if str(value).endswith(os.sep) and not isinstance(self, WritesFolder):
            raise DataError(f"cannot write {value}: it is a folder; name a file in it")
        return Path(value)


class WritesOrAsks(Writes):
    """A path of a file that is written, or the address of a service, such as redis://host."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path; an address stays the text that it is."""
        return value if "://" in str(value) else super().convert(value, param, ctx)


class WritesFolder(Writes):
    """A path of a folder that is written."""


class Guarded(click.Command):
    """A command whose outputs replace nothing that it reads, and can be written at all."""

    shares_work = False
    """Whether the processes that a launcher has started do it together."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Raise DataError before it begins, where an output is no place for it."""
        from gru4rec.atomic import check_writable
        from gru4rec.errors import DataError

        if is_one_of_several() and not self.shares_work and os.environ.get("RANK") == "0":
            click.echo(
                f"{os.environ['WORLD_SIZE']} processes were started (WORLD_SIZE): each does all of "
                f"{ctx.info_name}, only train is shared",
                err=True,
            )
        outputs, folders = list(_paths(ctx, Writes)), dict(_paths(ctx, WritesFolder))
        for (option, output), (other, second) in combinations(outputs, 2):
            if _is_same(_resolved(output), _resolved(second)):
                raise DataError(f"{option} and {other} are both {output}; name two files")
        for option, output in outputs:
            if option not in folders:
                check_writable(output)
            for read, path in _paths(ctx, Reads):
                for file in _files(path):
                    if _replaces(output, file):
                        raise DataError(
                            f"{option} {output} would replace {file}, which {read} reads; write to "
                            "another place"
                        )
        return super().invoke(ctx)


def is_one_of_several() -> bool:
    """Whether a launcher has started several processes."""
    return os.environ.get("WORLD_SIZE", "1") not in ("", "0", "1")


def _paths(ctx: click.Context, kind: type[click.ParamType[Any]]) -> Iterator[tuple[str, Path]]:
    """Yield the paths of the parameters of a kind, by how the user writes the parameter."""
    for param in ctx.command.params:
        value = ctx.params.get(param.name or "")
        if isinstance(param.type, kind) and value is not None:
            for path in [value] if isinstance(value, str | Path) else value:
                if isinstance(path, Path) or kind is Reads:
                    yield _label(param), Path(path)


def _label(param: click.Parameter) -> str:
    return param.opts[0] if isinstance(param, click.Option) else param.human_readable_name


def _files(path: Path) -> list[Path]:
    """Return what a path that is read stands for: itself, or the files of a glob."""
    try:
        if path.exists():
            return [path]
        return [Path(file) for file in glob.glob(str(path), recursive=True)]  # noqa: PTH207 - takes absolute globs
    except (OSError, ValueError):
        return []  # what reads it says what is wrong


def _replaces(output: Path, read: Path) -> bool:
    """Whether to write `output` would change what is read at `read`, a file or a folder."""
    from gru4rec.layout import META

    place, source = _resolved(output), _resolved(read)
    if _is_device(place):
        return False
    # Beside the files of a log a new file may lie, or a folder of ours: neither is part of the log.
    # In a checkpoint nothing may.
    if source in place.parents and (place.is_file() or (source / META).exists()):
        return True
    if place == source or place in source.parents:
        return True
    files = source.rglob("*") if source.is_dir() else [source]
    if place.is_dir():
        return any(file.is_symlink() and place in _resolved(file).parents for file in files)
    return place.exists() and any(_is_same(file, place) for file in files)


def _is_device(place: Path) -> bool:
    return place.exists() and not (place.is_file() or place.is_dir())


def _is_same(path: Path, other: Path) -> bool:
    """Whether two paths are one file, also by a link; a device is one for each."""
    try:
        return not _is_device(path) and (path == other or path.samefile(other))
    except OSError:
        return False


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):
        return path
