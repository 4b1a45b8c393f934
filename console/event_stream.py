"""Server-sent events: parts of a page that htmx puts in place as they come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress

from aiohttp import web

from .application import protect
from .page import Visit
from .security import SCRIPTED


def event(name: str, text: str) -> bytes:
    """One event. A line of the text is a line of data."""
    data = "".join(f"data: {line}\n" for line in text.splitlines())
    return f"event: {name}\n{data}\n".encode()


async def stream(visit: Visit, events: AsyncIterator[bytes]) -> web.StreamResponse:
    """Send the events until the visitor leaves or the console ends."""
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
    protect(answer, SCRIPTED)
    await answer.prepare(visit.request)
    with suppress(ConnectionError):  # the visitor has left
        async for each in events:
            await answer.write(each)
    return answer
