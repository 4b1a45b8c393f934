"""An Asterisk behind `Ari` for the failures that the real one does not produce on demand.

It keeps the contract that `test_contract.py` holds against it and against the real one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from idtone.ari_app import events
from idtone.errors import AriRefused, AriUnavailable

START = datetime(2026, 11, 1, tzinfo=UTC)


class FakeAsterisk:
    """Channels that exist only by name. `refusals` maps a part of a path to the status it is answered with."""

    def __init__(self, refusals: Mapping[str, int] | None = None) -> None:
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.channels: dict[str, dict[str, Any]] = {}
        self.variables: dict[str, str] = {}
        self.watched: set[str] = set()
        self.on_hold: set[str] = set()
        self.refusals = dict(refusals or {})
        self.in_order = True
        self.slow: dict[str, float] = {}
        """A part of a path → how long its answer takes, in seconds."""
        self._events: asyncio.Queue[events.Event | None] = asyncio.Queue()

    # -- the production interface -------------------------------------------------------------------------------

    async def request(self, method: str, path: str, **query: str) -> Any:
        await asyncio.sleep(max((delay_s for part, delay_s in self.slow.items() if part in path), default=0))
        self.requests.append((method, path, query))
        for part, status in self.refusals.items():
            if part in path:
                raise AriRefused(status, "as told", f"{method} {path}")
        parts = path.split("/")
        if path == "asterisk/variable":
            return {"value": self.variables.get(query["variable"], "")}
        if parts[-1] == "subscription":
            channel = query["eventSource"].removeprefix("channel:")
            if channel not in self.channels:
                raise AriRefused(422, "Event source does not exist", f"{method} {path}")
            if method == "DELETE":
                if channel not in self.watched:
                    raise AriRefused(422, "Application not subscribed to event source", f"{method} {path}")
                self.watched.remove(channel)
            else:
                self.watched.add(channel)
        if path == "channels":
            return [
                {"id": channel, "dialplan": place, "caller": {"name": "", "number": ""}}
                for channel, place in self.channels.items()
            ]
        if parts[0] == "channels" and parts[1] not in self.channels:
            raise AriRefused(404, "Channel not found", f"{method} {path}")
        if parts[-1] == "variable":
            return {"value": "1" if parts[1] in self.on_hold else "0"}
        return None

    async def events(self) -> AsyncIterator[events.Event]:
        while (event := await self._events.get()) is not None:
            yield event
        raise AriUnavailable("the connection broke")

    async def leave(self) -> None:
        self.happens(None)

    # -- what the test makes happen -----------------------------------------------------------------------------

    def happens(self, *happenings: events.Event | None) -> None:
        """None breaks the connection."""
        for happening in happenings:
            self._events.put_nowait(happening)

    def enter(self, channel: str, *arguments: str, caller: str = "0501234567") -> None:
        """The channel's dialplan calls Stasis()."""
        self.channels[channel] = {"app_name": "Stasis", "app_data": ",".join(("idtone", *arguments))}
        self.happens(events.Entered(channel, caller, arguments))

    def hang_up(self, channel: str) -> None:
        del self.channels[channel]
        self.happens(events.Left(channel))
        if channel in self.watched:
            self.happens(events.Destroyed(channel, 16))

    def finish(self, playback: str, after_ms: int, state: str = "done") -> None:
        self.happens(
            events.PlaybackStarted(playback, START),
            events.PlaybackFinished(playback, state, START + timedelta(milliseconds=after_ms)),
        )

    # -- what the test wants to know ----------------------------------------------------------------------------

    def resumed_at(self, channel: str) -> str | None:
        """The extension at which the channel was sent on, empty for where it was; None where it was not sent on."""
        for method, path, query in self.requests:
            if (method, path) == ("POST", f"channels/{channel}/continue"):
                return query.get("extension", "")
        return None

    def playbacks(self) -> list[str]:
        return [path.rpartition("/")[2] for method, path, _ in self.requests if "/play/" in path and method == "POST"]
