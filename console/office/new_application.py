"""An application that came on paper, typed into a form; and the signed pledges, as PDF files."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from idtone.core.errors import IdtoneError, UsageError
from idtone.core.translation import Message, template
from idtone.office.authority import change_registry
from idtone.office.authority.moments import in_japan
from idtone.office.authority.pledge_papers import LIMIT, keeping_pledge, kept_pledge
from idtone.office.authority.pledges import record_pledge
from idtone.office.authority.typed_application import CHECKS, application_text, next_id
from idtone.registry.member_application import parse_application

from ..access.rights import Right
from ..page import Method, Page, Visit
from ..uploads import Upload, received
from . import applications, members
from .acts import absent, attributed, files_of

PATH: Final = "/office/new-application"
_LABELS: Final[Mapping[str, str]] = {
    "received": template("Received"),
    "document": template("Version of the text"),
    "signatory": template("Signed by"),
    "signed": template("Signed on"),
    "until": template("Valid until"),
    "checked": template("Checked on"),
}


def _label(name: str) -> str:
    return Message(_LABELS[name])


async def new_application(
    visit: Visit, status: HTTPStatus = HTTPStatus.OK, problem: IdtoneError | None = None
) -> web.StreamResponse:
    files, today = files_of(visit), in_japan(datetime.now(UTC)).date()
    registered = await visit.in_thread(files.registered)
    given = [asked.id for asked, _ in await visit.in_thread(files.applications)]
    return visit.render(
        "office_new_application.html",
        status,
        problem=problem,
        checks=CHECKS,
        id=next_id(given, today),
        today=today.isoformat(),
        tones=[tone.id for tone in registered.document.tones],
        members=list(registered.members.values()),
    )


async def receive(visit: Visit) -> web.StreamResponse:
    """Receive it by the rules of a member's own file."""
    files = files_of(visit)
    try:
        async with received(visit, LIMIT) as upload:
            fields: dict[str, Any] = {**upload.fields}
            known = (await visit.in_thread(files.registered)).members.get(fields.get("member", ""))
            if known is not None:  # a member that asks for more keeps its name
                fields |= {"name_ja": known.name.ja, "name_en": known.name.en}
            attribution = attributed(visit)

            def act() -> str:
                asked = parse_application(application_text(fields, None, _label), _name(fields))
                with files.workspace.locked():
                    given = {each.id for each, _ in change_registry.applications(files.workspace)}
                    if asked.id in given:  # another form was open with the same proposal
                        free = next_id(given, in_japan(attribution.at).date())
                        raise UsageError(
                            Message("there is an application {id} already; {free} is free", id=asked.id, free=free)
                        )
                    with _keeping(files.folder, upload) as sha256:
                        text = application_text(fields, sha256, _label)
                        made, _ = change_registry.apply(files.workspace, text, _name(fields), attribution)
                return made.id

            made = await visit.in_thread(act)
    except IdtoneError as error:
        return await new_application(visit, HTTPStatus.BAD_REQUEST, error)
    return visit.redirect(f"{applications.PATH}/{made}?done=1")


def _name(fields: Mapping[str, str]) -> str:
    return f"{fields.get('id', '')}.yaml"


def _keeping(folder: Path, upload: Upload) -> AbstractContextManager[str | None]:
    """Keep the PDF, unless what is done with it fails. None if there is none."""
    octets = upload.file.read_bytes()
    return keeping_pledge(folder, octets) if octets else nullcontext()


async def pledge(visit: Visit) -> web.StreamResponse:
    """Record a member's pledge by its PDF, whose SHA-256 the registry gets."""
    files, wanted = files_of(visit), visit.part("member")
    is_known = wanted in (await visit.in_thread(files.registered)).members
    try:
        async with received(visit, LIMIT) as upload:  # first, because it checks the form's token
            if not is_known:
                return absent(visit, Message("There is no such member."))
            attribution = attributed(visit)

            def act() -> None:
                document, signatory, signed, until = (
                    upload.fields.get(name, "") for name in ("document", "signatory", "signed", "until")
                )
                with files.workspace.locked(), _keeping(files.folder, upload) as sha256:
                    if sha256 is None:
                        raise UsageError(Message("choose the PDF of the signed pledge"))
                    record_pledge(
                        files.workspace, wanted, document, sha256, signatory, signed, until, attribution, _label
                    )

            await visit.in_thread(act)
    except IdtoneError as error:
        if not is_known:
            return visit.render("problem.html", HTTPStatus.BAD_REQUEST, problem=error)
        return await members.member(visit, HTTPStatus.BAD_REQUEST, error)
    return visit.redirect(f"{members.PATH}/{wanted}?done=1")


async def paper(visit: Visit) -> web.StreamResponse:
    """The PDF of a pledge."""
    octets = await visit.in_thread(kept_pledge, files_of(visit).folder, visit.part("sha256"))
    if octets is None:
        return absent(visit, Message("This pledge is not kept here."))
    headers = {"Content-Disposition": 'attachment; filename="pledge.pdf"'}
    return web.Response(body=octets, content_type="application/pdf", headers=headers)


PAGES = (
    Page(PATH, new_application, Right.OFFICE),
    Page(PATH, receive, Right.OFFICE, Method.POST, uploads=True),
    Page(members.PATH + "/{member}/pledge-paper", pledge, Right.OFFICE, Method.POST, uploads=True),
    Page("/office/pledges/{sha256}", paper, Right.OFFICE),
)
