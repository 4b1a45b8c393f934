"""The office's forms for chains, refused contractors, edits by hand, reports and evaluations. They do the same as the
commands.
"""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from idtone.member.evaluation.criteria import read_criteria
from idtone.office.authority.change_registry import registry_of
from idtone.office.authority.workspace import Workspace
from idtone.office.commands import COMMANDS
from idtone.office.desk.office_ledger import OfficeLedger
from idtone.office.desk.reports.call_traceback import ReportResult
from idtone.office.desk.reports.report_store import ReportStore
from idtone.office.refused.change_refusals import Refusals
from lab.console.office_forms import HOSTILE, ME, entry
from lab.console.page_forms import forms_of
from lab.console.site import Site, Visitor
from lab.member.evaluation.sample_figures import LAST_DAY, YEAR, content_of
from lab.office.authority.office import STOP, WHY, Office
from lab.office.desk.reports.members import ELSEWHERE, NUMBER, WORDS, Members, authority, report
from lab.office.evaluation.ready_association import folder, hand_in
from lab.office.refused.samples import DECISION, REFUSED, SOON
from lab.repository import ROOT
from tools.messages import catalogue_text

__all__ = ["folder"]
HELD = "03-1234-5600-03-1234-5619"
CHAINS = "/office/chains"
LINK = {"wholesaler": "m-0001", "reseller": "m-0002", "numbers": HELD, "why": "as asked"}
CHECK = {"checked": "2026-04-01", "document": "認定通知書"}


@pytest.fixture
async def at_office(site_of, office: Office) -> Site:
    return await site_of(office.folder)


