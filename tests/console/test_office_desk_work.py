"""The office's work with Excel and the telephone, and acts that are taken back, both on the pages and by command."""

import io
import json
import re
import wave
from datetime import UTC, datetime
from pathlib import Path

import pytest

from idtone.console.office import agreements
from idtone.core.errors import UsageError
from idtone.office.authority.change_registry import accepted_applications, registry_of
from idtone.office.authority.history import ApplicationStatus
from idtone.office.authority.number_sheet import check_count, sheet_entries
from idtone.office.authority.prepared_package import PreparedPackage
from idtone.office.authority.workspace import Workspace
from idtone.office.desk.office_ledger import OfficeLedger
from idtone.office.refused.refusal_basis import DECIDED
from lab.console.office_forms import ME, entry
from lab.console.site import Answer, Site, Visitor
from lab.office.authority.office import APPLICATION, PHRASE, WHY, Office
from lab.office.refused.samples import SOON

MEMBER = "/office/members/m-0001"
SHEET = (
    "先頭番号,末尾番号,備考\r\n03-6234-5600,5609,本社\r\n0362345700,0362345799,\r\n"
    "０３－６２３４－５８００〜０９,,支店\r\n"
)
ENTRIES = ["0362345600-0362345609", "0362345700-0362345799", "0362345800-0362345809"]


@pytest.fixture
async def at_office(site_of, office: Office) -> Site:
    return await site_of(office.folder)


def master(seconds: float = 0.5, channels: int = 1, rate_hz: int = 8000) -> bytes:
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(b"\1\0" * int(seconds * rate_hz * channels))
    return made.getvalue()


def _file(folder: Path) -> Path:
    path = folder / "second.wav"
    path.write_bytes(master(0.3))
    return path


# -- numbers from a spreadsheet ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["cp932", "utf-8-sig", "utf-8", "utf-16"])
def test_a_table_of_excel_is_read_in_each_encoding_that_it_saves(encoding):
    text = SHEET.replace(",", "\t") if encoding == "utf-16" else SHEET
    assert sheet_entries(text.encode(encoding), "numbers.csv") == ENTRIES


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("番号\n362345600\n", "row 2: the spreadsheet has dropped the zero"),
        ("番号\n8.13623E+11\n", "row 2: the spreadsheet has dropped the zero"),
        ("0362345600,0362345609,03-6234-5700\n", "row 1: a number stands in the third column"),
        ("番号\nabc\n", "row 2: each of the first two columns holds one number"),
        ("先頭番号,番号数\n0362345600,100\n", "row 2: the second column is not the last number"),
        ("番号,内線\n0362345600,5999\n", "row 2: the second column is not the last number"),
        ("電話,FAX\n0362345600,0362345609\n", "row 2: the second column is not the last number"),
        ("0362345600,1\n", "row 1: the second column is not the last number"),
        ('"0362345600\n0362345601"\n', "row 1: each of the first two columns holds one number"),
        ('"0362345600\r\n0362345601"\r\n', "row 1: each of the first two columns holds one number"),
        (",0362345600\n", "row 1: the first column is empty"),
        ("番号\n", "no number is in it"),
        ('"0362345600\n', "is not a table"),
    ],
)
def test_a_table_with_a_fault_is_refused_by_its_row_without_showing_the_number(table, told):
    with pytest.raises(UsageError, match=re.escape(told)) as error:
        sheet_entries(table.encode("cp932"), "n.csv")
    assert "6234" not in str(error.value)


def test_two_whole_numbers_are_a_range_and_a_heading_may_come_after_an_empty_row():
    assert sheet_entries(b"0362345600,0362345609\n", "n.csv") == ["0362345600-0362345609"]
    assert sheet_entries("\n番号,備考\n0362345600,\n".encode(), "n.csv") == ["0362345600"]


def test_a_table_counts_only_with_the_count_that_its_person_expects():
    check_count(ENTRIES, "120", "n.csv")
    for expected in ("", "12", "x"):
        with pytest.raises(UsageError, match="3 rows with 120 numbers; nothing is changed"):
            check_count(ENTRIES, expected, "n.csv")


