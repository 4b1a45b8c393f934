"""Members' evidence log keys and the accepted witnesses, with their terms and changes."""

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from aiohttp import web

from idtone.core.errors import IdtoneError, UsageError
from idtone.core.translation import Message, template
from idtone.office.authority import logs_and_witnesses
from idtone.office.authority.change_registry import Attribution
from idtone.office.authority.workspace import Workspace

from ..access.rights import Right
from ..form_errors import Fields, FormField, any_text
from ..page import Method, Page, Section, Visit
from .common_parts import WHY, Change, do_change, files_of, member_choices

PATH: Final = "/office/logs"
_LABELS: Final = {"since": template("Counts from"), "until": template("Last day")}
_KEY: Final[Fields] = {"key": FormField(template("Key"), any_text)}
_END: Final[Fields] = {**_KEY, "until": FormField(template("Last day"), any_text), **WHY}


def _number(text: str, label: str) -> int:
    """The number of witnesses entered in a field. Raises UsageError."""
    if not (text.isascii() and text.isdigit() and len(text) < 4):
        raise UsageError("write how many witnesses must have cosigned, as a number")
    return int(text)


FIELDS: Final[Mapping[str, Fields]] = {
    "add-key": {"member": FormField(template("Member"), any_text), **_KEY, **WHY},
    "end-key": _END,
    "add-witness": {**_KEY, **WHY},
    "end-witness": _END,
    "demand": {"cosignatures": FormField(template("How many, by name"), _number), **WHY},
}


async def logs(
    visit: Visit, status: HTTPStatus = HTTPStatus.OK, problem: IdtoneError | None = None
) -> web.StreamResponse:
    registered = await visit.in_thread(files_of(visit).registered)
    rows = [(member, each) for member in registered.members.values() for each in member.logs]
    policy = registered.document.witness_policy
    return visit.render(
        "office_logs.html",
        status,
        problem=problem,
        members=member_choices(visit, registered.members.values()),
        rows=rows,
        log_keys=[(each.key, each.key) for _, each in rows],
        policy=policy,
        witness_keys=[(each.key, each.key) for each in policy.witnesses] if policy else [],
        now=datetime.now(UTC),
    )


def _label(name: str) -> Message:
    return Message(_LABELS[name])


def _add_key(workspace: Workspace, fields: Mapping[str, str], attribution: Attribution) -> None:
    member, key, since, number = (fields.get(name, "") for name in ("member", "key", "since", "corporate_number"))
    logs_and_witnesses.enter_log_key(workspace, member, key, since, number, attribution, _label)


def _end_key(workspace: Workspace, fields: Mapping[str, str], attribution: Attribution) -> None:
    logs_and_witnesses.end_log_key(workspace, fields.get("key", ""), fields.get("until", ""), attribution, _label)


def _add_witness(workspace: Workspace, fields: Mapping[str, str], attribution: Attribution) -> None:
    logs_and_witnesses.enter_witness(workspace, fields.get("key", ""), fields.get("since", ""), attribution, _label)


def _end_witness(workspace: Workspace, fields: Mapping[str, str], attribution: Attribution) -> None:
    logs_and_witnesses.end_witness(workspace, fields.get("key", ""), fields.get("until", ""), attribution, _label)


def _demand(workspace: Workspace, fields: Mapping[str, str], attribution: Attribution) -> None:
    logs_and_witnesses.demand_cosignatures(workspace, _number(fields.get("cosignatures", ""), ""), attribution)


CHANGES: Final[Mapping[str, Change]] = {
    "add-key": _add_key,
    "end-key": _end_key,
    "add-witness": _add_witness,
    "end-witness": _end_witness,
    "demand": _demand,
}


async def change(visit: Visit) -> web.StreamResponse:
    return await do_change(visit, CHANGES, logs, PATH, FIELDS)


PAGES = (
    Page(PATH, logs, Right.OFFICE, title=template("Logs and witnesses"), section=Section.OFFICE),
    Page(PATH + "/{change}", change, Right.OFFICE, Method.POST),
)
