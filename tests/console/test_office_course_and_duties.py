"""The course with its test and certificates, and the duties with their due days, both on the pages and by command."""

import json
from datetime import UTC, date, datetime, timedelta
from importlib import resources

import pytest

from idtone.core.errors import DocumentError, TrustError, UsageError
from idtone.office.authority.compliance_duties import (
    Duty,
    DutyKind,
    is_due_soon,
    is_overdue,
    read_duties,
    sort_open_first,
)
from idtone.office.authority.typed_dates import in_japan
from idtone.office.desk.office_ledger import OfficeLedger
from idtone.office.training.course import FILE, answers_of, course_of, score_of
from lab.console.office_forms import HOSTILE, ME
from lab.console.site import Site
from lab.office.authority.office import Office
from lab.repository import ROOT

COURSE = course_of(None)
RIGHT = "".join(each.right for each in COURSE.questions)
TODAY = in_japan(datetime.now(UTC)).date()
NAME = "見本 花子"


@pytest.fixture
async def at_office(site_of, office: Office) -> Site:
    return await site_of(office.folder)


# -- the course --------------------------------------------------------------------------------------------------------


def test_a_test_is_passed_by_the_share_of_its_course_and_each_question_is_answered():
    for wrong, passed in ((0, True), (2, True), (3, False)):
        letters = "".join("a" if each != "a" else "b" for each in RIGHT[:wrong]) + RIGHT[wrong:]
        score = score_of(COURSE, answers_of(COURSE, f"{COURSE.version}:{letters}"))
        assert (score.right, score.of, score.passed, len(score.wrong)) == (10 - wrong, 10, passed, wrong)
    with pytest.raises(UsageError, match="one letter for each of the 10 questions"):
        answers_of(COURSE, f"{COURSE.version}:ab")
    for other in (f"own-2:{RIGHT}", RIGHT):
        with pytest.raises(UsageError, match="and the present one is"):
            answers_of(COURSE, other)
    with pytest.raises(UsageError, match="question Q1 has no answer"):
        score_of(COURSE, answers_of(COURSE, f"{COURSE.version}:z{RIGHT[1:]}"))


@pytest.mark.parametrize(
    ("old", "new", "told"), [("right: b", "right: d", "is no letter"), ("id: Q2", "id: Q1", "twice")]
)
def test_a_course_of_the_association_that_contradicts_itself_is_refused(tmp_path, old, new, told):
    text = (ROOT / "config" / FILE).read_text("utf-8")
    (tmp_path / FILE).write_text(text.replace("version: 2026-1", "version: own-1"), "utf-8")
    assert course_of(tmp_path).version == "own-1"
    (tmp_path / FILE).write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(DocumentError, match=told):
        course_of(tmp_path)


async def test_a_test_is_entered_on_the_page_and_its_certificate_printed(at_office, office):
    visitor, page = await at_office.visitor(*ME), "/office/course"
    answers = {f"answer_{each.id}": each.right for each in COURSE.questions}
    fields = {"member": "m-0001", "person": NAME, "day": TODAY.isoformat(), "version": COURSE.version, **answers}
    before = office.state()
    for changed, told in (
        ({"answer_Q1": "", "answer_Q3": "z"}, 'id="error-answer_Q1">Question Q1: fill this in</span>'),
        ({"answer_Q1": "", "answer_Q3": "z"}, 'id="error-answer_Q3">Question Q3: choose one</span>'),
        ({"version": "own-2"}, "the test is of version"),
        ({"member": "m-9"}, "no member"),
        ({"day": "2199-01-01"}, '<span class="bad" id="error-day">Day of the test is in the future'),
        ({"person": f"{NAME} 03-1234-5678"}, "contains a telephone number"),
        ({"person": HOSTILE * 9}, "Name of the attendee is not a readable text"),
    ):
        answer = await visitor.send(page, f"{page}/record", fields | changed)
        assert (answer.status, told in answer.text, HOSTILE in answer.text) == (400, True, False), answer.text
    assert office.state() == before
    assert (await visitor.send(page, f"{page}/record", fields)).status == 303
    wrong = fields | {f"answer_Q{n}": "c" for n in (1, 2, 3)} | {"person": "見本 一郎"}
    assert (await visitor.send(page, f"{page}/record", wrong)).status == 303
    shown = (await visitor.get(page)).text
    assert all(each in shown for each in (NAME, "10 / 10", "7 / 10", "not passed"))
    [agreed] = office.json("member agreements")
    assert (agreed["agreement"], agreed["version"], agreed["document"]) == ("training", COURSE.version, "T-0001")
    sign = {"test": "T-0001", "signer": "事務局長", "number": ""}
    assert (await visitor.download(f"{page}/certificate", sign | {"form_token": (await visitor.get(page)).form_token}))[
        :5
    ] == b"%PDF-"
    refused = await visitor.send(page, f"{page}/certificate", {**sign, "test": "T-0002"})
    assert (refused.status, "was not passed" in refused.text) == (400, True)
    refused = await visitor.send(page, f"{page}/certificate", {"test": "T-9", "signer": "", "number": ""})
    assert (refused.status, refused.text.count('id="error-signer"')) == (400, 1)
    refused = await visitor.send(page, f"{page}/certificate", {**sign, "test": "T-9"})
    assert 'id="error-test">there is no test' in refused.text
    assert not [each for each in OfficeLedger(office.folder).acts() if NAME in str(each.details)], "names can be erased"


