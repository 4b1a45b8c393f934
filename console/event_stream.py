"""Server-sent events with updated parts of a page, which htmx swaps in."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from idtone.core.http.request_limits import FIRST_STREAMS, STREAMS, STREAMS_OF_SESSION, STREAMS_OF_USER
from idtone.core.log_output import in_words, unexpected
from idtone.core.translation import speak

from .access.visitor_sessions import still_admits
from .application import protect
from .background_work import Work
from .page import Visit
from .security import SCRIPTED

CHECKED_EVERY_S: Final = 2.0
"""Interval between checks whether a stream's session is still valid, in seconds."""

_log = logging.getLogger(__name__)


def event(name: str, text: str) -> bytes:
    """A server-sent event with one data line per line of `text`."""
    data = "".join(f"data: {line}\n" for line in text.splitlines())
    return f"event: {name}\n{data}\n".encode()


async def stream(visit: Visit, events: AsyncIterator[bytes]) -> web.StreamResponse:
    """Send the events until the visitor leaves, the session ends or the console stops.

    Errors end the stream, because the response has already begun. The browser then reconnects.
    """
    assert visit.session is not None
    limits, of_user = visit.console.limits, f"streams of {visit.session.name}"
    of_all = STREAMS if limits.count(of_user) else STREAMS + FIRST_STREAMS
    with limits.under_way(
        (f"streams {visit.session.id}", STREAMS_OF_SESSION), (of_user, STREAMS_OF_USER), ("streams", of_all)
    ) as has_room:
        if not has_room:  # htmx retries later
            return web.Response(status=HTTPStatus.TOO_MANY_REQUESTS, headers={"Retry-After": "5"})
        return await _stream(visit, events)


async def stream_work(
    visit: Visit, work: Work[Any], name: str, shown: Callable[[], Awaitable[str]], every_s: float
) -> web.StreamResponse:
    """Stream the progress of `work` until it ends. `shown` renders the updated part of the page."""

    async def events() -> AsyncIterator[bytes]:
        is_running = True
        while is_running:
            is_running = work.is_running
            speak(visit.language)
            yield event(name, await shown())
            if is_running:
                await asyncio.sleep(every_s)
        yield event("end", "end")

    return await stream(visit, events())


async def _stream(visit: Visit, events: AsyncIterator[bytes]) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
    protect(answer, SCRIPTED)
    await answer.prepare(visit.request)
    checked_s = time.monotonic()
    try:
        async for each in events:
            if time.monotonic() - checked_s >= CHECKED_EVERY_S:
                if not await still_admits(visit):
                    break
                checked_s = time.monotonic()
            await answer.write(each)
    except ConnectionError:
        pass  # the visitor has left
    except Exception as error:
        _log.error("%s: %s", visit.page.path, in_words(error), exc_info=unexpected(error))
    return answer
