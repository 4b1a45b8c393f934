"""An Asterisk behind `Ari` for the failures that the real one does not produce on demand.

It keeps the contract that `test_contract.py` holds against it and against the real one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from idtone.ari_app import events
from idtone.ari_app.connection import APPLICATION
from idtone.errors import AriRefused, AriUnavailable


class FakeAsterisk:
    """Channels that exist only by name. `refusals` maps a part of a path to the status it is answered with."""

    def __init__(self, refusals: Mapping[str, int] | None = None) -> None:
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        """In the order in which they came."""
        self.channels: dict[str, dict[str, str]] = {}
        """Where each channel is in its dialplan."""
        self.refusals = dict(refusals or {})
        self.unavailable: set[str] = set()
        """Parts of paths. Requests with one of them are lost with the connection."""
        self.answering = asyncio.Event()
        """No request is answered while this is not set."""
        self.answering.set()
        self.left = False
        self._events: asyncio.Queue[events.Event | None] = asyncio.Queue()

    # -- the production interface -------------------------------------------------------------------------------

    async def request(self, method: str, path: str, **query: str) -> Any:
        self.requests.append((method, path, query))
        await self.answering.wait()
        if any(part in path for part in self.unavailable):
            raise AriUnavailable("the connection broke")
        for part, status in self.refusals.items():
            if part in path:
                raise AriRefused(status, "as set up", f"{method} {path}")
        if path == "channels":
            return [{"id": channel, "dialplan": place} for channel, place in self.channels.items()]
        _, channel, *action = path.split("/")
        if channel not in self.channels:
            raise AriRefused(404, "Channel not found", f"{method} {path}")
        if method == "DELETE":
            self.hang_up(channel)
        elif action == ["continue"]:
            self.channels[channel] = {"app_name": "Dial", "app_data": ""}
        return None

    async def events(self) -> AsyncIterator[events.Event]:
        while (event := await self._events.get()) is not None:
            yield event
        raise AriUnavailable("the connection broke")

    async def leave(self) -> None:
        self.left = True
        self.happens(None)

    # -- what the test makes happen -----------------------------------------------------------------------------

    def happens(self, *happenings: events.Event | None) -> None:
        """None breaks the connection."""
        for happening in happenings:
            self._events.put_nowait(happening)

    def enter(self, channel: str, *arguments: str) -> None:
        """The channel's dialplan calls Stasis()."""
        self.channels[channel] = {"app_name": "Stasis", "app_data": ",".join((APPLICATION, *arguments))}
        if not self.left:
            self.happens(events.Entered(channel, arguments))

    def hang_up(self, channel: str) -> None:
        del self.channels[channel]

    # -- what the test wants to know ----------------------------------------------------------------------------

    def continued(self, channel: str) -> list[dict[str, str]]:
        """Where the channel was sent to, each time; an empty entry is where it was."""
        return [query for method, path, query in self.requests if (method, path) == _continue(channel)]

    def resumed_at(self, channel: str) -> str | None:
        """The extension at which the channel was sent on, empty for where it was; None if it was not sent on."""
        return next((query.get("extension", "") for query in self.continued(channel)), None)


def _continue(channel: str) -> tuple[str, str]:
    return "POST", f"channels/{channel}/continue"
