"""The menu: the pages that a visitor may see, by section. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .page import Section

if TYPE_CHECKING:
    from .page import Page, Visit


@dataclass(frozen=True, slots=True)
class MenuEntry:
    path: str
    title: str
    is_here: bool


def menu_of(visit: Visit) -> dict[Section, list[MenuEntry]]:
    """The entries of the menu by section. Sections without an entry are left out."""
    found: dict[Section, list[MenuEntry]] = {}
    # A page below two entries belongs to the nearer one.
    here = max(
        (page.path for page in visit.console.pages if page.title and _is_here(page, visit.request.path)),
        key=len,
        default="",
    )
    for section in Section:
        entries = [
            MenuEntry(page.path, page.title, page.path == here)
            for page in visit.console.pages
            if page.title and page.section is section and page.right is not None and visit.may(page.right)
        ]
        if entries:
            found[section] = entries
    return found


def _is_here(page: Page, path: str) -> bool:
    return path == page.path or (page.path != "/" and path.startswith(page.path + "/"))
