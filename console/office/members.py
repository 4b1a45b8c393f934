"""Members with their licences, numbers, state and history, and the office's changes to the registry."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from idtone.core.calls import LicenceStatus
from idtone.core.errors import IdtoneError, UsageError
from idtone.core.signed_notes import VerifierKey
from idtone.core.terminal.prompts import entries_of, number_of
from idtone.core.translation import Message, template
from idtone.office.authority import registry_edits
from idtone.office.authority.agreements import AGREEMENT_WORDS, Acceptance, read_acceptances
from idtone.office.authority.area_code_counts import area_code_of, counts_by_area_code, whole_span
from idtone.office.authority.certifications import certify_member, parse_certification
from idtone.office.authority.change_registry import (
    Attribution,
    assign_numbers,
    change_registry,
    record_particulars,
    release_numbers,
)
from idtone.office.authority.history import Action
from idtone.office.authority.pledge_store import read_pledge
from idtone.office.authority.record_pledge import record_pledge
from idtone.office.authority.typed_dates import parse_day, parse_end
from idtone.office.authority.workspace import Workspace
from idtone.office.papers.letters import SOON
from idtone.registry.model import Member, day_begins
from idtone.registry.suspended_numbers import scope_of

from ..access.rights import Right
from ..form_errors import Fields, FormField, any_text, labels_of, one_of
from ..listing import listing
from ..page import Method, Page, Section, Visit
from .act_words import CERTIFICATION, LICENCE_WORDS, words_of
from .common_parts import WHY, attribution_of, do_act, files_of, not_found_page, read_entries, spans_of

PATH: Final = "/office/members"
NUMBERS_SHOWN: Final = 100


COLUMNS: Final[Mapping[str, Callable[[Member], object]]] = {
    "member": lambda each: each.name.ja,
    "licence": lambda each: min((one.valid.until for one in each.licences), default=None),
    "pledge": lambda each: each.pledge and each.pledge.until,
}
"""Sort key of a member by column. The licence column sorts by the licence that ends first."""


async def members(
    visit: Visit, status: HTTPStatus = HTTPStatus.OK, problem: IdtoneError | None = None
) -> web.StreamResponse:
    """Show all members, only those with an entry that ends soon, or those that match a search.

    A search for a number arrives in a form, never in an address.
    """
    registered, now = await visit.in_thread(files_of(visit).registered), datetime.now(UTC)
    found = list(registered.members.values())
    wanted = visit.field("wanted")
    if wanted and any(each.isdigit() for each in wanted) and not any(each.isalpha() for each in wanted):
        try:
            number = int(number_of(wanted).e164)
        except IdtoneError as error:
            problem, found = error, []
        else:
            concerned = await visit.in_thread(registered.concerned, number)
            found = [each for each in found if each.id in concerned]
    elif wanted:
        found = [each for each in found if wanted.casefold() in words_of_member(each)]
    elif visit.query("ending"):
        found = [each for each in found if _ends(each, now)]
    listed = listing(visit, found, COLUMNS)
    return visit.render(
        "office_members.html",
        status,
        states=LICENCE_WORDS,
        list=listed,
        wanted=wanted,
        problem=problem,
        reports=[registered.report(each, now) for each in listed.rows],
        ending=bool(visit.query("ending")),
    )


def words_of_member(member: Member) -> str:
    """A member's searchable text."""
    licences = (licence.id for licence in member.licences)
    return "\n".join((member.id, member.name.ja, member.name.en, *licences)).casefold()


def _ends(member: Member, now: datetime) -> bool:
    """True if one of the member's licences, the pledge or the certification has ended or ends soon."""
    ends = [each.valid.until for each in member.licences if each.status is not LicenceStatus.REVOKED]
    if member.pledge and member.pledge.until:
        ends.append(day_begins(member.pledge.until))
    if member.certification:
        ends.append(member.certification.lapses)
    return any(end <= now + SOON for end in ends)


