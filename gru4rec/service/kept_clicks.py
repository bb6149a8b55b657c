"""A click as text that any worker reads, and any later model: its item, time and side inputs."""

import json
from datetime import UTC, datetime

from gru4rec.clicks import plain_id
from gru4rec.errors import DataError
from gru4rec.schema import TIMESTAMP
from gru4rec.service.question import Clicked


def kept_of(click: Clicked) -> str:
    """Return the text of a click: a list of its item and, if there is more, what is known."""
    known = {name: value for name, value in click.known.items() if value is not None}
    if TIMESTAMP in known:
        known[TIMESTAMP] = seconds_of(known[TIMESTAMP])
    return json.dumps([click.item, known] if known else [click.item], separators=(",", ":"))


def click_of(kept: bytes) -> Clicked | None:
    """Return the inverse of `kept_of`; None for what somebody else has written."""
    try:
        item, *others = json.loads(kept)
        known = dict(others[0]) if others else {}
        if TIMESTAMP in known:
            moment = datetime.fromtimestamp(known[TIMESTAMP], UTC)
            known[TIMESTAMP] = moment.replace(tzinfo=None)
        return Clicked(plain_id(item), known)
    except (ValueError, TypeError, OverflowError, OSError, RecursionError, DataError):
        return None


def seconds_of(moment: datetime) -> float:
    """Return the seconds since 1970 of a time without a zone, in UTC."""
    return moment.replace(tzinfo=UTC).timestamp()
