"""An association that is ready to evaluate its members, and the documents of a member's node."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from idtone.core.signed_notes import Signer
from idtone.office.authority.workspace import Workspace
from idtone.office.desk.document_desk import DocumentDesk
from idtone.office.desk.document_kinds import RULES
from idtone.office.desk.office_ledger import OfficeLedger
from idtone.office.evaluation.observations import Observation, ObservationKind, observe
from lab.cached_folders import fill_from_cache
from lab.member.evaluation.sample_figures import LAST_DAY, NODE, YEAR, document_of, write_criteria
from lab.office.authority.office import WHY, Office
from lab.registry.examples import with_keys

DAYS = ("--since", YEAR.start, "--until", LAST_DAY)
OBSERVED: Final = (
    *[(ObservationKind.FORM, {"day": "2025-05-07", "result": "good"})] * 2,
    *[(ObservationKind.CONTACT, {"day": "2025-06-01", "result": "good", "what": "by telephone"})] * 2,
    (
        ObservationKind.STOP,
        {"what": "R-1", "asked": "2025-03-01T10:00:00+09:00", "stopped": "2025-03-01T10:40:00+09:00"},
    ),
    (ObservationKind.ASSESSOR, {"day": LAST_DAY, "what": "A. Assessor", "points": "9"}),
    (ObservationKind.ASSESSOR, {"day": LAST_DAY, "what": "B. Assessor", "points": "7.5"}),
)
"""Observations of the first member in the year."""


def add_observation(
    office: Office, kind: ObservationKind, fields: Mapping[str, str], member: str = "m-0001"
) -> Observation:
    return observe(Workspace(office.folder), kind, member, fields, "office", datetime.now(UTC), str)


@pytest.fixture
def folder(office: Office, tmp_path_factory: pytest.TempPathFactory) -> Office:
    """An association with criteria and observations, whose registry has the key of the first member's node."""

    def make() -> None:
        text = office.registry.read_text().replace("version: 42", "version: 43")
        office.registry.write_text(with_keys(text, m1=[NODE.key]))
        office.json("history note", *WHY)
        office.json("publication publish", *office.all_keys())
        write_criteria(office.folder)
        for each in OBSERVED:
            add_observation(office, *each)

    fill_from_cache(tmp_path_factory, "to-evaluate", office.folder, make)
    use_own_ledger(office)
    return office


def use_own_ledger(office: Office) -> None:
    """Make a copied office use its own ledger.

    Its settings still have the full path of the original's ledger.
    """
    OfficeLedger(office.folder).settings_file.unlink()
    with OfficeLedger(office.folder).open():
        pass


def hand_in(office: Office, *contents: dict[str, Any], signer: Signer = NODE) -> None:
    desk = DocumentDesk(office.folder, RULES)
    for content in contents:
        desk.accept(document_of(content, signer), datetime.now(UTC))
