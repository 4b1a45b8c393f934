"""The association's published stopping conditions (利用停止条件): the consequences of findings about a member."""

from collections.abc import Mapping
from http import HTTPStatus
from itertools import count, takewhile
from typing import Any, Final

from aiohttp import web

from idtone.core.errors import IdtoneError, UsageError
from idtone.core.translation import Message, template
from idtone.member.misuse.rules import RULES
from idtone.office.authority.stopping_conditions import conditions_of, enter_conditions, sample_conditions
from idtone.registry.stopping_conditions import STEPS

from ..access.rights import Right
from ..form_errors import Fields, FormField, Reader, any_text, one_of
from ..page import Method, Page, Section, Visit
from .common_parts import WHY, attribution_of, do_act, files_of

PATH: Final = "/office/conditions"
EMPTY_ROWS: Final = 2
_FIELDS: Final = ("id", "finding", "leads_to", "within_days", "ja", "en")


async def conditions(
    visit: Visit, status: HTTPStatus = HTTPStatus.OK, problem: IdtoneError | None = None
) -> web.StreamResponse:
    """Show a form with the registry's conditions, or with idtone's sample conditions if there are none."""
    document = (await visit.in_thread(files_of(visit).registered)).document
    given = document.stopping_conditions or sample_conditions().stopping_conditions
    rows = [
        {
            "id": each.id, "finding": each.finding or "", "leads_to": each.leads_to, "ja": each.text.ja,
            "en": each.text.en, "within_days": str(each.within_days),
        }
        for each in given
    ]  # fmt: skip
    if problem:
        rows = [each for _, each in _sent(visit)]
    return visit.render(
        "office_conditions.html",
        status,
        problem=problem,
        document=document,
        steps=STEPS,
        choices=[("", Message("without a finding")), *((rule.name, rule.title) for rule in RULES)],
        findings={rule.name: rule.title for rule in RULES},
        rows=[*rows, *(dict.fromkeys(_FIELDS, "") for _ in range(0 if problem else EMPTY_ROWS))],
    )


def _sent(visit: Visit) -> list[tuple[int, dict[str, str]]]:
    """The form's submitted rows with their indexes, in form order."""
    sent = visit.fields or {}
    places = takewhile(lambda place: f"id_{place}" in sent, count())
    return [(place, {name: visit.field(f"{name}_{place}") for name in _FIELDS}) for place in places]


def _filled(visit: Visit) -> list[tuple[int, dict[str, str]]]:
    return [(place, each) for place, each in _sent(visit) if each["id"] or each["ja"] or each["en"]]


def _fields(visit: Visit) -> Fields:
    """The form's fields. Empty rows have no required fields."""
    found = {"version": FormField(template("Version")), **WHY}
    for place, row in _filled(visit):
        for name, (label, read) in _IN_ROW.items():
            said = Message("{row}: {name}", row=row["id"] or str(place + 1), name=Message(label))
            found[f"{name}_{place}"] = FormField(said, read)
    return found


def _days(text: str, label: str) -> int:
    """Parse a number of days. Raises UsageError."""
    if not (text.isascii() and text.isdigit()):
        raise UsageError("{name}: write a number of days", name=label)
    return int(text)


_IN_ROW: Final[Mapping[str, tuple[str, Reader]]] = {
    "id": (template("Condition"), any_text),
    "leads_to": (template("What follows"), one_of(STEPS)),
    "within_days": (template("Within days"), _days),
    "ja": (template("Text in Japanese"), any_text),
    "en": (template("Text in English"), any_text),
}


async def enter(visit: Visit) -> web.StreamResponse:
    workspace = files_of(visit).workspace

    def act() -> None:
        rows = [_row(each) for _, each in _filled(visit)]
        enter_conditions(workspace, conditions_of(visit.field("version"), rows, _FORM), attribution_of(visit))

    return await do_act(visit, act, conditions, PATH, _fields(visit))


_FORM: Final = Message("the form")


def _row(sent: dict[str, str]) -> dict[str, Any]:
    """A submitted row, structured as in the conditions file."""
    given = {"id": sent["id"], "leads_to": sent["leads_to"], "within_days": sent["within_days"]}
    finding = {"finding": sent["finding"]} if sent["finding"] else {}
    return {**given, **finding, "text": {"ja": sent["ja"], "en": sent["en"]}}


PAGES = (
    Page(PATH, conditions, Right.OFFICE, title=template("Stopping conditions"), section=Section.OFFICE),
    Page(PATH, enter, Right.OFFICE, Method.POST),
)
