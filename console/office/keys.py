"""The signing keys with their holders, signatures that a waiting package lacks, and when signatures expire."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from aiohttp import web

from idtone.core.errors import IdtoneError
from idtone.core.terminal.prompts import checked_line
from idtone.core.translation import Message, template
from idtone.office.authority.key_holders import NAMED, KeySetState, key_holders, key_states, name_holder
from idtone.office.desk.office_ledger import OfficeLedger

from ..access.rights import Right
from ..form_errors import FormField
from ..page import Method, Page, Visit
from .common_parts import do_act, files_of
from .office_files import OfficeFiles

PATH: Final = "/office/keys"
SETS: Final = {
    "root": template("Root keys: which other keys count"),
    "registry": template("Registry keys: members, licences, numbers and sounds"),
    "duty": template("Duty keys: suspensions, and what is the latest edition"),
}


def _states(files: OfficeFiles) -> list[KeySetState]:
    if not files.is_published():
        return []
    waiting = [edition for each in (files.package, files.duty_package) if (edition := each.edition()) is not None]
    return key_states(files.workspace.repository.all_current_metadata(), waiting, key_holders(files.folder))


async def keys(
    visit: Visit, status: HTTPStatus = HTTPStatus.OK, problem: IdtoneError | None = None
) -> web.StreamResponse:
    sets = await visit.in_thread(_states, files_of(visit))
    return visit.render(
        "office_keys.html",
        status,
        problem=problem,
        sets=sets,
        titles=SETS,
        now=datetime.now(UTC),
    )


async def name(visit: Visit) -> web.StreamResponse:
    """Record who holds a key."""
    files, key_id = files_of(visit), visit.field("key")

    def act() -> None:
        holder = checked_line(visit.field("holder"), Message("Holder"))
        with files.workspace.locked():
            in_force = [each.key_id for group in _states(files) for each in group.holders]
            name_holder(files.folder, key_id, holder, in_force)
        OfficeLedger(files.folder).record(NAMED, key_id)

    return await do_act(visit, act, keys, PATH, {"holder": FormField(template("Holder"))})


PAGES = (
    Page(PATH, keys, Right.OFFICE),
    Page(PATH, name, Right.OFFICE, Method.POST),
)
