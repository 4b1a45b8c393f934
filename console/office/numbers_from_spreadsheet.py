"""Member numbers to assign or take back, entered as a spreadsheet table."""

from collections.abc import Callable, Mapping
from typing import Final

from aiohttp import web

from idtone.core.errors import UsageError
from idtone.core.translation import Message, template
from idtone.office.authority.change_registry import Attribution, assign_numbers, release_numbers
from idtone.office.authority.number_sheet import LIMIT, check_count, sheet_entries
from idtone.office.authority.workspace import Workspace

from ..access.rights import Right
from ..form_errors import Fields, FormField, any_text, one_of
from ..page import Method, Page, Visit
from ..uploads import Upload
from . import members
from .common_parts import WHY, attribution_of, do_act_on_file, files_of

_DOES: Final[Mapping[str, Callable[[Workspace, str, list[str], Attribution], object]]] = {
    "assign": assign_numbers,
    "release": release_numbers,
}

_FIELDS: Final[Fields] = {
    "act": FormField(template("What is to be done"), one_of(_DOES)),
    "count": FormField(template("How many numbers there are"), any_text, is_required=False),
    **WHY,
}


async def take(visit: Visit) -> web.StreamResponse:
    files, wanted = files_of(visit), visit.part("member")

    def act(upload: Upload) -> str:
        if wanted not in files.registered().members:
            raise UsageError("There is no such member.")
        entries = sheet_entries(upload.file.read_bytes(), upload.name)
        check_count(entries, upload.fields.get("count", ""), upload.name)
        _DOES[upload.fields["act"]](files.workspace, wanted, entries, attribution_of(visit))
        return f"{members.PATH}/{wanted}"

    return await do_act_on_file(visit, LIMIT, act, members.member, _FIELDS, Message("choose the file of the numbers"))


PAGES = (Page(members.PATH + "/{member}/sheet", take, Right.OFFICE, Method.POST, uploads=True),)
