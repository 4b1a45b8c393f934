"""Stopping numbers in the console, by the rules of `idtone suspend` and `idtone suspensions approve | lift`.

The record is the same, and names the user. No address holds a number.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from aiohttp import web

from idtone.core.errors import IdtoneError, NumberError, UsageError
from idtone.core.number_spans import NumberSpan
from idtone.core.settings.settings import Settings
from idtone.core.terminal.asking import line
from idtone.core.translation import Message
from idtone.operations.suspend_command import not_recorded, of_customer
from idtone.operations.suspending import SuspensionDesk
from idtone.registry.number_notation import read_span
from idtone.registry.suspensions.own_suspension import OwnSuspension, approved, lifted, ordered

from ..access.rights import Right
from ..page import Method, Page, Visit
from .suspensions import show

PATH = "/suspensions"


async def stop(visit: Visit) -> web.StreamResponse:
    """Order it; at once, or for another person's approval."""

    def act(desk: SuspensionDesk) -> None:
        customer = visit.field("customer")
        spans = _spans(visit, customer, desk.settings)
        reference = line(visit.field("reference"), Message("Reference of the request"))
        authority = visit.field("authority") and line(visit.field("authority"), Message("Requested by"))
        one = ordered(
            spans, reference, desk.act(_why(visit)), persons=desk.persons, customer=customer, authority=authority
        )
        _, failure = desk.order(one)
        if failure:
            raise not_recorded(failure)

    return await _acted(visit, act)


def _spans(visit: Visit, customer: str, settings: Settings) -> list[NumberSpan]:
    """Raises UsageError."""
    entered, again = visit.field("entered"), visit.field("again")
    if bool(entered) == bool(customer):
        raise UsageError(Message("give a number, range or prefix, or a customer"))
    if customer:
        return of_customer(customer, settings)
    if entered != again:
        raise UsageError(Message("the two entries differ; look at the request again"))
    try:
        return [read_span(entered)]
    except NumberError as error:
        raise UsageError(Message("that number cannot be used: {error}", error=error)) from error


async def approve(visit: Visit) -> web.StreamResponse:
    return await _changed(visit, lambda desk, one: approved(one, desk.act()))


async def lift(visit: Visit) -> web.StreamResponse:
    return await _changed(visit, lambda desk, one: lifted(one, desk.act(_why(visit)), desk.persons))


def _why(visit: Visit) -> str:
    return line(visit.field("why"), Message("Reason"))


async def _changed(visit: Visit, do: Callable[[SuspensionDesk, OwnSuspension], OwnSuspension]) -> web.StreamResponse:
    def act(desk: SuspensionDesk) -> None:
        desk.finish(desk.change(visit.field("id"), lambda one: do(desk, one)))

    return await _acted(visit, act)


async def _acted(visit: Visit, act: Callable[[SuspensionDesk], None]) -> web.StreamResponse:
    """Do it, and lead to the page; if it is refused, show the page with the reason."""
    try:
        await visit.in_thread(lambda: act(SuspensionDesk(visit.console.settings)))
    except IdtoneError as error:
        return await show(visit, HTTPStatus.BAD_REQUEST, error)
    return visit.redirect(f"{PATH}?done=1")


PAGES = (
    Page(f"{PATH}/stop", stop, Right.STOP_NUMBERS, Method.POST),
    Page(f"{PATH}/approve", approve, Right.STOP_NUMBERS, Method.POST, by_second=True),
    Page(f"{PATH}/lift", lift, Right.STOP_NUMBERS, Method.POST),
)
