"""The public form of an application over HTTP: applicants, attackers, and the office that receives their input."""

import io
import re
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from html import escape

import pytest
from aiohttp import FormData, web
from aiohttp.test_utils import TestClient, TestServer

from idtone.office.authority.authority_settings import OnlineTerms
from idtone.office.desk.applicants.application_page import CORRECT_PATH, FORM_PATH, PROBLEMS, STATUS_PATH
from idtone.office.desk.applicants.application_routes import FILES
from idtone.office.desk.applicants.retention import erase_due_submissions
from idtone.office.desk.applicants.submission import SubmissionState
from idtone.office.desk.applicants.submissions import Submissions
from idtone.office.desk.desk_server import application
from idtone.office.desk.document_desk import DocumentDesk
from idtone.office.desk.public_form import TRAP
from idtone.office.desk.reports.report_page import STATUS_PATH as REPORTS
from lab.office.authority.office import WHY, Office

PDF = b"%PDF-1.7 a signed pledge"
FIELDS = {
    "name_ja": "新しい電話株式会社", "name_en": "New Telecom", "person": "総務部 見本", "contact": "info@example.jp",
    "signed": "2026-01-04", "signatory": "代表取締役", "document": "2", "tone": "sample", "incoming": "yes",
    "numbers": "03-6234-5600〜5699",
}  # fmt: skip
SCRIPT = "\"><script>alert('x')</script><img src=x onerror=alert(1)>"
SHOWN = re.compile(
    r'<p class="receipt" id="number">(W-[0-9a-f]{8})</p>.*<p class="receipt" id="secret">([0-9A-Z-]{23})<'
)
Applicant = TestClient[web.Request, web.Application]


def form(fields: Mapping[str, str], **files: bytes) -> FormData:
    made = FormData(quote_fields=False, default_to_multipart=True)
    for name, value in fields.items():
        made.add_field(name, value)
    for name, octets in files.items():
        made.add_field(name, io.BytesIO(octets), filename=f"{name}.bin")
    return made


@pytest.fixture
async def applicant(office: Office) -> AsyncIterator[Applicant]:
    (office.folder / "authority.yaml").write_text(
        "applications: {online: true, responsible: 事務局, hourly: 30, hourly_each: 12, waiting: 2, keep: P30D}\n"
    )
    async with TestClient(TestServer(application(DocumentDesk(office.folder, {})))) as client:
        yield client


async def sent(applicant: Applicant, data: FormData, path: str = FORM_PATH) -> tuple[int, str]:
    async with applicant.post(path, data=data) as answer:
        return answer.status, await answer.text()


async def asked(applicant: Applicant, number: str, secret: str) -> str:
    async with applicant.post(STATUS_PATH, data={"receipt": number, "secret": secret}) as answer:
        return await answer.text()


async def test_it_is_off_until_the_association_switches_it_on(office):
    assert not OnlineTerms().online
    async with TestClient(TestServer(application(DocumentDesk(office.folder, {})))) as client:
        for path in (FORM_PATH, STATUS_PATH):
            async with client.get(path) as answer:
                assert answer.status == 404


async def test_an_applicant_applies_corrects_and_is_received(applicant, office):
    async with applicant.get(FORM_PATH) as answer:
        page = await answer.text()
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert all(each in page for each in ("目的:", "30 日後に消します", "責任者: 事務局", 'value="sample"'))
    status, page = await sent(applicant, form(FIELDS, pledge=PDF))
    shown = SHOWN.search(page)
    assert (status, shown is not None) == (200, True), page
    assert shown
    number, secret = shown.groups()
    kept = Submissions(office.folder)
    [submission] = kept.all()
    assert (submission.id, submission.state, kept.pdf(submission)) == (number, SubmissionState.WAITING, PDF)
    assert secret not in "".join(path.read_text() for path in (office.folder / "submissions").glob("*.json"))
    assert all(path.stat().st_mode & 0o077 == 0 for path in (office.folder / "submissions").iterdir())
    assert "It waits for the association." in await asked(applicant, number, secret.lower())
    other = secret[:-1] + ("1" if secret.endswith("0") else "0")
    for wrong in ((number, other), ("W-00000000", secret), ("../registry", secret), ("", "")):
        assert "There is no application" in await asked(applicant, *wrong)

    office.output("application send-back", number, "--note", f"番号を確認してください {SCRIPT}")
    page = await asked(applicant, number, secret)
    assert ("Please correct it." in page, SCRIPT in page, escape(SCRIPT) in page) == (True, False, True)
    again = {**FIELDS, "receipt": number, "secret": secret, "numbers": "03-6234-5600〜5609", "remark": "直しました"}
    assert (await sent(applicant, form(again | {"secret": "0"}), CORRECT_PATH))[0] == 400
    assert (await sent(applicant, form(again), CORRECT_PATH))[0] == 200
    [corrected] = kept.all()
    assert (corrected.state, corrected.pledge) == (SubmissionState.WAITING, submission.pledge), "the PDF stays"

    [listed] = office.json("application handed-in")
    assert (listed["id"], listed["numbers"], listed["remark"]) == (number, "0362345600-0362345609", "直しました")
    taken = ("--member", "m-0103", "--document", "登記事項証明書", "--checked", "2026-01-05", "--by", "Suzuki")
    made = office.json("application take", number, *taken)
    [application_] = [each for each in office.json("application list") if each["id"] == made["application"]]
    assert (application_["member"], application_["name_en"]) == ("m-0103", "New Telecom")
    assert (office.folder / "pledges" / f"{submission.pledge}.pdf").read_bytes() == PDF
    office.json("application review", made["application"], "--result", "passed", *WHY)
    office.json("application grant", made["application"], "--until", "2027-01-01")
    assert "m-0103" in office.registry.read_text()
    assert "is received" in await asked(applicant, number, secret)
    status, page = await sent(applicant, form(again), CORRECT_PATH)
    assert (status, PROBLEMS["over"][1] in page) == (409, True)
    assert office.refused("application decline", number, "--note", "no")
    desk = DocumentDesk(office.folder, {})
    assert [each.act for each in desk.ledger.acts() if each.subject == number] == [
        "application-handed-in", "application-returned", "application-corrected", "application-taken",
    ]  # fmt: skip
    now = datetime.now(UTC)
    assert [erase_due_submissions(desk, now + timedelta(days=days)) for days in (29, 31, 31)] == [0, 1, 0]
    assert list((office.folder / "submissions").iterdir()) == []


