"""The page `/waiting` with the visitor's pending tasks, and the search for them."""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from idtone.core.errors import IdtoneError
from idtone.core.persons import Person
from idtone.core.translation import Message
from idtone.ledger.disclosure.disclosure_index import all_entries
from idtone.ledger.disclosure.disclosure_request import RequestState
from idtone.registry.suspensions.own_suspension import OwnSuspension
from idtone.registry.suspensions.suspension_file import read_suspensions, suspensions_path
from idtone.registry.suspensions.suspension_states import SuspensionState

from .access.rights import Right
from .console import Console
from .office import first_page
from .operator.suspensions import stop_path
from .page import Page, Visit
from .pending_tasks import PendingTask, tasks_of

PATH: Final = "/waiting"


def find_tasks(console: Console, now: datetime) -> list[PendingTask]:
    """Find all pending tasks. Kinds of tasks whose files cannot be read are omitted."""
    found: list[PendingTask] = []
    for part in (_stops, _exports, _of_office):
        with contextlib.suppress(IdtoneError):
            found += part(console, now)
    return found


def _stops(console: Console, now: datetime) -> Iterator[PendingTask]:
    """Yield the operator's own stops that are waiting for a second person's approval."""
    for one in read_suspensions(suspensions_path(console.settings)).suspensions:
        if asked := _asked(one):
            yield PendingTask(1, asked, stop_path(one.id), Right.STOP_NUMBERS, by=_asker(one))


def _asked(one: OwnSuspension) -> Message | None:
    if one.state is SuspensionState.ASKED:
        return Message("Stop to be approved: {reference}", reference=one.reference)
    if one.lift_asked and one.stops:
        return Message("End of a stop to be approved: {reference}", reference=one.reference)
    return None


def _asker(one: OwnSuspension) -> Person:
    return (one.lift_asked or one.asked).person


def _exports(console: Console, now: datetime) -> Iterator[PendingTask]:
    with console.reader() as reader:
        entries = all_entries(reader.acts(), now)
    for each in entries:
        path = f"/evidence/exports/{each.act}"
        if each.state is RequestState.OPEN and each.request:
            what = Message("Disclosure to be approved: {case}", case=each.case)
            yield PendingTask(1, what, path, Right.APPROVE_EXPORTS, by=each.request.by)
        elif each.state is RequestState.APPROVED:
            yield PendingTask(
                1, Message("Disclosure to be given out: {case}", case=each.case), path, Right.REQUEST_EXPORTS
            )


def _of_office(console: Console, now: datetime) -> Iterator[PendingTask]:
    if console.office_files:
        for each in first_page.waiting_in(console.office_files, now):
            yield PendingTask(each.count, each.what, each.path, Right.OFFICE, each.is_late)


async def show(visit: Visit) -> web.StreamResponse:
    """Search again and show the visitor's pending tasks."""
    assert visit.user is not None
    found = await visit.in_thread(find_tasks, visit.console, datetime.now(UTC))
    return visit.render("waiting.html", waiting=tasks_of(visit.user, found))


PAGES = (Page(PATH, show, Right.ENTER),)