def test_a_test_is_entered_by_command_and_the_name_erased(office, tmp_path):
    words = ("course record", "m-0001", "--answers", f"{COURSE.version}:{RIGHT}")
    made = office.json(*words, "--day", "2026-11-20", typed=NAME)
    assert (made["id"], made["passed"], made["version"]) == ("T-0001", True, COURSE.version)
    wrong = f"{COURSE.version}:{'c' * 10}"
    assert office.json(*words[:3], wrong, typed=NAME, code=1)["passed"] is False
    office.output("course certificate", "T-0001", "--person", "事務局長", "-o", tmp_path / "c.pdf")
    assert (tmp_path / "c.pdf").read_bytes()[:5] == b"%PDF-"
    assert "in the future" in office.error("course forget", "--before", "2099-01-01")
    assert "is no folder" in office.error("course show", "--of", tmp_path / "none")
    office.output("course forget", "--before", "2026-11-21")
    assert office.json("course list")[0]["person"] == ""
    error = office.error("course certificate", "T-0001", "--person", "x", "-o", tmp_path / "d.pdf")
    assert "the name of T-0001 is erased" in error
    assert "one letter for each" in office.refused(*words[:3], f"{COURSE.version}:ab", typed=NAME)


def test_a_new_version_of_the_course_is_agreed_to_on_the_first_day_of_the_version_before(office):
    day = ("--day", "2026-11-20")
    assert office.json("course record", "m-0001", "--answers", f"{COURSE.version}:{RIGHT}", *day, typed=NAME)["passed"]
    shipped = (resources.files("idtone.config") / FILE).read_text("utf-8")
    (office.folder / FILE).write_text(shipped.replace(f"version: {COURSE.version}", "version: own-2", 1), "utf-8")
    for taken in ("2026-11-19", "2026-11-20", "2026-11-21"):
        office.json("course record", "m-0001", "--answers", f"own-2:{RIGHT}", "--day", taken, typed=NAME)
    agreed = [[each[name] for name in ("version", "since", "through")] for each in office.json("member agreements")]
    assert agreed == [[COURSE.version, "2026-11-20", "2026-11-20"], ["own-2", "2026-11-20", ""]]


def test_a_member_reads_the_course_and_takes_the_test_without_an_office(office):
    assert "What the sound is" in office.output("course show")
    assert '"right"' not in office.run("course show", "--json")[1].__repr__().replace("'", '"'), "the answers stay away"
    code, out, _ = office.run("course take", typed="\n".join(("x", *RIGHT)))
    assert (code, f"answers: {COURSE.version}:{RIGHT}" in out, "10 of 10" in out) == (0, True, True), out
    code, out, _ = office.run("course take", typed="\n".join("c" * 10))
    assert (code, "Q1: b. The sound proves neither" in out) == (1, True), out


# -- duties ------------------------------------------------------------------------------------------------------------


def test_a_duty_is_soon_for_fourteen_days_then_overdue_until_it_is_done():
    today = date(2026, 12, 1)

    def duty(days: int, done: str = "") -> Duty:
        return Duty("D-1", DutyKind.OTHER, "", "x", (today + timedelta(days=days)).isoformat(), done)

    found = [(is_due_soon(duty(days), today), is_overdue(duty(days), today)) for days in (15, 14, 0, -1)]
    assert found == [(False, False), (True, False), (True, False), (False, True)]
    assert not is_overdue(duty(-1, "2026-12-01"), today)
    assert [each.due[-2:] for each in sort_open_first([duty(9, "2026-12-01"), duty(5), duty(2)])] == ["03", "06", "10"]


