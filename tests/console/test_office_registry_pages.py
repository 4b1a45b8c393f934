"""Portings, logs, witnesses and contacts on the office's pages: the acts of the commands, by the same rules."""

import re
from html import unescape

import pytest

from idtone.core.signed_notes import Signer
from idtone.office.authority.change_registry import registry_of
from idtone.office.authority.stopping_conditions import sample_conditions
from idtone.office.authority.workspace import Workspace
from lab.console.office_forms import HOSTILE, ME, entry
from lab.console.site import Site, Visitor
from lab.office.authority.office import WHY, Office

NUMBERS = "03-1234-5600〜5619"
LOG, OTHER = (str(Signer(name, b"1" * 32).key) for name in ("pbx-1/idtone", "pbx-2/idtone"))
WITNESS = str(Signer("first.example/w", b"2" * 32).cosigner)


@pytest.fixture
async def at_office(site_of, office: Office) -> Site:
    return await site_of(office.folder)


async def refused(visitor: Visitor, page: str, act: str, cases: list[tuple[dict[str, str], str]]) -> None:
    for fields, told in cases:
        answer = await visitor.send(page, f"{page}/{act}", fields)
        assert (answer.status, told in answer.text) == (400, True), (fields, answer.text)
        assert HOSTILE not in answer.text


async def test_numbers_move_on_a_day_by_the_page_and_stay_by_it(at_office, office):
    visitor, page = await at_office.visitor(*ME), "/office/portings"
    fields = {"giver": "m-0001", "taker": "m-0002", "numbers": NUMBERS, "at": "2199-12-01", "why": "as both asked"}
    before = office.state()
    cases = [({**fields, "taker": "m-0001"}, "hands them over"), ({**fields, "at": "soon"}, "is not a day or a moment"),
             ({**fields, "why": ""}, "Reason"), ({**fields, "taker": HOSTILE}, "no member")]  # fmt: skip
    await refused(visitor, page, "port", cases)
    assert office.state() == before
    assert (await visitor.send(page, f"{page}/port", fields)).status == 303
    [porting] = registry_of(Workspace(office.folder)).portings
    assert (porting.giver, porting.taker, porting.at.isoformat()) == ("m-0001", "m-0002", "2199-12-01T00:00:00+09:00")
    shown = (await visitor.get(page)).text
    assert ("…5600" in shown, "12345600" in shown, "to come" in shown) == (True, False, True)
    name = re.search(r'<option value="(0 m-0001[^"]+)"', shown)
    assert name
    more = ("number port", "m-0001", "m-0002", "--at", "2026-01-01", *WHY)
    office.json("number end-porting", *WHY, typed=NUMBERS)
    office.json(*more, typed="0312345640")
    end = {"porting": name[1], "why": "both withdrew"}
    await refused(
        visitor, page, "end", [(end, "has changed since you read it"), ({"why": "x"}, "Porting: fill this in")]
    )
    shown = (await visitor.get(page)).text
    assert "done; enter the numbers" in shown
    name = re.search(r'<option value="(0 m-0001[^"]+)"', shown)
    assert name
    assert (await visitor.send(page, f"{page}/end", {"porting": name[1], "why": "done"})).status == 303
    assert registry_of(Workspace(office.folder)).portings == ()
    assert "0312345640" in str(registry_of(Workspace(office.folder)).members[1].numbers)
    assert entry(office)["action"] == "remove-porting"
    assert (await visitor.send(page, f"{page}/burn", fields)).status == 404


async def test_keys_of_logs_and_witnesses_are_entered_and_ended(at_office, office):
    visitor, page = await at_office.visitor(*ME), "/office/logs"
    log = {"member": "m-0001", "key": LOG, "since": "2026-11-01", "corporate_number": "7000012050002", "why": "new PBX"}
    cases = [({**log, "key": WITNESS}, "a log key cannot be a witness key"), ({**log, "since": "x"}, "Counts from"),
             ({**log, "member": ""}, "Member: fill this in"),
             ({**log, "corporate_number": "1"}, "is not a corporate number")]  # fmt: skip
    await refused(visitor, page, "add-key", cases)
    assert (await visitor.send(page, f"{page}/add-key", log)).status == 303
    witness = {"key": WITNESS, "since": "", "why": "decided"}
    assert (await visitor.send(page, f"{page}/add-witness", witness)).status == 303
    wrong = {"2": "is more than there are witnesses", "many": "as a number", "": "How many, by name: fill this in"}
    for number, told in wrong.items():
        await refused(visitor, page, "demand", [({"cosignatures": number, "why": "x"}, told)])
    shown = (await visitor.get(page)).text
    assert all(each in unescape(shown) for each in (LOG, "7000012050002"))
    ended = {"key": LOG, "until": "2026-11-30", "why": "replaced"}
    await refused(visitor, page, "end-key", [({**ended, "key": OTHER}, "no log with this key"),
                                             ({**ended, "until": "2020-01-01"}, "is not after")])  # fmt: skip
    assert (await visitor.send(page, f"{page}/end-key", ended)).status == 303
    ended = {"key": WITNESS, "until": "2199-01-01", "why": "leaves"}
    assert (await visitor.send(page, f"{page}/end-witness", ended)).status == 303
    document = registry_of(Workspace(office.folder))
    assert document.members[0].logs[0].until.isoformat() == "2026-12-01T00:00:00+09:00"
    assert document.witness_policy.witnesses[0].until.isoformat() == "2199-01-02T00:00:00+09:00"
    told = [each["action"] for each in office.json("history show")[-4:]]
    assert told == ["add-log-key", "add-witness", "end-log-key", "end-witness"]


