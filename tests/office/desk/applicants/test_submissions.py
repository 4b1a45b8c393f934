"""Applicants' submissions while the office acts on them, and after their erasure."""

import hashlib
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest

from idtone.core.errors import TrustError
from idtone.office.authority import change_registry
from idtone.office.desk.applicants import submissions
from idtone.office.desk.applicants.submission import SubmissionState, submitted_form
from idtone.office.desk.applicants.submissions import Submissions
from lab.office.applicant import hand_in
from lab.office.authority.office import Office

PDF = b"%PDF-1.7 a signed pledge"
FIELDS = {
    "name_ja": "新しい電話株式会社", "name_en": "New Telecom", "person": "総務部", "contact": "info@example.jp",
    "signed": "2026-01-04", "signatory": "代表取締役", "tone": "sample", "incoming": "yes", "numbers": "0362345600",
}  # fmt: skip
TAKEN = ("--member", "m-0103", "--document", "登記事項証明書", "--checked", "2026-01-05", "--by", "Suzuki")


def test_the_applicant_cannot_change_what_the_office_is_receiving(office: Office, monkeypatch: pytest.MonkeyPatch):
    """Otherwise the application would be in the registry while the applicant's submission is still open, and the office
    would receive it again.
    """
    made, kept, refused = hand_in(office.folder, FIELDS, PDF), Submissions(office.folder), list[Exception]()
    apply: Callable[..., object] = change_registry.accept_application
    monkeypatch.setattr(submissions, "TURN_WITHIN_S", 0.1)

    def corrected() -> None:
        other = PDF + b" of another day"
        try:
            kept.correct(made, made.handed, other, hashlib.sha256(other).hexdigest(), datetime.now(UTC))
        except TrustError as error:
            refused.append(error)

    def applied(*given: object) -> object:
        applicant = threading.Thread(target=corrected)
        applicant.start()
        applicant.join()
        return apply(*given)

    monkeypatch.setattr(change_registry, "accept_application", applied)
    told = office.json("application take", made.id, *TAKEN)
    [after] = kept.all()
    assert (len(refused), after.state, after.application) == (1, SubmissionState.RECEIVED, told["application"])
    assert (office.folder / "pledges" / f"{made.pledge}.pdf").read_bytes() == PDF


def test_a_pledge_that_was_signed_again_is_received(office: Office):
    made, kept = hand_in(office.folder, FIELDS, PDF), Submissions(office.folder)
    now = datetime.now(UTC)
    handed, _ = submitted_form({**FIELDS, "signed": "2026-01-05"}, [], ["sample"], now.date())
    assert handed
    earlier = made.model_copy(update={"received": datetime(2026, 1, 4, 9, tzinfo=UTC)})
    (office.folder / "submissions" / f"{made.id}.json").write_text(earlier.model_dump_json())
    kept.correct(earlier, handed, None, made.pledge, now)
    assert office.json("application take", made.id, *TAKEN)["member"] == "m-0103"


def test_what_a_crash_has_left_is_erased_and_another_pdf_is_not_taken(office: Office):
    made, kept = hand_in(office.folder, FIELDS, PDF), Submissions(office.folder)
    folder = office.folder / "submissions"
    for name in ("W-00000000.pdf", "W-00000000.new", f"{made.id}.new"):
        (folder / name).write_bytes(PDF)
    assert kept.forget(datetime.now(UTC) + timedelta(days=1)) == 0, "it waits for the office"
    assert {path.name for path in folder.iterdir()} == {f"{made.id}.json", f"{made.id}.pdf"}
    (folder / f"{made.id}.pdf").write_bytes(PDF + b"x")
    with pytest.raises(TrustError, match="is damaged"):
        kept.pdf(made)


def test_a_table_holds_telephone_numbers():
    handed, wrong = submitted_form({**FIELDS, "numbers": ""}, ["0362345600", "999"], ["sample"], date(2026, 11, 20))
    assert (handed, set(wrong)) == (None, {"sheet"})