async def member(
    visit: Visit, status: HTTPStatus = HTTPStatus.OK, problem: IdtoneError | None = None
) -> web.StreamResponse:
    files, now, wanted = files_of(visit), datetime.now(UTC), visit.part("member")
    registered = await visit.in_thread(files.registered)
    found = registered.members.get(wanted)
    if found is None:
        return not_found_page(visit, problem or Message("There is no such member."))
    about = {wanted, *(licence.id for licence in found.licences)}
    about |= {asked.id for asked, _ in await visit.in_thread(files.applications) if asked.member.id == wanted}
    history = await visit.in_thread(files.history)
    suspensions = (await visit.in_thread(files.suspensions)).suspensions
    stops = await visit.in_thread(files.published_stops)
    published = stops.suspensions.suspensions if stops else ()
    document = registered.document
    return visit.render(
        "office_member.html",
        status,
        words=words_of,
        states=LICENCE_WORDS,
        member=found,
        report=registered.report(found, now),
        licences=[(each.id, each.id) for each in found.licences],
        problem=problem,
        has_paper=await visit.in_thread(_has_paper, files.folder, found),
        numbers=spans_of(found.numbers[:NUMBERS_SHOWN]),
        keys=[(key, VerifierKey.parse(key).name) for key in found.keys],
        lines=[each for each in history if each[0].subject in about][::-1],
        suspended=[
            (each, each in published) for each in suspensions if scope_of(each) == wanted and each.in_force(now)
        ],
        chains=[
            (*spans_of([each.numbers]), [each.links[0].wholesaler, *(link.reseller for link in each.links)])
            for each in document.chains
            if any(wanted in (link.wholesaler, link.reseller) for link in each.links)
        ][:NUMBERS_SHOWN],
        agreements=[each for each in await visit.in_thread(read_acceptances, files.folder) if _is_held(each, wanted)],
        agreement_words=AGREEMENT_WORDS,
        evaluation=next((each for each in document.evaluations if each.member == wanted), None),
    )


def _is_held(agreement: Acceptance, member: str) -> bool:
    """True if this is the member's agreement and it has no last day."""
    return agreement.member == member and not agreement.through


def _has_paper(folder: Path, member: Member) -> bool:
    """True if the office has the PDF of the member's pledge."""
    sha256 = member.pledge and member.pledge.sha256
    return bool(sha256) and read_pledge(folder, str(sha256)) is not None


async def member_numbers(visit: Visit) -> web.StreamResponse:
    """Show all of a member's numbers in full, with their area codes."""
    registered, wanted = await visit.in_thread(files_of(visit).registered), visit.part("member")
    found = registered.members.get(wanted)
    if found is None:
        return not_found_page(visit, Message("There is no such member."))
    spans = registered.spans[wanted]
    listed = listing(visit, spans, {"area": area_code_of})
    return visit.render(
        "office_numbers.html",
        member=found,
        list=listed,
        rows=[(whole_span(each), area_code_of(each)) for each in listed.rows],
        areas=counts_by_area_code(spans),
    )


# -- acts --------------------------------------------------------------------------------------------------------------

Change = Callable[[Workspace, Mapping[str, str], Attribution, Member], object]
"""Function that changes one member according to a form's fields. Raises IdtoneError."""


def _licence(fields: Mapping[str, str], member: Member) -> str:
    """The licence id in the form. Raises UsageError if the member has no such licence."""
    wanted = fields.get("licence", "")
    if wanted not in {licence.id for licence in member.licences}:
        raise UsageError("member {member} has no licence {licence!r}", member=member.id, licence=wanted)
    return wanted


def _assign(workspace: Workspace, fields: Mapping[str, str], attribution: Attribution, member: Member) -> None:
    assign_numbers(workspace, member.id, entries_of(fields.get("numbers", "").splitlines()), attribution)


def _release(workspace: Workspace, fields: Mapping[str, str], attribution: Attribution, member: Member) -> None:
    release_numbers(workspace, member.id, entries_of(fields.get("numbers", "").splitlines()), attribution)


def _renew(workspace: Workspace, fields: Mapping[str, str], attribution: Attribution, member: Member) -> None:
    licence, until = _licence(fields, member), parse_end(fields.get("until", ""), Message("Valid until"))
    change_registry(
        workspace,
        Action.RENEW,
        licence,
        attribution,
        lambda text, document: registry_edits.set_licence_end(text, document, licence, until),
    )


_STATUS: Final = {
    Action.SUSPEND_LICENCE: LicenceStatus.SUSPENDED,
    Action.RESUME_LICENCE: LicenceStatus.ACTIVE,
    Action.REVOKE: LicenceStatus.REVOKED,
}


