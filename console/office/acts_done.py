"""The history: all changes of the registry and the suspensions, and all acts of the office, by time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aiohttp import web

from idtone.core.errors import TrustError
from idtone.core.translation import template
from idtone.office.desk.office_ledger import OfficeAct

from ..access.rights import Right
from ..page import Page, Section, Visit
from .act_words import words_of
from .acts import files_of, page_of
from .office_files import HistoryLine

PATH: Final = "/office/history"
A_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class ActDone:
    """A change, with the keys that signed it (None: not signed yet), or an act of the ledger."""

    at: datetime
    what: str
    subject: str
    by: str
    why: str
    details: Sequence[str]
    is_change: bool
    signed: str | None = None


async def history(visit: Visit) -> web.StreamResponse:
    files = files_of(visit)
    problem = None
    try:
        lines = await visit.in_thread(files.history)
    except TrustError as error:
        lines, problem = [], error
    acts = await visit.in_thread(files.acts)
    kinds = sorted({*(entry.action.value for entry, _ in lines), *(act.act for act in acts)})
    kind = visit.query("what")
    found = sorted([*map(_of_change, lines), *map(_of_act, acts)], key=lambda each: each.at, reverse=True)
    found = [each for each in found if kind in ("", each.what)]
    page = page_of(visit)
    return visit.render(
        "office_history.html", rows=found[page * A_PAGE : (page + 1) * A_PAGE], all=len(found), page=page,
        last=(len(found) - 1) // A_PAGE if found else 0, kinds=kinds, kind=kind, problem=problem, size=A_PAGE,
        words=words_of,
    )  # fmt: skip


def _of_change(line: HistoryLine) -> ActDone:
    entry, signed = line
    by = f"{entry.by}; {entry.entered_by}" if entry.entered_by else entry.by
    keys = None if signed is None else ", ".join(key[:8] for key in signed.keys)
    return ActDone(entry.at, entry.action.value, entry.subject, by, entry.why, entry.what, True, keys)


def _of_act(act: OfficeAct) -> ActDone:
    details = [f"{name}: {value}" for name, value in act.details.items() if name != "why" and value not in (None, "")]
    return ActDone(act.at, act.act, act.subject, act.by, str(act.details.get("why", "")), details, False)


PAGES = (Page(PATH, history, Right.OFFICE, title=template("History"), section=Section.OFFICE),)