async def test_stopping_conditions_are_entered_by_a_form_without_a_file(at_office, office):
    visitor, page = await at_office.visitor(*ME), "/office/conditions"
    assert "begins with idtone&#39;s sample" in (await visitor.get(page)).text
    fields = {"version": "2027-1", "why": "decided"}
    for place, each in enumerate(sample_conditions().stopping_conditions):
        row = {"id": each.id, "finding": each.finding or "", "leads_to": each.leads_to, "ja": each.text.ja,
               "en": each.text.en, "within_days": str(each.within_days)}  # fmt: skip
        fields |= {f"{name}_{place}": value for name, value in row.items()}
    last = place
    more = {f"{name}_{last + n}": value for n in range(1, 41) for name, value in {**row, "id": f"X-{n}"}.items()}
    for changed, told in (
        ({"within_days_2": "soon", "leads_to_1": ""}, 'id="error-within_days_2"'),
        ({"within_days_2": "soon", "leads_to_1": ""}, 'id="error-leads_to_1"'),
        ({"within_days_2": "999"}, "stopping_conditions[2].within_days"),
        ({"id_3": "", "ja_3": "", "en_3": ""}, "has no condition for the finding refusals"),
        ({"version": ""}, 'id="error-version"'),
        ({"ja_0": HOSTILE * 9}, "stopping_conditions[0].text.ja"),
    ):
        answer = await visitor.send(page, page, fields | changed)
        assert (answer.status, told in answer.text, HOSTILE in answer.text) == (400, True, False), answer.text
    answer = await visitor.send(page, page, {**fields, **more, "version": "2026-9"})
    assert answer.status == 303, answer.text
    entered = registry_of(Workspace(office.folder)).stopping_conditions
    assert (len(entered), entered[-1].id) == (last + 41, "X-40"), "all that the form shows"
    answer = await visitor.send(page, page, fields)
    assert answer.status == 303, answer.text
    document = registry_of(Workspace(office.folder))
    assert (document.stopping_version, document.stopping_conditions) == (
        "2027-1",
        sample_conditions().stopping_conditions,
    )
    assert "Version 2027-1" in (await visitor.get(page)).text
    office.json("publication publish", *office.all_keys())
    citizen = await at_office.visitor()
    assert "When these operators end the use of a number" in (await citizen.get("/public/operators")).text


async def test_contacts_are_listed_with_what_is_missing_and_recorded(at_office, office):
    visitor, page = await at_office.visitor(*ME), "/office/contacts"
    assert "m-0001" in (await visitor.get(f"{page}?lacking=1")).text
    fields = {"member": "m-0001", "corporate_number": "8700110005901", "notification": "A-30-1", "why": "as they wrote",
              "web": "https://www.example.jp/", "mail": "info@example.jp"}  # fmt: skip
    cases = [({**fields, "mail": "03-1234-5678"}, "is not a mail address"), ({**fields, "member": "m-9"}, "m-9")]
    await refused(visitor, page, "record", cases)
    assert (await visitor.send(page, f"{page}/record", fields)).status == 303
    listed = office.json("member contacts")
    assert (listed[0]["mail"], listed[1]["mail"]) == ("info@example.jp", "")
    text = (await visitor.get(f"{page}/list.csv")).text
    assert "m-0001,良い電話株式会社,Good Telecom,8700110005901,A-30-1,https://www.example.jp/,info@example.jp" in text
    assert 'href="/office/members/m-0001"' not in (await visitor.get(f"{page}?lacking=1")).text
