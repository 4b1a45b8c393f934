"""Stopping conditions (利用停止条件): which finding of a member leads to what, as the association publishes them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from idtone.core.errors import IdtoneError
from idtone.core.translation import Message, template
from idtone.office.authority.stopping_conditions import FINDINGS, conditions_of, enter_conditions, sample_conditions
from idtone.registry.stopping_conditions import STEPS

from ..access.rights import Right
from ..page import Method, Page, Section, Visit
from .acts import acted, attributed, files_of

PATH: Final = "/office/conditions"
ROWS: Final = 40
"""Conditions of a form at most."""
EMPTY_ROWS: Final = 2
_FIELDS: Final = ("id", "finding", "leads_to", "within_days", "ja", "en")


async def conditions(
    visit: Visit, status: HTTPStatus = HTTPStatus.OK, problem: IdtoneError | None = None
) -> web.StreamResponse:
    """Those of the registry. The form begins with them, or with idtone's sample if there are none."""
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
        rows = [*_sent(visit)]
    return visit.render(
        "office_conditions.html",
        status,
        problem=problem,
        document=document,
        steps=STEPS,
        findings=FINDINGS,
        rows=[*rows, *(dict.fromkeys(_FIELDS, "") for _ in range(EMPTY_ROWS))],
    )


def _sent(visit: Visit) -> list[dict[str, str]]:
    """The rows of the form that are not empty."""
    rows = ({name: visit.field(f"{name}_{place}") for name in _FIELDS} for place in range(ROWS))
    return [each for each in rows if any(value for name, value in each.items() if name in ("id", "ja", "en"))]


async def enter(visit: Visit) -> web.StreamResponse:
    workspace = files_of(visit).workspace

    def act() -> None:
        rows = [_row(each) for each in _sent(visit)]
        enter_conditions(workspace, conditions_of(visit.field("version"), rows, _FORM), attributed(visit))

    return await acted(visit, act, conditions, PATH)


_FORM: Final = Message("the form")


def _row(sent: dict[str, str]) -> dict[str, Any]:
    """As in the file."""
    given = {"id": sent["id"], "leads_to": sent["leads_to"], "within_days": sent["within_days"]}
    finding = {"finding": sent["finding"]} if sent["finding"] else {}
    return {**given, **finding, "text": {"ja": sent["ja"], "en": sent["en"]}}


PAGES = (
    Page(PATH, conditions, Right.OFFICE, title=template("Stopping conditions"), section=Section.OFFICE),
    Page(PATH, enter, Right.OFFICE, Method.POST),
)
