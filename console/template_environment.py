"""Filters and functions for the Jinja2 templates, in the visitor's language.

This module imports neither pages nor the server, because long-read processes use it too.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from idtone.core.translation import translated

from .time_formats import day, format_time, format_times_in, format_to_minute, last_day, last_moment
from .words_for_codes import FILTERS, TONES


def text_of(text: str, **fields: Any) -> str:
    """The text in the visitor's language. Templates call this as `_("…{name}…", name=…)`."""
    return translated(text, **fields)


def spoken(value: object) -> str:
    """Filter `t`: a text from the code, in the visitor's language."""
    return "" if value is None else translated(value if isinstance(value, str) else str(value))


def labelled(rows: str, columns: Sequence[str]) -> Markup:
    """Filter `labelled`: table rows with the column's name in each cell, for windows narrower than the table."""

    def named(row: re.Match[str]) -> str:
        names = iter(columns)
        return _CELL.sub(lambda cell: f'{cell[0]} data-label="{escape(next(names, ""))}"', row[0])

    return Markup(_ROW.sub(named, rows))  # noqa: S704 - the template has escaped them


_ROW: Final = re.compile(r"<tr\b.*?</tr>", re.DOTALL)
_CELL: Final = re.compile(r"<t[dh]\b(?![^>]*colspan)[^>]*")


def dated(text: str) -> Markup:
    """Filter `dated`: a sentence whose dates do not break across lines."""
    return Markup(_DAY.sub(r"<time>\g<0></time>", str(escape(text))))  # noqa: S704 - it is escaped


_DAY: Final = re.compile(r"(?<![\d-])\d{4}-\d\d-\d\d(?![\d-])")


class Head(str):
    """A table column's header.

    `is_figures` right-aligns the column's figures. `column` is the name for sorting the list.
    """

    is_figures = False
    column = ""


def figures(head: str) -> Head:
    """Filter `figures`: a header that right-aligns its column's figures."""
    made = Head(head)
    made.is_figures, made.column = True, getattr(head, "column", "")
    return made


def sorts(head: str, column: str) -> Head:
    """Filter `sorts`: a header that sorts the list by `column`."""
    made = Head(head)
    made.is_figures, made.column = getattr(head, "is_figures", False), column
    return made


def environment() -> Environment:
    """The template environment for pages and read processes. All values are escaped."""
    made = Environment(
        loader=PackageLoader("idtone.console", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals.update(_=text_of, tones=TONES, now_utc=lambda: datetime.now(UTC))
    made.filters.update(t=spoken, labelled=labelled, dated=dated, figures=figures, sorts=sorts, **FILTERS)
    made.filters.update(day=day, time=format_time, minute=format_to_minute, last_day=last_day, until=last_moment)
    made.filters.update(written=format_times_in)
    made.tests["figures"] = lambda head: getattr(head, "is_figures", False)
    return made
