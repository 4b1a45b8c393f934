"""The search field at the top of each page, for call ids, members, licences, references, reports and telephone numbers.

The form sends the text in its body, because numbers must not appear in addresses. A number is not searched for
immediately: the page first offers forms that ask for a purpose.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from aiohttp import web

from idtone.core.errors import IdtoneError, LedgerError
from idtone.core.numbers import parse
from idtone.core.translation import Message
from idtone.ledger.disclosure.legal_basis import TEXT_LIMIT
from idtone.ledger.evidence.leaves import ACT_ID
from idtone.registry.suspensions.suspension_file import read_suspensions, suspensions_path

from .access.rights import Right
from .administration.users_and_sessions import user_path
from .office import members, reports
from .operator import calls
from .operator.call_query import PATH as CALLS
from .operator.call_query import path_of
from .operator.suspensions import stop_path
from .page import Method, Page, Visit
from .registry_in_use import ReadRegistry

PATH: Final = "/find"
LEAST: Final = 2
"""Minimum length of a search text, in characters. Anything shorter would match too much."""
OF_A_KIND: Final = 10
LENGTH_LIMIT: Final = 255


@dataclass(frozen=True, slots=True)
class Hit:
    what: Message
    path: str


async def find(visit: Visit) -> web.StreamResponse:
    """Show the hits, or redirect to the only hit's page."""
    wanted = visit.field("wanted")[:LENGTH_LIMIT]
    if is_number(wanted):
        return _page(visit, wanted, number=wanted)
    hits: list[Hit] = []
    trouble: LedgerError | None = None
    if len(wanted) >= LEAST:
        if visit.may(Right.LOOK):
            with contextlib.suppress(IdtoneError):  # the registry's page shows the error
                read = await visit.console.registry.look()
                hits += await visit.in_thread(lambda: list(_in_registry(read, wanted)))
            hits += await visit.in_thread(lambda: list(_own_stops(visit, wanted)))
            try:
                hits += await visit.in_thread(lambda: list(_in_ledger(visit, wanted)))
            except LedgerError as error:
                trouble = error
        if visit.may(Right.ADMINISTER):
            users = await visit.in_thread(visit.console.users.all)
            named = [each.name for each in users if wanted.casefold() in each.name.casefold()]
            hits += [Hit(Message("User {name}", name=name), user_path(name)) for name in named[:OF_A_KIND]]
        if visit.may(Right.OFFICE) and visit.console.office_files:
            hits += await visit.in_thread(lambda: list(_in_office(visit, wanted)))
    if len(hits) == 1 and trouble is None:
        return visit.redirect(hits[0].path)
    return _page(visit, wanted, hits, trouble=trouble)


def _page(
    visit: Visit, wanted: str, hits: list[Hit] | None = None, number: str = "", trouble: LedgerError | None = None
) -> web.Response:
    """The page with the hits. `trouble` says why the ledger could not be searched."""
    return visit.render(
        "find.html",
        wanted=wanted,
        hits=hits or [],
        trouble=trouble,
        number=number,
        least=LEAST,
        purpose_limit=TEXT_LIMIT,
        may_open=visit.may(Right.OPEN_NUMBERS),
        may_look=visit.may(Right.LOOK),
        is_office=visit.may(Right.OFFICE) and visit.console.office_files is not None,
        by_number=calls.BY_NUMBER,
        members_path=members.PATH,
        reports_path=reports.PATH,
    )


def is_number(wanted: str) -> bool:
    """True if the text is a complete telephone number as people write them."""
    return not any(each.isalpha() for each in wanted) and "." not in wanted and parse(wanted).known


def _in_registry(read: ReadRegistry, wanted: str) -> Iterator[Hit]:
    folded = wanted.casefold()
    members = [
        each for each in read.document.members if folded in f"{each.id}\n{each.name.ja}\n{each.name.en}".casefold()
    ]
    for each in members[:OF_A_KIND]:
        what = Message("Calls of the member {id} ({name})", id=each.id, name=each.name.ja)
        yield Hit(what, f"{CALLS}?{urlencode({'member': each.id})}")
    licences = [one.id for each in read.document.members for one in each.licences if one.id.casefold() == folded]
    for licence in licences:
        yield Hit(
            Message("Calls by the licence {licence}", licence=licence), f"{CALLS}?{urlencode({'licence': licence})}"
        )
    references = dict.fromkeys(
        each.reference for each in read.document.suspensions if folded in each.reference.casefold()
    )
    for reference in [*references][:OF_A_KIND]:
        yield Hit(Message("Suspension {reference} of the registry", reference=reference), "/suspensions")


def _own_stops(visit: Visit, wanted: str) -> Iterator[Hit]:
    folded = wanted.casefold()
    with contextlib.suppress(IdtoneError):
        found = [
            one
            for one in read_suspensions(suspensions_path(visit.console.settings)).suspensions
            if folded in one.reference.casefold() or one.id.startswith(folded)
        ]
        for one in found[: -OF_A_KIND - 1 : -1]:
            yield Hit(
                Message("Stop {id} of this node ({reference})", id=one.id, reference=one.reference), stop_path(one.id)
            )


def _in_ledger(visit: Visit, wanted: str) -> Iterator[Hit]:
    """Yield the hits in the ledger. Raises LedgerError."""
    with visit.console.reader() as reader:
        if reader.knows(wanted) and not wanted.startswith(ACT_ID):
            yield Hit(Message("Call {id}", id=wanted), path_of(wanted))
            return
        for name in reader.call_ids(wanted, OF_A_KIND):
            if not name.startswith(ACT_ID):
                yield Hit(Message("Call {id}", id=name), path_of(name))
            elif name == wanted:
                yield Hit(Message("Disclosure {id}", id=name), f"/evidence/exports/{quote(name)}")


def _in_office(visit: Visit, wanted: str) -> Iterator[Hit]:
    files, folded = visit.console.office_files, wanted.casefold()
    assert files is not None
    found = [each for each in files.registered().members.values() if folded in members.words_of_member(each)]
    for each in found[:OF_A_KIND]:
        what = Message("Member {id} ({name})", id=each.id, name=each.name.ja)
        yield Hit(what, f"{members.PATH}/{quote(each.id)}")
    references = [each.reference for each in files.suspensions().suspensions if folded in each.reference.casefold()]
    for reference in [*dict.fromkeys(references)][:OF_A_KIND]:
        yield Hit(Message("Suspension {reference} of the office", reference=reference), "/office/suspensions")
    desk = files.reports()
    if desk and desk.store.report(wanted):
        yield Hit(Message("Report {id}", id=wanted), f"{reports.PATH}/{quote(wanted)}")


PAGES = (Page(PATH, find, Right.ENTER, Method.POST),)
