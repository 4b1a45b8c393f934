"""An applicant's submission through the desk's public form, as the desk stores it."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from idtone.core.japan_time import JAPAN
from idtone.office.desk.applicants.submission import Submission, submitted_form
from idtone.office.desk.applicants.submissions import Submissions

ENTRIES: Final = {
    "name_ja": "新規見本電話株式会社", "name_en": "New Sample Telecom", "person": "総務部 見本",
    "contact": "info@example.jp", "signed": "2026-01-04", "signatory": "代表取締役", "tone": "sample",
    "incoming": "yes",
}  # fmt: skip
"""Entries of an applicant in the public form."""
PLEDGE: Final = b"%PDF-1.7 a signed pledge"


def hand_in(office: Path, fields: Mapping[str, str], pdf: bytes) -> Submission:
    now = datetime.now(UTC)
    handed, wrong = submitted_form(fields, [], [fields["tone"]], now.astimezone(JAPAN).date())
    assert handed, wrong
    made, _ = Submissions(office).enter(handed, pdf, hashlib.sha256(pdf).hexdigest(), 10, now)
    return made