def _set_status(workspace: Workspace, fields: Mapping[str, str], attribution: Attribution, member: Member) -> None:
    licence, action = _licence(fields, member), Action(fields["status"])
    change_registry(
        workspace,
        action,
        licence,
        attribution,
        lambda text, document: registry_edits.set_licence_status(text, document, licence, _STATUS[action]),
    )


PLEDGE: Final[Fields] = {
    "document": FormField(template("Version of the text")),
    "signatory": FormField(template("Signed by")),
    "signed": FormField(template("Signed on"), parse_day),
    "until": FormField(template("Valid until"), parse_day),
    **WHY,
}


def _pledge(workspace: Workspace, fields: Mapping[str, str], attribution: Attribution, member: Member) -> None:
    document, sha256, signatory, signed, until = (
        fields.get(name, "") for name in ("document", "sha256", "signatory", "signed", "until")
    )
    record_pledge(
        workspace,
        member.id,
        document,
        sha256,
        signatory,
        signed,
        until,
        attribution,
        labels_of(PLEDGE),
    )


def _add_key(workspace: Workspace, fields: Mapping[str, str], attribution: Attribution, member: Member) -> None:
    key = fields.get("key", "").strip()
    change_registry(
        workspace,
        Action.ADD_NODE_KEY,
        member.id,
        attribution,
        lambda text, document: registry_edits.insert_node_key(text, document, member.id, key),
    )


def _remove_key(workspace: Workspace, fields: Mapping[str, str], attribution: Attribution, member: Member) -> None:
    key = fields.get("key", "").strip()
    change_registry(
        workspace,
        Action.REMOVE_NODE_KEY,
        member.id,
        attribution,
        lambda text, document: registry_edits.delete_node_key(text, document, member.id, key),
    )


def _certify(workspace: Workspace, fields: Mapping[str, str], attribution: Attribution, member: Member) -> None:
    given = {name: fields.get(name, "").strip() for name in CERTIFICATION}
    certify_member(workspace, member.id, parse_certification(given, labels_of(CERTIFICATION)), attribution)


def _describe(workspace: Workspace, fields: Mapping[str, str], attribution: Attribution, member: Member) -> None:
    record_particulars(workspace, member.id, fields, attribution)


CHANGES: Final[Mapping[str, Change]] = {
    "describe": _describe,
    "certify": _certify,
    "assign": _assign,
    "release": _release,
    "renew": _renew,
    "status": _set_status,
    "pledge": _pledge,
    "add-key": _add_key,
    "remove-key": _remove_key,
}
_LICENCE: Final[Fields] = {"licence": FormField(template("Licence"), any_text)}
_KEY: Final[Fields] = {"key": FormField(template("Key"), any_text), **WHY}
_NUMBERS: Final[Fields] = {"numbers": FormField(template("Numbers"), read_entries), **WHY}
FIELDS: Final[Mapping[str, Fields]] = {
    "describe": WHY,
    "certify": {**CERTIFICATION, **WHY},
    "assign": _NUMBERS,
    "release": _NUMBERS,
    "renew": {**_LICENCE, "until": FormField(template("Valid until"), parse_end), **WHY},
    "status": {**_LICENCE, "status": FormField(template("What happens"), one_of(_STATUS)), **WHY},
    "pledge": PLEDGE,
    "add-key": _KEY,
    "remove-key": _KEY,
}


async def change(visit: Visit) -> web.StreamResponse:
    files, wanted = files_of(visit), visit.part("member")
    do = CHANGES.get(visit.part("change"))
    found = (await visit.in_thread(files.registered)).members.get(wanted)
    if found is None or do is None:
        return not_found_page(visit, Message("There is no such member."))

    def act() -> Any:
        return do(files.workspace, visit.fields or {}, attribution_of(visit), found)

    return await do_act(visit, act, member, f"{PATH}/{wanted}", FIELDS[visit.part("change")])


PAGES = (
    Page(PATH, members, Right.OFFICE, title=template("Members"), section=Section.OFFICE),
    Page(PATH, members, Right.OFFICE, Method.POST),
    Page(PATH + "/{member}", member, Right.OFFICE),
    Page(PATH + "/{member}/numbers", member_numbers, Right.OFFICE),
    Page(PATH + "/{member}/{change}", change, Right.OFFICE, Method.POST),
)
