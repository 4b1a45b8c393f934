"""The association's sounds with their licensed members, and the form for a new sound and its master."""

from collections import Counter
from http import HTTPStatus
from typing import Final

from aiohttp import web

from idtone.core.calls import LicenceStatus
from idtone.core.errors import IdtoneError
from idtone.core.translation import Message, template
from idtone.office.authority.tone_masters import LIMIT, enter_tone
from idtone.registry.trust import tuf_roles

from ..access.rights import Right
from ..form_errors import Fields, FormField, any_text
from ..page import Method, Page, Section, Visit
from ..uploads import Upload
from .common_parts import WHY, attribution_of, do_act_on_file, files_of

PATH: Final = "/office/tones"
_FIELDS: Final[Fields] = {
    "tone": FormField(template("Id of the sound"), any_text),
    "title": FormField(template("Title")),
    **WHY,
}


async def tones(
    visit: Visit, status: HTTPStatus = HTTPStatus.OK, problem: IdtoneError | None = None
) -> web.StreamResponse:
    files = files_of(visit)
    document = (await visit.in_thread(files.registered)).document
    licensed = Counter(
        licence.tone
        for member in document.members
        for licence in member.licences
        if licence.status is LicenceStatus.ACTIVE
    )
    masters = await visit.in_thread(lambda: {path.stem for path in (files.folder / tuf_roles.TONES).glob("*")})
    return visit.render(
        "office_tones.html",
        status,
        problem=problem,
        rows=[(tone, licensed[tone.id], tone.id in masters) for tone in document.tones],
    )


async def enter(visit: Visit) -> web.StreamResponse:
    files = files_of(visit)

    def act(upload: Upload) -> str:
        tone, title = upload.fields["tone"], upload.fields["title"]
        enter_tone(files.workspace, tone, title, upload.file.read_bytes(), attribution_of(visit), Message("Title"))
        return PATH

    return await do_act_on_file(visit, LIMIT, act, tones, _FIELDS, Message("choose the WAV file of the master"))


PAGES = (
    Page(PATH, tones, Right.OFFICE, title=template("Sounds of the association"), section=Section.OFFICE),
    Page(PATH, enter, Right.OFFICE, Method.POST, uploads=True),
)
