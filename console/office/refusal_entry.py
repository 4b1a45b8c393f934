"""A new refusal of a contractor, and the decision without which there is no list of refusals."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

import yaml
from aiohttp import web

from idtone.core.errors import IdtoneError, UsageError
from idtone.core.terminal.asking import line
from idtone.core.translation import Message
from idtone.member.customers.refused.customer_identity import CustomerIdentity, parse_customer
from idtone.office.authority.moments import day, day_after, in_japan
from idtone.office.refused.change_refusals import Refusals
from idtone.office.refused.legal_basis import BASIS_WORDS, FIELDS, decide_basis, decided_basis
from idtone.office.refused.refusal_key import RefusalKey

from ..access.rights import Right
from ..page import Method, Page, Visit
from ..uploads import received
from .acts import acted, files_of
from .refusals import PATH as REFUSALS
from .refusals import refusals

BASIS: Final = f"{REFUSALS}/basis"
_KEY_LIMIT: Final = 100_000
"""Bytes of the file of a key."""
_IDENTITY: Final = ("name", "kana", "latin", "born", "corporate_number", "address")


async def basis(
    visit: Visit, status: HTTPStatus = HTTPStatus.OK, problem: IdtoneError | None = None
) -> web.StreamResponse:
    found = await visit.in_thread(decided_basis, files_of(visit).folder)
    return visit.render(
        "office_refusal_basis.html",
        status,
        problem=problem,
        found=found,
        words=BASIS_WORDS,
        labels=FIELDS,
        today=in_japan(datetime.now(UTC)).date().isoformat(),
    )


async def decide(visit: Visit) -> web.StreamResponse:
    folder = files_of(visit).folder

    def act() -> None:
        decide_basis(
            folder,
            visit.field("basis"),
            visit.field("decided"),
            visit.fields or {},
            datetime.now(UTC),
            lambda name: Message(FIELDS[name]) if name in FIELDS else Message("Decided on"),
        )

    return await acted(visit, act, basis, BASIS)


async def add(visit: Visit) -> web.StreamResponse:
    """Refuse a contractor. The key of the refusals comes with the form, and is forgotten after it."""
    folder = files_of(visit).folder
    try:
        async with received(visit, _KEY_LIMIT) as upload:
            given = {name: value.strip() for name, value in upload.fields.items()}

            def act() -> None:
                now = datetime.now(UTC)
                if not upload.name:
                    raise UsageError(Message("choose the file of the key of the refusals"))
                since = day(given["since"], Message("First day")) if given.get("since") else in_japan(now).date()
                until = day_after(given.get("until", ""), Message("Last day"))
                case, why = (
                    line(given.get("reference", ""), Message("Reference")),
                    line(given.get("why", ""), Message("Reason")),
                )
                identity = _identity(given)
                key = RefusalKey.load(upload.file, lambda _: given.get("passphrase", ""))
                Refusals(folder).refuse(key, identity, case, since, until, why, now)

            await visit.in_thread(act)
    except IdtoneError as error:
        return await refusals(visit, HTTPStatus.BAD_REQUEST, error)
    return visit.redirect(f"{REFUSALS}?done=1")


def _identity(given: Mapping[str, str]) -> CustomerIdentity:
    """As a file of its own would give it. Raises DocumentError."""
    content = {"kind": given.get("kind", ""), **{name: given[name] for name in _IDENTITY if given.get(name)}}
    return parse_customer(yaml.safe_dump({"customer": content}, allow_unicode=True), str(Message("the form")))


PAGES = (
    Page(BASIS, basis, Right.OFFICE),
    Page(BASIS, decide, Right.OFFICE, Method.POST),
    Page(REFUSALS + "/add", add, Right.OFFICE, Method.POST, uploads=True),
)
