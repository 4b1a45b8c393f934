"""All pages of the association's office, in the order of the menu; of two that fit an address, the first serves it."""

from __future__ import annotations

from typing import Final

from ..page import Page
from . import (
    acts_done,
    agreements,
    applications,
    chains,
    conditions,
    contacts,
    evaluations,
    first_page,
    keys,
    logs,
    members,
    new_application,
    new_evaluation,
    night,
    number_sheets,
    papers,
    portings,
    publication,
    refusal_entry,
    refusals,
    report_statistics,
    reports,
    suspensions,
    taken_reports,
    tones,
)

PAGES: Final[tuple[Page, ...]] = (
    *first_page.PAGES,
    *new_application.PAGES,
    *applications.PAGES,
    *number_sheets.PAGES,
    *members.PAGES,
    *contacts.PAGES,
    *agreements.PAGES,
    *conditions.PAGES,
    *chains.PAGES,
    *portings.PAGES,
    *tones.PAGES,
    *suspensions.PAGES,
    *night.PAGES,
    *refusal_entry.PAGES,
    *refusals.PAGES,
    *publication.PAGES,
    *keys.PAGES,
    *logs.PAGES,
    *taken_reports.PAGES,
    *report_statistics.PAGES,
    *reports.PAGES,
    *new_evaluation.PAGES,
    *evaluations.PAGES,
    *papers.PAGES,
    *acts_done.PAGES,
)
