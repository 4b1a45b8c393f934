"""Stops numbers from the console, under the same rules as `idtone suspend` and `idtone suspensions`.

The ledger records are also the same, and they name the user. No address contains a number. The form sends it in its
body, first to get the summary and then, with the digest of that summary, to order the stop.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from http import HTTPStatus
from typing import Final

from aiohttp import web

from idtone.core.errors import IdtoneError, NumberError, UsageError
from idtone.core.number_spans import NumberSpan
from idtone.core.settings.settings import Settings
from idtone.core.translation import template
from idtone.ledger.disclosure.pack_file import zip_octets
from idtone.office.authority.stopped_number_holders import holder_names
from idtone.office.authority.typed_dates import parse_day
from idtone.operations.signed_suspension_paper import signed_paper
from idtone.operations.suspend_command import not_recorded, spans_of_customer
from idtone.operations.suspension_acts import SuspensionActs
from idtone.registry.customer_lines.lines_document import Entry
from idtone.registry.customer_lines.read_line_table import read_as_set
from idtone.registry.number_notation import read_span
from idtone.registry.suspensions.own_suspension import OwnSuspension, approved, closed, lifted, ordered
from idtone.registry.suspensions.suspension_acts import DUTY_CLOSED
from idtone.registry.suspensions.suspension_file import read_suspensions, suspensions_path
from idtone.registry.suspensions.suspension_states import DutyKind

from ..access.rights import Right
from ..downloads import ZIP, download
from ..form_errors import Fields, FormErrors, FormField, errors_of, one_of
from ..number_search_limit import admits_number_search
from ..page import Method, Page, Visit
from ..registry_in_use import ReadRegistry
from ..time_formats import parse_typed_time
from .stop_progress import show_stop
from .stop_summary import SHOWN, StopSummary, bare_summary, stop_summary
from .suspensions import PATH, show, stop_path

ORDER: Final = f"{PATH}/stop"
FIELDS: Final = ("entered", "customer", "reference", "authority", "requested", "why")


async def form(visit: Visit) -> web.StreamResponse:
    return _form(visit)


def _form(
    visit: Visit,
    status: HTTPStatus = HTTPStatus.OK,
    problem: IdtoneError | None = None,
    summary: StopSummary | None = None,
    digest: str = "",
) -> web.Response:
    """The page with the form or, in place of its fields, the summary."""
    settings = visit.console.settings
    return visit.render(
        "stop_order.html",
        status,
        problem=problem,
        summary=summary,
        digest=digest,
        shown=SHOWN,
        values={name: visit.field(name) for name in FIELDS},
        persons=settings.policy.own_suspensions.persons,
        has_customers=settings.lines.source is not None,
        is_changed=bool(summary and visit.field("seen")),
        held=holder_names,
    )


async def stop(visit: Visit) -> web.StreamResponse:
    """Show the order's summary, or order the stop if the form contains the summary's digest.

    Showing a number's holder counts as a search by number and is limited accordingly. Stops are not limited.
    """
    if visit.field("change"):
        return _form(visit)
    assert visit.session is not None
    try:
        read = await visit.console.registry.look()
    except IdtoneError:  # the summary says that the holder is not known
        read = None
    made, key = "", visit.session.form_token

    def act() -> tuple[StopSummary, StopSummary]:
        nonlocal made
        desk = SuspensionActs(visit.console.settings)
        one = _ordered(visit, desk)
        bare = bare_summary([NumberSpan(*each) for each in one.numbers])
        summary = _summary(desk.settings, read, one, visit.language)
        if visit.field("seen") in (summary.digest(key), bare.digest(key)):
            made = one.id
            _, failure = desk.order(one)
            if failure:
                raise not_recorded(failure)
        return summary, bare

    try:
        summary, bare = await visit.in_thread(act)
    except IdtoneError as error:
        is_kept = await visit.in_thread(_is_kept, visit.console.settings, made)
        if is_kept:
            return await show_stop(visit, made, HTTPStatus.SERVICE_UNAVAILABLE, error)
        return _form(visit, HTTPStatus.BAD_REQUEST, error)
    if made:
        return visit.redirect(f"{stop_path(made)}?done=1")
    if not admits_number_search(visit):
        summary = bare
    return _form(visit, summary=summary, digest=summary.digest(key))


def _ordered(visit: Visit, desk: SuspensionActs) -> OwnSuspension:
    """The suspension ordered by the form. Raises FormErrors with the errors of all fields."""
    errors, customer = FormErrors(), visit.field("customer")
    is_customer = bool(customer) and not visit.field("entered") and desk.settings.lines.source is not None
    spans = errors.read(
        "customer" if is_customer else "entered", lambda: _spans(visit.field("entered"), customer, desk.settings)
    )
    errors.take(_ORDER, visit.fields or {})
    errors.check()
    assert spans is not None
    requested = visit.field("requested")
    return ordered(
        spans,
        visit.field("reference"),
        desk.act(visit.field("why")),
        persons=desk.persons,
        customer=customer,
        authority=visit.field("authority"),
        requested=parse_typed_time(requested) if requested else None,
    )


def _spans(entered: str, customer: str, settings: Settings) -> list[NumberSpan]:
    """Spans of the entered numbers or the customer's numbers. Raises UsageError."""
    if bool(entered) == bool(customer):
        raise UsageError("give a number, range or prefix, or a customer")
    if customer:
        return spans_of_customer(customer, settings)
    try:
        return [read_span(entered)]
    except NumberError as error:
        raise UsageError("that number cannot be used: {error}", error=error) from error


