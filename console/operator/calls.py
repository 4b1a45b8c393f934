"""Search for calls by decision or call id, or by number or SIP Call-ID with a recorded purpose."""

import asyncio
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Final

from aiohttp import web

from idtone.core.calls import Direction, Outcome, Reason
from idtone.core.decision_words import DIRECTIONS, REASONS
from idtone.core.errors import LedgerError, UsageError
from idtone.core.japan_time import JAPAN
from idtone.core.numbers import Number, NumberKind, parse
from idtone.core.persons import console_person
from idtone.core.terminal.spreadsheet_csv import csv_lines
from idtone.core.translation import Message, template, translated
from idtone.ledger.disclosure.disclosure_request import DisclosureRules
from idtone.ledger.disclosure.legal_basis import TEXT_LIMIT
from idtone.ledger.disclosure.number_openings import purpose_objection, search_act
from idtone.ledger.disclosure.record_act import record_act
from idtone.ledger.evidence.call_filter import CallFilter
from idtone.ledger.evidence.record_fields import FIELDS
from idtone.ledger.evidence.steps import truncated_sip_call_id
from idtone.ledger.keys.key_ring import KeyRing

from ..access.rights import Right
from ..application import protect
from ..call_rows import COLUMNS, NO_CALLS, ShownCalls
from ..fleet_live import FLEET
from ..form_errors import FormErrors
from ..long_reads import calls_by_id, calls_by_number, calls_by_query, csv_part
from ..number_search_limit import TOO_MANY_NUMBERS, admits_number_search
from ..other_nodes import is_other_node, other_nodes
from ..page import Method, Page, Visit
from ..security import SCRIPTED
from ..threads import Reads
from .call_query import CSV_PATH, PATH, CallQuery, local_moment, path_of, place_text

PAGE_CALLS: Final = 50
NUMBER_CALLS: Final = 50
"""Maximum number of calls shown for a number. The newest are shown."""
CSV_CALLS: Final = 10_000
CSV_PART: Final = 2000
EXPORTS_OF_USER: Final = 1
EXPORTS: Final = 16
"""Maximum number of simultaneous exports by all users together. Their parts alternate."""


_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Found:
    """One page of the list.

    `newer` and `older` are the addresses of the adjacent pages. `on` is the address where an unfinished search
    continues, and `searched` is how far back it has searched. Each is None if it does not apply.
    """

    shown: ShownCalls = NO_CALLS
    newer: str | None = None
    older: str | None = None
    on: str | None = None
    searched: datetime | None = None


async def calls(visit: Visit) -> web.StreamResponse:
    settings, opens, language = visit.console.settings, visit.may(Right.OPEN_NUMBERS), visit.language
    try:
        query = CallQuery.of(visit.request.query)
    except UsageError as error:
        return await _page(visit, CallQuery(dict(visit.request.query)), _Found(), error, HTTPStatus.BAD_REQUEST)
    try:
        if query.call:
            by_id = await visit.read(Reads.SEARCH, calls_by_id, settings, query, PAGE_CALLS, opens, language)
            if isinstance(by_id, str):
                return visit.redirect(path_of(by_id, node=query.node))
            found = _Found(by_id)
        else:
            is_list = query.wanted == CallFilter() and not is_other_node(settings, query.node)
            kind = Reads.LIST if is_list else Reads.SEARCH
            shown = await visit.read(kind, calls_by_query, settings, query, PAGE_CALLS, opens, language)
            found = _answer(query, shown)
    except UsageError as error:  # no such node
        return await _page(visit, query, _Found(), error, HTTPStatus.BAD_REQUEST)
    return await _page(visit, query, found)


async def _page(
    visit: Visit, query: CallQuery, found: _Found, problem: object = None, status: HTTPStatus = HTTPStatus.OK
) -> web.Response:
    return visit.render(
        "calls.html",
        status,
        values=query.values,
        nodes=await other_nodes(visit.console.settings, visit.request.app[FLEET]),
        own_node=visit.console.settings.node,
        problem=problem,
        outcomes=[*Outcome],
        reasons={reason.value: REASONS[reason] for reason in Reason},
        directions={direction.value: DIRECTIONS[direction] for direction in Direction},
        may_open=visit.may(Right.OPEN_NUMBERS),
        purpose_limit=TEXT_LIMIT,
        by_number=BY_NUMBER,
        query=query.address().partition("?")[2],
        searches=visit.user.searches if visit.user else (),
        ranges=[(words, query.since(begin)) for words, begin in quick_ranges(datetime.now(JAPAN))],
        **_lines(found, query),
    )


