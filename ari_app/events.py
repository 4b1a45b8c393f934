"""Parser for the ARI events that the application uses.

All other events, including those of later versions, are ignored. A message that cannot be parsed becomes a
`MalformedEvent` instead of raising an exception.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from idtone.core.errors import AriUnavailable
from idtone.core.translation import Message


@dataclass(frozen=True, slots=True)
class Entered:
    """The event StasisStart: a channel has entered the application, with the arguments of its Stasis()."""

    channel: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Replaced:
    """The event ApplicationReplaced: another connection took over the application, so this one gets no more events."""


@dataclass(frozen=True, slots=True)
class AriResponse:
    """The event RESTResponse: the answer to a request over the WebSocket."""

    request_id: str
    status: int
    reason: str
    body: str


@dataclass(frozen=True, slots=True)
class MalformedEvent:
    """A message that does not match Asterisk's documentation. Only `type` may be logged."""

    type: str


Event = Entered | Replaced | AriResponse | MalformedEvent


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _id(thing: Mapping[str, Any]) -> str:
    """Channel id. Raises ValueError for unprintable ids, because ids become parts of requests and log lines."""
    name = _text(thing["id"])
    if not name.isprintable():
        raise ValueError("not an id of Asterisk")
    return name


def _arguments(values: object) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise TypeError("not a list of arguments")
    return tuple(_text(value) for value in values)


def _response(message: Mapping[str, Any]) -> AriResponse:
    status = message["status_code"]
    if type(status) is not int:
        raise TypeError("not an HTTP status")
    return AriResponse(
        _text(message["request_id"]),
        status,
        _text(message.get("reason_phrase", "")),
        _text(message.get("message_body") or ""),
    )


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel. `entered` holds the arguments with which the channel entered the application.

    `entered` is None if the channel is not waiting in the application.
    """

    id: str
    entered: Entered | None


def read_channel(answer: Any, application: str) -> Channel:
    """Parse the answer to GET channels/ID. Raises AriUnavailable if it does not match Asterisk's documentation."""
    try:
        name, place = _id(answer), answer["dialplan"]
        inside, *arguments = str(place.get("app_data", "")).split(",")
        waits = place.get("app_name") == "Stasis" and inside == application
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise AriUnavailable(Message("what Asterisk says of a channel differs from its documentation")) from error
    return Channel(name, Entered(name, tuple(arguments)) if waits else None)


def read_waiting(answer: Any) -> frozenset[str]:
    """Channel ids in the answer to GET applications/NAME. Raises AriUnavailable if the answer is malformed."""
    try:
        return frozenset(_id({"id": channel}) for channel in answer["channel_ids"])
    except (LookupError, TypeError, ValueError) as error:
        raise AriUnavailable(Message("what Asterisk says of the application differs from its documentation")) from error


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Event]]] = {
    "StasisStart": lambda m: Entered(_id(m["channel"]), _arguments(m["args"])),
    "ApplicationReplaced": lambda m: Replaced(),
    "RESTResponse": _response,
}

EVENTS: Final = _READERS.keys()
"""Events that Asterisk is asked to send. They must include RESTResponse, or every request hangs."""


def read(text: str) -> Event | None:
    """Parse a WebSocket message; None for an event that the application does not use."""
    try:
        message = json.loads(text)
        kind = message["type"]
        reader = _READERS.get(kind)
    except (ValueError, LookupError, TypeError, RecursionError):
        return MalformedEvent("unknown")
    try:
        return reader(message) if reader else None
    except (LookupError, TypeError, ValueError, AttributeError):
        return MalformedEvent(kind)
