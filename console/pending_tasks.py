"""Tasks that wait for a visitor: their count in the head of each page, and the list on `/waiting`.

The search for tasks runs in the background, so no page waits for it. Each form that is sent starts it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from aiohttp import web

from idtone.core.errors import IdtoneError
from idtone.core.log_output import in_words, unexpected
from idtone.core.persons import Person, console_person
from idtone.core.translation import Message
from idtone.ledger.disclosure.disclosure_index import all_entries
from idtone.ledger.disclosure.disclosure_request import RequestState
from idtone.registry.suspensions.own_suspension import OwnSuspension, SuspensionState
from idtone.registry.suspensions.suspension_file import read_suspensions, suspensions_path

from .access.rights import Right
from .access.users import User
from .office import first_page
from .operator.suspensions import stop_path
from .page import Page, Visit

if TYPE_CHECKING:
    from .console import Console

_log = logging.getLogger(__name__)
PATH: Final = "/waiting"
EVERY_S: Final = 10.0
AT_MOST_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class PendingTask:
    """The number of pending tasks of one kind. They are for all users with the `right`, except the person `by` whom
    they were requested.
    """

    count: int
    what: Message
    path: str
    right: Right
    is_late: bool = False
    by: Person | None = None


class PendingTasks:
    """The newest list of pending tasks. Used by the event loop alone."""

    def __init__(self) -> None:
        self._newest: Sequence[PendingTask] = ()
        self._again = asyncio.Event()

    def of(self, user: User) -> list[PendingTask]:
        return tasks_of(user, self._newest)

    def look_again(self) -> None:
        """Search again soon, because a user has done something."""
        self._again.set()

    async def follow(
        self,
        find_tasks: Callable[[], Sequence[PendingTask]],
        is_watched: Callable[[], bool],
        tell: Callable[[], Awaitable[object]],
    ) -> None:
        """Search repeatedly while `is_watched` (a user is signed in or gets mails). After each search, call `tell`."""
        while True:
            self._again.clear()
            if is_watched():
                try:
                    self._newest = await asyncio.to_thread(find_tasks)
                    await tell()
                except Exception as error:
                    _log.error("what waits is not known: %s", in_words(error), exc_info=unexpected(error))
            await asyncio.sleep(AT_MOST_EVERY_S)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._again.wait(), EVERY_S)


def tasks_of(user: User, things: Iterable[PendingTask]) -> list[PendingTask]:
    """The tasks that this user can do, the late ones first. Pure."""
    me = console_person(user.name)
    found = [each for each in things if each.right in user.rights and (not each.by or me.is_another_than(each.by))]
    return sorted(found, key=lambda each: not each.is_late)


def find_tasks(console: Console, now: datetime) -> list[PendingTask]:
    """All pending tasks. Tasks in files that cannot be read are left out; the pages of these files say why."""
    found: list[PendingTask] = []
    for part in (_stops, _exports, _of_office):
        with contextlib.suppress(IdtoneError):
            found += part(console, now)
    return found


def _stops(console: Console, now: datetime) -> Iterator[PendingTask]:
    """The operator's own stops that wait for a second person's approval."""
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
    """Show the visitor's pending tasks, by a new search."""
    assert visit.user is not None
    found = await visit.in_thread(find_tasks, visit.console, datetime.now(UTC))
    return visit.render("waiting.html", waiting=tasks_of(visit.user, found))


PAGES = (Page(PATH, show, Right.ENTER),)