def quick_ranges(now: datetime) -> list[tuple[str, datetime]]:
    """Common search periods as pairs of label and start."""
    return [
        (template("Last hour"), now - timedelta(hours=1)),
        (template("Since midnight"), now.replace(hour=0, minute=0)),
        (template("Last 7 days"), now - timedelta(days=7)),
    ]


def _lines(found: _Found, query: CallQuery) -> dict[str, object]:
    return {
        "shown": found.shown,
        "columns": COLUMNS,
        "newer": found.newer,
        "older": found.older,
        "on": found.on,
        "searched": found.searched,
        "is_first": query.before is None and query.after is None,
        "first": query.address(),
        "csv": query.address(CSV_PATH),
        "csv_calls": CSV_CALLS,
    }


def _answer(query: CallQuery, shown: ShownCalls) -> _Found:
    reached, is_full = shown.reached, shown.calls >= PAGE_CALLS
    if query.after is not None:
        on = None if is_full or reached is None else query.address(after=place_text(reached))
        return _Found(
            shown,
            newer=query.address(after=place_text(shown.newest)) if is_full and shown.newest and reached else None,
            older=query.address(before=place_text(shown.oldest or query.after)),
            on=on,
            searched=reached.moment if on and reached else None,
        )
    newest = shown.newest or query.before
    on = None if is_full or reached is None else query.address(before=place_text(reached))
    return _Found(
        shown,
        newer=query.address(after=place_text(newest)) if query.before and newest else None,
        older=query.address(before=place_text(reached)) if is_full and reached else None,
        on=on,
        searched=reached.moment if on and reached else None,
    )


async def by_number(visit: Visit) -> web.StreamResponse:
    """Show a number's calls after recording the act in the ledger.

    The search runs while the act is being recorded, which waits for the disk and the service. If either fails, nothing
    is shown.
    """
    if not admits_number_search(visit):
        return _by_number_page(visit, NO_CALLS, TOO_MANY_NUMBERS, HTTPStatus.TOO_MANY_REQUESTS)
    errors = FormErrors()
    wanted = errors.read("number", lambda: _wanted(visit.field("number"), visit.field("sip_call_id")))
    purpose = errors.read("purpose", lambda: _purpose(visit.field("purpose")))
    start, end = (errors.read(name, partial(local_moment, name, visit.field(name))) for name in ("from", "until"))
    if errors:
        return _by_number_page(visit, NO_CALLS, errors, HTTPStatus.BAD_REQUEST)
    assert wanted is not None
    assert purpose is not None
    requests = visit.may(Right.REQUEST_EXPORTS)
    recorded, shown = await asyncio.gather(
        visit.in_thread(_record, visit, wanted, purpose),
        visit.read(
            Reads.SEARCH,
            calls_by_number,
            visit.console.settings,
            wanted,
            start,
            end,
            NUMBER_CALLS,
            requests,
            visit.language,
        ),
        return_exceptions=True,
    )
    for each in (recorded, shown):
        if isinstance(each, BaseException):
            raise each
    assert not isinstance(shown, BaseException)
    return _by_number_page(visit, shown)


def _by_number_page(
    visit: Visit, shown: ShownCalls, problem: object = None, status: HTTPStatus = HTTPStatus.OK
) -> web.Response:
    return visit.render(
        "calls_by_number.html",
        status,
        problem=problem,
        shown=shown,
        columns=COLUMNS,
        limit=NUMBER_CALLS,
        by_number=BY_NUMBER,
        purpose_limit=TEXT_LIMIT,
        values={name: visit.field(name) for name in ("from", "until", "purpose")},
    )