def _moment(text: str, label: str) -> datetime:
    """The moment entered in a field. Raises UsageError unless it is in the past."""
    try:
        at = parse_typed_time(text)
    except (ValueError, OverflowError) as error:
        raise UsageError("{name}: choose a day and a time", name=label) from error
    if at > datetime.now(UTC):
        raise UsageError("{name}: this time has not come yet", name=label)
    return at


_ORDER: Final[Fields] = {
    "reference": FormField(template("Reference of the request")),
    "authority": FormField(template("Authority that requests it"), is_required=False),
    "requested": FormField(template("Requested at"), _moment, is_required=False),
    "why": FormField(template("Reason")),
}


def _summary(settings: Settings, read: ReadRegistry | None, one: OwnSuspension, language: str) -> StopSummary:
    own = read_suspensions(suspensions_path(settings)).suspensions
    spans = [NumberSpan(*each) for each in one.numbers]
    return stop_summary(spans, read, lines_of(settings), own, one.asked.at, language)


def lines_of(settings: Settings) -> Iterable[Entry] | None:
    """Entries in the table of customer lines, or None if there is no readable table.

    Stops do not require the table.
    """
    if settings.lines.source is None:
        return None
    try:
        return read_as_set(settings.lines).entries()
    except IdtoneError:
        return None


def _is_kept(settings: Settings, suspension: str) -> bool:
    return any(each.id == suspension for each in read_suspensions(suspensions_path(settings)).suspensions)


# -- acts on one stop --------------------------------------------------------------------------------------------------


async def approve(visit: Visit) -> web.StreamResponse:
    return await _changed(visit, lambda desk, one: approved(one, desk.act()))


async def lift(visit: Visit) -> web.StreamResponse:
    """Lift a stop, request a lift, or withdraw a stop that was never approved."""

    def do(desk: SuspensionActs, one: OwnSuspension) -> OwnSuspension:
        errors_of({"why": _ORDER["why"]}, visit.fields or {}).check()
        return lifted(one, desk.act(visit.field("why")), desk.persons)

    return await _changed(visit, do)


async def _changed(visit: Visit, do: Callable[[SuspensionActs, OwnSuspension], OwnSuspension]) -> web.StreamResponse:
    return await _acted(visit, lambda desk, name: desk.finish(desk.change(name, lambda one: do(desk, one))))


_CLOSED: Final[Fields] = {
    "duty": FormField(template("What is done"), one_of(set(DutyKind))),
    "document": FormField(template("Number of its document")),
    "on": FormField(template("Day on the document"), parse_day),
}


async def close_duty(visit: Visit) -> web.StreamResponse:
    """Close one of the stop's duties, as `idtone-evidence duty close` does."""

    def act(desk: SuspensionActs, name: str) -> None:
        errors_of(_CLOSED, visit.fields or {}).check()
        kind, document, on = (
            DutyKind(visit.field("duty")),
            visit.field("document"),
            date.fromisoformat(visit.field("on")),
        )
        one = desk.change(name, lambda found: closed(found, kind, desk.act(), on, document))
        desk.record(one, DUTY_CLOSED, {"duty": kind, "on": on.isoformat(), "document": document})

    return await _acted(visit, act)


async def paper(visit: Visit) -> web.StreamResponse:
    """Send the signed paper for the police, with full numbers, and record in the ledger who received it."""
    name = visit.field("id")

    def make() -> tuple[str, bytes]:
        desk = SuspensionActs(visit.console.settings)
        one = read_suspensions(desk.path).find(name)
        made, file = signed_paper(desk, one, datetime.now(UTC)), f"suspension-{one.id}.pdf"
        return one.id, zip_octets({file: made.pdf, f"{file}.note": made.note})

    try:
        found, octets = await visit.in_thread(make)
    except IdtoneError as error:
        return await show_stop(visit, name, HTTPStatus.BAD_REQUEST, error)
    return download(f"suspension-{found}.zip", octets, ZIP)


async def _acted(visit: Visit, act: Callable[[SuspensionActs, str], object]) -> web.StreamResponse:
    """Run the act and redirect to the stop's page, or show that page with the reason if the act is refused."""
    name = visit.field("id")
    try:
        await visit.in_thread(lambda: act(SuspensionActs(visit.console.settings), name))
    except IdtoneError as error:
        if not await visit.in_thread(_is_kept, visit.console.settings, name):
            return await show(visit, HTTPStatus.BAD_REQUEST, error)
        return await show_stop(visit, name, HTTPStatus.BAD_REQUEST, error)
    return visit.redirect(f"{stop_path(name)}?done=1")


PAGES = (
    Page(ORDER, form, Right.STOP_NUMBERS, title=template("Stop a number")),
    Page(ORDER, stop, Right.STOP_NUMBERS, Method.POST),
    Page(f"{PATH}/approve", approve, Right.STOP_NUMBERS, Method.POST, by_second=True),
    Page(f"{PATH}/lift", lift, Right.STOP_NUMBERS, Method.POST),
    Page(f"{PATH}/close", close_duty, Right.STOP_NUMBERS, Method.POST),
    Page(f"{PATH}/paper", paper, Right.STOP_NUMBERS, Method.POST),
)
