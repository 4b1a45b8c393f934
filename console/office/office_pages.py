"""All pages of the association's office, in the order of the menu."""

from __future__ import annotations

from typing import Final

from ..page import Page
from . import acts_done, applications, evaluations, first_page, members, publication, reports, suspensions

PAGES: Final[tuple[Page, ...]] = (
    *first_page.PAGES,
    *applications.PAGES,
    *members.PAGES,
    *suspensions.PAGES,
    *publication.PAGES,
    *reports.PAGES,
    *evaluations.PAGES,
    *acts_done.PAGES,
)
