"""The published edition, the unpublished changes, and the package that key holders sign on their own computers."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from aiohttp import web

from idtone.core.errors import IdtoneError, TrustError, UsageError
from idtone.core.translation import Message, template
from idtone.office.authority.change_registry import change_registry, record_edits
from idtone.office.authority.history import Action, HistoryEntry
from idtone.office.authority.prepared_package import LIMIT, PreparedPackage, accept_copy
from idtone.office.authority.registry_edits import set_registry_end
from idtone.office.authority.typed_dates import parse_end
from idtone.office.authority.undo import last_undoable_change, undo_last_change
from idtone.registry.trust import tuf_roles

from ..access.rights import Right
from ..form_errors import FormField
from ..page import Method, Page, Section, Visit
from ..uploads import Upload
from .act_words import words_of
from .common_parts import WHY, attribution_of, do_act, do_act_on_file, files_of, not_found_page
from .office_files import OfficeFiles

PATH: Final = "/office/publication"
NEW, CHANGED, GONE = template("new"), template("changed"), template("no more")
"""Text for the effect of the next publication on an operator in the public list."""
ROLES: Final = {
    "root": template("which keys count"),
    "targets": template("which keys sign which file"),
    tuf_roles.REGISTRY: template("registry"),
    tuf_roles.SUSPENSIONS: template("suspensions"),
    tuf_roles.NEVER_ORIGINATES: template("numbers that never originate"),
    "snapshot": template("which versions belong together"),
    "timestamp": template("what is the latest edition"),
}
KEYS: Final = {
    "root": template("root keys"), "registry": template("registry keys"), "duty": template("duty keys"),
}  # fmt: skip
"""Display text for each set of keys. `ROLES` contains the texts for roles."""


async def publication(
    visit: Visit, status: HTTPStatus = HTTPStatus.OK, problem: IdtoneError | None = None
) -> web.StreamResponse:
    files, now = files_of(visit), datetime.now(UTC)
    is_published = await visit.in_thread(files.is_published)
    edited = await visit.in_thread(files.workspace.roles_edited_by_hand) if is_published else []
    state = await visit.in_thread(lambda: list(files.workspace.role_states(now)) if is_published else [])
    return visit.render(
        "office_publication.html",
        status,
        problem=problem,
        is_published=is_published,
        now=now,
        roles=ROLES,
        key_sets=KEYS,
        state=[(name, version, until, due, tuf_roles.ROLES[name].keys.value) for name, version, until, due in state],
        expires=(await visit.in_thread(files.registered)).document.registry.expires,
        differences=await visit.in_thread(files.differences),
        undoable=await visit.in_thread(_undoable, files) if is_published and not edited else None,
        words=words_of,
        is_copied=not is_published or await visit.in_thread(files.workspace.is_copy_current),
        by_hand=[tuf_roles.DELEGATED[role] for role in edited],
        packages=[
            (keys, title, await visit.in_thread(waiting.get))
            for keys, title, waiting in (
                ("all", template("Everything that has changed"), files.waiting),
                ("duty", template("Only what the duty keys publish"), files.waiting_duty),
            )
        ],
    )


def _undoable(files: OfficeFiles) -> HistoryEntry | None:
    try:
        return last_undoable_change(files.workspace)
    except TrustError:  # the history page shows the error
        return None


async def take_back(visit: Visit) -> web.StreamResponse:
    """Undo the last unpublished change to the registry if it is the one that the page showed."""
    workspace = files_of(visit).workspace
    return await do_act(
        visit, lambda: undo_last_change(workspace, attribution_of(visit), visit.field("shown")), publication, PATH, WHY
    )


async def preview(visit: Visit) -> web.StreamResponse:
    """Show the public list as the next publication would create it, with the differences from the current one."""
    files = files_of(visit)
    coming, present = await visit.in_thread(files.operator_lists)
    rows = [(each, _mark(present.get(member), each)) for member, each in coming.items()]
    rows += [(each, GONE) for member, each in present.items() if member not in coming]
    return visit.render("office_list.html", rows=rows, times=datetime.fromisoformat)


def _mark(before: object, after: object) -> str:
    return NEW if before is None else "" if before == after else CHANGED


async def prolong(visit: Visit) -> web.StreamResponse:
    """Extend the registry's term, but not the terms of licences."""
    files = files_of(visit)

    def act() -> None:
        until = parse_end(visit.field("until"), Message("Valid until"))
        change_registry(
            files.workspace,
            Action.PROLONG,
            tuf_roles.REGISTRY_FILE,
            attribution_of(visit),
            lambda text, _: set_registry_end(text, until),
        )

    fields = {"until": FormField(template("Valid until"), parse_end), **WHY}
    return await do_act(visit, act, publication, PATH, fields)


