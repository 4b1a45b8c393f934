"""A fake Asterisk behind `Ari`, for failures that a real Asterisk does not produce on demand.

`test_contract.py` tests both against the same contract.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from idtone.ari_app import events
from idtone.ari_app.connection import APPLICATION
from idtone.core.errors import AriRefused, AriUnavailable


class FakeAsterisk:
    """An Asterisk whose channels are only names.

    `refusals` maps part of a request's path to the HTTP status of the answer.
    """

    def __init__(self, refusals: Mapping[str, int] | None = None) -> None:
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        """Requests in the order of arrival."""
        self.channels: dict[str, dict[str, str]] = {}
        """Channel → its place in the dialplan."""
        self.refusals = dict(refusals or {})
        self.unavailable: set[str] = set()
        """Parts of paths. A request with one of them breaks the connection."""
        self.answering = asyncio.Event()
        """Event without which no request is answered."""
        self.answering.set()
        self.left = False
        self._events: asyncio.Queue[events.Event | None] = asyncio.Queue()

    # -- the production interface ---------------------------------------------------------------------------------

    async def request(self, method: str, path: str, **query: str) -> Any:
        await self._arrive(method, path, query)
        _, channel, *action = path.split("/")
        if channel not in self.channels:
            raise AriRefused(404, "Channel not found", f"{method} {path}")
        if method == "DELETE":
            self.hang_up(channel)
        elif action == ["continue"]:
            self.channels[channel] = {"app_name": "Dial", "app_data": ""}
        return None

    async def waiting(self) -> frozenset[str] | None:
        await self._arrive("GET", f"applications/{APPLICATION}", {})
        waiting = [
            channel for channel, place in self.channels.items() if place["app_data"].startswith(f"{APPLICATION},")
        ]
        return None if self.left and not waiting else frozenset(waiting)

    async def channel(self, channel_id: str) -> events.Channel | None:
        await self._arrive("GET", f"channels/{channel_id}", {})
        place = self.channels.get(channel_id)
        return None if place is None else events.read_channel({"id": channel_id, "dialplan": place}, APPLICATION)

    async def _arrive(self, method: str, path: str, query: dict[str, str]) -> None:
        self.requests.append((method, path, query))
        await self.answering.wait()
        if any(part in path for part in self.unavailable):
            raise AriUnavailable("the connection broke")
        for part, status in self.refusals.items():
            if part in path:
                raise AriRefused(status, "as set up", f"{method} {path}")

    async def events(self) -> AsyncIterator[events.Event]:
        while (event := await self._events.get()) is not None:
            yield event
        raise AriUnavailable("the connection broke")

    async def leave(self) -> None:
        self.left = True
        self.happens(None)

    # -- controlled by the test -----------------------------------------------------------------------------------

    def happens(self, *happenings: events.Event | None) -> None:
        """Send events. None breaks the connection."""
        for happening in happenings:
            self._events.put_nowait(happening)

    def enter(self, channel: str, *arguments: str) -> None:
        """Make the channel call Stasis() in its dialplan."""
        self.channels[channel] = {"app_name": "Stasis", "app_data": ",".join((APPLICATION, *arguments))}
        if not self.left:
            self.happens(events.Entered(channel, arguments))

    def hang_up(self, channel: str) -> None:
        del self.channels[channel]

    # -- for the test's assertions --------------------------------------------------------------------------------

    def continued(self, channel: str) -> list[dict[str, str]]:
        """Places in the dialplan at which the channel continued.

        An empty entry is the place where the channel entered Stasis().
        """
        return [query for method, path, query in self.requests if (method, path) == _continue(channel)]

    def resumed_at(self, channel: str) -> str | None:
        """Extension at which the channel continued, or None if it did not continue.

        An empty string is the place where the channel entered Stasis().
        """
        return next((query.get("extension", "") for query in self.continued(channel)), None)


def _continue(channel: str) -> tuple[str, str]:
    return "POST", f"channels/{channel}/continue"
