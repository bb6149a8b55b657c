"""`gru4rec serve`: a checkpoint → a service that answers over HTTP."""

import logging
from typing import Any

import click

from gru4rec.cli.guard import Guarded, Reads, WritesOrAsks


@click.command("serve", cls=Guarded)
@click.argument("checkpoint", metavar="DIR", type=Reads())
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", default=8000, show_default=True, help="Port; 0 takes a free one.")
@click.option(
    "--workers", default=1, show_default=True, metavar="N",
    help="Processes that answer; they share sessions in a Redis.",
)  # fmt: skip
@click.option(
    "--sessions", type=WritesOrAsks(), metavar="FILE.parquet|redis://…",
    help="Where sessions outlive the process: a file, or a Redis or Valkey.",
)  # fmt: skip
@click.option(
    "--items-table", type=Reads(), metavar="TABLE",
    help="Table of item_id, title and image, for the page, and of what rules read.",
)  # fmt: skip
@click.option(
    "--rules", type=Reads(), metavar="FILE.toml",
    help="Sets of rules, a section each, which requests ask for by name.",
)  # fmt: skip
@click.option(
    "--watch/--no-watch", default=True, show_default=True,
    help="Take a checkpoint that replaces the one that is served.",
)  # fmt: skip
@click.option(
    "--token-file", type=Reads(), metavar="FILE",
    help="File whose first line is the token that requests must bring.",
)  # fmt: skip
@click.option("--no-token", is_flag=True, help="Let other machines ask without a token.")
@click.option("-k", default=20, show_default=True, metavar="N", help="Items to recommend.")
@click.option("--max-k", default=1000, show_default=True, help="Items that a request may ask for.")
@click.option(
    "--max-items", default=1000, show_default=True,
    help="Items that a list may have, and clicks that are kept of a session.",
)  # fmt: skip
@click.option("--max-body", default=1_000_000, show_default=True, help="Bytes of a body.")
@click.option("--max-sessions", default=100_000, show_default=True, help="Sessions that are held.")
@click.option(
    "--session-minutes", default=30.0, show_default=True,
    help="Minutes without a click after which a session is over.",
)  # fmt: skip
@click.option(
    "--client-seconds", default=10.0, show_default=True,
    help="Seconds that a client may take to send a request.",
)  # fmt: skip
@click.option(
    "--max-connections", default=1000, show_default=True, help="Open connections of a worker."
)
@click.option(
    "--access-log/--no-access-log", default=True, show_default=True,
    help="Write a line of JSON for each request to standard output.",
)  # fmt: skip
def command(**options: Any) -> None:
    """Serve a checkpoint over HTTP: running sessions, their next items, and a page.

    DIR is the folder that `train -o` wrote. At / is the page, at /docs what can be asked. It needs
    the extra [serve].
    """
    from gru4rec.service import ServiceSettings, serve

    for handler in logging.getLogger("gru4rec").handlers:
        handler.filters.clear()  # what happens twice in a long life is said twice
    if options["sessions"] is not None:
        options["sessions"] = str(options["sessions"])
    serve(ServiceSettings(**{name: each for name, each in options.items() if each is not None}))
