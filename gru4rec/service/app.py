"""Put the service together: the state, the door before it, the routes behind it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gru4rec.errors import CheckpointError, Gru4RecError
from gru4rec.service import openapi
from gru4rec.service.door import Door, error_response
from gru4rec.service.operations import OPERATIONS, PAGE
from gru4rec.service.refusal import Refusal
from gru4rec.service.routes import Handlers
from gru4rec.service.state import ServiceState


def app_of(state: ServiceState) -> Starlette:
    """Return the application of a state."""
    settings, release = state.settings, version("gru4rec")
    handlers = Handlers(state, openapi.document(settings, release), openapi.page(settings, release))
    labels = {getattr(handlers, each.handler): f"{each.method} {each.path}" for each in OPERATIONS}
    labels[handlers.page] = "GET /"
    routes = [
        Route(each.route, getattr(handlers, each.handler), methods=[each.method])
        for each in OPERATIONS
    ]
    routes += [Route(path, handlers.page) for path in PAGE]

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await state.start()
        yield
        await state.stop()

    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        middleware=[Middleware(Door, state=state, labels=labels)],
        exception_handlers={
            HTTPException: _no_route,
            Refusal: _refused,
            Gru4RecError: _cannot,
            Exception: _our_fault,
        },
    )
    app.router.redirect_slashes = False
    return app


def _no_route(request: Request, error: Exception) -> Response:
    return error_response(404, f"no route {request.method} {request.url.path}; see /docs")


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return error_response(error.status, str(error), error.headers)


def _cannot(request: Request, error: Exception) -> Response:
    return error_response(503 if isinstance(error, CheckpointError) else 422, str(error))


def _our_fault(request: Request, error: Exception) -> Response:
    return error_response(500, "an error of ours; the log of the service has it")
