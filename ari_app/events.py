"""Asterisk's ARI events, as far as a call's flow needs them.

Anything else that Asterisk says, today or in a later version, is no event to us; what cannot be read
is a `MalformedEvent`, never an exception.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from idtone.errors import AriUnavailable


@dataclass(frozen=True, slots=True)
class Entered:
    """StasisStart: a channel has been handed to us, with the arguments of its Stasis()."""

    channel: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Replaced:
    """ApplicationReplaced: another connection took our name; nothing more will come here."""


@dataclass(frozen=True, slots=True)
class AriResponse:
    """RESTResponse: the answer to one of our requests over the WebSocket."""

    request_id: str
    status: int
    reason: str
    body: str


@dataclass(frozen=True, slots=True)
class MalformedEvent:
    """Something that is not what Asterisk documents; `type` is all that may be logged of it."""

    type: str


Event = Entered | Replaced | AriResponse | MalformedEvent


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _id(thing: Mapping[str, Any]) -> str:
    """Ids are keys of our tables, parts of our requests and words in our log."""
    name = _text(thing["id"])
    if not name.isprintable():
        raise ValueError("no id of Asterisk's")
    return name


def _arguments(values: object) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise TypeError("no list of arguments")
    return tuple(_text(value) for value in values)


def _response(message: Mapping[str, Any]) -> AriResponse:
    status = message["status_code"]
    if type(status) is not int:
        raise TypeError("no status of HTTP")
    return AriResponse(
        _text(message["request_id"]),
        status,
        _text(message.get("reason_phrase", "")),
        _text(message.get("message_body") or ""),
    )


@dataclass(frozen=True, slots=True)
class Channels:
    """GET channels: the ids of all, and of those in a Stasis() of the application what `Entered` would have told."""

    ids: frozenset[str]
    waiting: Mapping[str, Entered]


def read_channels(answer: Any, application: str) -> Channels:
    """Read the list. Raises AriUnavailable where it is not as documented."""
    ids, waiting = set(), {}
    try:
        for channel in answer:
            name, place = _id(channel), channel["dialplan"]
            ids.add(name)
            inside, *arguments = str(place.get("app_data", "")).split(",")
            if place.get("app_name") == "Stasis" and inside == application:
                waiting[name] = Entered(name, tuple(arguments))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise AriUnavailable("Asterisk's list of channels is not as it is documented") from error
    return Channels(frozenset(ids), waiting)


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Event]]] = {
    "StasisStart": lambda m: Entered(_id(m["channel"]), _arguments(m["args"])),
    "ApplicationReplaced": lambda m: Replaced(),
    "RESTResponse": _response,
}

EVENTS: Final = _READERS.keys()
"""All that Asterisk is asked to tell. RESTResponse is an event to the filter too: without it every request hangs."""


def read(text: str) -> Event | None:
    """Read one message of the WebSocket; None for what the call flow does not need."""
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
