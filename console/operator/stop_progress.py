"""One stop ordered by this node's operator, with its order, each node's confirmation, its duties and its paper."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web

from idtone.core.errors import IdtoneError
from idtone.core.number_spans import NumberSpan
from idtone.core.persons import acting_person
from idtone.core.translation import speak
from idtone.office.authority.stopped_number_holders import holder_names
from idtone.registry.suspensions.own_suspension import OwnSuspension
from idtone.registry.suspensions.suspension_file import read_suspensions, suspensions_path
from idtone.registry.suspensions.suspension_states import DUTY_WORDS

from ..access.rights import Right
from ..event_stream import event, stream
from ..number_search_limit import admits_number_search
from ..page import Page, Visit
from ..stop_states import own_stages
from .stop_summary import SHOWN, bare_summary, stop_summary
from .suspensions import PATH, STOPS, asked_of, masked_numbers

CHANGES: Final = f"{PATH}/changes"
EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class NodeState:
    """A node's report on a stop. `by_service` is False if only Asterisk refuses the calls."""

    node: str
    in_force: datetime | None
    by_service: bool
    over: datetime | None
    taken_over: datetime | None
    calls_ended: int


async def show_one(visit: Visit) -> web.StreamResponse:
    return await show_stop(visit, visit.part("stop"))


async def show_stop(
    visit: Visit, suspension: str, status: HTTPStatus = HTTPStatus.OK, problem: IdtoneError | None = None
) -> web.StreamResponse:
    """Show the stop. Raises HTTPNotFound if there is no such stop."""
    found = await visit.in_thread(read_suspensions, suspensions_path(visit.console.settings))
    one = next((each for each in found.suspensions if each.id == suspension), None)
    if one is None:
        raise web.HTTPNotFound
    may_stop = visit.may(Right.STOP_NUMBERS)
    asked, is_own = asked_of(one, acting_person())
    summary, spans = None, [NumberSpan(*each) for each in one.numbers]
    if may_stop and asked and not admits_number_search(visit):
        summary = bare_summary(spans)
    elif may_stop and asked:  # the second person compares the summary with the request
        try:
            read = await visit.console.registry.look()
        except IdtoneError:
            read = None
        others = [each for each in found.suspensions if each.id != one.id]
        summary = await visit.in_thread(stop_summary, spans, read, None, others, datetime.now(UTC), visit.language)
    return visit.render(
        "stop.html",
        status,
        problem=problem,
        one=one,
        asked=asked,
        is_own=is_own,
        may_stop=may_stop,
        summary=summary,
        shown=SHOWN,
        duties=DUTY_WORDS,
        open_duties=[(each.kind.value, DUTY_WORDS[each.kind]) for each in one.open_duties()],
        masked=masked_numbers(one),
        held=holder_names,
        changes=f"{CHANGES}?stop={quote(one.id)}",
        **_state(visit, one),
    )


def _state(visit: Visit, one: OwnSuspension) -> Mapping[str, Any]:
    return {"stages": own_stages(one, datetime.now(UTC)), "nodes": node_states(one, visit.console.settings.node)}


def node_states(one: OwnSuspension, node: str) -> Sequence[NodeState]:
    """The state of each node, starting with this one. The others have reported or must report."""
    others = (
        NodeState(each.node, each.in_force, each.by_service, each.over, each.taken_over, each.calls_ended)
        for each in one.elsewhere
    )
    return [NodeState(node, one.in_force, one.by_service, one.over, one.taken_over, one.calls_ended), *others]


async def changes(visit: Visit) -> web.StreamResponse:
    """Stream the stop's state whenever it changes. The forms are part of the page itself."""
    wanted, path = visit.query("stop"), suspensions_path(visit.console.settings)
    if all(each.id != wanted for each in (await visit.in_thread(read_suspensions, path)).suspensions):
        raise web.HTTPNotFound

    async def events() -> AsyncIterator[bytes]:
        before: OwnSuspension | None = None
        while True:
            found = await visit.in_thread(read_suspensions, path)
            one = next((each for each in found.suspensions if each.id == wanted), None)
            if one is None:
                return
            speak(visit.language)
            yield event("state", visit.fragment("stop_state.html", **_state(visit, one))) if one != before else b":\n\n"
            before = one
            await asyncio.sleep(EVERY_S)

    return await stream(visit, events())


PAGES = (
    Page(STOPS + "/{stop}", show_one, Right.LOOK),
    Page(CHANGES, changes, Right.LOOK),
)