async def note(visit: Visit) -> web.StreamResponse:
    """Record manual edits in the history."""
    workspace = files_of(visit).workspace

    def act() -> None:
        if not record_edits(workspace, attribution_of(visit), workspace.roles_edited_by_hand()):
            raise UsageError("nothing was edited by hand")

    return await do_act(visit, act, publication, PATH, WHY)


async def prepare(visit: Visit) -> web.StreamResponse:
    files = files_of(visit)
    package = files.duty_package if visit.field("keys") == "duty" else files.package
    return await do_act(visit, lambda: package.prepare(datetime.now(UTC)), publication, PATH)


def _chosen(visit: Visit, wanted: str) -> PreparedPackage:
    """The package named in the form or address, or the waiting package if none is named."""
    files = files_of(visit)
    if wanted == "all" or (wanted != "duty" and files.package.folder.is_dir()):
        return files.package
    return files.duty_package


async def download(visit: Visit) -> web.StreamResponse:
    """Send the package as a ZIP file."""
    try:
        octets = await visit.in_thread(_chosen(visit, visit.query("keys")).to_zip, datetime.now(UTC))
    except IdtoneError as error:
        return not_found_page(visit, Message("{error}", error=error))
    headers = {"Content-Disposition": 'attachment; filename="package.zip"'}
    return web.Response(body=octets, content_type="application/zip", headers=headers)


async def take(visit: Visit) -> web.StreamResponse:
    """Accept a key holder's signed copy of the package, and publish it once no signature is missing."""
    files = files_of(visit)

    def act(upload: Upload) -> str:
        accept_copy((files.package, files.duty_package), upload.file, datetime.now(UTC))
        return PATH

    return await do_act_on_file(visit, LIMIT, act, publication)


async def publish(visit: Visit) -> web.StreamResponse:
    """Publish a fully signed package after an earlier attempt failed."""
    package = _chosen(visit, visit.field("keys"))
    return await do_act(visit, lambda: package.publish(datetime.now(UTC)), publication, PATH)


async def copy(visit: Visit) -> web.StreamResponse:
    """Copy the published files to the folder that other computers read if publication failed to do so."""
    workspace = files_of(visit).workspace

    def act() -> None:
        with workspace.locked():
            workspace.copy_published()

    return await do_act(visit, act, publication, PATH)


async def discard(visit: Visit) -> web.StreamResponse:
    return await do_act(visit, _chosen(visit, visit.field("keys")).discard, publication, PATH)


PAGES = (
    Page(PATH, publication, Right.OFFICE, title=template("Publication"), section=Section.OFFICE),
    Page(PATH + "/list", preview, Right.OFFICE),
    Page(PATH + "/prolong", prolong, Right.OFFICE, Method.POST),
    Page(PATH + "/note", note, Right.OFFICE, Method.POST),
    Page(PATH + "/undo", take_back, Right.OFFICE, Method.POST),
    Page(PATH + "/prepare", prepare, Right.OFFICE, Method.POST),
    Page(PATH + "/package.zip", download, Right.OFFICE),
    Page(PATH + "/signed", take, Right.OFFICE, Method.POST, uploads=True),
    Page(PATH + "/publish", publish, Right.OFFICE, Method.POST),
    Page(PATH + "/copy", copy, Right.OFFICE, Method.POST),
    Page(PATH + "/discard", discard, Right.OFFICE, Method.POST),
)
