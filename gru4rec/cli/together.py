"""Let the processes that a launcher has started run one command together, and speak as one."""

import logging
import os
import sys
from typing import Any, NoReturn

import click

from gru4rec.cli.guard import Guarded, is_one_of_several
from gru4rec.errors import Gru4RecError


class Together(Guarded):
    """A command of one process, or of several that WORLD_SIZE and RANK of the environment name.

    Of several the first prints, and the `obj` of the context is the process's `Ranks`. An error
    that all meet is said once, that of one is said by it, and the others end too.
    """

    shares_work = True

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        """Read the arguments. All processes have the same ones; the first says what is wrong."""
        try:
            return super().make_context(*args, **options)
        except (click.UsageError, Gru4RecError):
            if is_one_of_several() and os.environ.get("RANK", "0") != "0":
                sys.exit(2)
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        if not is_one_of_several():
            return super().invoke(ctx)
        # Else torch, which reads it once, prints a trace in C++ when another process is gone.
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
        from gru4rec.training import join_ranks

        with join_ranks() as ranks:
            ctx.obj = ranks
            if not ranks.is_first:
                logging.getLogger("gru4rec").handlers[:] = [logging.NullHandler()]
            try:
                return super().invoke(ctx)
            except (click.UsageError, Gru4RecError, KeyboardInterrupt) as error:
                _end(error, ranks)


def _end(error: BaseException, ranks: Any) -> NoReturn:
    """Say an error if no other process has said it, and end at once.

    What waits for other processes in C++, a thread perhaps, is not waited for.
    """
    from gru4rec.cli import with_options
    from gru4rec.errors import LostRankError

    if isinstance(error, KeyboardInterrupt):
        line = "Aborted!"
    elif isinstance(error, Gru4RecError):
        line = f"Error: {with_options(error)}"
    else:
        line = f"Error: {error.format_message()}" if isinstance(error, click.UsageError) else ""
    if isinstance(error, LostRankError):
        says = not ranks.knows_why() and ranks.speaks_first("lost")
    else:
        ranks.fails()
        says = ranks.speaks_first(line)
    if says:
        click.echo(line, err=True)
    ranks.leave()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1 if isinstance(error, KeyboardInterrupt) else 2)
