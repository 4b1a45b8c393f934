"""An applicant's submission by the desk's public form, in its stored form."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from idtone.core.japan_time import JAPAN
from idtone.office.desk.applicants.submission import Submission, handed_in
from idtone.office.desk.applicants.submissions import Submissions


def hand_in(office: Path, fields: Mapping[str, str], pdf: bytes) -> Submission:
    now = datetime.now(UTC)
    handed, wrong = handed_in(fields, [], [fields["tone"]], now.astimezone(JAPAN).date())
    assert handed, wrong
    made, _ = Submissions(office).enter(handed, pdf, hashlib.sha256(pdf).hexdigest(), 10, now)
    return made
