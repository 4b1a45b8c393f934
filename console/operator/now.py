"""What happens now: the service, the calls in progress, the evidence."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import web

from idtone.translation import speak, template

from ..access.rights import Right
from ..event_stream import event, stream
from ..live import State
from ..page import Page, Visit


async def now(visit: Visit) -> web.StreamResponse:
    return visit.render("now.html", state=visit.console.live.newest)


async def changes(visit: Visit) -> web.StreamResponse:
    """The same each second."""

    async def events() -> AsyncIterator[bytes]:
        async for state in visit.console.live.follow():
            yield _event(visit, state)

    return await stream(visit, events())


def _event(visit: Visit, state: State) -> bytes:
    speak(visit.language)
    return event("now", visit.fragment("now_state.html", state=state))


PAGES = (
    Page("/now", now, Right.LOOK, title=template("Now")),
    Page("/now/changes", changes, Right.LOOK),
)