async def test_numbers_are_assigned_and_taken_back_by_a_table_on_the_page_and_by_command(at_office, office, tmp_path):
    visitor = await at_office.visitor(*ME)
    token = (await visitor.get(MEMBER)).form_token
    sent = {"form_token": token, "act": "assign", "why": "as ordered"}
    first = await visitor.upload(f"{MEMBER}/sheet", SHEET.encode("cp932"), "番号.csv", **sent)
    assert (first.status, "3 rows with 120 numbers" in first.text) == (400, True)
    assert not set(ENTRIES) & set(registry_of(Workspace(office.folder)).members[0].numbers)
    sent["count"] = "120"
    assert (await visitor.upload(f"{MEMBER}/sheet", SHEET.encode("cp932"), "番号.csv", **sent)).status == 303
    assert set(ENTRIES) <= set(registry_of(Workspace(office.folder)).members[0].numbers)
    wrong = await visitor.upload(f"{MEMBER}/sheet", b"362345600\n", "番号.csv", **sent)
    assert (wrong.status, "row 1" in wrong.text) == (400, True)
    file = tmp_path / "numbers.csv"
    file.write_bytes(SHEET.encode("cp932"))
    office.json("number release", "m-0001", "--numbers", file, *WHY)
    assert not set(ENTRIES) & set(registry_of(Workspace(office.folder)).members[0].numbers)
    nobody = await visitor.upload("/office/members/m-9/sheet", b"1", "n.csv", **sent)
    assert nobody.status == 404


# -- second thoughts ---------------------------------------------------------------------------------------------------


async def undone(visitor: Visitor) -> Answer:
    """Undo the act that the page shows."""
    page = "/office/publication"
    return await visitor.send(
        page, f"{page}/undo", {"why": "a slip", "shown": shown_in((await visitor.get(page)).text)}
    )


def shown_in(text: str) -> str:
    found = re.search(r'name="shown" value="([0-9a-f]{64})"', text)
    assert found
    return found[1]


async def test_only_the_change_that_was_read_is_taken_back(at_office, office):
    visitor, page = await at_office.visitor(*ME), "/office/publication"
    office.json("licence renew", "L-0001", "--until", "2039-01-10", *WHY)
    fields = {"why": "a slip", "shown": shown_in((await visitor.get(page)).text)}
    office.json("licence suspend", "L-0001", *WHY)
    before = office.registry.read_bytes()
    refused = await visitor.send(page, f"{page}/undo", fields)
    assert (refused.status, "is another one since you read the page" in refused.text) == (400, True)
    assert office.registry.read_bytes() == before
    sent = {"why": "a slip", "shown": shown_in(refused.text)}
    assert (await visitor.send(page, f"{page}/undo", sent)).status == 303
    assert (await visitor.send(page, f"{page}/undo", sent)).status == 400, "a double click takes back one change"
    assert "2039-01-1" in office.registry.read_text(), "the change before stays"


async def test_the_last_change_is_taken_back_until_it_is_published(at_office, office):
    visitor, page, before = await at_office.visitor(*ME), "/office/publication", office.registry.read_bytes()
    assert "Take the last change back" not in (await visitor.get(page)).text
    office.json("licence renew", "L-0001", "--until", "2039-01-10", *WHY)
    office.json("licence suspend", "L-0001", *WHY)
    assert "licence suspended, L-0001" in (await visitor.get(page)).text
    for _ in range(2):
        assert (await undone(visitor)).status == 303
    assert office.registry.read_bytes() == before
    assert (entry(office)["action"], entry(office)["undone"], entry(office)["subject"]) == ("undo", "renew", "L-0001")
    again = await visitor.send("/office/applications", f"{page}/undo", {"why": "a slip"})
    assert (again.status, "no change waits" in again.text) == (400, True)
    assert office.json("history show")[-1]["action"] == "undo"
    office.json("licence suspend", "L-0001", *WHY)
    office.json("publication publish", *office.all_keys())
    assert "no change waits" in office.refused("publication undo", *WHY)
    assert not [*(office.folder / "unpublished").glob("*")], "what is published is not kept"


