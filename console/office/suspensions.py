"""Current suspensions, the nodes that have not confirmed them, and the forms for new suspensions.

Two people must enter each suspension.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from aiohttp import web

from idtone.core.errors import IdtoneError, TrustError
from idtone.core.number_spans import NumberSpan
from idtone.core.persons import acting_person
from idtone.core.translation import template
from idtone.office.authority.enter_suspensions import SuspensionTerms
from idtone.office.authority.history import Action
from idtone.office.authority.stopped_number_holders import holder_names as held
from idtone.office.authority.suspension_requests import ACTIONS, ENDS, STOPS, SuspensionRequest
from idtone.office.authority.typed_dates import parse_end
from idtone.office.desk.suspension_confirmations import Confirmation
from idtone.registry.model import NeverOriginatesEntry, SuspensionEntry
from idtone.registry.never_originating import span_of
from idtone.registry.suspended_numbers import scope_of

from ..access.rights import Right
from ..form_errors import Fields, FormField, any_text, labels_of, one_of
from ..listing import listing, listing_of_cut
from ..page import Method, Page, Section, Visit
from ..stop_states import Stage, StopState
from ..time_formats import with_zone
from .common_parts import WHY, attribution_of, do_act, files_of, japanese_moment, span_text
from .office_files import ENDS_SHOWN, HistoryLine, OfficeFiles
from .office_stops import OfficeStop, OfficeStops, PublishedEnd

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
TERMS: Final[Fields] = {
    "reference": FormField(template("Reference of the request")),
    "requested": FormField(template("Requested at"), japanese_moment),
    "authority": FormField(template("Authority that requests it"), is_required=False),
    "since": FormField(template("Start"), japanese_moment, is_required=False),
    "until": FormField(template("Last day"), parse_end, is_required=False),
    **WHY,
}
_ENTERED: Final[Fields] = {
    "action": FormField(template("What is to be done"), one_of(ACTIONS)),
    "entered": FormField(template("Number, range, prefix or member's id"), any_text),
}
APPROVAL: Final[Fields] = {"entered": FormField(template("The same, from the request"), any_text), **WHY}
SHOWN: Final = 200
"""Maximum number of never-originating entries shown on the page.

