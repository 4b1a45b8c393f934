"""Asterisk's ARI events, as far as a call's flow needs them.

Anything else that Asterisk says, today or in a later version, is no event to us; what cannot be read
is a `MalformedEvent`, never an exception.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from idtone.calls import Party, Reason
from idtone.errors import AriUnavailable
from idtone.ledger.steps import CallStatus, cause


@dataclass(frozen=True, slots=True)
class Entered:
    """StasisStart: a channel has been handed to us, with the arguments of its Stasis()."""

    channel: str
    caller_number: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Left:
    """StasisEnd: a channel is no longer ours, because we let it go or because it hung up."""

    channel: str


@dataclass(frozen=True, slots=True)
class PlaybackStarted:
    playback: str
    at: datetime
    """By Asterisk's clock, so that our own delays do not shorten what was heard."""


@dataclass(frozen=True, slots=True)
class PlaybackFinished:
    playback: str
    state: str
    """`done` also after a stop or a hangup; `failed` where the file could not be played."""
    at: datetime


@dataclass(frozen=True, slots=True)
class Bridged:
    """ChannelEnteredBridge: the channel can talk."""

    channel: str


@dataclass(frozen=True, slots=True)
class Held:
    """ChannelHold, ChannelUnhold: the phone does not hear us from now on, or does again."""

    channel: str
    on: bool


@dataclass(frozen=True, slots=True)
class HookEnded:
    """The hook's own word (UserEvent) of how the forwarding ended."""

    call_id: str
    status: CallStatus
    hangup_cause: int | None
    reason: Reason | None
    """On which the hook acted: not the service's where that answered too late, None where it had not acted yet."""
    heard_by: frozenset[Party] = frozenset()
    """To whom the hook played the notice to its end, where it acted without the service."""


@dataclass(frozen=True, slots=True)
class Destroyed:
    """ChannelDestroyed: the channel is gone."""

    channel: str
    hangup_cause: int | None


@dataclass(frozen=True, slots=True)
class Replaced:
    """ApplicationReplaced: another connection took our name; nothing more will come here."""


@dataclass(frozen=True, slots=True)
class Response:
    """RESTResponse: the answer to one of our requests over the WebSocket."""

    request_id: str
    status: int
    reason: str
    body: str


@dataclass(frozen=True, slots=True)
class MalformedEvent:
    """Something that is not what Asterisk documents; `type` is all that may be logged of it."""

    type: str


Event = (
    Entered
    | Left
    | PlaybackStarted
    | PlaybackFinished
    | Bridged
    | Held
    | HookEnded
    | Destroyed
    | Replaced
    | Response
    | MalformedEvent
)

USER_EVENT: Final = "IdtoneEnded"
"""The name of the hook's UserEvent; `dialplan/idtone.conf` sends it."""


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


def _time(message: Mapping[str, Any]) -> datetime:
    at = datetime.fromisoformat(message["timestamp"])
    if at.utcoffset() is None:
        raise ValueError("a time without a time zone cannot be compared")
    return at


def _hook_ended(message: Mapping[str, Any]) -> Event | None:
    if message["eventname"] != USER_EVENT:
        return None
    said = message["userevent"]
    reason, heard = said.get("reason"), _text(said.get("heard", ""))
    return HookEnded(
        _text(said["call"]), CallStatus(said["status"]), cause(said.get("cause")), Reason(reason) if reason else None,
        frozenset(party for party in Party if party in heard),
    )  # fmt: skip


def _response(message: Mapping[str, Any]) -> Response:
    status = message["status_code"]
    if type(status) is not int:
        raise TypeError("no status of HTTP")
    return Response(
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
                waiting[name] = Entered(name, _text(channel["caller"]["number"]), tuple(arguments))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise AriUnavailable("Asterisk's list of channels is not as it is documented") from error
    return Channels(frozenset(ids), waiting)


def read_count(answer: Any) -> int:
    """The value of a variable that counts; 0 where it was never set. Raises AriUnavailable where it is none."""
    try:
        return int(answer["value"] or 0)
    except (LookupError, TypeError, ValueError) as error:
        raise AriUnavailable("the value of a variable is not as Asterisk documents it") from error


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Event | None]]] = {
    "StasisStart": lambda m: Entered(_id(m["channel"]), _text(m["channel"]["caller"]["number"]), _arguments(m["args"])),
    "StasisEnd": lambda m: Left(_id(m["channel"])),
    "PlaybackStarted": lambda m: PlaybackStarted(_id(m["playback"]), _time(m)),
    "PlaybackFinished": lambda m: PlaybackFinished(_id(m["playback"]), _text(m["playback"]["state"]), _time(m)),
    "ChannelEnteredBridge": lambda m: Bridged(_id(m["channel"])),
    "ChannelHold": lambda m: Held(_id(m["channel"]), on=True),
    "ChannelUnhold": lambda m: Held(_id(m["channel"]), on=False),
    "ChannelUserevent": _hook_ended,
    "ChannelDestroyed": lambda m: Destroyed(_id(m["channel"]), cause(m.get("cause"))),
    "ApplicationReplaced": lambda m: Replaced(),
    "RESTResponse": _response,
}

_OUTSIDE: Final = frozenset({"ChannelEnteredBridge", "ChannelUserevent", "ChannelDestroyed"})
"""What befalls a channel that is not in our hands, and only such a one."""
WATCHED: Final = _OUTSIDE | {"ChannelHold", "ChannelUnhold"}
"""What Asterisk is asked to tell of channels that are not in our hands, and of bridges."""
EVENTS: Final = _READERS.keys() - _OUTSIDE
"""And of those that are. RESTResponse is an event to the filter too: without it every request hangs."""


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
