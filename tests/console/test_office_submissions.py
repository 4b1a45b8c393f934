"""An application that an applicant has handed in, on the office's pages: read, sent back, received with its fields."""

import hashlib
from datetime import UTC, datetime

from idtone.office.desk.applicants.submission import SubmissionState, submitted_form
from idtone.office.desk.applicants.submissions import Submissions
from lab.console.office_forms import HOSTILE, ME
from lab.console.page_forms import forms_of
from lab.office.authority.office import Office

PDF = b"%PDF-1.7 a signed pledge"
FIELDS = {
    "name_ja": "新しい電話株式会社", "name_en": HOSTILE, "person": "総務部", "contact": "info@example.jp",
    "signed": "2026-01-04", "signatory": "代表取締役", "tone": "sample", "incoming": "yes",
    "numbers": "0362345600〜5699",
}  # fmt: skip
NEW, LISTED = "/office/new-application", "/office/applications"


async def test_what_an_applicant_has_typed_is_examined(site_of, office: Office):
    kept, today = Submissions(office.folder), datetime(2026, 11, 20, tzinfo=UTC)
    handed, wrong = submitted_form(FIELDS, [], ["sample"], today.date())
    assert handed, wrong
    made, _ = kept.enter(handed, PDF, hashlib.sha256(PDF).hexdigest(), 9, today)
    visitor = await (await site_of(office.folder)).visitor(*ME)
    assert "Applications handed in by applicants" in (await visitor.get("/office/today")).text
    page = f"/office/submissions/{made.id}"
    shown = await visitor.get(page)
    listed = await visitor.get(LISTED)
    assert (page in listed.text, "unverified" in listed.text) == (True, True)
    assert ("Nothing in it is verified" in shown.text, HOSTILE in shown.text) == (True, False)
    assert (await visitor.get(f"{page}/pledge.pdf")).text == PDF.decode()
    assert (await visitor.get("/office/submissions/W-00000000")).status == 404

    seen = next(each.values["seen"] for each in forms_of(shown.text) if each.action.endswith("/return"))
    empty = await visitor.send(page, f"{page}/answer/return", {"seen": seen, "note": ""})
    assert (empty.status, 'id="error-note"' in empty.text) == (400, True)
    assert (await visitor.send(page, f"{page}/answer/return", {"seen": seen, "note": "英語名は?"})).status == 303
    corrected, _ = submitted_form({**FIELDS, "name_en": "New Telecom"}, [], ["sample"], today.date())
    assert corrected
    kept.correct(kept.named(made.id), corrected, None, made.pledge, today)
    late = await visitor.send(page, f"{page}/answer/decline", {"seen": seen, "note": "no"})
    assert (late.status, "has changed this application" in late.text) == (400, True)

    begun = await visitor.get(f"{NEW}?submission={made.id}")
    [form] = [each.values for each in forms_of(begun.text) if each.action == NEW]
    assert (form["name_en"], form["numbers"], form["tone"]) == ("New Telecom", "0362345600-0362345699", "sample")
    checked = {"member": "m-0103", "identity_1": "登記", "checked_1": "2026-01-05", "by_1": "Suzuki", "incoming": "yes"}
    wrong_form = {**form, **checked, "checked_1": "soon", "form_token": begun.form_token}
    table = [f"03623{n:05d}" for n in range(0, 4000, 2)]
    corrected, _ = submitted_form({**FIELDS, "name_en": "New Telecom"}, table, ["sample"], today.date())
    assert corrected
    kept.correct(kept.named(made.id), corrected, None, made.pledge, today)
    refused = await visitor.upload(f"{NEW}", b"", "", **wrong_form)
    assert (refused.status, made.id in refused.text) == (400, True), "the form keeps what it began with"
    [again] = [each.values for each in forms_of(refused.text) if each.action == NEW]
    late = await visitor.upload(NEW, b"", "", **{**again, **checked, "form_token": begun.form_token})
    assert (late.status, "has changed this application" in late.text) == (400, True), "the fields are the older ones"
    begun = await visitor.get(f"{NEW}?submission={made.id}")
    [form] = [each.values for each in forms_of(begun.text) if each.action == NEW]
    assert (form["numbers"], "the 2001 entries of the applicant" in begun.text) == ("", True)
    sent = await visitor.upload(NEW, b"", "", **{**form, **checked, "form_token": begun.form_token})
    assert sent.status == 303, sent.text
    assert (office.folder / "pledges" / f"{made.pledge}.pdf").read_bytes() == PDF
    [taken] = kept.all()
    assert (taken.state, f"{LISTED}/{taken.application}" in sent.headers["Location"]) == (
        SubmissionState.RECEIVED,
        True,
    )
    application = (await visitor.get(f"{LISTED}/{taken.application}")).text
    assert ("typed by the applicant" in application, page in application) == (True, True)
