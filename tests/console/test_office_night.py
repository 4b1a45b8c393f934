"""The night stop, by requests like a browser's: two officers with their own keys, and states that are true."""

import html
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from idtone.console.office import night_stop
from idtone.core.paper.content import Paper
from idtone.core.signing_keys import signer
from idtone.office.authority.night_keys import has_night_key
from idtone.office.authority.prepared_package import PreparedPackage
from idtone.office.authority.workspace import Workspace
from idtone.office.papers.stop_paper import StopProgress, stop_paper
from lab.console.office_forms import ME, OTHER, SECOND, STOPPED, request_id
from lab.console.site import Site, Visitor, name_of
from lab.office.authority.office import PHRASE, STOP, TWICE, WHY, Office

PAGE = "/office/night"
ORDER = {"entered": STOPPED, "reference": "R-7", "requested": "2026-11-02T01:10", "why": "as asked"}


@pytest.fixture
async def at_office(site_of, office: Office) -> Site:
    for user, key in ((name_of(*ME), "duty-1"), (name_of(*SECOND), "duty-2")):
        office.output("key keep-for-night", user, office.key(key))
    return await site_of(office.folder)


async def state(visitor: Visitor) -> str:
    """The last stage of the stop, as the page shows it."""
    shown = re.findall(r'<li><span class="badge \w+">([^<]+)</span>', (await visitor.get(PAGE)).text)
    return html.unescape(shown[0]) if shown else ""


async def sign(visitor: Visitor, passphrase: str = PHRASE, **changed: str) -> int:
    page = (await visitor.get(PAGE)).text
    shown = re.search(r'name="shown" value="([0-9a-f]{64})"', page)
    assert shown, page
    fields = {"shown": shown[1], "passphrase": passphrase, **changed}
    return (await visitor.send(PAGE, f"{PAGE}/sign", fields)).status


async def test_two_officers_stop_a_number_and_no_state_is_shown_that_is_not_true(at_office, office):
    first, second = await at_office.visitor(*ME), await at_office.visitor(*SECOND)
    assert (await first.send(PAGE, f"{PAGE}/request", ORDER)).status == 303
    assert await state(first) == ""
    waiting = (await second.get(PAGE)).text
    assert "良い電話株式会社" in waiting, "the holder is shown"
    assert STOPPED not in waiting
    wrong = {"request": request_id(waiting), "entered": OTHER, "why": "as asked"}
    assert (await second.send(PAGE, f"{PAGE}/approve", wrong)).status == 400
    right = {**wrong, "entered": STOPPED}
    assert (await first.send(PAGE, f"{PAGE}/approve", right)).status == 400, "nobody is both persons"
    assert (await second.send(PAGE, f"{PAGE}/approve", right)).status == 303
    assert await state(second) == "approved"
    assert "03-1234-5677" in (await second.get(PAGE)).text, "whoever signs reads the whole number"
    assert await sign(second, "wrong") == 400
    assert await sign(second, shown="0" * 64) == 400
    assert await sign(second) == 303
    assert await state(first) == "approved", "one signature publishes nothing"
    assert await sign(second) == 400, "a second signature of the same key does not count"
    assert await sign(first) == 303
    assert await state(first) == "published", "no node has confirmed it"
    (address,) = papers((await first.get(PAGE)).text)
    assert (await first.get(address)).text[:5] == "%PDF-"
    assert (await first.get(f"{PAGE}/paper/R-7")).status == 404
    assert [each["reference"] for each in office.json("suspension in-force", code=1)] == ["R-7"] * 2


@pytest.fixture
def printed(monkeypatch) -> list[dict[str, str]]:
    """The steps in each paper that a page has made."""
    made: list[dict[str, str]] = []

    def kept(stop: StopProgress, now: datetime) -> Paper:
        paper = stop_paper(stop, now)
        made.append(dict(paper.sections[1].table.rows) | {"number": stop.number})
        return paper

    monkeypatch.setattr(night_stop, "stop_paper", kept)
    return made


async def test_the_paper_is_about_its_own_stop_and_says_what_is_recorded(at_office, office, printed):
    office.json("suspension number", *STOP, typed=TWICE)
    office.json("publication publish", *office.duty())
    office.json("suspension number", *STOP, typed=f"{OTHER}\n{OTHER}\n")
    bounds = "+81312345600-+81312345609"
    office.json("suspension range", "--reference", "R-9", *STOP[2:], typed=f"{bounds}\n{bounds}\n")
    visitor = await at_office.visitor(*ME)
    for address in papers((await visitor.get(PAGE)).text):
        assert (await visitor.get(address)).status == 200
    a_range, other, first = printed
    assert [each["公開 / published"][:2] for each in printed] == ["まだ", "まだ", "20"]
    assert a_range["number"] != other["number"] != first["number"]
    assert "承認(記録は 1 アカウント) / approved (one account is recorded)" in first
    assert "解除の承認 / end approved" not in first
    office.json("suspension lift", *WHY, typed=TWICE)
    for address in papers((await visitor.get(PAGE)).text):
        await visitor.get(address)
    assert printed[3]["解除の承認 / end approved"].startswith("20")
    assert printed[3]["解除の公開 / end published"].startswith("まだ")


def papers(page: str) -> list[str]:
    return re.findall(rf'href="({PAGE}/paper/[^"]+)"', page)


