"""Take in the body of a request, within its bounds of size and time."""

import asyncio

from starlette.requests import ClientDisconnect, Request

from gru4rec.service.refusal import Refusal
from gru4rec.service.settings import ServiceSettings

_CLOSE = {"connection": "close"}  # what has not been read is not waited for


async def body_of(request: Request, settings: ServiceSettings) -> bytes:
    """Return the whole body. Raise Refusal if it is too large, or does not come in time."""
    most = settings.max_body
    too_large = Refusal(413, f"a body may have {most:,} bytes at most", _CLOSE)
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > most:
        raise too_large
    pieces, size = [], 0
    try:
        async with asyncio.timeout(settings.client_seconds):
            async for piece in request.stream():
                size += len(piece)
                if size > most:
                    raise too_large
                pieces.append(piece)
    except TimeoutError:
        raise Refusal(
            400, f"the body did not come within {settings.client_seconds:g} seconds", _CLOSE
        ) from None
    except ClientDisconnect:
        raise Refusal(400, "the client went before the body had come", _CLOSE) from None
    return b"".join(pieces)