def test_a_grant_that_is_taken_back_can_be_granted_again(office, tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text(APPLICATION, "utf-8")
    office.json("application accept", file, "--why", "came")
    office.json("application review", "A-1", "--result", "passed", *WHY)
    office.json("application grant", "A-1", "--until", "2028-01-01", *WHY)
    office.json("publication undo", *WHY)
    assert [status for _, status in accepted_applications(Workspace(office.folder))] == [ApplicationStatus.PASSED]
    office.json("application grant", "A-1", "--until", "2028-02-01", *WHY)
    assert [status for _, status in accepted_applications(Workspace(office.folder))] == [ApplicationStatus.GRANTED]


def test_a_change_in_a_package_that_waits_is_not_taken_back(office, tmp_path):
    office.json("licence suspend", "L-0001", *WHY)
    PreparedPackage(Workspace(office.folder)).prepare(datetime.now(UTC))
    assert "discard the package first" in office.refused("publication undo", *WHY)


# -- reports by telephone ----------------------------------------------------------------------------------------------


async def test_a_report_by_telephone_is_entered_and_its_receipt_shown_once(at_office, office):
    visitor, page = await at_office.visitor(*ME), "/office/reports/new"
    fields = {
        "by": "telephone", "number": "03-1234-5678", "date": "2026-11-20", "time": "10:15", "within_minutes": "60",
        "what": "銀行員を名乗る男", "name": "", "contact": "",
    }  # fmt: skip
    for changed, told in (
        ({"by": ""}, "How it came: fill this in"),
        ({"time": ""}, "Time, in Japan: fill this in"),
        ({"date": "2199-01-01"}, "in the future"),
        ({"number": "12"}, "is not a telephone number"),
        ({"name": "Sato"}, "write the name and how to reach the person"),
        ({"what": " "}, "What happened: fill this in"),
    ):
        answer = await visitor.send(page, page, fields | changed)
        assert (answer.status, told in answer.text) == (400, True), answer.text
    given = re.search(r'name="receipt" value="([^"]+)"', (await visitor.get(page)).text)[1]
    for _ in range(2):  # sent again
        entered = await visitor.send(page, page, fields | {"receipt": given})
        receipt = re.search(r'receipt">([0-9A-Z-]{23})<', entered.text)
        assert receipt, entered.text
        assert receipt[1] == given
    for changed, told in (({"receipt": given, "what": "other"}, "has this receipt"), ({"receipt": "x"}, "damaged")):
        answer = await visitor.send(page, page, fields | changed)
        assert (answer.status, told in answer.text, f'"{given}"' in answer.text) == (400, True, False), answer.text
    [report] = office.json("report list")
    shown = (await visitor.get(f"/office/reports/{report['id']}")).text
    assert "by telephone" in shown
    assert receipt[1] not in shown
    typed = "0312345679\nanother call\n\n\n"
    told = office.json("report take", "--by", "letter", "--date", "2026-11-21", "--time", "09:00", typed=typed)
    assert len(told["receipt"]) == 23
    assert office.json("report show", told["report"])["via"] == "letter"


async def test_a_report_about_a_service_needs_no_call(at_office, office):
    visitor, page = await at_office.visitor(*ME), "/office/reports/new"
    fields = {"by": "visit", "service": "見本サービス", "what": "偽の番号を売る", "date": "2026-12-01"}
    for changed, told in (
        ({"number": "03-1234-5678"}, "and not both"),
        ({"service": "見本 03-1234-5678"}, "without a telephone number"),
    ):
        answer = await visitor.send(page, page, fields | changed)
        assert (answer.status, told in answer.text) == (400, True), answer.text
    assert (await visitor.send(page, page, fields)).status == 200
    words = ("report take", "--by", "letter", "--service", "Other service")
    told = office.json(*words, typed="it sells numbers\n\n\n")
    assert office.json("report show", told["report"])["service"] == "Other service"
    assert "in place of a call" in office.refused(*words, "--date", "2026-12-01", "--time", "09:00")
    listed = (await visitor.get("/office/reports")).text
    assert all(each in listed for each in ("見本サービス", "Other service"))


# -- sounds, and resellers' certifications -----------------------------------------------------------------------------


async def test_a_sound_is_entered_with_its_master_and_published(at_office, office, tmp_path):
    visitor, page = await at_office.visitor(*ME), "/office/tones"
    fields = {"tone": "new-2027", "title": "New sound", "why": "decided"}
    before = office.state()
    token = (await visitor.get(page)).form_token
    for octets, changed, told in (
        (b"", {}, "choose the WAV file"),
        (b"RIFF", {}, "is not a WAV file"),
        (master(channels=2), {}, "one channel"),
        (master(61), {}, "at most 60 s"),
        (master(), {"tone": "a b"}, "is not an id"),
        (master(), {"title": ""}, "Title"),
        (master(), {"tone": "sample"}, "has a tone &#39;sample&#39; already"),
    ):
        answer = await visitor.upload(page, octets, "m.wav", form_token=token, **fields | changed)
        assert (answer.status, told in answer.text) == (400, True), answer.text
        assert office.state() == before
    masters = office.folder / "tones"
    masters.write_bytes(b"")  # no folder: no master can be written
    refused = await visitor.upload(page, master(), "m.wav", form_token=token, **fields)
    assert (refused.status, "cannot be written" in refused.text) == (400, True)
    masters.unlink()
    assert office.state() == before, "the registry has no tone without a master"
    office.json("sound add", fields["tone"], _file(tmp_path), "--title", "Taken back", *WHY)
    office.json("publication undo", *WHY)
    assert not [*masters.iterdir()]
    assert (await visitor.upload(page, master(), "m.wav", form_token=token, **fields)).status == 303
    assert "new-2027" in (await visitor.get(page)).text
    office.json("publication publish", *office.all_keys())
    assert [*(office.folder / "repository" / "targets").rglob("*new-2027.wav")]
    assert office.json("sound add", "second", _file(tmp_path), "--title", "Second", *WHY)["action"] == "tone"


async def test_a_resellers_certification_is_recorded_with_its_next_check(at_office, office):
    visitor, page = await at_office.visitor(*ME), "/office/chains"
    link = {"wholesaler": "m-0001", "reseller": "m-0002", "numbers": "03-1234-5600-03-1234-5619", "why": "as asked"}
    assert (await visitor.send(page, f"{page}/add", link)).status == 303
    fields = {
        "numbers": link["numbers"], "reseller": "m-0002", "number": "N-7", "document": "認定通知書", "why": "seen",
        "until": "2030-03-31", "next_check": "2029-04-01", "mark": "", "mark_until": "",
    }  # fmt: skip
    wrong = await visitor.send(page, f"{page}/certify", fields | {"next_check": ""})
    assert (wrong.status, "Next check: fill this in" in wrong.text) == (400, True), wrong.text
    assert (await visitor.send(page, f"{page}/certify", fields)).status == 303
    assert "certified until 2030-03-31, next check 2029-04-01" in (await visitor.get(page)).text


async def test_what_the_public_list_says_of_a_member_is_recorded_published_and_offered_as_a_table(at_office, office):
    visitor, citizen = await at_office.visitor(*ME), await at_office.visitor()
    fields = {
        "corporate_number": "8700110005901",
        "notification": "A-30-12345",
        "web": "https://www.example.jp/contact",
        "mail": "info@example.jp",
        "why": "as they wrote",
    }
    for changed, told in (
        ({"corporate_number": "123"}, "is not a corporate number"),
        ({"web": "javascript:alert(1)"}, "is not a web address"),
        ({"mail": "03-1234-5678"}, "is not a mail address"),
    ):
        answer = await visitor.send(MEMBER, f"{MEMBER}/describe", fields | changed)
        assert (answer.status, told in answer.text) == (400, True), answer.text
    assert (await visitor.send(MEMBER, f"{MEMBER}/describe", fields)).status == 303
    assert "8700110005901" in (await visitor.get(MEMBER)).text
    office.json("publication publish", *office.all_keys())
    table = (await citizen.get("/public/operators/table.csv")).text
    assert "m-0001,良い電話株式会社,Good Telecom,8700110005901,A-30-12345,https://www.example.jp/contact" in table
    listed = json.loads((await citizen.get("/public/operators/files/operators.json")).text)["operators"]
    assert listed[0]["contact"] == {"web": fields["web"], "mail": fields["mail"]}
    office.json("member describe", "m-0001", "--notification", "A-31-1", "--why", "a new one")
    member = registry_of(Workspace(office.folder)).members[0]
    assert (member.corporate_number, member.notification, member.contact.web) == (
        "8700110005901",
        "A-31-1",
        fields["web"],
    )
    office.json("member describe", "m-0002", "--mail", "a@example.jp", *WHY)
    office.json("member describe", "m-0002", "--mail", "b@example.jp", "--web", "https://b.example", *WHY)
    assert registry_of(Workspace(office.folder)).members[1].contact.model_dump() == {
        "web": "https://b.example",
        "mail": "b@example.jp",
    }


# -- refusals, agreements ----------------------------------------------------------------------------------------------


async def test_there_is_no_refusal_before_the_association_has_decided_on_its_legal_basis(at_office, office):
    visitor, page = await at_office.visitor(*ME), "/office/refusals"
    assert "has not decided on the legal basis" in (await visitor.get(page)).text
    fields = {
        "basis": "joint-use", "decided": "2026-04-01", "purpose": "事業者渡りの防止", "responsible": "見本協会",
        "minutes": "理事会 2026-4", "opinion": "弁護士意見書 2026-3",
    }  # fmt: skip
    for changed in ({"basis": ""}, {"opinion": ""}, {"decided": "2199-01-01"}):
        assert (await visitor.send(f"{page}/basis", f"{page}/basis", fields | changed)).status == 400
    assert "has not decided" in office.refused("refusal new-key", "--new", office.key("refusals"), *WHY)
    assert (await visitor.send(f"{page}/basis", f"{page}/basis", fields)).status == 303
    assert "弁護士意見書 2026-3" in (await visitor.get(f"{page}/basis")).text
    [act] = [each for each in OfficeLedger(office.folder).acts() if each.act == DECIDED]
    assert (act.details["purpose"], act.details["responsible"]) == (fields["purpose"], fields["responsible"])
    office.json("refusal new-key", "--new", office.key("refusals"), *WHY)
    refused = {
        "kind": "person", "name": "髙橋 太郎", "kana": "タカハシ タロウ", "born": "1980-04-01", "reference": "K-7",
        "until": SOON, "why": "as asked", "passphrase": PHRASE,
    }  # fmt: skip
    token = (await visitor.get(page)).form_token
    key = office.key("refusals").read_bytes()
    for changed, octets, told in (
        ({"passphrase": "wrong"}, key, "passphrase"),
        ({}, b"none", "key"),
        ({"born": ""}, key, "is recognised by"),
        ({"until": "soon"}, key, "Last day is not a day"),
        ({"kind": "x"}, key, "kind"),
    ):
        answer = await visitor.upload(f"{page}/add", octets, "k.pem", form_token=token, **refused | changed)
        assert (answer.status, told in answer.text) == (400, True), answer.text
    done = await visitor.upload(f"{page}/add", key, "k.pem", form_token=token, **refused)
    assert done.status == 303, done.text
    assert "K-7" in (await visitor.get(page)).text
    assert [each["reference"] for each in office.json("refusal list")] == ["K-7"]
    assert not [name for name, octets in office.state().items() if "高橋".encode() in octets or b"PRIVATE" in octets]


async def test_agreements_of_members_are_recorded_by_page_and_command(at_office, office, monkeypatch):
    visitor, page = await at_office.visitor(*ME), "/office/agreements"
    fields = {
        "member": "m-0001",
        "agreement": "application-form",
        "version": "3",
        "since": "2026-04-01",
        "document": "承諾書",
    }
    for changed, told in (
        ({"member": "m-9"}, "has no member"),
        ({"agreement": ""}, "Agreement: fill this in"),
        ({"since": "2199-01-01"}, "future"),
        ({"version": ""}, "Version: fill this in"),
    ):
        answer = await visitor.send(page, f"{page}/record", fields | changed)
        assert (answer.status, told in answer.text) == (400, True), answer.text
    assert (await visitor.send(page, f"{page}/record", fields)).status == 303
    words = ("m-0001", "application-form", "--since", "2026-10-01", "--document", "承諾書 2")
    office.output("member agree", *words, "--version", "4")
    assert "has agreed to version 4" in office.refused("member agree", *words, "--version", "4")
    earlier = ("m-0001", "application-form", "--since", "2026-09-30", "--document", "承諾書 2")
    assert "since a later day" in office.refused("member agree", *earlier, "--version", "5")
    end = {"which": "m-0001 application-form", "through": "2026-09-30", "why": "left the form"}
    answer = await visitor.send(page, f"{page}/end", end)
    assert (answer.status, "before the first day" in answer.text) == (400, True)
    end = {"which": "m-0001 application-form", "through": "2026-11-30", "why": "left the form"}
    assert (await visitor.send(page, f"{page}/end", end)).status == 303
    assert [(each["version"], each["through"]) for each in office.json("member agreements")] == [
        ("3", "2026-09-30"),
        ("4", "2026-11-30"),
    ]
    assert "承諾書 2" in (await visitor.get(f"{page}/list.csv")).text
    assert (await visitor.send(page, f"{page}/end", end)).status == 400
    monkeypatch.setattr(agreements, "SHOWN", 1)
    assert "2 (m-0001 and 1 more)" in (await visitor.get(page)).text
