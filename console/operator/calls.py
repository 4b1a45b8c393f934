"""The search for calls: by what was decided, by call id; with a purpose that is recorded, by number or SIP Call-ID."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Final

from aiohttp import web

from idtone.core.calls import Direction, Outcome, Reason
from idtone.core.decision_words import DIRECTIONS, REASONS
from idtone.core.errors import LedgerError, NumberError, UsageError
from idtone.core.japan import JAPAN
from idtone.core.numbers import Number, NumberKind, parse
from idtone.core.persons import visiting
from idtone.core.terminal.command_line import csv_lines
from idtone.core.translation import Message, template, translated
from idtone.ledger.disclosure.disclosure_request import DisclosureRules
from idtone.ledger.disclosure.legal_basis import TEXT_LIMIT
from idtone.ledger.disclosure.opened_numbers import purpose_objection, search_act
from idtone.ledger.disclosure.record_act import record_act
from idtone.ledger.evidence.leaves import ACT_ID
from idtone.ledger.evidence.record_fields import FIELDS, fields_of
from idtone.ledger.evidence.records import Record
from idtone.ledger.evidence.steps import kept_sip_call_id
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.store.call_search import FoundCalls, Place, search_calls
from idtone.ledger.store.ledger_reader import LedgerReader

from ..access.rights import Right
from ..application import protect
from ..number_searches import TOO_MANY_NUMBERS, admits_number_search
from ..other_nodes import other_nodes
from ..page import Method, Page, Visit
from ..security import SCRIPTED
from .call_query import CSV_PATH, PATH, CallQuery, local_moment, path_of, place_text
from .call_words import line_of
from .shown_ledger import ledger_for

PAGE_CALLS: Final = 50
SEARCH_S: Final = 0.5
"""How long a page searches. Then it says how far it came, and shows what it has found."""
CROWDED_SEARCH_S: Final = 0.05
"""While others wait for their search."""
NUMBER_CALLS: Final = 50
"""Calls of a number that are shown, the newest."""
CSV_CALLS: Final = 10_000
CSV_PART: Final = 200
CSV_PART_S: Final = 0.1
CSV_REST_S: Final = 0.05
"""Between two parts: pages have the processor then."""
EXPORTS_OF_SESSION: Final = 1
EXPORTS: Final = 2
"""At a time, of all sessions."""


_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Found:
    """A page of the list. `older` is where the next page begins, `on` where the search continues, None if it ends."""

    records: Sequence[Record]
    newer: str | None = None
    older: str | None = None
    on: str | None = None
    searched: datetime | None = None


async def calls(visit: Visit) -> web.StreamResponse:
    try:
        query = CallQuery.of(visit.request.query)
    except UsageError as error:
        values = dict(visit.request.query)
        return _page(visit, CallQuery(values), _Found(()), await other_nodes(visit), error, HTTPStatus.BAD_REQUEST)
    try:
        if query.call:
            call_id, found = await visit.in_long_read(_by_call_id, visit, query)
            if call_id is not None:
                return visit.redirect(path_of(call_id, node=query.node))
        else:
            found = await visit.in_long_read(_search, visit, query)
    except UsageError as error:  # no such node
        return _page(visit, query, _Found(()), await other_nodes(visit), error, HTTPStatus.BAD_REQUEST)
    return _page(visit, query, found, await other_nodes(visit))


def _page(
    visit: Visit,
    query: CallQuery,
    found: _Found,
    nodes: Sequence[str],
    problem: object = None,
    status: HTTPStatus = HTTPStatus.OK,
) -> web.Response:
    return visit.render(
        "calls.html",
        status,
        values=query.values,
        nodes=nodes,
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
    """The times from which people mostly look."""
    return [
        (template("Last hour"), now - timedelta(hours=1)),
        (template("Since midnight"), now.replace(hour=0, minute=0)),
        (template("Last 7 days"), now - timedelta(days=7)),
    ]


def _lines(found: _Found, query: CallQuery) -> dict[str, object]:
    return {
        "lines": [line_of(record, query.node) for record in found.records],
        "newer": found.newer,
        "older": found.older,
        "on": found.on,
        "searched": found.searched,
        "is_first": query.before is None and query.after is None,
        "first": query.address(),
        "csv": query.address(CSV_PATH),
        "csv_calls": CSV_CALLS,
    }


def _search(visit: Visit, query: CallQuery) -> _Found:
    began_s, others = time.perf_counter(), visit.console.threads.long
    newer = query.after is not None
    with ledger_for(visit).reader as reader:
        found = search_calls(
            reader,
            query.wanted,
            query.start,
            query.end,
            place=query.after if newer else query.before,
            newer=newer,
            limit=PAGE_CALLS,
            enough=lambda: time.perf_counter() - began_s >= (CROWDED_SEARCH_S if others.is_awaited else SEARCH_S),
        )
    return _answer(query, found)


def _answer(query: CallQuery, found: FoundCalls) -> _Found:
    records, places, reached = found.records, found.places, found.reached
    is_full = len(places) >= PAGE_CALLS
    if query.after is not None:
        on = None if is_full or reached is None else query.address(after=place_text(reached))
        return _Found(
            records,
            newer=query.address(after=place_text(places[0])) if is_full and reached else None,
            older=query.address(before=place_text(places[-1] if places else query.after)),
            on=on,
            searched=reached.moment if on and reached else None,
        )
    newest = places[0] if places else query.before
    on = None if is_full or reached is None else query.address(before=place_text(reached))
    return _Found(
        records,
        newer=query.address(after=place_text(newest)) if query.before and newest else None,
        older=query.address(before=place_text(reached)) if is_full and reached else None,
        on=on,
        searched=reached.moment if on and reached else None,
    )


def _by_call_id(visit: Visit, query: CallQuery) -> tuple[str | None, _Found]:
    """The call, or those whose ids begin so."""
    with ledger_for(visit).reader as reader:
        if _is_call(reader, query.call):
            return query.call, _Found(())
        names = [name for name in reader.call_ids(query.call, PAGE_CALLS) if not name.startswith(ACT_ID)]
        if len(names) == 1:
            return names[0], _Found(())
        records = [record for record in reader.records_of(names) if query.wanted.accepts(record)]
    return None, _Found(records[::-1])


def _is_call(reader: LedgerReader, call_id: str) -> bool:
    return not call_id.startswith(ACT_ID) and reader.knows(call_id)


async def by_number(visit: Visit) -> web.StreamResponse:
    """The act is recorded before anything is shown. Recording waits for the disk and the service, so the calls are
    looked for meanwhile.
    """
    if not admits_number_search(visit):
        return _by_number_page(visit, (), TOO_MANY_NUMBERS, HTTPStatus.TOO_MANY_REQUESTS)
    try:
        wanted = _wanted(visit.field("number"), visit.field("sip_call_id"))
        start, end = local_moment("from", visit.field("from")), local_moment("until", visit.field("until"))
        purpose = _purpose(visit.field("purpose"))
    except (UsageError, NumberError) as error:
        return _by_number_page(visit, (), error, HTTPStatus.BAD_REQUEST)
    recorded, records = await asyncio.gather(
        visit.in_thread(_record, visit, wanted, purpose),
        visit.in_long_read(_find, visit, wanted, start, end),
        return_exceptions=True,
    )
    for each in (recorded, records):
        if isinstance(each, BaseException):
            raise each
    assert not isinstance(records, BaseException)
    return _by_number_page(visit, records)


def _by_number_page(
    visit: Visit, records: Sequence[Record], problem: object = None, status: HTTPStatus = HTTPStatus.OK
) -> web.Response:
    return visit.render(
        "calls_by_number.html",
        status,
        problem=problem,
        lines=[line_of(record) for record in records],
        limit=NUMBER_CALLS,
        by_number=BY_NUMBER,
        purpose_limit=TEXT_LIMIT,
        values={name: visit.field(name) for name in ("from", "until", "purpose")},
    )


def _wanted(number_text: str, sip_call_id: str) -> Number | str:
    """The number, or the SIP Call-ID, if only that is given. Raises NumberError, UsageError."""
    if kept := kept_sip_call_id(sip_call_id):
        if number_text.strip():
            raise UsageError(Message("a number and a SIP Call-ID are two searches; leave out one of them"))
        return kept
    number = parse(number_text)
    if not number.known or number.kind is NumberKind.EMERGENCY:
        raise UsageError(Message("only telephone numbers can be found; write it like 0312345678"))
    return number


def _purpose(text: str) -> str:
    """Raises UsageError."""
    if objection := purpose_objection(text):
        raise UsageError(objection)
    return text


def _record(visit: Visit, wanted: Number | str, purpose: str) -> None:
    """Raises LedgerError if the search cannot be recorded; then nothing of it is shown."""
    console, now = visit.console, datetime.now(UTC)
    assert visit.user is not None
    person, ledger = visiting(visit.user.name), console.settings.ledger
    key_ring = KeyRing.of(ledger, console.settings.node)
    record_act(
        ledger.own(),
        console.settings.node,
        key_ring,
        lambda act_id: search_act(act_id, now, person, purpose, wanted, key_ring.days),
        DisclosureRules.of(ledger),
    )


def _find(visit: Visit, wanted: Number | str, start: datetime | None, end: datetime | None) -> Sequence[Record]:
    """Raises LedgerError."""
    with visit.console.opening_reader() as reader:
        if isinstance(wanted, Number):
            return reader.find(wanted, start, end, NUMBER_CALLS)[::-1]
        return reader.find_sip_call_id(wanted, start, end)[: -NUMBER_CALLS - 1 : -1]


async def as_csv(visit: Visit) -> web.StreamResponse:
    """What the search shows, as far as `CSV_CALLS`, without its pages. Its rows are sent when the search has ended: a
    client that is slow holds up no other export.
    """
    assert visit.session is not None
    try:
        query = CallQuery.of(visit.request.query)
    except UsageError as error:
        return visit.render("problem.html", HTTPStatus.BAD_REQUEST, problem=error)
    limits = visit.console.limits
    with limits.under_way((f"export {visit.session.id}", EXPORTS_OF_SESSION)) as is_only:
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
    """A page would cost more than the refusal is worth, if there are many."""
    headers = {"Retry-After": "60"}
    return web.Response(text=f"{translated(problem)}\n", status=HTTPStatus.TOO_MANY_REQUESTS, headers=headers)


async def _exported(visit: Visit, query: CallQuery, answer: web.StreamResponse) -> bytes:
    """The rows; `answer` has begun with its head. Ends when the visitor leaves. Raises LedgerError, UsageError."""
    parts, count, place = list[str](), 0, query.before
    while True:
        rest = min(CSV_PART, CSV_CALLS - count)
        try:
            found = await visit.in_export(_csv_part, visit, query, place, rest, CSV_PART_S)
        except LedgerError as error:
            if not answer.prepared:
                raise
            _log.error("%s: %s", CSV_PATH, error)
            raise ConnectionAbortedError from error  # a part must not look like the whole
        if not answer.prepared:
            protect(answer, SCRIPTED)
            await answer.prepare(visit.request)
            await answer.write(csv_lines([FIELDS]).encode())
        parts.append(csv_lines(fields_of(record) for record in found.records))
        count, place = count + len(found.records), found.reached
        if place is None or count >= CSV_CALLS:
            return "".join(parts).encode()
        await asyncio.sleep(CSV_REST_S)


def _csv_part(visit: Visit, query: CallQuery, place: Place | None, limit: int, patience_s: float) -> FoundCalls:
    until_s = time.perf_counter() + patience_s
    with ledger_for(visit).reader as reader:
        return search_calls(
            reader,
            query.wanted,
            query.start,
            query.end,
            place=place,
            limit=limit,
            enough=lambda: time.perf_counter() >= until_s,
        )


BY_NUMBER: Final = "/calls/by-number"
PAGES = (
    Page(PATH, calls, Right.LOOK, title=template("Calls")),
    Page(CSV_PATH, as_csv, Right.LOOK),
    Page(BY_NUMBER, by_number, Right.OPEN_NUMBERS, Method.POST),
)
