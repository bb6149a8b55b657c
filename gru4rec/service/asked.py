"""Read what a request asks, from its query and its body, within bounds."""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from gru4rec.clicks import plain_ids
from gru4rec.errors import DataError
from gru4rec.schema import ITEM_ID, TIMESTAMP
from gru4rec.service.question import Clicked, ItemId, Only, Question
from gru4rec.service.refusal import Refusal
from gru4rec.service.settings import ServiceSettings
from gru4rec.serving import ListRules
from gru4rec.untrusted import shown

ANSWER_FIELDS = ("k", "exclude_clicked", "allow", "deny", "rules", "explain", "outcome")
"""What every question for items may say, in its query or its body."""

_LONGEST_TEXT = 256  # characters of an id, and of a side input
_LISTS = ("allow", "deny")
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}
_EPOCH, _LATEST = datetime(1970, 1, 1), datetime(2100, 1, 1)  # times of clicks lie between
_LARGEST = 2**63
# Numbers are told apart by their size, as times of a log are: (upper bound, parts of a second).
_UNITS = ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6), (math.inf, 1e9))


class Reader:
    """Reads requests within the bounds of a service. What it cannot take it refuses."""

    def __init__(self, settings: ServiceSettings, rules: Mapping[str, ListRules]) -> None:
        self._settings, self._rules = settings, rules

    def question(
        self,
        query: Mapping[str, Sequence[str]],
        body: Mapping[str, Any],
        *,
        session_id: str | None,
        takes_clicks: bool,
    ) -> Question:
        """Return the question of a query and a body, which may say the same things; body first.

        Without `takes_clicks` the body is nothing but about the answer.
        """
        asked = {name: self._of_query(name, values) for name, values in query.items()}
        asked |= {name: body[name] for name in body if name in ANSWER_FIELDS}
        told = {name: value for name, value in body.items() if name not in ANSWER_FIELDS}
        if told and not takes_clicks:
            raise Refusal(422, f"no field {shown(next(iter(told)))}; choose from {_named()}")
        if session_id is not None:
            self.check_id(session_id, "a session")
        return Question(
            session_id,
            self._clicks(told) if takes_clicks else (),
            self._k(asked.get("k"), least=0 if session_id is not None and takes_clicks else 1),
            Only(
                _truth(asked, "exclude_clicked"),
                self._ids(asked["allow"], "allow") if asked.get("allow") is not None else None,
                self._ids(asked["deny"], "deny") if asked.get("deny") is not None else (),
                self._set_of(asked.get("rules")),
            ),
            _truth(asked, "explain"),
            _truth(asked, "outcome"),
        )

    def k_of(self, query: Mapping[str, Sequence[str]], *besides: str) -> int:
        """Return how many items a query asks for; what it says `besides` was read before."""
        if strange := query.keys() - {"k"}:
            raise Refusal(
                422, f"no parameter {shown(min(strange))}; choose from {', '.join(('k', *besides))}"
            )
        return self._k(self._of_query("k", query["k"]) if "k" in query else None, least=1)

    def check_id(self, given: object, what: str) -> None:
        """Refuse an id that is empty, or larger than ids are."""
        if isinstance(given, str) and not 0 < len(given) <= _LONGEST_TEXT:
            raise Refusal(
                422,
                f"the id of {what} has 1 to {_LONGEST_TEXT} characters, got {shown(given)[:60]}",
            )
        if isinstance(given, str) and "\ufffd" in given:
            raise Refusal(422, f"the id of {what} is no UTF-8, got {shown(given)[:60]}")
        if isinstance(given, int) and not -(2**63) <= given < 2**64:
            raise Refusal(422, f"the id of {what} has 64 bits at most, got {shown(given)[:60]}")

    def _of_query(self, name: str, values: Sequence[str]) -> Any:
        """Return the value of a parameter as a body would have it."""
        if name in _LISTS:
            return values
        if name not in ANSWER_FIELDS:
            raise Refusal(422, f"no parameter {shown(name)}; choose from {_named()}")
        if len(values) > 1:
            raise Refusal(422, f"{name} was given {len(values)} times; give it once")
        (value,) = values
        if name == "k":
            return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else value
        return value if name == "rules" else _TRUTHS.get(value.lower(), value)

    def _set_of(self, name: object) -> ListRules | None:
        if name is None:
            return None
        if not isinstance(name, str) or name not in self._rules:
            known = f"choose from {', '.join(self._rules)}" if self._rules else "there are none"
            raise Refusal(422, f"no set of rules {shown(name)[:60]}; {known}")
        return self._rules[name]

    def _k(self, k: object, *, least: int) -> int:
        if k is None:
            return self._settings.k
        if type(k) is not int or not least <= k <= self._settings.max_k:
            raise Refusal(
                422, f"k must be a whole number from {least} to {self._settings.max_k}, got "
                f"{shown(k)}"
            )  # fmt: skip
        return k

    def _ids(self, given: object, name: str) -> tuple[ItemId, ...]:
        if not isinstance(given, list | tuple):
            raise Refusal(422, f"{name} must be a list of ids, got {shown(given)}")
        if len(given) > self._settings.max_items:
            raise Refusal(
                413, f"{name} may have {self._settings.max_items:,} ids at most, got {len(given):,}"
            )
        try:
            ids = plain_ids(given)
        except DataError as error:
            raise Refusal(422, f"{name}: {error}") from error
        for item in ids:
            self.check_id(item, "an item")
        return tuple(ids)

    def _clicks(self, told: Mapping[str, Any]) -> list[Clicked]:
        """Return the clicks that a body tells: of one item, or of items in their order."""
        if ("items" in told) == (ITEM_ID in told):
            given = ", ".join(sorted(told))[:60] or "neither"
            raise Refusal(
                422, f'the body must be {{"item_id": "A"}} or {{"items": ["A", "B"]}}, got {given}'
            )
        name = "items" if "items" in told else ITEM_ID
        items = self._ids(told[name] if name == "items" else [told[name]], name)
        known = {side: told[side] for side in told if side not in ("items", ITEM_ID)}
        times = [_moment(time) for time in _each(known.pop("time", None), len(items), "time")]
        sides = {
            side: [_side(each, side) for each in _each(value, len(items), side)]
            for side, value in known.items()
        }
        return [
            Clicked(
                item,
                {TIMESTAMP: times[place], **{side: sides[side][place] for side in sides}},
            )
            for place, item in enumerate(items)
        ]


