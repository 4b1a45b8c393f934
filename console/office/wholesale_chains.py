"""Wholesale chains of numbers (卸), with their members, reseller checks and changes to links."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from aiohttp import web

from idtone.core.errors import IdtoneError
from idtone.core.terminal.prompts import entries_of
from idtone.core.translation import template
from idtone.office.authority.certifications import certify_link, parse_certification
from idtone.office.authority.change_registry import Attribution
from idtone.office.authority.typed_dates import parse_day
from idtone.office.authority.wholesale_links import LinkCheck, add_link, check_link, parse_link_check, remove_link
from idtone.office.authority.workspace import Workspace
from idtone.registry.model import ChainEntry

from ..access.rights import Right
from ..form_errors import Fields, FormField, any_text, labels_of
from ..listing import listing
from ..page import Method, Page, Section, Visit
from .act_words import CERTIFICATION
from .common_parts import WHY, Change, do_change, files_of, read_entries, spans_of

PATH: Final = "/office/chains"
_NUMBERS: Final[Fields] = {"numbers": FormField(template("Number, range or prefix of the chain"), read_entries)}
_RESELLER: Final[Fields] = {"reseller": FormField(template("Reseller"), any_text)}
_CHECK: Final[Fields] = {
    "checked": FormField(template("Checked on"), parse_day),
    "document": FormField(template("By which document")),
    "by": FormField(template("Checked by"), any_text),
}
FIELDS: Final[Mapping[str, Fields]] = {
    "add": {
        **_NUMBERS,
        "wholesaler": FormField(template("From: the member that hands the numbers on"), any_text),
        "reseller": FormField(template("To: the reseller, a member"), any_text),
        **{name: replace(field, is_required=False) for name, field in _CHECK.items()},
        **WHY,
    },
    "check": {**_NUMBERS, **_RESELLER, **_CHECK, **WHY},
    "certify": {**_NUMBERS, **_RESELLER, **CERTIFICATION, **WHY},
    "remove": {**_NUMBERS, **_RESELLER, **WHY},
}


async def chains(
    visit: Visit, status: HTTPStatus = HTTPStatus.OK, problem: IdtoneError | None = None
) -> web.StreamResponse:
    """Show all chains, the chains of one member, or the chains with an unchecked reseller."""
    registered = await visit.in_thread(files_of(visit).registered)
    unchecked, member = bool(visit.query("unchecked")), visit.query("member")
    found = [
        each
        for each in registered.document.chains
        if (not unchecked or not is_checked(each)) and (not member or member in _members(each))
    ]
    listed = listing(visit, found, {"wholesaler": lambda each: each.links[0].wholesaler})
    return visit.render(
        "office_chains.html",
        status,
        problem=problem,
        members=registered.members,
        list=listed,
        unchecked=unchecked,
        now=datetime.now(UTC),
        rows=[(*spans_of([each.numbers]), each.links) for each in listed.rows],
    )


def is_checked(chain: ChainEntry) -> bool:
    """True if all resellers in the chain have been checked."""
    return all(link.checked for link in chain.links)


def _members(chain: ChainEntry) -> set[str]:
    return {chain.links[0].wholesaler, *(link.reseller for link in chain.links)}


# -- acts --------------------------------------------------------------------------------------------------------------


def _entries(fields: Mapping[str, str]) -> list[str]:
    return entries_of(fields.get("numbers", "").splitlines())


def _check(fields: Mapping[str, str], attribution: Attribution, by: str) -> LinkCheck:
    checked, document = fields.get("checked", ""), fields.get("document", "")
    return parse_link_check(checked, document, by, attribution.at, labels_of(_CHECK))


def _add(workspace: Workspace, fields: Mapping[str, str], attribution: Attribution) -> None:
    wholesaler, by = fields.get("wholesaler", ""), fields.get("by", "")
    check = None
    if any(fields.get(name) for name in ("checked", "document", "by")):
        check = _check(fields, attribution, by or wholesaler)
    add_link(workspace, wholesaler, fields.get("reseller", ""), _entries(fields), check, attribution)


def _record_check(workspace: Workspace, fields: Mapping[str, str], attribution: Attribution) -> None:
    check = _check(fields, attribution, fields["by"])
    check_link(workspace, fields.get("reseller", ""), _entries(fields), check, attribution)


def _remove(workspace: Workspace, fields: Mapping[str, str], attribution: Attribution) -> None:
    remove_link(workspace, fields.get("reseller", ""), _entries(fields), attribution)


def _certify(workspace: Workspace, fields: Mapping[str, str], attribution: Attribution) -> None:
    given = parse_certification(fields, labels_of(CERTIFICATION))
    certify_link(workspace, fields.get("reseller", ""), _entries(fields), given, attribution)


CHANGES: Final[Mapping[str, Change]] = {
    "add": _add,
    "check": _record_check,
    "certify": _certify,
    "remove": _remove,
}


async def change(visit: Visit) -> web.StreamResponse:
    return await do_change(visit, CHANGES, chains, PATH, FIELDS)


PAGES = (
    Page(PATH, chains, Right.OFFICE, title=template("Wholesale chains"), section=Section.OFFICE),
    Page(PATH + "/{change}", change, Right.OFFICE, Method.POST),
)
