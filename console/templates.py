"""Makes the pages of the files in `templates/` (Jinja2), in the visitor's language."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from idtone.core.translation import Message, translated

from .code_words import FILTERS, TONES
from .japan_time import day, last_day, last_moment, shown, shown_to_minute, written
from .menu import menu_of
from .static_files import address_of

if TYPE_CHECKING:
    from .page import Visit

HTMX: Final = json.dumps(
    {"includeIndicatorStyles": False, "allowEval": False, "selfRequestsOnly": True, "historyCacheSize": 0}
)
"""htmx adds no style, evaluates no text, asks no other server, and stores no page in the browser."""


def text_of(text: str, **fields: Any) -> str:
    """`_("…{name}…", name=…)` in a template: the text in the visitor's language."""
    return translated(Message(text, **fields))


def spoken(value: object) -> str:
    """The filter `t`: a text that the code made, in the visitor's language."""
    return "" if value is None else translated(value if isinstance(value, str) else str(value))


def labelled(rows: str, columns: Sequence[str]) -> Markup:
    """The filter `labelled`: rows of a table whose cells name their columns, for a window too narrow for the table."""

    def named(row: re.Match[str]) -> str:
        names = iter(columns)
        return _CELL.sub(lambda cell: f'{cell[0]} data-label="{escape(next(names, ""))}"', row[0])

    return Markup(_ROW.sub(named, rows))  # noqa: S704 - the template has escaped them


_ROW: Final = re.compile(r"<tr\b.*?</tr>", re.DOTALL)
_CELL: Final = re.compile(r"<t[dh]\b(?![^>]*colspan)[^>]*")


class Head(str):
    """The head of a column. `is_figures`: its figures stand to the right. `column` is its name in the list's order."""

    is_figures = False
    column = ""


def figures(head: str) -> Head:
    """The filter `figures`."""
    made = Head(head)
    made.is_figures, made.column = True, getattr(head, "column", "")
    return made


def sorts(head: str, column: str) -> Head:
    """The filter `sorts`: the list sorts by this head."""
    made = Head(head)
    made.is_figures, made.column = getattr(head, "is_figures", False), column
    return made


@cache
def _environment() -> Environment:
    """Compiled templates stay in it, for all consoles of this process."""
    environment = Environment(
        loader=PackageLoader("idtone.console", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals.update(_=text_of, static=address_of, htmx_settings=HTMX, tones=TONES)
    environment.globals.update(now_utc=lambda: datetime.now(UTC))
    environment.filters.update(t=spoken, labelled=labelled, figures=figures, sorts=sorts, **FILTERS)
    environment.filters.update(day=day, time=shown, minute=shown_to_minute, last_day=last_day, until=last_moment)
    environment.filters.update(written=written)
    environment.tests["figures"] = lambda head: getattr(head, "is_figures", False)
    return environment


class Templates:
    def __init__(self) -> None:
        self._shared: dict[tuple[str, str], tuple[object, str]] = {}

    def page(self, name: str, visit: Visit, context: Mapping[str, Any]) -> str:
        return _environment().get_template(name).render(visit=visit, menu=menu_of(visit), **context)

    def fragment(self, name: str, visit: Visit, context: Mapping[str, Any]) -> str:
        return _environment().get_template(name).render(visit=visit, **context)

    def shared(self, name: str, language: str, shown: object, context: Callable[[], Mapping[str, Any]]) -> str:
        """A part of a page that has nothing of its visitor. It is rendered once for each object that it shows."""
        kept = self._shared.get((name, language))
        if kept is None or kept[0] is not shown:
            kept = self._shared[name, language] = shown, _environment().get_template(name).render(**context())
        return kept[1]
