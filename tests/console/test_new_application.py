"""A paper application is entered with forms alone: no YAML, and no digest by hand."""

import hashlib

import pytest

from idtone.office.authority.change_registry import accepted_applications, registry_of
from idtone.office.authority.pledge_store import read_pledge
from idtone.office.authority.workspace import Workspace
from lab.console.office_forms import ME
from lab.console.site import Site
from lab.office.authority.office import Office

PAGE = "/office/new-application"
PDF = b"%PDF-1.7 signed by hand"
SHA256 = hashlib.sha256(PDF).hexdigest()
TYPED = {
    "id": "A-2026-0001", "received": "2026-11-20", "member": "m-0008",
    "name_ja": "八番電話株式会社", "name_en": "Eighth Telecom",
    "identity_1": "登記事項証明書", "checked_1": "2026-11-19", "by_1": "Suzuki", "identity_2": "", "checked_2": "",
    "by_2": "",
    "signed": "2026-11-18", "signatory": "代表取締役", "document": "2", "until": "2027-11-17", "tone": "sample",
    "incoming": "yes", "numbers": "03-6234-5600〜5699\n050-1234-5678", "why": "by post",
}  # fmt: skip


@pytest.fixture
async def at_office(site_of, office: Office) -> Site:
    return await site_of(office.folder)


async def test_an_application_on_paper_is_typed_examined_and_granted(at_office, office):
    visitor = await at_office.visitor(*ME)
    assert PAGE in (await visitor.get("/office/applications")).text
    form = await visitor.get(PAGE)
    assert 'value="A-' in form.text, "the next id is proposed"
    taken = await visitor.upload(PAGE, PDF, form_token=form.form_token, **TYPED)
    page = "/office/applications/A-2026-0001"
    assert (taken.status, taken.headers.get("Location")) == (303, f"{page}?done=1"), taken.text
    assert (await visitor.send(page, f"{page}/review", {"result": "passed", "why": "all is there"})).status == 303
    assert (await visitor.send(page, f"{page}/grant", {"until": "2028-01-01", "why": "passed"})).status == 303
    member = registry_of(Workspace(office.folder)).members[-1]
    assert (member.id, member.name.ja, len(member.licences)) == ("m-0008", "八番電話株式会社", 1)
    assert member.numbers == ("0362345600-0362345699", "050-1234-5678")
    assert (member.pledge.sha256, str(member.pledge.until)) == (SHA256, "2027-11-18"), "its last day was typed"
    assert "2027-11-17" in (await visitor.get("/office/members/m-0008")).text
    assert (await visitor.get(f"/office/pledges/{SHA256}")).text == PDF.decode()
    assert (await visitor.get(f"/office/pledges/{'0' * 64}")).status == 404


@pytest.mark.parametrize(
    ("changed", "paper", "told"),
    [
        ({"identity_1": ""}, PDF, "Document 1: fill this in"),
        ({"incoming": ""}, PDF, "choose the directions of the licence"),
        ({"checked_1": "soon"}, PDF, "Document 1: checked on is not a day"),
        ({"identity_2": "licence", "checked_2": ""}, PDF, 'id="error-checked_2">Document 2: checked on is not a day'),
        ({"received": ""}, PDF, "Received: fill this in"),
        ({"member": "x y"}, PDF, "is not an id"),
        ({"numbers": "03-12"}, PDF, "application.numbers[0]"),
        ({"numbers": "", "tone": ""}, PDF, "asks for nothing"),
        ({"until": "2026-11-01"}, PDF, "pledge"),
        ({"why": ""}, PDF, "Reason: fill this in"),
        ({}, b"PK", "is not a PDF file"),
    ],
)
async def test_what_is_missing_or_wrong_is_named_and_what_was_typed_stays(at_office, office, changed, paper, told):
    before = office.state()
    visitor = await at_office.visitor(*ME)
    token = (await visitor.get(PAGE)).form_token
    answer = await visitor.upload(PAGE, paper, form_token=token, **{**TYPED, **changed})
    assert (answer.status, told in answer.text) == (400, True), answer.text
    assert "Eighth Telecom" in answer.text
    assert office.state() == before


async def test_two_forms_with_the_same_proposal_make_two_applications(at_office, office):
    visitor = await at_office.visitor(*ME)
    token = (await visitor.get(PAGE)).form_token
    assert (await visitor.upload(PAGE, PDF, form_token=token, **TYPED)).status == 303
    before = office.state()
    again = await visitor.upload(PAGE, PDF + b"2", form_token=token, **{**TYPED, "why": "by hand"})
    assert (again.status, "A-2026-0002 is free" in again.text) == (400, True), again.text
    assert office.state() == before


async def test_a_member_that_asks_for_more_keeps_its_name_and_needs_no_paper(at_office, office):
    visitor = await at_office.visitor(*ME)
    token = (await visitor.get(PAGE)).form_token
    more = {**TYPED, "member": "m-0001", "name_ja": "", "name_en": "", "tone": ""}
    taken = await visitor.upload(PAGE, b"", form_token=token, **more)
    assert taken.status == 303, taken.text
    [(asked, _)] = accepted_applications(Workspace(office.folder))
    assert (asked.member.name.ja, asked.pledge.sha256) == ("良い電話株式会社", None)


async def test_a_pledge_is_recorded_by_its_paper(at_office, office):
    visitor, page = await at_office.visitor(*ME), "/office/members/m-0001"
    fields = {"document": "3", "signatory": "Mori", "signed": "2026-11-01", "until": "2027-10-31", "why": "renewed"}
    token = (await visitor.get(page)).form_token
    missing = await visitor.upload(f"{page}/pledge-paper", b"", form_token=token, **fields)
    assert (missing.status, "choose the PDF" in missing.text) == (400, True)
    wrong = await visitor.upload(f"{page}/pledge-paper", PDF, form_token=token, **{**fields, "until": "2026-01-01"})
    assert (wrong.status, read_pledge(office.folder, SHA256)) == (400, None)
    done = await visitor.upload(f"{page}/pledge-paper", PDF, form_token=token, **fields)
    assert done.status == 303, done.text
    assert registry_of(Workspace(office.folder)).members[0].pledge.sha256 == SHA256
    shown = (await visitor.get(page)).text
    assert f"/office/pledges/{SHA256}" in shown
    assert "2027-10-31" in shown