def object_of(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a body; an empty body is an empty one. Refuse anything else."""
    if not body:
        return {}
    try:
        read = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"the body is no JSON: {error}") from error
    if not isinstance(read, dict):
        raise Refusal(422, f"the body must be an object of JSON, got {shown(read)}")
    return read


def _named() -> str:
    return ", ".join(ANSWER_FIELDS)


def _truth(asked: Mapping[str, Any], name: str) -> bool:
    value = asked.get(name, False)
    if type(value) is not bool:
        raise Refusal(422, f"{name} must be true or false, got {shown(value)}")
    return value


def _each(value: object, count: int, name: str) -> list[Any]:
    """Return a value for each click: one for all, or a list as long as the items."""
    if not isinstance(value, list):
        return [value] * count
    if len(value) != count:
        raise Refusal(422, f"{name} has {len(value)} values for {count} items; give as many")
    return value


def _side(value: object, name: str) -> object:
    """Return the value of a side input. Refuse what no column holds, and what is long."""
    is_short = not isinstance(value, str) or len(value) <= _LONGEST_TEXT
    is_small = not isinstance(value, int | float) or abs(value) < _LARGEST
    if isinstance(value, str | int | float | None) and is_short and is_small:
        return value
    raise Refusal(
        422, f"{name} must be a number, a truth value or a text of {_LONGEST_TEXT} characters at "
        f"most, got {shown(value)[:60]}"
    )  # fmt: skip


def _moment(time: object) -> datetime | None:
    """Return a time: seconds, milliseconds, … since 1970, or ISO text; without a zone, in UTC."""
    try:
        if time is None:
            return None
        moment = _read_moment(time)
        if moment is not None and _EPOCH <= moment < _LATEST:
            return moment
    except (ValueError, OverflowError, StopIteration):
        pass
    raise Refusal(
        422, f"time must be seconds since 1970 or ISO text, such as 2026-11-27T10:00:00, got "
        f"{shown(time)}"
    )  # fmt: skip


def _read_moment(time: object) -> datetime | None:
    """Return the moment of a text or a number. Raise ValueError and the like for what is none."""
    if isinstance(time, str) and len(time) <= _LONGEST_TEXT:
        moment = datetime.fromisoformat(time)
        return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
    if isinstance(time, int | float) and not isinstance(time, bool):
        parts = next(parts for bound, parts in _UNITS if abs(time) < bound)
        return _EPOCH + timedelta(seconds=time / parts)
    return None
