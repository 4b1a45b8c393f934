"""Chronological history of all office acts and all changes to the registry and suspensions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aiohttp import web

from idtone.core.errors import TrustError
from idtone.core.translation import template
from idtone.office.desk.office_ledger import OfficeAct

from ..access.rights import Right
from ..listing import listing
from ..page import Page, Section, Visit
from .act_details import detail, subject
from .act_words import words_of
from .common_parts import files_of
from .office_files import HistoryLine

PATH: Final = "/office/history"


@dataclass(frozen=True, slots=True)
class ActDone:
    """A change with the keys that signed it (None if unsigned), or a ledger act."""

    at: datetime
    what: str
    subject: str
    by: str
    why: str
    details: Sequence[str]
    is_change: bool
    signed: str | None = None


COLUMNS: Final[Mapping[str, Callable[[ActDone], object]]] = {
    "time": lambda each: each.at,
    "act": lambda each: each.what,
    "about": lambda each: each.subject,
    "by": lambda each: each.by,
}


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
    return visit.render(
        "office_history.html",
        list=listing(visit, found, COLUMNS),
        kinds=kinds,
        kind=kind,
        problem=problem,
        words=words_of,
    )


def _of_change(line: HistoryLine) -> ActDone:
    entry, signed = line
    by = f"{entry.by}; {entry.entered_by}" if entry.entered_by else entry.by
    keys = None if signed is None else ", ".join(key[:8] for key in signed.keys)
    return ActDone(entry.at, entry.action.value, subject(entry.subject), by, entry.why, entry.what, True, keys)


def _of_act(act: OfficeAct) -> ActDone:
    details = [detail(name, value) for name, value in act.details.items() if name != "why" and value not in (None, "")]
    return ActDone(act.at, act.act, subject(act.subject), act.by, str(act.details.get("why", "")), details, False)


PAGES = (Page(PATH, history, Right.OFFICE, title=template("History"), section=Section.OFFICE),)