def _wanted(number_text: str, sip_call_id: str) -> Number | str:
    """The entered number, or the SIP Call-ID if there is no number. Raises NumberError, UsageError."""
    if kept := truncated_sip_call_id(sip_call_id):
        if number_text.strip():
            raise UsageError("a number and a SIP Call-ID are two searches; leave out one of them")
        return kept
    number = parse(number_text)
    if not number.known or number.kind is NumberKind.EMERGENCY:
        raise UsageError("only telephone numbers can be found; write it like 0312345678")
    return number


def _purpose(text: str) -> str:
    """The entered purpose. Raises UsageError if it is invalid."""
    if objection := purpose_objection(text):
        raise UsageError(objection)
    return text


def _record(visit: Visit, wanted: Number | str, purpose: str) -> None:
    """Record the search in the ledger. Raises LedgerError if that fails."""
    console, now = visit.console, datetime.now(UTC)
    assert visit.user is not None
    person, ledger = console_person(visit.user.name), console.settings.ledger
    key_ring = KeyRing.of(ledger, console.settings.node)
    record_act(
        ledger.own_url(),
        console.settings.node,
        key_ring,
        lambda act_id: search_act(act_id, now, person, purpose, wanted, key_ring.days),
        DisclosureRules.of(ledger),
    )


async def as_csv(visit: Visit) -> web.StreamResponse:
    """Send at most `CSV_CALLS` calls of the search as one CSV file.

    Rows are sent after the search has ended, so slow clients do not delay other exports.
    """
    try:
        query = CallQuery.of(visit.request.query)
    except UsageError as error:
        return visit.render("problem.html", HTTPStatus.BAD_REQUEST, problem=error)
    limits = visit.console.limits
    with limits.under_way((f"export {visit.party}", EXPORTS_OF_USER)) as is_only:
        if not is_only:
            return _wait(visit, Message("Your other export has not ended. Wait for it, or stop it."))
        answer = web.StreamResponse(headers={"Content-Disposition": 'attachment; filename="idtone-calls.csv"'})
        answer.content_type, answer.charset = "text/csv", "utf-8"
        with limits.under_way(("exports", EXPORTS)) as has_room:
            if not has_room:
                return _wait(visit, Message("Other exports run at the moment. Try again in a minute."))
            try:
                octets = await _exported(visit, query, answer)
            except UsageError as error:  # no such node
                return visit.render("problem.html", HTTPStatus.BAD_REQUEST, problem=error)
        await answer.write(octets)
        return answer


def _wait(visit: Visit, problem: Message) -> web.Response:
    """A short plain-text refusal, so that even many refusals cost little."""
    headers = {"Retry-After": "60"}
    return web.Response(text=f"{translated(problem)}\n", status=HTTPStatus.TOO_MANY_REQUESTS, headers=headers)


async def _exported(visit: Visit, query: CallQuery, answer: web.StreamResponse) -> bytes:
    """Send the CSV header in `answer` and return the search's rows.

    Stops when the visitor leaves. Raises UsageError or LedgerError before the header is sent, or ConnectionAbortedError
    afterward.
    """
    settings, opens = visit.console.settings, visit.may(Right.OPEN_NUMBERS)
    parts, count, place = list[str](), 0, query.before
    while True:
        rest = min(CSV_PART, CSV_CALLS - count)
        try:
            part = await visit.read(Reads.EXPORT, csv_part, settings, query, place, rest, opens)
        except LedgerError as error:
            if not answer.prepared:
                raise
            _log.error("%s: %s", CSV_PATH, error)
            raise ConnectionAbortedError from error  # a partial file must not look complete
        if not answer.prepared:
            protect(answer, SCRIPTED)
            await answer.prepare(visit.request)
            await answer.write(csv_lines([FIELDS]).encode())
        parts.append(part.text)
        count, place = count + part.calls, part.reached
        if place is None or count >= CSV_CALLS:
            return "".join(parts).encode()


BY_NUMBER: Final = "/calls/by-number"
PAGES = (
    Page(PATH, calls, Right.LOOK, title=template("Calls")),
    Page(CSV_PATH, as_csv, Right.LOOK),
    Page(BY_NUMBER, by_number, Right.OPEN_NUMBERS, Method.POST),
)
