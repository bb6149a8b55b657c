"""Run a service: listen, answer until it is told to stop, with one process or with several."""

import gc
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from gru4rec.errors import ConfigError, Gru4RecError, import_extra
from gru4rec.service.settings import ServiceSettings

if TYPE_CHECKING:
    from gru4rec.service.state import ServiceState

logger = logging.getLogger(__name__)

_PACKAGES = ("starlette", "uvicorn", "httptools", "prometheus_client")
_WAITING = 2048  # connections that wait to be accepted
_PATIENCE = 30  # seconds for the last answers when it is stopped, at most
_BEGUN, _AGAIN = "begun", 2.0  # a file that says a worker has begun; seconds between attempts
_IDLE = 75  # seconds that a connection stays open; proxies close theirs after 60
_SWITCH = 0.0005  # seconds: so the loop has its turn soon beside a model that is being loaded
_FAILED = 3  # exit status of a worker that could not begin, as uvicorn has it


def serve(settings: ServiceSettings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raise ConfigError where it cannot listen, MissingExtraError without the packages for it, and as
    `ServiceState` does for what cannot be served.
    """
    for package in _PACKAGES:
        import_extra(package, extra="serve")
    with closing(_listening(settings)) as listener:
        if settings.workers == 1:
            _serve_alone(settings, listener)
        else:
            _serve_by_workers(settings, listener)


def _serve_alone(settings: ServiceSettings, listener: socket.socket) -> None:
    from uvicorn import Server

    state, app = _app_of(settings)

    class SavingServer(Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            await state.save()  # before the last clients are waited for: none may go
            await super().shutdown(sockets)

    server = SavingServer(_config(settings, app))

    def stop(*_: object) -> None:
        server.should_exit = True

    # uvicorn sets handlers of its own once it runs, and raises the signal again at its end.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    _announce(settings, listener)
    server.run(sockets=[listener])


def _serve_by_workers(settings: ServiceSettings, listener: socket.socket) -> None:
    """Serve by processes that are started anew, not forked, and load the model themselves."""
    from uvicorn.supervisors import Multiprocess

    supervisors = logging.getLogger("uvicorn.error")  # which says when a worker died
    supervisors.addHandler(logging.StreamHandler())
    supervisors.setLevel(logging.INFO)
    with TemporaryDirectory(prefix="gru4rec-serve-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder  # read where it is first imported
        settings = settings.replace({"folder": folder})
        app = partial(_app_of_worker, settings)
        supervisor = Multiprocess(_config(settings, app, factory=True), sockets=[listener])
        _announce(settings, listener)
        supervisor.run()
        if any(process.exitcode == _FAILED for process in supervisor.processes):
            raise ConfigError("no worker could begin; why stands above")


def _app_of(settings: ServiceSettings) -> tuple["ServiceState", Any]:
    """Return the state and the application; make the process one for many small questions.

    Raise as `ServiceState` does.
    """
    import faiss
    import torch

    from gru4rec.service.app import app_of
    from gru4rec.service.state import ServiceState

    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    sys.setswitchinterval(_SWITCH)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    state = ServiceState(settings)
    app = app_of(state)
    gc.collect()
    gc.freeze()  # the collector need not look at a million ids again and again
    return state, app


def _app_of_worker(settings: ServiceSettings) -> Any:
    """Return the application in a worker.

    If there is none, the first workers end with one line. One that replaces a worker waits until
    there is: the others go on with the model that they have.
    """
    logging.basicConfig(stream=sys.stderr, format="%(message)s")
    logging.getLogger("gru4rec").setLevel(logging.INFO)
    from gru4rec.service.metrics import forget_the_dead

    folder = Path(settings.folder or ".")
    forget_the_dead(folder)
    while True:
        try:
            _, app = _app_of(settings)
            (folder / _BEGUN).touch()
            return app
        except Gru4RecError as error:
            logger.error("Error: %s", error)
            if not (folder / _BEGUN).exists():
                raise SystemExit(_FAILED) from None
            time.sleep(_AGAIN)


def _config(settings: ServiceSettings, app: Callable[..., Any], *, factory: bool = False) -> Any:
    from gru4rec.service.connections import BoundedConfig

    return BoundedConfig(
        app,
        factory=factory,
        settings=settings,
        workers=settings.workers,
        lifespan="on",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_IDLE,
        timeout_graceful_shutdown=_PATIENCE,
    )


def _listening(settings: ServiceSettings) -> socket.socket:
    """Return a socket that listens. Raise ConfigError if there can be none."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    address = (settings.host, settings.port)
    try:
        return socket.create_server(address, family=family, backlog=_WAITING)
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"cannot listen at {settings.host}, port {settings.port}: {error}; choose another "
            "host or port",
            mend_with=["host", "port"],
        ) from error


def _announce(settings: ServiceSettings, listener: socket.socket) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    by = "" if settings.workers == 1 else f" by {settings.workers} workers"
    address = f"http://{host}:{listener.getsockname()[1]}"
    logger.info("serving %s%s at %s", settings.checkpoint, by, address)
