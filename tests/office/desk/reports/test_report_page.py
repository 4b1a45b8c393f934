"""The public page over HTTP, with the input of visitors and of attackers."""

import asyncio
import io
import re
import threading
import time
from collections.abc import AsyncIterator, Mapping
from html import escape

import pytest
from aiohttp import FormData, web
from aiohttp.test_utils import TestClient, TestServer

from idtone.member.reports.report_documents import KEYS_PATH
from idtone.office.desk import office_ledger
from idtone.office.desk.desk_server import application
from idtone.office.desk.field_problem import FieldProblem
from idtone.office.desk.public_form import TRAP
from idtone.office.desk.reports.call_traceback import Finding, ReportResult, Stage
from idtone.office.desk.reports.desk_key import OFFICER_FILE
from idtone.office.desk.reports.report_page import (
    FORM_PATH,
    PROBLEMS,
    SERVICE_PATH,
    STATUS_PATH,
    WITHIN,
    form_page,
)
from idtone.office.desk.reports.report_store import PAGE
from lab.office.desk.reports.members import CONTACT, NAME, NOW, NUMBER, WORDS, Members, authority

FIELDS = {
    "number": NUMBER, "date": "2026-11-20", "time": "10:15", "within_minutes": "60", "what": WORDS, "name": NAME,
    "contact": CONTACT,
}  # fmt: skip
SERVICE_FIELDS = {"service": "うその電話サービス", "what": WORDS, "name": NAME, "contact": CONTACT}
RECEIPT = re.compile(r'<p class="receipt">([0-9A-Z-]{23})</p>')
SCRIPT = "\"><script>alert('x')</script><img src=x onerror=alert(1)>"
Visitor = TestClient[web.Request, web.Application]


def form(fields: Mapping[str, str] = FIELDS, files: Mapping[str, bytes] | None = None) -> FormData:
    made = FormData(quote_fields=False, default_to_multipart=True)  # as browsers send it
    for name, value in fields.items():
        made.add_field(name, value)
    for name, octets in (files or {}).items():
        made.add_field("files", io.BytesIO(octets), filename=name)
    return made


@pytest.fixture
async def visitor(members: Members) -> AsyncIterator[Visitor]:
    (members.desk.folder / "reports.yaml").write_text("page: {hourly_each: 8, hourly: 20}")
    async with TestClient(TestServer(application(members.desk))) as client:
        yield client


async def receipt(visitor: Visitor, data: FormData, path: str = FORM_PATH) -> str:
    async with visitor.post(path, data=data) as answer:
        found = RECEIPT.search(text := await answer.text())
        assert answer.status == 200, text
        assert found, text
        return found[1]


async def test_a_visitor_reports_and_asks_by_the_receipt(visitor, members):
    async with visitor.get(FORM_PATH) as answer:
        page = await answer.text()
        assert "script" not in page.lower().replace("without scripts", "")
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert {name for name in (*FIELDS, TRAP) if f'name="{name}"' not in page} == set()
        assert 'type="file"' not in page, "the page takes no files"
        assert all(each in page for each in ("目的: 電話の不正な利用", "責任者: JUSA", "by a judge's warrant")), page
        assert not any(each in page for each in ("行政機関を含め", "not even the government")), "a warrant breaks it"
    given = await receipt(visitor, form())
    [kept] = members.reports.store.listed()
    call = members.reports.call(kept.sealed)
    assert (kept.via, kept.holder.member, kept.stage, call.what) == (PAGE, "m-0001", Stage.MEMBER, WORDS)
    assert call.at.isoformat() == "2026-11-20T10:15:00+09:00"
    [request] = members.fetch("m-0001")
    assert request.number == call.number
    for asked, said in (
        (given.lower().replace("-", " "), "An operator is being asked"),
        (given[:-1] + ("1" if given.endswith("0") else "0"), "no report"),
    ):
        async with visitor.post(STATUS_PATH, data={"receipt": asked}) as answer:
            assert said in (text := await answer.text())
            assert "m-0001" not in text
    members.reports.close(kept.id, ReportResult.TRACED, "done", NOW)
    async with visitor.post(STATUS_PATH, data={"receipt": given}) as answer:
        assert "the operator was found" in await answer.text()