async def test_what_is_wrong_is_said_at_once_and_kept_nowhere(applicant, office):
    wrong = {
        **FIELDS, "name_ja": "", "person": SCRIPT + "\u0007", "signed": "2096-01-01", "tone": "other", "incoming": "",
        "numbers": "999",
    }  # fmt: skip
    status, page = await sent(applicant, form(wrong, pledge=b"MZ no PDF", sheet=b"\x00\x01"))
    fields = {"name_ja", "person", "signed", "tone", "incoming", "numbers", "pledge", "sheet"}
    assert (status, set(re.findall(r'id="error-(\w+)"', page))) == (400, fields)
    assert (SCRIPT in page, escape(SCRIPT) in page) == (False, True)
    for changed, files, problem in (
        ({**FIELDS, "tone": "", "incoming": "", "numbers": ""}, {"pledge": PDF}, "nothing"),
        (FIELDS, {}, "pledge"),
        ({**FIELDS, "member": "../x"}, {"pledge": PDF}, "id"),
        (FIELDS, {"pledge": PDF, "other": PDF}, "form"),
        (FIELDS, {"pledge": PDF + b"x" * FILES["pledge"]}, "size"),
    ):
        status, page = await sent(applicant, form(changed, **files))
        assert (status in (400, 413), PROBLEMS[problem][1] in page) == (True, True), (problem, page)
    assert not SHOWN.search((await sent(applicant, form({**FIELDS, TRAP: "http://x"}, pledge=PDF)))[1])
    assert not (office.folder / "submissions").exists()
    assert DocumentDesk(office.folder, {}).ledger.acts() == []


async def test_few_are_taken_of_one_network_and_few_wait(applicant, office):
    table = "先頭,末尾\r\n0362345700,0362345799\r\n".encode("cp932")
    others = {**FIELDS, "numbers": ""}
    answers = [(await sent(applicant, form(others, pledge=PDF, sheet=table)))[0] for _ in range(13)]
    assert answers == [200, 200, *[503] * 10, 429], "two wait; then the network has no more"
    first, _ = Submissions(office.folder).all()
    assert first.handed.numbers == ("0362345700-0362345799",)
    office.output("application decline", first.id, "--note", "二重の申込みです")
    assert len(office.json("application handed-in")) == 1


async def test_a_long_table_can_be_corrected(applicant, office):
    table = "".join(f"03623{n:05d}\r\n" for n in range(0, 8000, 2)).encode()
    _, page = await sent(applicant, form({**FIELDS, "numbers": ""}, pledge=PDF, sheet=table))
    shown = SHOWN.search(page)
    assert shown, page
    number, secret = shown.groups()
    page = await asked(applicant, number, secret)
    begun = re.search(r'<textarea name="numbers"[^>]*>([^<]*)<', page)
    assert begun, page
    assert begun[1].count("\n") == 3999
    again = {**FIELDS, "receipt": number, "secret": secret, "numbers": begun[1].replace("\n", "\r\n")}
    assert (await sent(applicant, form(again), CORRECT_PATH))[0] == 200
    assert len(Submissions(office.folder).all()[0].handed.numbers) == 4000


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=x", b"--x\r\nno header"),
        (
            "multipart/form-data; boundary=x",
            b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y--\r\n--x--\r\n",
        ),
        ("application/x-www-form-urlencoded; charset=nonsense", b"receipt=%ff"),
    ],
)
async def test_a_body_that_is_not_what_it_says_is_refused_without_a_traceback(applicant, kind, body):
    for path, statuses in (
        (FORM_PATH, (400, 415)),
        (CORRECT_PATH, (400, 415)),
        (STATUS_PATH, (200,)),
        (REPORTS, (200,)),
    ):
        async with applicant.post(path, data=body, headers={"Content-Type": kind}) as answer:
            assert answer.status in statuses, (path, await answer.text())
