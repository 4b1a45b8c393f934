"""Numbers of a member from a table that a spreadsheet has saved: assigned or taken back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

from aiohttp import web

from idtone.core.errors import IdtoneError, UsageError
from idtone.core.translation import Message
from idtone.office.authority.change_registry import Attribution, assign, release
from idtone.office.authority.number_sheet import LIMIT, check_count, sheet_entries
from idtone.office.authority.workspace import Workspace

from ..access.rights import Right
from ..page import Method, Page, Visit
from ..uploads import received
from . import members
from .acts import absent, attributed, files_of

_DOES: Final[Mapping[str, Callable[[Workspace, str, list[str], Attribution], object]]] = {
    "assign": assign,
    "release": release,
}


async def take(visit: Visit) -> web.StreamResponse:
    files, wanted = files_of(visit), visit.part("member")
    is_known = wanted in (await visit.in_thread(files.registered)).members
    try:
        async with received(visit, LIMIT) as upload:  # first, because it checks the form's token
            do = _DOES.get(upload.fields.get("act", ""))
            if not is_known or do is None:
                return absent(visit, Message("There is no such member."))
            attribution = attributed(visit)

            def act() -> None:
                octets = upload.file.read_bytes()
                if not octets:
                    raise UsageError(Message("choose the file of the numbers"))
                entries = sheet_entries(octets, upload.name)
                check_count(entries, upload.fields.get("count", ""), upload.name)
                do(files.workspace, wanted, entries, attribution)

            await visit.in_thread(act)
    except IdtoneError as error:
        if not is_known:
            return visit.render("problem.html", HTTPStatus.BAD_REQUEST, problem=error)
        return await members.member(visit, HTTPStatus.BAD_REQUEST, error)
    return visit.redirect(f"{members.PATH}/{wanted}?done=1")


PAGES = (Page(members.PATH + "/{member}/sheet", take, Right.OFFICE, Method.POST, uploads=True),)
