"""Turns a paper application or an applicant's online submission into an application document."""

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from datetime import date
from typing import Any, Final

from idtone.core.calls import Direction
from idtone.core.errors import UsageError
from idtone.core.terminal.prompts import entries_of
from idtone.registry.member_application import MemberApplication, parse_application

from ..desk.applicants.submission import Submission
from ..desk.applicants.submissions import Submissions
from . import change_registry
from .change_registry import Attribution, registry_of
from .pledge_store import pledge_kept_on_success
from .typed_dates import in_japan, parse_day, parse_day_after
from .workspace import Workspace

CHECKS: Final = ("1", "2", "3")
"""Row numbers, in the form, of documents that identified the applicant."""


def application_text(fields: Mapping[str, str], sha256: str | None, name: Callable[[str], str]) -> str:
    """Build an application document from form fields, for `parse_application` to check.

    `sha256` is the digest of the signed pledge. `name` maps a field to the name shown in error messages. Raises
    UsageError.
    """

    def said(field: str) -> str:
        return fields.get(field, "").strip()

    pledge: dict[str, Any] = {"signed": parse_day(said("signed"), name("signed")).isoformat()}
    pledge |= {key: said(key) for key in ("document", "signatory") if said(key)}
    if said("until"):
        pledge["until"] = parse_day_after(said("until"), name("until")).isoformat()
    if sha256 is not None:
        pledge["sha256"] = sha256
    application: dict[str, Any] = {
        "id": said("id"),
        "received": parse_day(said("received"), name("received")).isoformat(),
        "member": {"id": said("member"), "name": {"ja": said("name_ja"), "en": said("name_en")}},
        "identity": [_check(number, said, name) for number in CHECKS if said(f"identity_{number}")],
        "pledge": pledge,
    }
    if not application["identity"]:
        raise UsageError("name the document by which the applicant was identified")
    directions = [each.value for each in Direction if said(each.value)]
    if said("tone"):
        if not directions:
            raise UsageError("choose the directions of the licence")
        application["licences"] = [{"tone": said("tone"), "directions": directions}]
    if said("numbers"):
        application["numbers"] = entries_of(said("numbers").splitlines())
    return json.dumps({"application": application}, ensure_ascii=False, indent=1) + "\n"  # JSON is YAML


def _check(number: str, said: Callable[[str], str], name: Callable[[str], str]) -> dict[str, str]:
    checked = parse_day(said(f"checked_{number}"), name(f"checked_{number}"))
    return {"document": said(f"identity_{number}"), "checked": checked.isoformat(), "by": said(f"by_{number}")}


def receive_typed(
    workspace: Workspace,
    fields: Mapping[str, str],
    pledge: bytes,
    attribution: Attribution,
    name: Callable[[str], str],
    submission: Submission | None = None,
) -> MemberApplication:
    """Receive an application typed by the office or submitted by an applicant.

    `pledge` is the PDF of the signed pledge. If it is empty, the PDF in `submission` is used. `submission` is the
    submission that the office has read; it is marked as received. `name` maps a field to the name shown in error
    messages. Raises IdtoneError.
    """
    registry = registry_of(workspace)
    known = next((each for each in registry.members if each.id == fields.get("member")), None)
    if known is not None:  # a member that asks for more keeps its name
        fields = {**fields, "name_ja": known.name.ja, "name_en": known.name.en}
    file = f"{fields.get('id', '')}.yaml"
    asked = parse_application(application_text(fields, None, name), file)
    handed = Submissions(workspace.folder)
    with (
        workspace.locked(),
        handed.locked() if submission else nullcontext(),
    ):  # the applicant cannot change it meanwhile
        if submission is not None:
            handed.refuse_changed(submission)
            pledge = pledge or handed.pdf(submission)
        given = {each.id for each, _ in change_registry.accepted_applications(workspace)}
        if asked.id in given:  # another form was open with the same proposal
            free = next_application_id(given, in_japan(attribution.at).date())
            raise UsageError("there is an application {id} already; {free} is free", id=asked.id, free=free)
        with pledge_kept_on_success(workspace.folder, pledge) if pledge else nullcontext() as sha256:
            text = application_text(fields, sha256, name)
            made, _ = change_registry.accept_application(workspace, text, file, attribution)
        if submission is not None:
            handed.receive(submission, made.id)
    return made


def next_application_id(given: Iterable[str], today: date) -> str:
    """Id for the year's next application, such as A-2026-0007 after A-2026-0006."""
    year = f"A-{today.year}-"
    numbers = [int(each[len(year) :]) for each in given if each.startswith(year) and each[len(year) :].isdecimal()]
    return f"{year}{max(numbers, default=0) + 1:04}"
