"""Suspensions: two persons enter each; what is suspended, and which nodes have not confirmed it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from aiohttp import web

from idtone.authority.desk.suspension_confirmations import Confirmation
from idtone.authority.history import Action
from idtone.authority.stop_holders import words as held
from idtone.authority.suspension_requests import ACTIONS, ENDS, STOPS
from idtone.authority.suspension_terms import SuspensionTerms
from idtone.errors import IdtoneError, UsageError
from idtone.number_spans import NumberSpan
from idtone.persons import acting
from idtone.registry.model import SuspensionEntry
from idtone.registry.never_originating import span_of
from idtone.registry.suspended_numbers import scope_of
from idtone.translation import Message, template

from ..access.rights import Right
from ..page import Method, Page, Section, Visit
from .acts import acted, attributed, files_of, span_text

PATH: Final = "/office/suspensions"
WORDS: Final = {
    Action.SUSPEND_NUMBER: template("Suspend a number"),
    Action.SUSPEND_RANGE: template("Suspend a range or a prefix"),
    Action.SUSPEND_MEMBER: template("Suspend all numbers of a member"),
    Action.NO_NEW_NUMBERS: template("Give a member no new numbers"),
    Action.LIFT: template("End a suspension"),
    Action.ALLOW_NEW_NUMBERS: template("Allow a member new numbers again"),
    Action.ADD_NEVER_ORIGINATING: template("Enter a number, range or prefix that never originates calls"),
    Action.REMOVE_NEVER_ORIGINATING: template("Remove a number that never originates"),
}
_LABELS: Final = {
    "reference": template("Reference of the request"),
    "requested": template("Requested at"),
    "since": template("Start"),
    "until": template("End"),
    "authority": template("Requested by"),
}
SHOWN: Final = 200
"""The most numbers that never originate on the page; `idtone authority never-originating` lists all."""


@dataclass(frozen=True, slots=True)
class ConfirmedBy:
    """Of one reference: how many nodes have confirmed it, or its end, and which have not."""

    reference: str
    confirmed: int
    missing: Sequence[Confirmation]
    calls_ended: int
    is_lifted: bool


async def suspensions(
    visit: Visit, status: HTTPStatus = HTTPStatus.OK, problem: IdtoneError | None = None
) -> web.StreamResponse:
    files, now = files_of(visit), datetime.now(UTC)
    document = await visit.in_thread(files.suspensions)
    listed = await visit.in_thread(files.never_originates)
    never = listed.never_originates if listed else ()
    me = acting()
    return visit.render(
        "office_suspensions.html", status, problem=problem, words=WORDS, me=me, stops=STOPS, held=held,
        never=[(each, span_text(span_of(each)), each.in_force(now)) for each in never[-SHOWN:]],
        never_count=len(never), entries=[(each, _span(each), each.in_force(now)) for each in document.suspensions],
        requests=[(each, me.is_another_than(each.by)) for each in await visit.in_thread(files.requests.waiting)],
        confirmed=by_reference(await visit.in_thread(files.confirmations)),
    )  # fmt: skip


def _span(entry: SuspensionEntry) -> str | None:
    scope = scope_of(entry)
    return span_text(scope) if isinstance(scope, NumberSpan) else None


def by_reference(rows: Sequence[Confirmation]) -> list[ConfirmedBy]:
    """Those with missing confirmations first."""
    of: dict[str, list[Confirmation]] = {}
    for row in rows:
        of.setdefault(row.reference, []).append(row)
    found = [
        ConfirmedBy(
            reference, sum((each.lifted if each.is_lifted else each.in_use) is not None for each in each_of),
            [each for each in each_of if each.is_missing], sum(each.calls_ended for each in each_of),
            each_of[0].is_lifted,
        )
        for reference, each_of in of.items()
    ]  # fmt: skip
    return sorted(found, key=lambda each: not each.missing)


async def request(visit: Visit) -> web.StreamResponse:
    """The first of the two persons enters what the police ask for."""
    files = files_of(visit)

    def act() -> None:
        action = next((each for each in ACTIONS if each == visit.field("action")), None)
        if action is None:
            raise UsageError(Message("choose what is to be done"))
        attribution = attributed(visit)
        terms = None
        if action not in ENDS:
            terms = SuspensionTerms.given(
                visit.field("reference"), visit.field("requested"), visit.field("since") or None,
                visit.field("until") or None, visit.field("authority") or None, attribution.at,
                lambda name: Message(_LABELS[name]),
            )  # fmt: skip
        is_unheld = bool(visit.field("no_holder"))
        files.requests.request(action, visit.field("entered"), terms, attribution, is_unheld)

    return await acted(visit, act, suspensions, PATH)


async def approve(visit: Visit) -> web.StreamResponse:
    """The second one enters it again."""
    files = files_of(visit)

    def act() -> None:
        files.requests.approve(visit.field("request"), visit.field("entered"), attributed(visit))

    return await acted(visit, act, suspensions, PATH)


async def withdraw(visit: Visit) -> web.StreamResponse:
    files = files_of(visit)
    return await acted(visit, lambda: files.requests.withdraw(visit.field("request")), suspensions, PATH)


PAGES = (
    Page(PATH, suspensions, Right.OFFICE, title=template("Suspensions"), section=Section.OFFICE),
    Page(PATH + "/request", request, Right.OFFICE, Method.POST),
    Page(PATH + "/approve", approve, Right.OFFICE, Method.POST),
    Page(PATH + "/withdraw", withdraw, Right.OFFICE, Method.POST),
)