@pytest.mark.parametrize("spoilt", ["{}", "[1]", '[{"due": "2026-02-31"}]', '[{"id": "7"}]', '[{"more": 1}]', "x"])
def test_a_damaged_list_is_one_clear_error(tmp_path, spoilt):
    good = {"id": "D-0001", "kind": "other", "member": "", "what": "x", "due": "2026-12-01"}
    file = tmp_path / "duties.json"
    file.write_text(json.dumps([good]))
    assert [each.due for each in read_duties(tmp_path)] == ["2026-12-01"]
    file.write_text(spoilt if spoilt[1:2] != "{" else json.dumps([good | json.loads(spoilt)[0]]))
    with pytest.raises(TrustError, match="is damaged; restore it"):
        read_duties(tmp_path)


def test_a_duty_that_was_withdrawn_is_erased_and_its_number_stays_used(office):
    enter = ("duty enter", "other", "--due", "2030-01-01", "--what")
    assert office.json(*enter, "wrong")["id"] == "D-0001"
    office.output("duty withdraw", "D-0001", "--why", "entered twice")
    assert office.json("duty list", "--all") == []
    assert "wrong" not in (office.folder / "duties.json").read_text()
    assert office.json(*enter, "right")["id"] == "D-0002"
    act = next(each for each in OfficeLedger(office.folder).acts() if each.act == "duty-withdrawn")
    assert (act.subject, act.details) == ("D-0001", {"why": "entered twice"})
    assert "there is no duty" in office.error("duty withdraw", "D-0001", "--why", "again")


async def test_duties_wait_with_their_days_until_somebody_has_done_them(at_office, office):
    visitor, page = await at_office.visitor(*ME), "/office/duties"
    fields = {"kind": "suspicious-transaction", "member": "m-0001", "what": "届出の確認", "due": "2026-01-01"}
    for changed, told in (
        ({"kind": ""}, "Kind: fill this in"),
        ({"kind": "", "due": ""}, 'id="error-due"'),
        ({"due": "soon"}, "Due day is not a day"),
        ({"what": "03-1234-5678 の件"}, "contains a telephone number"),
        ({"member": "m-9"}, "no member"),
    ):
        answer = await visitor.send(page, f"{page}/enter", fields | changed)
        assert (answer.status, told in answer.text) == (400, True), answer.text
    assert (await visitor.send(page, f"{page}/enter", fields)).status == 303
    office.json("duty enter", "transaction-record", "--due", str(TODAY + timedelta(days=3)), "--what", "年次の点検")
    waiting = (await visitor.get("/office/today")).text
    assert all(each in waiting for each in ("Duties that are overdue", "Duties that are due within 14 days"))
    assert "overdue" in (await visitor.get(page)).text
    assert [each["overdue"] for each in office.json("duty list", code=1)] == [True, False]
    done = {"duty": "D-0001", "done": TODAY.isoformat(), "by": "Sato", "document": "届出 2026-7"}
    for changed, told in (
        ({"done": "2199-01-01"}, "in the future"),
        ({"duty": "D-9"}, "no open duty"),
        ({"by": ""}, "Done by"),
    ):
        answer = await visitor.send(page, f"{page}/finish", done | changed)
        assert (answer.status, told in answer.text) == (400, True), answer.text
    assert (await visitor.send(page, f"{page}/finish", done)).status == 303
    office.output("duty finish", "D-0002", "--done", TODAY, "--by", "Sato", "--document", "点検表")
    assert office.json("duty list") == []
    office.json("duty enter", "other", "--due", "2199-01-01", "--what", "誤記")
    gone = {"duty": "D-0003", "why": "entered twice"}
    refused = await visitor.send(page, f"{page}/withdraw", gone | {"why": ""})
    assert (refused.status, 'id="error-why"' in refused.text) == (400, True)
    assert (await visitor.send(page, f"{page}/withdraw", gone)).status == 303
    assert "there is no duty" in office.error("duty withdraw", "D-0003", "--why", "again")
    assert office.json("duty enter", "other", "--due", "2026-12-20", "--what", "点検")["id"] == "D-0004", "no id twice"
    office.output("duty withdraw", "D-0004", "--why", "no longer needed")
    assert office.json("duty list") == []
    assert [each["done_by"] for each in office.json("duty list", "--all")] == ["Sato", "Sato"]
    assert "Duties" not in (await visitor.get("/office/today")).text.partition("<main")[2]
    assert "done on" in (await visitor.get(f"{page}?all=1")).text