async def test_the_page_names_the_body_that_reports_yaml_names(members):
    (members.desk.folder / "reports.yaml").write_text("page: {responsible: 'JUSA <事務局長> privacy@example.jp'}")
    async with TestClient(TestServer(application(members.desk))) as client, client.get(SERVICE_PATH) as answer:
        assert "責任者: JUSA &lt;事務局長&gt; privacy@example.jp" in await answer.text()


async def test_a_visitor_reports_a_service_without_a_call(visitor, members):
    async with visitor.get(FORM_PATH) as answer:
        assert f'href="{SERVICE_PATH}"' in await answer.text()
    async with visitor.get(SERVICE_PATH) as answer:
        page = await answer.text()
    assert {name for name in (*SERVICE_FIELDS, TRAP) if f'name="{name}"' not in page} == set()
    assert 'name="number"' not in page
    given = await receipt(visitor, form(SERVICE_FIELDS), SERVICE_PATH)
    [kept] = members.reports.store.listed()
    assert (kept.via, kept.holder.member, kept.stage, kept.finding) == (PAGE, None, Stage.OFFICE, Finding.NO_NUMBER)
    assert members.reports.matter(kept.sealed).model_dump() == {
        "service": SERVICE_FIELDS["service"],
        "what": WORDS,
        "attachments": (),
    }
    assert kept.sealed.reporter is not None
    assert [members.fetch(member) for member in ("m-0001", "m-0002")] == [[], []], "no member is asked"
    members.reports.close(kept.id, ReportResult.EXAMINED, "asked the operator", NOW)
    async with visitor.post(STATUS_PATH, data={"receipt": given}) as answer:
        assert "the association has examined it" in await answer.text()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"service": ""}, "service"), ({"service": "x" * 201}, "service"), ({"service": "a\nb"}, "service"),
        ({"service": "03-1234-5678 の会社"}, "service"),
        ({"what": " "}, "what"), ({"service": "a\x1bb"}, "character"), ({"name": ""}, "reporter"),
    ],
)  # fmt: skip
async def test_a_wrong_field_of_a_report_about_a_service_is_named(visitor, members, change, problem):
    async with visitor.post(SERVICE_PATH, data=form(SERVICE_FIELDS | change)) as answer:
        text = await answer.text()
    assert answer.status == 400
    assert PROBLEMS[problem][1].replace("{character}", "U+001B") in text
    assert f'action="{SERVICE_PATH}"' in text, "the visitor stays in the same form"
    assert not members.reports.store.listed()


async def test_html_in_a_services_name_stays_text(visitor):
    async with visitor.post(SERVICE_PATH, data=form(SERVICE_FIELDS | {"service": SCRIPT, "what": ""})) as answer:
        text = await answer.text()
    assert "<script" not in text
    assert escape(SCRIPT) in text


@pytest.mark.parametrize("field", [*FIELDS, TRAP])
async def test_html_in_any_field_stays_text(visitor, members, field):
    async with visitor.post(FORM_PATH, data=form(FIELDS | {field: SCRIPT})) as answer:
        text = await answer.text()
    assert "<script" not in text
    assert "<img" not in text
    assert "<script" not in form_page(dict.fromkeys(FIELDS, SCRIPT), True, SCRIPT)
    if answer.status != 200 and field in ("number", "what"):
        assert escape(SCRIPT) in text, "what was typed is not lost"


BAD = {
    "number": ({"number": "12"}, "number"),
    "no number": ({"number": ""}, "number"),
    "date": ({"date": "yesterday"}, "at"),
    "later than now": ({"date": "2099-01-01"}, "at"),
    "a year before all": ({"date": "1066-10-14"}, "at"),
    "within": ({"within_minutes": "-5"}, "within_minutes"),
    "no words": ({"what": " "}, "what"),
    "too many words": ({"what": "あ" * 4001}, "what"),
    "control characters": ({"what": "a\x1b[2Jb"}, "character"),
    "a name alone": ({"contact": ""}, "reporter"),
    "a long name": ({"name": "x" * 201}, "reporter"),
}


