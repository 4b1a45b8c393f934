"""The office's list of texts that members have accepted, such as the standard form and the suspension scheme.

The file `acceptances.json` has one entry per agreement with the member, text, version, first day and last day. The
registry does not contain this list. The office's ledger records each change.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Final

from pydantic import ConfigDict, TypeAdapter

from idtone.core.errors import UsageError
from idtone.core.terminal.prompts import checked_line
from idtone.core.translation import template

from ..desk.office_ledger import OfficeLedger
from .change_registry import registry_of
from .json_lists import Day, DayOrNone, read_list, write_list
from .typed_dates import parse_past_day
from .workspace import Workspace

FILE: Final = "acceptances.json"
ACCEPTED: Final = "agreement-recorded"
ENDED: Final = "agreement-ended"


class Agreement(StrEnum):
    """Association text that a member can accept."""

    APPLICATION_FORM = "application-form"
    SUSPENSION_SCHEME = "suspension-scheme"
    STOPPING_CONDITIONS = "stopping-conditions"
    TRAINING = "training"


AGREEMENT_WORDS: Final = {
    Agreement.APPLICATION_FORM: template("uses the standard application form (標準申込書)"),
    Agreement.SUSPENSION_SCHEME: template("takes part in the suspension of numbers (番号停止)"),
    Agreement.STOPPING_CONDITIONS: template("has the stopping conditions (利用停止条件) in its contracts"),
    Agreement.TRAINING: template("has passed the course about the sound and the scheme"),
}


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A member's acceptance of one version of a text.

    `since` is the first day and `through` the last day (Japan Standard Time). `through` is empty while the acceptance
    is in force.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    member: str
    agreement: Agreement
    version: str
    since: Day
    document: str
    through: DayOrNone = ""


_LIST: Final = TypeAdapter(list[Acceptance])


def read_acceptances(folder: Path) -> list[Acceptance]:
    """Read all acceptances in the order they were entered. Raises TrustError if the file is damaged."""
    return read_list(folder / FILE, _LIST)


def accept_agreement(
    workspace: Workspace,
    member: str,
    agreement: str,
    version: str,
    since: str,
    document: str,
    now: datetime,
    name: Callable[[str], str],
) -> Acceptance:
    """Record that a member accepts a version of a text, starting on the day `since`.

    `document` names the proof. An older version's acceptance ends the day before `since`, or on `since` if it began
    that day. `name` maps a parameter to the field name shown in error messages. Raises IdtoneError.
    """
    what = _agreement(agreement)
    if member not in {each.id for each in registry_of(workspace).members}:
        raise UsageError("the registry has no member {member!r}", member=member)
    begins = parse_past_day(since, name("since"), now)
    made = Acceptance(
        member,
        what,
        checked_line(version, name("version")),
        begins.isoformat(),
        checked_line(document, name("document")),
    )
    with workspace.locked():
        before = read_acceptances(workspace.folder)
        held = next((each for each in before if _is_same(each, member, what)), None)
        if held and held.version == made.version:
            raise UsageError("{member} has agreed to version {version} already", member=member, version=made.version)
        if held and held.since > made.since:
            raise UsageError("{member} has agreed to another version since a later day", member=member)
        eve = (begins - timedelta(days=1)).isoformat()
        rest = [replace(each, through=max(eve, each.since)) if each is held else each for each in before]
        OfficeLedger(workspace.folder).record(
            ACCEPTED, member, agreement=what, version=made.version, since=made.since, document=made.document
        )
        write_list(workspace.folder / FILE, [*rest, made])
    return made


def end_acceptance(
    workspace: Workspace, member: str, agreement: str, through: str, why: str, now: datetime, name: Callable[[str], str]
) -> Acceptance:
    """Record that the day `through` is the last day of a member's acceptance. Raises IdtoneError."""
    what, last = _agreement(agreement), parse_past_day(through, name("through"), now)
    with workspace.locked():
        before = read_acceptances(workspace.folder)
        held = next((each for each in before if _is_same(each, member, what)), None)
        if held is None:
            raise UsageError("{member} has no such agreement in force", member=member)
        if last.isoformat() < held.since:
            raise UsageError("{option} is before the first day of the agreement", option=name("through"))
        ended = replace(held, through=last.isoformat())
        OfficeLedger(workspace.folder).record(ENDED, member, agreement=what, through=ended.through, why=why)
        write_list(workspace.folder / FILE, [ended if each is held else each for each in before])
    return ended


def _agreement(text: str) -> Agreement:
    found = next((each for each in Agreement if each == text), None)
    if found is None:
        raise UsageError("choose to what the member agrees")
    return found


def _is_same(each: Acceptance, member: str, what: Agreement) -> bool:
    return (each.member, each.agreement) == (member, what) and not each.through