async def stopped(first: Visitor, second: Visitor, number: str, reference: str) -> int:
    """Enter a stop and approve it. Returns the status of the approval."""
    await first.send(PAGE, f"{PAGE}/request", ORDER | {"entered": number, "reference": reference})
    fields = {"request": request_id((await second.get(PAGE)).text), "entered": number, "why": "read in the order"}
    return (await second.send(PAGE, f"{PAGE}/approve", fields)).status


async def test_a_second_stop_is_approved_while_the_package_of_the_first_is_being_signed(at_office, office):
    first, second = await at_office.visitor(*ME), await at_office.visitor(*SECOND)
    assert await stopped(first, second, STOPPED, "R-7") == 303
    assert "not in a package yet" not in (await first.get(PAGE)).text
    assert office.json("history show")[-1]["why"] == "read in the order"
    assert await sign(second) == 303
    assert await stopped(first, second, OTHER, "R-8") == 303
    assert "not in a package yet" in (await first.get(PAGE)).text
    assert (await first.send(PAGE, f"{PAGE}/prepare")).status == 400, "an officer has signed the package"
    assert await sign(first) == 303
    assert (await first.send(PAGE, f"{PAGE}/prepare")).status == 303
    assert "not in a package yet" not in (await first.get(PAGE)).text
    assert (await first.send(PAGE, f"{PAGE}/discard")).status == 303
    assert "not in a package yet" in (await first.get(PAGE)).text


@pytest.mark.parametrize("is_same", [True, False])
async def test_what_was_published_otherwise_is_not_signed_again(at_office, office, is_same):
    first, second = await at_office.visitor(*ME), await at_office.visitor(*SECOND)
    await stopped(first, second, STOPPED, "R-7")
    shown = re.search(r'name="shown" value="([0-9a-f]{64})"', (await first.get(PAGE)).text)
    workspace = Workspace(office.folder)
    if is_same:
        signers = [signer(str(office.key(name)), lambda _: PHRASE) for name in ("duty-1", "duty-2")]
        workspace.sign_and_publish(PreparedPackage(workspace, True).edition(), signers, datetime.now(UTC))
    else:
        office.json("suspension number", *STOP, typed=f"{OTHER}\n{OTHER}\n")
        office.json("publication publish", *office.duty())
    page = (await first.get(PAGE)).text
    assert "was published in the meantime" in page
    assert 'name="passphrase"' not in page
    refused = await first.send(PAGE, f"{PAGE}/sign", {"shown": shown[1], "passphrase": PHRASE})
    assert (refused.status, "was published in the meantime" in refused.text) == (400, True)
    assert not any(PreparedPackage(workspace, True).edition().signers_by_role().values())
    assert (await first.send(PAGE, f"{PAGE}/discard")).status == 303
    assert "was published in the meantime" not in (await first.get(PAGE)).text


async def test_a_passphrase_cannot_be_guessed(at_office):
    first, second = await at_office.visitor(*ME), await at_office.visitor(*SECOND)
    await stopped(first, second, STOPPED, "R-7")
    assert [await sign(first, shown="0" * 64) for _ in range(6)] == [400] * 6, "no passphrase was tried"
    assert [await sign(first, f"guess {number}") for number in range(6)] == [400] * 5 + [429]
    assert await sign(first) == 429
    assert await sign(second) == 303, "the other officer can sign"


async def test_an_officer_without_a_key_here_signs_elsewhere(site_of, office):
    site = await site_of(office.folder)
    first, second = await site.visitor(*ME), await site.visitor(*SECOND)
    await first.send(PAGE, f"{PAGE}/request", ORDER)
    waiting = (await second.get(PAGE)).text
    right = {"request": request_id(waiting), "entered": STOPPED, "why": "as asked"}
    assert (await second.send(PAGE, f"{PAGE}/approve", right)).status == 303
    assert "No key of yours is kept here" in (await second.get(PAGE)).text
    answer = await second.send(PAGE, f"{PAGE}/sign", {"shown": "0" * 64, "passphrase": PHRASE})
    assert (answer.status, "sign at your own computer" in answer.text) == (400, True)


def test_only_an_encrypted_duty_key_is_kept(office):
    assert "not a duty key" in office.refused("key keep-for-night", "sato", office.key("registry-1"))
    office.output("key keep-for-night", "sato", office.key("duty-1"))
    (kept,) = (office.folder / "night-keys").iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert b"ENCRYPTED" in kept.read_bytes()


def test_a_key_is_the_groups_and_any_user_can_have_one(office):
    office.folder.chmod(0o2770)
    for user in ("sato@example.jp", "佐藤", "../sato"):
        office.output("key keep-for-night", user, office.key("duty-1"))
        assert has_night_key(office.folder, user)
    kept = office.folder / "night-keys"
    assert kept.stat().st_mode & 0o7777 == 0o2770
    assert [each.stat().st_mode & 0o777 for each in kept.iterdir()] == [0o660] * 3
    assert not has_night_key(office.folder, "sato")


async def test_a_folder_of_keys_that_cannot_be_read_leaves_the_page(at_office, office, monkeypatch):
    def refused(path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    visitor = await at_office.visitor(*ME)
    monkeypatch.setattr(Path, "is_file", refused)
    shown = await visitor.get(PAGE)
    assert (shown.status, "cannot be read" in shown.text) == (200, True)
