"""The holders of the keys, and those of them who must still sign."""

import re
from datetime import UTC, datetime

import pytest

from idtone.office.authority import workspace
from idtone.office.authority.key_holders import key_holders
from idtone.office.authority.prepared_package import PreparedPackage
from idtone.office.authority.workspace import Workspace
from lab.console.office_forms import ME
from lab.console.site import Site
from lab.office.authority.office import WHY, Office

PAGE = "/office/keys"


@pytest.fixture
async def at_office(site_of, office: Office) -> Site:
    return await site_of(office.folder)


async def test_the_page_names_who_still_has_to_sign_what_waits(at_office, office, tmp_path):
    visitor = await at_office.visitor(*ME)
    assert PAGE in (await visitor.get("/office/publication")).text
    shown = (await visitor.get(PAGE)).text
    assert (shown.count("not entered"), shown.count("nothing waits")) == (10, 10)
    holder = {"key": office.key_id("registry-1"), "holder": "佐藤"}
    assert (await visitor.send(PAGE, PAGE, holder)).status == 303
    office.json("licence revoke", "L-0001", *WHY)
    package = PreparedPackage(Workspace(office.folder))
    package.prepare(datetime.now(UTC))
    assert state_of((await visitor.get(PAGE)).text, "佐藤") == "has not signed yet"
    code, _, error = office.run(
        "publication sign", package.folder, *office.keys("registry-1"), "--trust", office.root, "--yes"
    )
    assert code == 0, error
    shown = (await visitor.get(PAGE)).text
    assert state_of(shown, "佐藤") == "has signed"
    assert "A package waits for 1 more of these signatures." in shown
    assert shown.count("has not signed yet") == 2 + 4, "the two others of the registry, and the duty"
    assert shown.count("nothing waits") == 3, "the root"
    await visitor.send(PAGE, PAGE, holder)
    assert "佐藤" not in "".join(path.read_text(errors="ignore") for path in (office.folder / "ledger").rglob("*.sq*"))


def state_of(page: str, holder: str) -> str:
    found = re.search(rf"<td[^>]*>{holder}</td>\s*<td[^>]*><span[^>]*>([^<]+)<", page)
    assert found, page
    return found[1]


async def test_a_holder_is_entered_while_nothing_else_changes(at_office, office, monkeypatch):
    monkeypatch.setattr(workspace, "TURN_WITHIN_S", 0.1)
    visitor = await at_office.visitor(*ME)
    with Workspace(office.folder).locked():
        answer = await visitor.send(PAGE, PAGE, {"key": office.key_id("duty-1"), "holder": "佐藤"})
    assert (answer.status, "another command is changing something here" in answer.text) == (400, True)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"key": "ab" * 32, "holder": "佐藤"}, "this key is not in force"),
        ({"key": "", "holder": "佐藤"}, "this key is not in force"),
        ({"holder": ""}, "Holder: fill this in"),
        ({"holder": "0312345678"}, "contains a telephone number"),
    ],
)
async def test_a_name_without_a_key_is_refused(at_office, office, fields, told):
    visitor = await at_office.visitor(*ME)
    answer = await visitor.send(PAGE, PAGE, {"key": office.key_id("duty-1"), **fields})
    assert (answer.status, told in answer.text) == (400, True)
    assert key_holders(office.folder) == {}