@pytest.mark.parametrize("case", BAD)
async def test_a_wrong_field_is_named_and_nothing_is_kept(visitor, members, case):
    change, problem = BAD[case]
    async with visitor.post(FORM_PATH, data=form(FIELDS | change)) as answer:
        text = await answer.text()
    assert answer.status == 400
    for words in PROBLEMS[problem]:
        assert words.replace("{character}", "U+001B") in text
    assert not members.reports.store.listed()


def test_what_is_wrong_at_no_field_is_named_above_the_form():
    summary, _, _ = form_page({}, True, "", wrong={"reporter": FieldProblem("reporter")}).partition("<form")
    assert PROBLEMS["reporter"][1] in summary


async def test_all_wrong_fields_are_named_at_once_each_at_its_field(visitor, members):
    wrong = {"number": "12", "date": "", "within_minutes": "-5", "what": "a\x1bb", "contact": ""}
    async with visitor.post(FORM_PATH, data=form(FIELDS | wrong)) as answer:
        text = await answer.text()
    summary, _, rest = text.partition("<form")
    assert answer.status == 400
    assert re.findall(r'href="#field-(\w+)"', summary) == [*wrong]
    assert re.findall(r'id="field-(\w+)" aria-invalid="true" aria-describedby="error-\1"', rest) == [*wrong]
    assert re.findall(r'id="error-(\w+)"', rest) == [*wrong]
    assert rest.count("autofocus") == 1
    assert "autofocus" in rest[: rest.index('id="error-number"')]
    assert not members.reports.store.listed()


async def test_a_file_is_refused(visitor, members):
    async with visitor.post(FORM_PATH, data=form(files={"録音.wav": b"RIFF" * 100})) as answer:
        assert (answer.status, PROBLEMS["attachments"][0] in await answer.text()) == (400, True)
    assert not members.reports.store.listed()


OVERSIZED = {
    "a file": form(files={"x": bytes(2 * 1024 * 1024)}),
    "a field": form(FIELDS | {"what": "x" * 200_000}),
}


@pytest.mark.parametrize("case", OVERSIZED)
async def test_what_is_too_large_is_refused(visitor, members, case):
    async with visitor.post(FORM_PATH, data=OVERSIZED[case]) as answer:
        assert answer.status == 413
    assert not members.reports.store.listed()


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"number=1", "application/x-www-form-urlencoded", 415),
        (b"{}", "application/json", 415),
        (b"--x\r\n", "multipart/form-data; boundary=x", 400),
        (b"nothing", "multipart/form-data", 400),
        (b'--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--\r\n', "multipart/form-data; boundary=x", 400),
        (b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y--\r\n--x--\r\n",
         "multipart/form-data; boundary=x", 400),
        (b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\na\r\n' * 40 + b"--x--\r\n",
         "multipart/form-data; boundary=x", 400),
    ],
)  # fmt: skip
async def test_a_body_that_is_no_form_is_refused(visitor, members, body, kind, status):
    async with visitor.post(FORM_PATH, data=body, headers={"Content-Type": kind}) as answer:
        assert (answer.status, answer.content_type) == (status, "text/html")
    assert not members.reports.store.listed()


PASTED = {
    "full-width spaces": ("山田\u3000太郎から", "山田 太郎から"),
    "a tab and a no-break space": ("a\tb\u00a0c", "a b c"),
    "zero-width characters": ("a\u200bb\ufeffc\u2060", "abc"),
    "an emoji of three": ("👨\u200d👩\u200d👧", "👨👩👧"),
    "marks of direction": ("\u202eabc\u2069", "abc"),
    "line ends of Windows": ("a\r\nb", "a\nb"),
}


