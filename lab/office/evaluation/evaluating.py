"""An association that is ready to evaluate its members, and what a member's node hands in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from idtone.core.signed_notes import Signer
from idtone.office.desk.desk import Desk
from idtone.office.desk.document_rules import RULES
from lab.made_once import made_once
from lab.member.evaluation.sample_figures import LAST_DAY, NODE, YEAR, document_of, write_criteria
from lab.office.authority.office import WHY, Office
from lab.registry.examples import with_keys

DAYS = ("--since", YEAR.start, "--until", LAST_DAY)
ASSESSMENTS = f"""\
period: {{from: {YEAR.start}, until: {YEAR.until}}}
members:
  - member: m-0001
    stops: [{{reference: R-1, asked: 2025-03-01T10:00:00+09:00, stopped: 2025-03-01T10:40:00+09:00}}]
    forms: {{asked: 20, complete: 20}}
    reports: {{asked: 4, in_time: 4}}
    reachability: {{tried: 12, reached: 12}}
    assessors:
      - {{assessor: A. Assessor, day: 2026-01-15, points: 9}}
      - {{assessor: B. Assessor, day: 2026-01-18, points: 7.5}}
"""


@pytest.fixture
def folder(office: Office, tmp_path_factory: pytest.TempPathFactory) -> Office:
    """The association has criteria and assessments, and the first member's node has a key."""

    def make() -> None:
        text = office.registry.read_text().replace("version: 42", "version: 43")
        office.registry.write_text(with_keys(text, m1=[NODE.key]))
        office.told("history note", *WHY)
        office.told("publication publish", *office.all_keys())
        write_criteria(office.folder)
        (office.folder / "assessments.yaml").write_text(ASSESSMENTS)

    made_once(tmp_path_factory, "to-evaluate", office.folder, make)
    return office


def hand_in(office: Office, *contents: dict[str, Any], signer: Signer = NODE) -> None:
    desk = Desk(office.folder, RULES)
    for content in contents:
        desk.accept(document_of(content, signer), datetime.now(UTC))