def test_each_command_of_the_office_is_in_the_table_of_pages_once():
    for page, heading in (
        ("docs/how-to/console.md", "The association's office"),
        ("docs/ja/how-to/console.md", "協会事務局のページ"),
    ):
        section = (ROOT / page).read_text("utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
        rows = [row.split("|")[1] for row in section.splitlines() if row.startswith("| `")][1:]
        named = [command for row in rows for command in re.findall(r"`([a-z-]+(?: [a-z-]+)?)`", row)]
        assert sorted(named) == sorted(COMMANDS), page


# -- wholesale chains --------------------------------------------------------------------------------------------------


async def test_a_link_is_added_checked_and_removed(at_office, office):
    visitor, japanese = await at_office.visitor(*ME), await at_office.visitor(*ME, language="ja")
    assert (await visitor.send(CHAINS, f"{CHAINS}/add", LINK)).status == 303
    assert "Wholesale chains with a reseller to be checked" in (await visitor.get("/office/today")).text
    shown = (await visitor.get(f"{CHAINS}?unchecked=1")).text
    assert "…5600" in shown
    assert "not checked" in shown
    assert "12345600" not in shown
    assert "m-0002" in (await japanese.get("/office/members/m-0001")).text
    check = {"reseller": "m-0002", "numbers": HELD, "by": "m-0001", "why": "looked at it", **CHECK}
    assert (await visitor.send(CHAINS, f"{CHAINS}/check", check)).status == 303
    assert "checked 2026-04-01 by m-0001: 認定通知書" in (await visitor.get(CHAINS)).text
    assert "…5600" not in (await visitor.get(f"{CHAINS}?unchecked=1")).text
    [chain] = registry_of(Workspace(office.folder)).chains
    assert (chain.links[0].checked.by, str(chain.links[0].checked.day)) == ("m-0001", "2026-04-01")
    gone = {"reseller": "m-0002", "numbers": HELD, "why": "given back"}
    assert (await visitor.send(CHAINS, f"{CHAINS}/remove", gone)).status == 303
    assert registry_of(Workspace(office.folder)).chains == ()
    made = office.json("history show")[-3:]
    assert [each["action"] for each in made] == ["add-link", "check-link", "remove-link"]
    assert all(each["by"].startswith("office (uid ") for each in made)


async def test_a_link_that_a_rule_forbids_changes_nothing(at_office, office, caplog):
    visitor, before = await at_office.visitor(*ME), office.state()
    for change, fields, told in (
        ("add", {**LINK, "reseller": "m-0009"}, "names the member &#39;m-0009&#39;"),
        ("add", {**LINK, "numbers": "0312345600, 0312345601"}, "one entry of numbers"),
        ("add", {**LINK, "numbers": ""}, "Number, range or prefix of the chain: fill this in"),
        ("add", {**LINK, "numbers": "0312345600 0312345699"}, "two numbers go on two lines"),
        ("add", {**LINK, "checked": "2026-04-01"}, "By which document is not a readable text"),
        ("add", {**LINK, **CHECK, "checked": "2199-01-01"}, "Checked on is in the future"),
        ("add", {**LINK, **CHECK, "by": "m-0002"}, "is m-0002, which is not above m-0002"),
        ("add", {**LINK, **CHECK, "document": HOSTILE, "by": HOSTILE}, "is not an id"),
        ("check", {**LINK, **CHECK}, "Checked by: fill this in"),
        ("check", {**LINK, **CHECK, "by": "m-0001"}, "these numbers have no wholesale chain"),
        ("remove", LINK, "these numbers have no wholesale chain"),
        ("remove", {**LINK, "why": f"call {NUMBER}"}, "contains a telephone number"),
    ):
        answer = await visitor.send(CHAINS, f"{CHAINS}/{change}", fields)
        assert (answer.status, told in answer.text) == (400, True), (change, fields, answer.text)
        assert HOSTILE not in answer.text
    assert (await visitor.send(CHAINS, f"{CHAINS}/burn", LINK)).status == 404
    assert office.state() == before
    assert "5600" not in caplog.text


# -- refused contractors, edits by hand --------------------------------------------------------------------------------


async def test_a_refusal_is_listed_without_its_identity_and_ended_for_a_reason(at_office, office):
    office.json(*DECISION)
    office.json("refusal new-key", "--new", office.key("refusals"), *WHY)
    words = ("refusal add", "--key", office.key("refusals"), "--reference", "K-7", "--until", SOON, *WHY)
    office.json(*words, typed=REFUSED)
    visitor, page = await at_office.visitor(*ME), "/office/refusals"
    shown = (await visitor.get(page)).text
    for text in ("X-1", "K-7", SOON):
        assert text in shown
    assert "髙橋" not in shown
    for fields, told in (
        ({"refusal": "X-2", "why": "over"}, "choose the refusal that ends"),
        ({"refusal": "X-1", "why": ""}, "Reason: fill this in"),
    ):
        answer = await visitor.send(page, f"{page}/lift", fields)
        assert (answer.status, told in answer.text) == (400, True)
    assert (await visitor.send(page, f"{page}/lift", {"refusal": "X-1", "why": "an error"})).status == 303
    assert Refusals(office.folder).store.refusals() == []
    [act] = [each for each in OfficeLedger(office.folder).acts() if each.act == "refusal-lifted"]
    assert (act.subject, act.by, act.details["why"]) == ("X-1", "office", "an error")
    assert "refusal ended before its day" in (await visitor.get("/office/history")).text


async def test_an_edit_by_hand_is_recorded_with_its_reason(at_office, office):
    visitor, page = await at_office.visitor(*ME), "/office/publication"
    nothing = await visitor.send(page, f"{page}/note", {"why": "corrected"})
    assert (nothing.status, "nothing was edited by hand" in nothing.text) == (400, True)
    edited = office.registry.read_text().replace("Good Telecom", "Better Telecom").replace("version: 42", "version: 43")
    office.registry.write_text(edited)
    assert "Edited by hand: registry.yaml" in (await visitor.get(page)).text
    assert (await visitor.send(page, f"{page}/note", {"why": "corrected"})).status == 303
    assert "Edited by hand" not in (await visitor.get(page)).text
    made = entry(office)
    assert (made["action"], made["why"], made["by"][:12]) == ("edit", "corrected", "office (uid ")


# -- reports -----------------------------------------------------------------------------------------------------------


async def test_reports_are_found_by_number_counted_for_publication_and_erased(site_of, tmp_path):
    desk = Members(authority(tmp_path / "office"))
    found = [desk.report(receipt=f"ABCDE-FGHJK-MNPQR-STVW{letter}") for letter in "23456"]
    other = desk.report(report(ELSEWHERE), receipt="ABCDE-FGHJK-MNPQR-STVWZ")
    visitor, page = await (await site_of(desk.desk.folder)).visitor(*ME), "/office/reports"
    unsaid = await visitor.send(page, page, {"number": NUMBER})
    assert (unsaid.status, found[0] in unsaid.text, "Purpose: fill this in" in unsaid.text) == (
        400,
        False,
        True,
    )
    purpose = "case\u30007"
    by_number = (await visitor.send(page, page, {"number": NUMBER, "purpose": purpose})).text
    assert (all(each in by_number for each in found), other in by_number) == (True, False)
    assert "1 to 5 of 5" in by_number
    [act] = [act for act in OfficeLedger(desk.desk.folder).acts() if act.act == "reports-searched"]
    assert (act.by, act.details) == ("office", {"why": "case 7"}), "neither the number nor its token"
    wrong = await visitor.send(page, page, {"number": "no number", "purpose": purpose})
    assert (wrong.status, "that is not a telephone number" in wrong.text) == (400, True)

    token = (await visitor.get(page)).form_token
    many = [await visitor.post(page, {"form_token": token, "number": "1"}) for _ in range(20)]
    assert [each.status for each in many] == [400] * 17 + [429] * 3, "a whole number was found by 96 questions"

    for each in found:
        desk.reports.close(each, ReportResult.TRACED, "known", datetime.now(UTC))
    counts = (await visitor.get(f"{page}/statistics?by=result")).text
    assert re.findall(r'<td[^>]*>([^<]+)</td><td class="number"[^>]*>([^<]+)<', counts) == [
        ("the office has to close it", "–"),
        ("traced", "–"),
    ], "the small count could be computed from the other one and the total"
    by_month = (await visitor.get(f"{page}/statistics.csv?by=month&since=2026-01-01&until=2199-01-01")).text
    assert by_month.splitlines()[-1] == "total,6"
    assert [row for row in counts.splitlines() if "total" in row] != []
    assert "5" not in (await visitor.get(f"{page}/statistics.csv?by=result")).text.partition("\n")[2]
    wrong = await visitor.get(f"{page}/statistics?since=soon")
    assert (wrong.status, "First day is not a day" in wrong.text) == (400, True)
    assert (await visitor.get(f"{page}/statistics.csv?since=soon")).status == 400

    assert "can be erased" in (await visitor.send(page, f"{page}/forget", {"before": "2020-01-01"})).text
    before = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    assert (await visitor.send(page, f"{page}/forget", {"before": before})).status == 303
    store = ReportStore(desk.desk.folder)
    assert [each.is_forgotten for each in store.listed()].count(True) == len(found)
    assert "erased" in (await visitor.get(f"{page}/{found[0]}")).text
    assert WORDS in (await visitor.send(f"{page}/{other}", f"{page}/{other}/open")).text
    assert [each.by for each in OfficeLedger(desk.desk.folder).acts() if each.act == "reports-forgotten"] == ["office"]


# -- evaluations -------------------------------------------------------------------------------------------------------

NEW = "/office/evaluations/new"


async def evaluated(visitor: Visitor, **fields: str) -> str:
    """Send the form of a new evaluation. Returns the text of the last page."""
    answer = await visitor.send(NEW, NEW, fields)
    if answer.status != 303:
        return answer.text
    async with asyncio.timeout(60):
        followed = (await visitor.get(f"{NEW}/changes")).text
    assert followed.endswith("event: end\ndata: end\n\n")
    return (await visitor.get(NEW)).text


async def test_what_cannot_be_evaluated_is_told_at_once(site_of, folder):
    visitor = await (await site_of(folder.folder)).visitor(*ME)
    days, before = {"since": str(YEAR.start), "until": str(LAST_DAY)}, folder.state()
    for fields, told in (
        ({**days, "until": "2199-01-01"}, "is not over yet"),
        ({**days, "since": "soon"}, "First day is not a day"),
        ({**days, "until": "2024-12-31"}, "Last day is before First day"),
    ):
        answer = await evaluated(visitor, **fields)
        assert told in answer, (told, answer)
    early = await visitor.send(NEW, f"{NEW}/enter", {"evaluation": "", "why": "early"})
    assert (early.status, "evaluate again" in early.text) == (400, True)
    assert folder.state() == before


OBSERVATIONS, CRITERIA_PAGE = "/office/evaluations/observations", "/office/evaluations/criteria"


async def test_observations_and_criteria_are_entered_on_pages(site_of, folder):
    """The pages do the same as the commands. They list all errors at once, each also at its field, and then change
    nothing.
    """
    visitor = await (await site_of(folder.folder)).visitor(*ME)
    page = f"{OBSERVATIONS}?year=2025"
    shown = (await visitor.get(page)).text
    for text in ("A. Assessor", "7.5 of 10 points", "0.7 hours", "0 / 1", "2 / 2"):
        assert text in shown, (text, shown)
    enter = f"{OBSERVATIONS}/enter"
    wrong = await visitor.send(page, f"{enter}/assessor", {"member": "m-0001", "what": HOSTILE, "points": "12"})
    assert (wrong.status, wrong.text.count("error-")) == (400, 4), "day and points, each in the list and at its field"
    assert HOSTILE not in wrong.text
    at = {"asked": "2025-04-01T10:00", "stopped": "2025-04-01T10:30"}
    for kind, fields in (
        ("contact", {"day": "2025-09-01", "result": "bad", "what": HOSTILE}),
        ("stop", {"what": "R-2", **at}),
    ):
        sent = await visitor.send(page, f"{enter}/{kind}", {"member": "m-0001", **fields})
        assert sent.status == 303, sent.text
    assert (await visitor.send(page, f"{enter}/other", {"member": "m-0001"})).status == 404
    shown = (await visitor.get(page)).text
    assert ("2 / 3" in shown, HOSTILE in shown, "not reached" in shown) == (True, False, True)
    withdrawn = {"observation": "O-0008", "why": "the wrong member"}
    assert (await visitor.send(page, f"{OBSERVATIONS}/withdraw", withdrawn)).status == 303
    acts = [(each.act, each.by) for each in OfficeLedger(folder.folder).acts()[-3:]]
    assert acts == [*[("observation-entered", "office")] * 2, ("observation-withdrawn", "office")]

    begun = await visitor.get(CRITERIA_PAGE)
    [form] = [each.values for each in forms_of(begun.text) if each.action == CRITERIA_PAGE]
    assert (form["points_0"], form["minimum_0"], form["measure_2"]) == (
        "0.995 10\n0.98 7\n0.95 4", "excellent 7\ngood 4", "stop-hours"
    )  # fmt: skip
    path = folder.folder / "evaluation.yaml"
    before = path.read_bytes()
    wrongs = {
        "list": "http://x", "points_0": "0.5 1\n0.9 2", "weight_1": "0", "percent_1": "95", "minimum_2": "best 3",
        "ja_3": "", "why": "",
    }  # fmt: skip
    first = await visitor.send(CRITERIA_PAGE, CRITERIA_PAGE, {**form, **wrongs})
    assert {each for each in ("ja_3", "why") if f'id="error-{each}"' in first.text} == {"ja_3", "why"}
    wrongs |= {"ja_3": "申込書", "why": "new"}
    second = await visitor.send(CRITERIA_PAGE, CRITERIA_PAGE, {**form, **wrongs})
    expected = {"list", "weight_1"}
    assert {each for each in wrongs if f'id="error-{each}"' in second.text} == expected, second.text
    wrongs |= {"list": form["list"], "weight_1": "2"}
    third = await visitor.send(CRITERIA_PAGE, CRITERIA_PAGE, {**form, **wrongs})
    assert {each for each in wrongs if f'id="error-{each}"' in third.text} == {"points_0", "percent_1", "minimum_2"}
    assert path.read_bytes() == before
    changed = {**form, "why": "stricter", "points_0": "0.999:10\n0.98、7".replace("、", "\u3000"), "id_7": "more",
               "ja_7": "申告 二", "en_7": "Reports again", "measure_7": "reports-in-time", "points_7": "1 5",
               "weight_7": "1", "without_7": "skip"}  # fmt: skip
    assert (await visitor.send(CRITERIA_PAGE, CRITERIA_PAGE, changed)).status == 303
    kept = read_criteria(path)
    assert (kept.terms.version, kept.document.criteria[0].points[0].bound) == (2, Decimal("0.999"))
    assert [each.id for each in kept.document.criteria][-1] == "more"
    assert "Version 2" in (await visitor.get(CRITERIA_PAGE)).text
    late = await visitor.send(CRITERIA_PAGE, CRITERIA_PAGE, {**form, "why": "another person's", "weight_1": "2"})
    assert (late.status, "changed since you read them" in late.text) == (400, True)
    assert read_criteria(path).terms.version == 2


async def test_an_evaluation_is_seen_entered_published_and_its_badge_verified(site_of, folder, tmp_path):
    hand_in(folder, content_of(YEAR))
    site = await site_of(folder.folder)
    visitor, japanese, public = await site.visitor(*ME), await site.visitor(*ME, language="ja"), await site.visitor()
    shown = await evaluated(visitor, since=str(YEAR.start), until=str(LAST_DAY))
    for text in ("1 of 2 members reach a grade", "Good Telecom", "Excellent", "95.3", "figures are missing"):
        assert text in shown, (text, shown)
    assert "最優良" in (await japanese.get(NEW)).text
    assert not (folder.folder / "evaluation").exists(), "nothing is entered before a person has seen it"
    found = re.search(r'name="evaluation" value="(\w+)"', shown)
    assert found
    fields = {"evaluation": found[1], "why": "evaluation of 2025"}
    assert (await visitor.send(NEW, f"{NEW}/enter", {**fields, "evaluation": "other"})).status == 400
    folder.json("evaluation observe", "contact", "m-0001", "--day", str(LAST_DAY), "--result", "bad")
    late = await visitor.send(NEW, f"{NEW}/enter", fields)
    assert (late.status, "observations were entered or withdrawn" in late.text) == (400, True)
    folder.output("evaluation withdraw", "O-0008", *WHY)
    before = folder.registry.read_text()
    folder.registry.write_text(before.replace("Good Telecom", "Better Telecom").replace("version: 43", "version: 44"))
    folder.json("history note", *WHY)
    late = await visitor.send(NEW, f"{NEW}/enter", fields)
    assert (late.status, "registry.yaml has changed since this evaluation" in late.text) == (400, True)
    folder.registry.write_text(before.replace("version: 43", "version: 45"))
    folder.json("history note", *WHY)
    folder.json("number release", "m-0001", *WHY, typed="0312345678")
    folder.json("suspension member", *STOP, typed="m-0001\nm-0001\n")
    stopped = await visitor.send(NEW, f"{NEW}/enter", fields)
    assert (stopped.status, "were stopped since this evaluation; evaluate again" in stopped.text) == (400, True)
    folder.json("suspension lift", *WHY, typed="m-0001\nm-0001\n")
    assert (await visitor.send(NEW, f"{NEW}/enter", fields)).status == 303, "numbers are no part of an evaluation"
    again = await visitor.send(NEW, f"{NEW}/enter", fields)
    assert (again.status, "entered already" in again.text) == (400, True)
    [act] = [each for each in OfficeLedger(folder.folder).acts() if each.act == "evaluated"]
    made = entry(folder)
    assert (act.by, made["action"], made["why"], made["by"][:12]) == (
        "office",
        "evaluate",
        "evaluation of 2025",
        "office (uid ",
    )

    page = f"/office/evaluations/{YEAR.start}_{YEAR.until}/m-0001"
    for one, language in ((visitor, "en"), (japanese, "ja")):
        listed, member = await one.get("/office/evaluations"), await one.get(page)
        assert page in listed.text
        bars = re.findall(r'<rect class="area-1" x="0" y="\d+" width="([\d.]+)"', member.text)
        rows = re.findall(r'<td class="number"[^>]*>(\d+|–) / \d+</td>', member.text)
        assert (len(bars), len(bars)) == (member.text.count('class="frame"'), len(rows))
        assert any(float(width) > 0 for width in bars), "the drawing has the points"
        for text in ("95.3", {"en": "Good Telecom", "ja": "良い電話株式会社"}[language], f"{page}/badge.svg"):
            assert text in member.text, text
    badge = (await visitor.get(f"{page}/badge.svg")).text.encode()
    verify = "/public/operators/badge?lang={}"
    assert "NOT genuine" in (await public.upload(verify.format("en"), badge, "badge.svg")).text, "not published yet"
    folder.json("publication publish", *folder.all_keys())
    genuine = await public.upload(verify.format("en"), badge, "badge.svg")
    for text in ("Genuine. The list in force names this badge.", "Good Telecom (m-0001)", "95.3 %"):
        assert text in genuine.text
    assert (
        catalogue_text("Genuine. The list in force names this badge.")
        in (await public.upload(verify.format("ja"), badge, "badge.svg")).text
    )
    forged = badge.replace("最優良".encode(), "超優良".encode())
    assert forged != badge
    assert "NOT genuine" in (await public.upload(verify.format("en"), forged, "badge.svg")).text
    listed = json.loads((await public.get("/public/operators/files/operators.json")).text)["operators"]
    assert [each["member"] for each in listed if each.get("evaluation")] == ["m-0001"]
