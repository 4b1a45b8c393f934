"""The office's list of tests that people took after the course, with their days and results.

The file `attendances.json` has one entry per test with its id, member, person, course version, day and points. The
office's ledger records each test without the person's name so that the name can be erased.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, Field, TypeAdapter

from idtone.core.errors import UsageError
from idtone.core.terminal.prompts import checked_line

from ..authority.agreements import Agreement, accept_agreement, read_acceptances
from ..authority.change_registry import registry_of
from ..authority.json_lists import Day, read_list, write_list
from ..authority.registry_edits import check_member
from ..authority.typed_dates import in_japan, parse_day, parse_past_day
from ..authority.workspace import Workspace
from ..desk.office_ledger import OfficeLedger
from .course import course_of, score_of

FILE: Final = "attendances.json"
TAKEN: Final = "course-taken"
FORGOTTEN: Final = "attendees-forgotten"


@dataclass(frozen=True, slots=True)
class Attendance:
    """A test taken by a person. `day` is the day in Japan. `person` is empty once the name has been erased."""

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    id: Annotated[str, Field(pattern=r"^T-[0-9]{4,}$")]
    member: str
    person: str
    version: str
    day: Day
    right: int
    of: int
    passed: bool


_LIST: Final = TypeAdapter(list[Attendance])


def attendances(folder: Path) -> list[Attendance]:
    """Read all tests in the order they were entered. Raises TrustError if the file is damaged."""
    return read_list(folder / FILE, _LIST)


def record_attendance(
    workspace: Workspace,
    member: str,
    person: str,
    taken: str,
    version: str,
    answers: Mapping[str, str],
    now: datetime,
    name: Callable[[str], str],
) -> Attendance:
    """Mark a person's test and store the result.

    `version` is the test's version, which must be the course's current one. The first time someone from a member passes
    a version, the member's agreement `training` is recorded too. `name` maps a parameter to the field name shown in
    error messages. Raises IdtoneError.
    """
    course = course_of(workspace.folder)
    if version != course.version:
        raise UsageError(
            "the test is of version {given!r} of the course, and the present one is {version}; enter it anew",
            given=version,
            version=course.version,
        )
    score = score_of(course, answers)
    at = parse_past_day(taken, name("day"), now)
    who = checked_line(person, name("person"))
    check_member(registry_of(workspace), member)
    with workspace.locked():
        before = attendances(workspace.folder)
        id_ = f"T-{max((int(each.id[2:]) for each in before), default=0) + 1:04}"
        made = Attendance(id_, member, who, course.version, at.isoformat(), score.right, score.of, score.passed)
        OfficeLedger(workspace.folder).record(
            TAKEN,
            id_,
            member=member,
            version=made.version,
            taken=made.day,
            right=made.right,
            of=made.of,
            passed=made.passed,
        )
        write_list(workspace.folder / FILE, [*before, made])
        if made.passed and _is_first(workspace.folder, made):
            accept_agreement(workspace, member, Agreement.TRAINING, made.version, made.day, made.id, now, name)
    return made


def attendance_of(folder: Path, id_: str) -> Attendance:
    """Find the test with this id. Raises UsageError if it does not exist."""
    found = next((each for each in attendances(folder) if each.id == id_), None)
    if found is None:
        raise UsageError("there is no test {id!r}; `idtone-office course list` lists all", id=id_)
    return found


def forget_attendees(workspace: Workspace, before: str, now: datetime, name: Callable[[str], str]) -> int:
    """Erase the names of people tested before a day and return how many were erased. Raises IdtoneError."""
    last = parse_day(before, name("before"))
    if last > in_japan(now).date():
        raise UsageError("{option} is in the future; name a day that has come", option=name("before"))
    end = last.isoformat()
    with workspace.locked():
        kept = attendances(workspace.folder)
        gone = [each for each in kept if each.person and each.day < end]
        if gone:
            OfficeLedger(workspace.folder).record(FORGOTTEN, FILE, before=end, count=len(gone))
            write_list(workspace.folder / FILE, [replace(each, person="") if each in gone else each for each in kept])
    return len(gone)


def _is_first(folder: Path, made: Attendance) -> bool:
    held = [
        each
        for each in read_acceptances(folder)
        if (each.member, each.agreement, each.through) == (made.member, Agreement.TRAINING, "")
    ]
    return all(each.version != made.version and each.since <= made.day for each in held)
