"""All pages of the association's office, in the order of the menu; of two that fit an address, the first serves it."""

from __future__ import annotations

from typing import Final

from ..page import Page
from . import (
    acts_done,
    applications,
    chains,
    evaluations,
    first_page,
    keys,
    members,
    new_application,
    new_evaluation,
    publication,
    refusals,
    report_statistics,
    reports,
    suspensions,
)

PAGES: Final[tuple[Page, ...]] = (
    *first_page.PAGES,
    *new_application.PAGES,
    *applications.PAGES,
    *members.PAGES,
    *chains.PAGES,
    *suspensions.PAGES,
    *refusals.PAGES,
    *publication.PAGES,
    *keys.PAGES,
    *report_statistics.PAGES,
    *reports.PAGES,
    *new_evaluation.PAGES,
    *evaluations.PAGES,
    *acts_done.PAGES,
)
