"""The command line: one file per command, loaded when it is called."""

import logging
import os
import sys
from importlib import import_module
from typing import Any

import click

from gru4rec.addresses import trouble_with
from gru4rec.cli.progress import line_start
from gru4rec.cli.streams import REFUSED, forget_output, open_streams
from gru4rec.errors import Gru4RecError

# How long torch's threads spin while they wait for each other, in turns, before they sleep. With
# OpenMP's default, two programs on the same cores slow each other down thirtyfold; with this they
# share them, and alone nothing is lost. OpenMP reads it once, when torch is imported.
os.environ.setdefault("GOMP_SPINCOUNT", "2000")

# name: what `gru4rec --help` says of it, without importing it
COMMANDS = {
    "prepare": "Make train, valid and test sessions of a raw log.",
    "train": "Train GRU4Rec on a click log.",
    "update": "Learn new clicks on top of a checkpoint.",
    "add-items": "Put new items into a checkpoint by their attributes.",
    "tune": "Search for the settings that suit a log.",
    "fuse": "Mix a checkpoint with others, or with baselines.",
    "recommend": "Recommend the next items of sessions.",
    "serve": "Answer over HTTP: running sessions and their next items.",
    "evaluate": "Measure a checkpoint on held-out sessions.",
    "backtest": "Measure what freshness is worth, step by step through a log.",
    "index": "Choose the index that a checkpoint is served from.",
    "shrink": "Make a checkpoint smaller, and see what that costs.",
    "export": "Write a checkpoint as a file that other programs run or read.",
    "inspect": "Look into a checkpoint: what it is, items alike, why it recommends.",
    "sample": "Write the sample click log.",
}


class _Commands(click.Group):
    """A group that imports a command's module only to run it or to show its help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f"gru4rec.cli.{name.replace('-', '_')}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the program. What cannot be written to standard output is an error of one line."""
        open_streams()
        try:
            return super().main(*args, **options)
        except OSError as error:
            if error.errno not in REFUSED:
                raise
            forget_output()
            click.echo(f"Error: cannot write to standard output: {error.strerror}", err=True)
            sys.exit(2)

    def invoke(self, ctx: click.Context) -> object:
        """Run a command. An error that the user can mend becomes one line and exit status 2.

        So does one of an object store after the beginning, which Polars raises as it is.
        """
        try:
            return super().invoke(ctx)
        except Gru4RecError as error:
            click.echo(f"Error: {with_options(error)}", err=True)
            sys.exit(2)
        except OSError as error:
            trouble = trouble_with(error)
            if trouble is None:
                raise
            click.echo(f"Error: cannot read the click log to its end: {trouble}", err=True)
            sys.exit(2)


# Arguments whose options bear another name.
_OPTIONS = {"inputs": "--input", "k": "-k"}


def with_options(error: Gru4RecError) -> str:
    """Return the message of an error, with the arguments that would mend it spelled as options."""
    message = str(error)
    for name in error.mend_with:
        before, named, after = message.rpartition(name)
        if named:
            message = before + _OPTIONS.get(name, f"--{name.replace('_', '-')}") + after
    return message


class _Once(logging.Filter):
    """Lets each message through once: several steps of a command may read the same log."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the message is new."""
        message = record.getMessage()
        new = message not in self._said
        self._said.add(message)
        return new


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gru4rec", prog_name="gru4rec")
def main() -> None:
    """From a click log to the next items of a running session."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_Once())
    handler.setFormatter(logging.Formatter(f"{line_start()}%(message)s"))
    logger = logging.getLogger("gru4rec")
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO)