@pytest.mark.parametrize("case", PASTED)
async def test_what_was_pasted_is_taken_as_it_looks(visitor, members, case):
    pasted, kept = PASTED[case]
    await receipt(visitor, form(FIELDS | {"what": pasted, "number": f"\u3000{NUMBER}\u200b"}))
    [report] = members.reports.store.listed()
    assert members.reports.call(report.sealed).what == kept


async def test_five_citizens_at_once_all_get_a_receipt(tmp_path, monkeypatch):
    """Each act in a console opens the ledger, which takes a while. In an earlier version, three of five citizens got
    503 after ten seconds.
    """
    is_open, real = threading.Lock(), office_ledger.record_act

    def slowly(*given):
        assert is_open.acquire(blocking=False), "another act has the ledger"
        try:
            time.sleep(0.05)
            return real(*given)
        finally:
            is_open.release()

    monkeypatch.setattr(office_ledger, "record_act", slowly)
    members = Members(authority(tmp_path / "office"))
    async with TestClient(TestServer(application(members.desk))) as visitor:
        sent = (receipt(visitor, form(FIELDS | {"what": str(n)})) for n in range(5))
        assert len({*await asyncio.gather(*sent)}) == 5
    acts = [act for act in members.desk.ledger.acts() if act.act == "report-entered"]
    assert {act.subject for act in acts} == {kept.id for kept in members.reports.store.listed()}
    assert len(acts) == 5


async def test_a_form_that_is_refused_costs_nothing(visitor):
    for _ in range(10):
        async with visitor.post(FORM_PATH, data=form(FIELDS | {"what": " "})) as answer:
            assert answer.status == 400
    assert await receipt(visitor, form())


async def test_a_program_that_fills_in_every_field_gets_a_receipt_and_is_not_kept(visitor, members):
    assert await receipt(visitor, form(FIELDS | {TRAP: "https://x.example"}))
    assert not members.reports.store.listed()


async def test_receipts_cannot_be_guessed_without_end(visitor):
    codes = []
    for n in range(12):
        async with visitor.post(STATUS_PATH, data={"receipt": f"AAAAA-AAAAA-AAAAA-AAA{n:02}"}) as answer:
            codes.append(answer.status)
    assert codes == [200] * 8 + [429] * 4
    assert await receipt(visitor, form()), "questions do not keep a report out"
    others = {"X-Forwarded-For": "192.0.2.7, 192.0.2.9"}
    async with visitor.post(STATUS_PATH, data={"receipt": "x"}, headers=others) as answer:
        assert answer.status == 200, "another visitor is served, by what the proxy says last"


async def test_without_an_officers_key_the_page_asks_for_no_name_and_takes_none(visitor, members):
    (members.desk.folder / OFFICER_FILE).unlink()
    async with visitor.get(FORM_PATH) as answer:
        assert 'name="contact"' not in await answer.text()
    async with visitor.get(KEYS_PATH) as answer:
        assert (await answer.json())["officer"] is None
    async with visitor.post(FORM_PATH, data=form()) as answer:
        assert answer.status == 503
    assert not members.reports.store.listed()
    unnamed = {name: value for name, value in FIELDS.items() if name not in ("name", "contact")}
    assert await receipt(visitor, form(unnamed))
    assert [kept.sealed.reporter for kept in members.reports.store.listed()] == [None]


async def test_a_broken_officers_key_is_told_in_the_log_and_not_to_visitors(visitor, members, caplog):
    (members.desk.folder / OFFICER_FILE).write_text("x")
    for path in (FORM_PATH, KEYS_PATH):
        async with visitor.get(path) as answer:
            assert answer.status == 503
            assert OFFICER_FILE not in await answer.text()
    async with visitor.post(FORM_PATH, data=form()) as answer:
        assert answer.status == 503
    assert "is not a report officer's public key" in caplog.text


@pytest.mark.parametrize("problem", PROBLEMS)
def test_each_problem_has_words_in_both_languages(problem):
    japanese, english = PROBLEMS[problem]
    assert re.search("[ぁ-ん]", japanese)
    assert english.isascii()


def test_each_choice_of_the_form_is_accepted():
    assert all(0 <= int(minutes) <= 31 * 24 * 60 for minutes in WITHIN)