`idtone-office never-originating list` lists all of them.
"""


@dataclass(frozen=True, slots=True)
class ConfirmedBy:
    """Nodes that have confirmed a suspension (by its reference) or its end, and nodes that have not."""

    reference: str
    confirmed: int
    missing: Sequence[Confirmation]
    calls_ended: int
    is_lifted: bool


COLUMNS: Final[Mapping[str, Callable[[OfficeStop[SuspensionEntry]], object]]] = {
    "since": lambda stop: stop.entry.since,
    "until": lambda stop: stop.entry.until,
    "reference": lambda stop: stop.entry.reference,
    "state": lambda stop: stop.stages[-1].state if stop.stages else None,
}


async def suspensions(
    visit: Visit, status: HTTPStatus = HTTPStatus.OK, problem: IdtoneError | None = None
) -> web.StreamResponse:
    files, now = files_of(visit), datetime.now(UTC)
    found = await visit.in_thread(_read, files, now)
    me = acting_person()
    stops = listing(visit, found.stops, COLUMNS)
    return visit.render(
        "office_suspensions.html",
        status,
        problem=problem,
        words=WORDS,
        me=me,
        stops=STOPS,
        held=held,
        never=[(each, span_text(span_of(each.entry))) for each in found.never],
        never_count=found.never_count,
        entries=listing_of_cut(
            visit, [(each, span_of_entry(each.entry)) for each in stops.rows], stops.total, stops.asked
        ),
        ends=found.ends,
        requests=[(each, _asked(each), me.is_another_than(each.by)) for each in found.requests],
        confirmed=by_reference(found.confirmations),
        untold=found.trouble,
        actions=[(each, text) for each, text in WORDS.items() if each not in ENDS],
        ends_of={each: text for each, text in WORDS.items() if each in ENDS},
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """Content of the page.

    `trouble` says why times are missing: the history or the package is unreadable.
    """

    stops: Sequence[OfficeStop[SuspensionEntry]]
    never: Sequence[OfficeStop[NeverOriginatesEntry]]
    never_count: int
    ends: Sequence[PublishedEnd]
    requests: Sequence[SuspensionRequest]
    confirmations: Sequence[Confirmation]
    trouble: IdtoneError | None


def _read(files: OfficeFiles, now: datetime) -> _Found:
    """Read the content of the page. Raises IdtoneError."""
    document, listed, confirmations = files.suspensions(), files.never_originates(), files.confirmations()
    history: Sequence[HistoryLine] = ()
    signed, trouble = None, None
    try:
        history, signed = files.history(), files.signed_stops()
    except TrustError as error:
        trouble = error
    never = listed.never_originates if listed else ()
    stops = OfficeStops(history, files.published_at, files.published_stops(), signed)
    return _Found(
        stops.suspensions(document.suspensions, confirmations, now),
        stops.never_originating(never, SHOWN, now),
        len(never),
        stops.published_ends(now - ENDS_SHOWN, confirmations, now),
        files.requests.waiting_requests(),
        confirmations,
        trouble,
    )


def _asked(request: SuspensionRequest) -> Stage:
    return Stage(StopState.END_ASKED if request.action in ENDS else StopState.ASKED, request.at)


def span_of_entry(entry: SuspensionEntry) -> str | None:
    scope = scope_of(entry)
    return span_text(scope) if isinstance(scope, NumberSpan) else None


def by_reference(rows: Sequence[Confirmation]) -> list[ConfirmedBy]:
    """Confirmations by reference, incomplete ones first. Ends that all nodes have confirmed are omitted."""
    of: dict[str, list[Confirmation]] = {}
    for row in rows:
        of.setdefault(row.reference, []).append(row)
    found = [
        ConfirmedBy(
            reference,
            sum((each.lifted if each.is_lifted else each.in_use) is not None for each in each_of),
            [each for each in each_of if each.is_missing],
            sum(each.calls_ended for each in each_of),
            each_of[0].is_lifted,
        )
        for reference, each_of in of.items()
        if not each_of[0].is_lifted or any(each.is_missing for each in each_of)
    ]
    return sorted(found, key=lambda each: not each.missing)


async def request(visit: Visit) -> web.StreamResponse:
    """Enter a police order. A second person must enter it again (`approve`)."""
    files = files_of(visit)

    is_end = visit.field("action") in ENDS

    def act() -> None:
        action, attribution = Action(visit.field("action")), attribution_of(visit)
        terms = None
        if not is_end:
            terms = SuspensionTerms.parse(
                visit.field("reference"),
                with_zone(visit.field("requested")),
                with_zone(visit.field("since")) or None,
                with_zone(visit.field("until")) or None,
                visit.field("authority") or None,
                attribution.at,
                labels_of(TERMS),
            )
        is_unheld = bool(visit.field("no_holder"))
        files.requests.enter(action, visit.field("entered"), terms, attribution, is_unheld)

    return await do_act(visit, act, suspensions, PATH, {**_ENTERED, **(WHY if is_end else TERMS)})


async def approve(visit: Visit) -> web.StreamResponse:
    """Approve a police order by entering it again, after another person has entered it."""
    files = files_of(visit)

    def act() -> None:
        files.requests.approve(visit.field("request"), visit.field("entered"), attribution_of(visit))

    return await do_act(visit, act, suspensions, PATH, APPROVAL)


async def withdraw(visit: Visit) -> web.StreamResponse:
    files = files_of(visit)
    return await do_act(visit, lambda: files.requests.withdraw(visit.field("request")), suspensions, PATH)


PAGES = (
    Page(PATH, suspensions, Right.OFFICE, title=template("Suspensions"), section=Section.OFFICE),
    Page(PATH + "/request", request, Right.OFFICE, Method.POST),
    Page(PATH + "/approve", approve, Right.OFFICE, Method.POST, by_second=True),
    Page(PATH + "/withdraw", withdraw, Right.OFFICE, Method.POST),
)
