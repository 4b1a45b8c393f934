"""The association's office: its pages, and its acts, which are also commands."""

import asyncio
import hmac
import io
import json
import re
import shutil
import zipfile
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from idtone.console.access.rights import Role
from idtone.console.drawings.report_trace import trace_of
from idtone.console.office import office_files, reports
from idtone.console.page import ALL_PAGES, Method
from idtone.member.reports.report_documents import new_receipt
from idtone.office.authority.change_registry import registry_of, suspensions_of
from idtone.office.authority.prepared_package import FOLDER
from idtone.office.authority.suspension_requests import _KEY, FILE, MOST_DIFFERING, SuspensionRequests
from idtone.office.authority.workspace import Workspace
from idtone.office.desk.office_ledger import OfficeLedger
from idtone.office.desk.reports.report_store import ReportStore
from idtone.registry.trust import tuf_roles
from lab.console.office_forms import HOSTILE, ME, OTHER, SECOND, STOPPED, SUSPENSION, entry, request_id
from lab.console.site import Site, Visitor
from lab.office.authority.office import APPLICATION, STOP, TWICE, Office
from lab.office.desk.desk_process import running_desk as running_desk
from lab.office.desk.reports.members import NUMBER, RECEIPT, SERVICE, WORDS, Members, authority, service_report


@pytest.fixture
async def at_office(site_of, office: Office) -> Site:
    return await site_of(office.folder)


async def test_the_pages_are_there_for_the_office_alone(at_office, site):
    visitors = [await at_office.visitor(*roles) for roles in (ME, (Role.VIEWER,), ())]
    elsewhere = await site.visitor(*ME)
    pages = [each for each in at_office.app[ALL_PAGES] if each.path.startswith("/office")]
    assert len(pages) > 20
    for page in pages:
        path = re.sub(r"\{[^}]*\}", "x", page.path)
        if page.method is Method.GET:
            officer, viewer, stranger = [await visitor.get(path) for visitor in visitors]
            expected = {"/office": 303, "/office/publication/package.zip": 404}.get(
                path, 404 if "{" in page.path else 200
            )
            assert officer.status == expected, path
        else:
            officer, viewer, stranger = [await visitor.post(path) for visitor in visitors]
            assert officer.status in (400, 403, 404), path  # without the form's token, or its member
        assert viewer.status == 403, path
        assert (stranger.status, stranger.headers["Location"]) == (303, "/sign-in"), path
        assert (await elsewhere.get(path)).status == 404, path


@pytest.mark.parametrize("language", ["en", "ja"])
async def test_what_is_in_the_folder_is_shown(at_office, office, language):
    office.registry.write_text(office.registry.read_text().replace("Good Telecom", HOSTILE))
    visitor = await at_office.visitor(*ME, language=language)
    expected = {
        "/office/today": [],
        "/office/members": ["m-0001", "L-0001"],
        "/office/members/m-0001": ["L-0001", "良い電話株式会社", "…5678"],
        "/office/suspensions": ["R-1"] if "R-1" in office.suspensions.read_text() else [],
        "/office/publication": ["registry", "timestamp", "registry.yaml"],
        "/office/history": [],
        "/office/reports": [],
        "/office/evaluations": ["m-0001"],
        "/office/applications": [],
    }
    for path, texts in expected.items():
        answer = await visitor.get(path)
        assert answer.status == 200, path
        for text in texts:
            assert text in answer.text, (path, text)
        assert HOSTILE not in answer.text
        assert "style=" not in answer.text
        assert "0312345678" not in answer.text


async def test_an_application_becomes_a_member_as_by_the_commands(at_office, office):
    visitor = await at_office.visitor(*ME)
    token = (await visitor.get("/office/applications")).form_token
    fields = {"form_token": token, "why": "by post"}
    bad = await visitor.upload("/office/applications", APPLICATION.replace("m-0008", "x y").encode(), **fields)
    assert (bad.status, "is not an id" in bad.text) == (400, True)
    taken = await visitor.upload("/office/applications", APPLICATION.encode(), **fields)
    assert (taken.status, taken.headers["Location"]) == (303, "/office/applications/A-1?done=1")
    page = "/office/applications/A-1"
    assert "to be reviewed" in (await visitor.get(page)).text
    early = await visitor.send(page, f"{page}/grant", {"until": "2028-01-01", "why": "early"})
    assert (early.status, "has not passed its review" in early.text) == (400, True)
    assert (await visitor.send(page, f"{page}/review", {"result": "passed", "why": "all is there"})).status == 303
    assert "to be granted" in (await visitor.get(page)).text
    assert "Applications to be granted" in (await visitor.get("/office/today")).text
    wrong = await visitor.send(page, f"{page}/grant", {"until": "soon", "why": "passed"})
    assert (wrong.status, "Valid until is not a day or a moment" in wrong.text) == (400, True)
    assert (await visitor.send(page, f"{page}/grant", {"until": "2028-01-01", "why": "passed"})).status == 303
    member = registry_of(Workspace(office.folder)).members[-1]
    assert (member.id, len(member.licences), len(member.numbers)) == ("m-0008", 1, 2)
    made = entry(office)
    assert (made["action"], made["subject"], made["why"]) == ("grant", "A-1", "passed")
    assert made["by"].startswith("office (uid ")
    assert "Eighth Telecom" in (await visitor.get("/office/members/m-0008")).text


CHANGES = {
    "assign": ({"numbers": "0312340099\n+81312340200-+81312340299"}, "assign-number"),
    "release": ({"numbers": NUMBER}, "release-number"),
    "renew": ({"licence": "L-0001", "until": "2199-01-01"}, "renew"),
    "status": ({"licence": "L-0001", "status": "suspend-licence"}, "suspend-licence"),
    "pledge": (
        {"document": "3", "sha256": "0f" * 32, "signatory": "Mori", "signed": "2026-11-01", "until": "2027-11-01"},
        "pledge",
    ),
}
REFUSED = {
    "assign": ({"numbers": "03123"}, "03123"),
    "release": ({"numbers": "0399999999"}, "does not hold all of"),
    "renew": ({"licence": "L-0001", "until": "2020-01-01"}, "is already valid until"),
    "status": ({"licence": "L-9999", "status": "revoke"}, "has no licence"),
    "pledge": ({"document": "3", "sha256": "x", "signatory": "M", "signed": "2026-11-01", "until": "2027-11-01"},
               "SHA-256"),
    "add-key": ({"key": "no key"}, "this is not the key of a node"),
    "remove-key": ({"key": "no key"}, "has no such key"),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_is_that_of_the_command(at_office, office, change):
    fields, action = CHANGES[change]
    visitor, page = await at_office.visitor(*ME), "/office/members/m-0001"
    answer = await visitor.send(page, f"{page}/{change}", {**fields, "why": "as asked"})
    assert (answer.status, answer.headers.get("Location")) == (303, f"{page}?done=1"), answer.text
    made = entry(office)
    assert (made["action"], made["why"]) == (action, "as asked")
    assert "as asked" in (await visitor.get(page)).text
    assert (await visitor.get("/office/today")).text.count("Changes to be published") == 1


@pytest.mark.parametrize("change", REFUSED)
async def test_what_a_rule_forbids_changes_nothing(at_office, office, change, caplog):
    fields, told = REFUSED[change]
    before = office.state()
    visitor, page = await at_office.visitor(*ME), "/office/members/m-0001"
    answer = await visitor.send(page, f"{page}/{change}", {**fields, "why": "as asked"})
    assert (answer.status, told in answer.text) == (400, True)
    without = await visitor.send(page, f"{page}/{change}", {**CHANGES.get(change, (fields,))[0], "why": " "})
    assert (without.status, "Reason: fill this in" in without.text) == (400, True)
    numbered = await visitor.send(page, f"{page}/{change}", {**fields, "why": f"call {NUMBER}"})
    assert "contains a telephone number" in numbered.text
    assert office.state() == before
    assert "0399999999" not in caplog.text


async def test_a_member_is_found_by_name_and_by_number_which_stays_out_of_the_address(at_office, office):
    visitor, page = await at_office.visitor(*ME), "/office/members"
    for wanted, is_found in (
        (NUMBER, True),
        ("0399999999", False),
        ("良い電話", True),
        ("l-0001", True),
        ("zzz", False),
    ):
        answer = await visitor.send(page, page, {"wanted": wanted})
        assert (answer.status, "/office/members/m-0001" in answer.text) == (200, is_found), wanted
    assert "cannot be used" in (await visitor.send(page, page, {"wanted": "0312"})).text
    whole = (await visitor.get(f"{page}/m-0001/numbers")).text
    assert "03-1234-5600 to 03-1234-5699 (100 numbers)" in whole
    assert "by area code: 03: 101 numbers, 06: 1,000 numbers" in whole
    assert "03-1234-5678" not in (await visitor.get(f"{page}/m-0001")).text
    assert (await visitor.send(page, page, {"wanted": HOSTILE})).text.count(HOSTILE) == 0


# -- suspensions -------------------------------------------------------------------------------------------------------


async def test_a_suspension_needs_two_persons_who_enter_the_same(at_office, office):
    page = "/office/suspensions"
    first, second = await at_office.visitor(*ME), await at_office.visitor(*SECOND)
    before = suspensions_of(Workspace(office.folder))
    assert (await first.send(page, f"{page}/request", SUSPENSION)).status == 303
    assert "Suspensions to be approved" in (await second.get("/office/today")).text
    seen = (await second.get(page)).text
    assert "<dt>Held by</dt><dd>m-0001 良い電話株式会社" in seen
    assert STOPPED not in seen
    assert STOPPED[1:] not in (office.folder / FILE).read_text()
    kept = json.loads((office.folder / FILE).read_text())[0]["digest"].partition(":")[2]
    keys = [path.read_bytes() for path in office.folder.rglob("*") if path.is_file()]
    said = f"suspend-number\n8{STOPPED.replace('0', '1', 1)}-8{STOPPED.replace('0', '1', 1)}".encode()
    assert kept not in [hmac.digest(key, said, "sha256").hex() for key in keys if key], "no file opens the digest"
    again = {"request": request_id(seen), "entered": STOPPED, "why": "compared with the request"}
    own = await first.send(page, f"{page}/approve", again)
    assert (own.status, "another person has to approve it" in own.text) == (400, True)
    other = await second.send(page, f"{page}/approve", {**again, "entered": OTHER})
    assert (other.status, "the two entries differ" in other.text) == (400, True)
    assert suspensions_of(Workspace(office.folder)) == before
    assert (await second.send(page, f"{page}/approve", again)).status == 303
    added = suspensions_of(Workspace(office.folder)).suspensions[-1]
    assert (added.number, added.reference) == (STOPPED, "R-7")
    made = entry(office)
    assert made["action"] == "suspend-number"
    assert made["by"].startswith("office-viewer (uid ")
    assert made["entered_by"].endswith(", by console)")
    assert made["requested"]
    acts = [(act.act, act.by) for act in OfficeLedger(office.folder).acts()][-2:]
    assert acts == [("suspension-requested", "office"), ("suspension-approved", "office-viewer")]
    shown = await second.get(page)
    assert "…5677" in shown.text
    assert STOPPED not in shown.text
    twice = await second.send(page, f"{page}/approve", again)
    assert "does not wait any more" in twice.text


async def test_what_member_the_first_has_entered_is_not_shown_to_the_second(at_office, office):
    page = "/office/suspensions"
    first, second = await at_office.visitor(*ME), await at_office.visitor(*SECOND)
    of_member = {**SUSPENSION, "action": "suspend-member", "entered": "m-0001"}
    assert (await first.send(page, f"{page}/request", of_member)).status == 303
    card = (await second.get(page)).text.partition('<section class="card">')[2].partition("</section>")[0]
    assert "R-7" in card
    assert "m-0001" not in card
    assert "m-0001" not in (office.folder / FILE).read_text()


async def test_a_request_of_an_earlier_console_is_entered_again(at_office, office):
    """The key of the digests ended with the process. If it were stored beside them, it would reveal the numbers."""
    page = "/office/suspensions"
    first, second = await at_office.visitor(*ME), await at_office.visitor(*SECOND)
    assert (await first.send(page, f"{page}/request", SUSPENSION)).status == 303
    kept = {name for name, octets in office.state().items() if _KEY in octets or _KEY.hex().encode() in octets}
    assert kept == set(), "in no file: with it, all numbers of Japan are tried in seconds"
    waiting = json.loads((office.folder / FILE).read_text())
    waiting[0]["digest"] = f"{'0' * 16}:{waiting[0]['digest'].partition(':')[2]}"
    (office.folder / FILE).write_text(json.dumps(waiting))
    seen = (await second.get(page)).text
    assert "The console has been restarted since" in seen
    again = {"request": request_id(seen), "entered": STOPPED, "why": "yes"}
    late = await second.send(page, f"{page}/approve", again)
    assert (late.status, "the console has been restarted since" in late.text) == (400, True)


async def test_a_suspension_ends_by_two_persons_too(at_office, office):
    page = "/office/suspensions"
    before = suspensions_of(Workspace(office.folder)).suspensions
    first, second = await at_office.visitor(*ME), await at_office.visitor(*SECOND)
    of_member = {**SUSPENSION, "action": "no-new-numbers", "entered": "m-0001"}
    for fields in (
        SUSPENSION,
        {"action": "lift", "entered": STOPPED, "why": "they have withdrawn it"},
        of_member,
        {"action": "allow-new-numbers", "entered": "m-0001", "why": "they have withdrawn it"},
    ):
        assert (await first.send(page, f"{page}/request", fields)).status == 303
        again = {"request": request_id((await second.get(page)).text), "entered": fields["entered"], "why": "yes"}
        assert (await second.send(page, f"{page}/approve", again)).status == 303
        assert entry(office)["action"] == fields["action"]
    assert suspensions_of(Workspace(office.folder)).suspensions == before
    assert not [each for each in suspensions_of(Workspace(office.folder)).suspensions if each.number == STOPPED]
    assert (await first.send(page, f"{page}/request", SUSPENSION)).status == 303
    withdrawn = {"request": request_id((await second.get(page)).text)}
    assert (await first.send(page, f"{page}/withdraw", withdrawn)).status == 303
    assert not at_office.console.office_files.requests.waiting_requests()


async def test_a_second_entry_cannot_be_tried_out(at_office, office, caplog):
    """In an earlier version, 61 entries could be tried in a row."""
    page, first, second = "/office/suspensions", await at_office.visitor(*ME), await at_office.visitor(*SECOND)
    await first.send(page, f"{page}/request", SUSPENSION)
    again = {"request": request_id((await second.get(page)).text), "entered": OTHER, "why": "yes"}
    told = [(await second.send(page, f"{page}/approve", again)).text for _ in range(MOST_DIFFERING)]
    assert ["enter it anew" in each for each in told] == [False, False, True]
    assert "does not wait any more" in (await second.send(page, f"{page}/approve", {**again, "entered": STOPPED})).text
    assert OfficeLedger(office.folder).acts()[-1].act == "suspension-withdrawn"
    assert "the second entry differs" in caplog.text


@pytest.mark.parametrize("has_desk", [False, True])
async def test_clerks_act_at_once_and_the_ledger_has_what_was_done(at_office, office, has_desk, monkeypatch):
    """In an earlier version, one of two clerks got status 400, and the ledger had a withdrawal although the request
    still waited.
    """
    monkeypatch.setattr(
        "idtone.office.authority.workspace.TURN_WITHIN_S", 60.0
    )  # each waits until the desk has recorded
    page, clerks = "/office/suspensions", [await at_office.visitor(*role) for role in (ME, SECOND, ME)]
    with running_desk(office.folder) if has_desk else nullcontext():
        tokens = [(await clerk.get(page)).form_token for clerk in clerks]
        asked = [
            clerk.post(
                f"{page}/request", {**SUSPENSION, "form_token": token, "entered": f"031234567{n}", "reference": n}
            )
            for n, clerk, token in zip("123", clerks, tokens, strict=True)
        ]
        assert [each.status for each in await asyncio.gather(*asked)] == [303] * 3
        requests = SuspensionRequests(Workspace(office.folder)).waiting_requests()
        mine = next(each for each in requests if each.terms.reference == "1")
        fields, entered = {"request": mine.id, "why": "yes"}, "0312345671"
        done = await asyncio.gather(
            clerks[1].post(f"{page}/approve", fields | {"form_token": tokens[1], "entered": entered}),
            clerks[0].post(f"{page}/withdraw", fields | {"form_token": tokens[0]}),
        )
    assert sorted(each.status for each in done) == [303, 400]
    about = [act.act for act in OfficeLedger(office.folder).acts() if act.subject == mine.id]
    assert about in (["suspension-requested", "suspension-approved"], ["suspension-requested", "suspension-withdrawn"])
    assert mine.id not in {each.id for each in SuspensionRequests(Workspace(office.folder)).waiting_requests()}


async def test_a_number_that_never_originates_needs_two_persons_too(at_office, office):
    page, number = "/office/suspensions", "0335810110"
    first, second = await at_office.visitor(*ME), await at_office.visitor(*SECOND)
    added = {**SUSPENSION, "action": "add-never-originating", "entered": number}
    refused = await first.send(page, f"{page}/request", added)
    assert (refused.status, "name the holder of the numbers" in refused.text) == (400, True)
    for fields in (
        {**added, "authority": "見本警察署"},
        {"action": "remove-never-originating", "entered": number, "why": "they have a new number"},
    ):
        assert (await first.send(page, f"{page}/request", fields)).status == 303
        again = {"request": request_id((await second.get(page)).text), "entered": number, "why": "yes"}
        own = await first.send(page, f"{page}/approve", again)
        assert (own.status, "another person has to approve it" in own.text) == (400, True)
        other = await second.send(page, f"{page}/approve", {**again, "entered": OTHER})
        assert (other.status, "the two entries differ" in other.text) == (400, True)
        assert (await second.send(page, f"{page}/approve", again)).status == 303
        assert entry(office)["action"] == fields["action"]
        seen = (await second.get(page)).text
        assert ("見本警察署" in seen, number in seen) == (fields["action"].startswith("add"), False)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"entered": "0312"}, "cannot be used"),
        ({"entered": "0399999999"}, "no member holds this number"),
        ({"entered": "0312345600-0312345699"}, "that is a range"),
        ({"action": "suspend-member", "entered": "m-9999"}, "has no member"),
        ({"action": "rotate"}, "What is to be done: choose one"),
        ({"reference": ""}, "Reference of the request: fill this in"),
        ({"requested": "2199-01-01"}, "Requested at is in the future"),
        ({"until": "2020-01-01"}, "Last day is over"),
        ({"since": "soon"}, "Start is not a day or a moment"),
        ({"authority": STOPPED}, "contains a telephone number"),
    ],
)
async def test_a_request_with_a_fault_is_not_entered(at_office, change, told):
    page = "/office/suspensions"
    visitor = await at_office.visitor(*ME)
    answer = await visitor.send(page, f"{page}/request", {**SUSPENSION, **change})
    assert (answer.status, told in answer.text) == (400, True)
    assert not at_office.console.office_files.requests.waiting_requests()


# -- publication -------------------------------------------------------------------------------------------------------


async def package(visitor: Visitor, folder: Path, keys: str = "") -> Path:
    """Download the package and unpack it, as a key holder does."""
    async with visitor.http.get(
        f"{visitor.site.address}/office/publication/package.zip?keys={keys}",
        headers={"Cookie": "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())},
    ) as answer:
        octets = await answer.read()
    with zipfile.ZipFile(io.BytesIO(octets)) as archive:
        archive.extractall(folder)
    return folder


def zipped(folder: Path) -> bytes:
    made = shutil.make_archive(str(folder), "zip", folder)
    return Path(made).read_bytes()


async def test_holders_sign_copies_and_the_last_signature_publishes(at_office, office, tmp_path):
    page = "/office/publication"
    visitor = await at_office.visitor(*ME)
    office.json("licence revoke", "L-0001", "--why", "as asked")
    assert "the status is revoked" in (await visitor.get(page)).text
    assert (await visitor.send(page, f"{page}/prepare")).status == 303
    shown = await visitor.get(page)
    assert "needs the signatures of 2" in shown.text
    for number, holder in enumerate(("registry-1", "registry-3", "duty-1", "duty-2")):
        copy = await package(visitor, tmp_path / f"copy-{number}")
        unsigned = await visitor.upload(f"{page}/signed", zipped(copy), form_token=shown.form_token)
        assert (unsigned.status, "no signature that was not here already" in unsigned.text) == (400, True)
        code, _, error = office.run("publication sign", copy, *office.keys(holder), "--trust", office.root, "--yes")
        assert code == 0, error
        taken = await visitor.upload(f"{page}/signed", zipped(copy), form_token=shown.form_token)
        assert taken.status == 303, taken.text
    assert not (office.folder / FOLDER).exists()
    published = Workspace(office.folder).repository.file_octets(tuf_roles.REGISTRY)
    assert published == office.registry.read_bytes()
    acts = [act.act for act in OfficeLedger(office.folder).acts()]
    assert acts == ["package-prepared", *["package-signed"] * 4, "package-published"]


async def test_a_suspension_does_not_wait_for_the_keys_of_the_registry(at_office, office, tmp_path):
    page = "/office/publication"
    visitor = await at_office.visitor(*ME)
    office.json("licence revoke", "L-0001", "--why", "as asked")
    office.json("suspension number", *STOP, typed=TWICE)
    assert (await visitor.send(page, f"{page}/prepare", {"keys": "duty"})).status == 303
    copy = await package(visitor, tmp_path / "copy")
    code, _, error = office.run("publication sign", copy, *office.duty(), "--trust", office.root, "--yes")
    assert code == 0, error
    token = (await visitor.get(page)).form_token
    assert (await visitor.upload(f"{page}/signed", zipped(copy), form_token=token)).status == 303
    repository = Workspace(office.folder).repository
    assert repository.file_octets(tuf_roles.SUSPENSIONS) == office.suspensions.read_bytes()
    assert repository.file_octets(tuf_roles.REGISTRY) != office.registry.read_bytes()
    assert "the status is revoked" in (await visitor.get(page)).text


async def test_a_suspension_at_night_keeps_what_holders_of_the_registry_have_signed(at_office, office, tmp_path):
    page = "/office/publication"
    visitor = await at_office.visitor(*ME)
    token = (await visitor.get(page)).form_token

    async def signs(copy: Path, *holders: str) -> None:
        code, _, error = office.run("publication sign", copy, *office.keys(*holders), "--trust", office.root, "--yes")
        assert code == 0, error
        taken = await visitor.upload(f"{page}/signed", zipped(copy), form_token=token)
        assert taken.status == 303, taken.text

    office.json("licence revoke", "L-0001", "--why", "as asked")
    assert (await visitor.send(page, f"{page}/prepare")).status == 303
    early, late = [await package(visitor, tmp_path / name) for name in ("early", "late")]
    await signs(early, "registry-1")
    again = await visitor.send(page, f"{page}/prepare")
    assert (again.status, "holders have already signed the waiting package" in again.text) == (400, True)

    office.json("suspension number", *STOP, typed=TWICE)
    assert (await visitor.send(page, f"{page}/prepare", {"keys": "duty"})).status == 303
    await signs(await package(visitor, tmp_path / "duty", "duty"), "duty-1", "duty-2")
    repository = Workspace(office.folder).repository
    assert repository.file_octets(tuf_roles.SUSPENSIONS) == office.suspensions.read_bytes()
    assert repository.file_octets(tuf_roles.REGISTRY) != office.registry.read_bytes()

    await signs(late, "registry-3")  # a copy from before the night
    assert (office.folder / FOLDER).exists()
    await signs(await package(visitor, tmp_path / "last"), "duty-1", "duty-2")
    assert repository.file_octets(tuf_roles.REGISTRY) == office.registry.read_bytes()


async def test_a_package_that_is_not_the_prepared_one_is_refused(at_office, office, tmp_path):
    page = "/office/publication"
    visitor = await at_office.visitor(*ME)
    token = (await visitor.get(page)).form_token
    none = await visitor.upload(f"{page}/signed", b"", form_token=token)
    assert "no package waits for signatures" in none.text
    office.json("licence revoke", "L-0001", "--why", "as asked")
    assert (await visitor.send(page, f"{page}/prepare")).status == 303
    copy = await package(visitor, tmp_path / "copy")
    before = office.state()
    metadata = copy / "after" / "metadata" / "registry.json"
    changed = json.loads(metadata.read_bytes())
    changed["signed"]["version"] += 1
    metadata.write_text(json.dumps(changed))
    climbing = io.BytesIO()
    with zipfile.ZipFile(climbing, "w") as archive:
        archive.writestr("../evil", "x")
    for octets, told in (
        (zipped(copy), "differs from the first folder"),
        (b"no zip", "package.zip: is not the ZIP of a package"),
        (climbing.getvalue(), "package.zip: is not the ZIP of a package"),
        (b"", "package.zip: is not the ZIP of a package"),
    ):
        answer = await visitor.upload(f"{page}/signed", octets, form_token=token)
        assert (answer.status, told in answer.text) == (400, True), (told, answer.text)
    assert (await visitor.upload(f"{page}/signed", zipped(copy), form_token="x")).status == 400  # noqa: S106
    early = await visitor.send(page, f"{page}/publish")
    assert (early.status, "needs the signatures" in early.text) == (400, True)
    assert office.state() == before
    assert (await visitor.send(page, f"{page}/discard")).status == 303
    assert not (office.folder / FOLDER).exists()


async def test_everybody_sees_in_time_that_a_signature_ends(at_office, office):
    """The warning is on each page two days before, whatever the user's role is."""
    told = "The association&#39;s signatures end at "
    visitors = [await at_office.visitor(*roles) for roles in (ME, (Role.VIEWER,))]
    for lasts, is_soon in (("P3D", False), ("PT47H", True)):
        (office.folder / "authority.yaml").write_text(f"lasts: {{timestamp: {lasts}}}\n")
        office.json("publication publish", *office.duty())
        await at_office.console.read_ahead()  # as it does every other second
        for visitor, path in zip(visitors, ("/office/members", "/account"), strict=True):
            assert (told in (await visitor.get(path)).text) == is_soon, (lasts, path)


async def test_the_next_public_list_is_shown_before_it_is_published(at_office, office):
    page = "/office/publication"
    visitor = await at_office.visitor(*ME)
    before = (await visitor.get(f"{page}/list")).text
    assert "m-0001" in before
    assert "no more" not in before
    office.json("licence revoke", "L-0001", "--why", "as asked")
    assert "no more" in (await visitor.get(f"{page}/list")).text


async def test_the_registry_is_extended(at_office, office):
    page = "/office/publication"
    visitor = await at_office.visitor(*ME)
    assert "Valid until is not a day" in (await visitor.send(page, f"{page}/prolong", {"until": "x", "why": "y"})).text
    assert (await visitor.send(page, f"{page}/prolong", {"until": "2190-01-01", "why": "a new term"})).status == 303
    made = entry(office)
    assert (made["action"], made["why"]) == ("prolong", "a new term")
    assert "2189-12-31" in (await visitor.get(page)).text or "2190-01-01" in (await visitor.get(page)).text


# -- reports -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def desk(tmp_path: Path) -> Members:
    """An office's folder with one report. Its request waits for an answer of m-0001."""
    members = Members(authority(tmp_path / "office"))
    members.report()
    return members


async def test_a_report_is_masked_until_it_is_opened_and_then_closed(site_of, desk):
    site = await site_of(desk.desk.folder)
    visitor, other = await site.visitor(*ME), await site.visitor(*ME, language="ja")
    [kept] = desk.reports.store.listed()
    page = f"/office/reports/{kept.id}"
    for one in (visitor, other):
        listed, shown = await one.get("/office/reports"), await one.get(page)
        assert "…5678" in listed.text
        assert "m-0001" in shown.text
        for text in (NUMBER, WORDS, RECEIPT):
            assert text not in listed.text + shown.text
    opened = await visitor.send(page, f"{page}/open")
    assert WORDS in opened.text
    assert NUMBER[1:] in opened.text
    faulty = await visitor.send(page, f"{page}/close", {"result": "x", "why": "done"})
    assert (faulty.status, "Result: choose one" in faulty.text) == (400, True)
    assert (await visitor.send(page, f"{page}/close", {"result": "open", "why": "no answer"})).status == 303
    assert "no answer" in (await visitor.get(page)).text
    again = await visitor.send("/office/members", f"{page}/close", {"result": "open", "why": "no answer"})
    assert "is closed already" in again.text
    acts = [(act.act, act.by) for act in OfficeLedger(desk.desk.folder).acts()][-2:]
    assert acts == [("report-shown", "office"), ("report-closed", "office")]


async def test_a_report_about_a_service_is_shown_and_closed_without_a_number(site_of, desk):
    report_id = desk.report(service_report(), new_receipt())
    page = f"/office/reports/{report_id}"
    visitor = await (await site_of(desk.desk.folder)).visitor(*ME)
    for path in ("/office/reports", page):
        assert SERVICE in (await visitor.get(path)).text
    shown = (await visitor.get(page)).text
    assert ('value="examined"' in shown, 'value="traced"' in shown, WORDS in shown) == (True, False, False)
    assert WORDS in (await visitor.send(page, f"{page}/open")).text
    refused = await visitor.send(page, f"{page}/close", {"result": "traced", "why": "x"})
    assert (refused.status, "cannot be closed as traced" in refused.text) == (400, True)
    await visitor.send(page, f"{page}/close", {"result": "examined", "why": "asked the operator"})
    kept = desk.reports.store.report(report_id)
    assert kept
    assert (kept.stage, kept.result) == ("closed", "examined")
    assert "examined" in (await visitor.get(page)).text


async def test_the_list_of_reports_has_pages(site_of, desk, monkeypatch):
    monkeypatch.setattr(reports, "SHOWN", 1)
    desk.report(receipt=new_receipt())
    visitor, page, found = await (await site_of(desk.desk.folder)).visitor(*ME), "/office/reports?stage=member", []
    while page:
        answer = await visitor.get(page)
        found += re.findall(r'href="/office/reports/(R-[0-9a-f]+)"', answer.text)
        older = re.search(r'<a href="([^"]+)" rel="next">', answer.text)
        page = older[1].replace("&amp;", "&") if older else ""
    assert found == [each.id for each in desk.reports.store.listed()][::-1]
    assert len(found) == 2
    assert 'rel="prev"' in answer.text


async def test_members_who_are_late_are_reminded(site_of, desk, monkeypatch):
    site = await site_of(desk.desk.folder)
    visitor, page = await site.visitor(*ME), "/office/reports/overdue"
    [request] = desk.reports.store.requests_of(desk.reports.store.listed()[0].id)
    assert "No answer is overdue" in (await visitor.get(page)).text
    late = ReportStore.overdue
    monkeypatch.setattr(ReportStore, "overdue", lambda self, now: late(self, now + timedelta(days=30)))
    assert "Overdue answers to reports" in (await visitor.get("/office/today")).text
    assert (await visitor.send(page, page, {"request": "Q-other"})).status == 400
    assert (await visitor.send(page, page, {"request": request.id})).status == 303
    assert (await visitor.send(page, page)).status == 303
    [reminded] = desk.reports.store.requests_of(request.report)
    assert reminded.reminders == 2


def test_a_trace_has_a_box_for_each_hop_and_one_for_the_end(desk):
    now = datetime.now(UTC)
    desk.answered("m-0001", "upstream", upstream="m-0002")
    [kept] = desk.reports.store.listed()

    def boxes(after: timedelta) -> list[tuple[str, str]]:
        report = desk.reports.store.report(kept.id)
        assert report
        return [
            (hop.title, hop.colour)
            for hop in trace_of(report, desk.reports.store.requests_of(kept.id), now + after).hops
        ]

    begins = (f"Report {kept.id}", "")
    assert boxes(timedelta()) == [begins, ("m-0001", ""), ("m-0002", "warning")]
    assert boxes(timedelta(days=30)) == [begins, ("m-0001", ""), ("m-0002", "bad")]
    desk.answered("m-0002", "customer-held", pack="0f" * 32)
    assert boxes(timedelta()) == [begins, ("m-0001", ""), ("m-0002", "good"), ("The office closes it", "warning")]


# -- reading -----------------------------------------------------------------------------------------------------------


async def test_the_registry_is_parsed_once_for_each_change(at_office, office, monkeypatch):
    parsed = []
    registry_of = office_files.registry_of
    monkeypatch.setattr(office_files, "registry_of", lambda workspace: parsed.append(1) or registry_of(workspace))
    visitor = await at_office.visitor(*ME)
    for _ in range(3):
        for path in ("/office/today", "/office/members", "/office/members/m-0001"):
            assert (await visitor.get(path)).status == 200
    assert len(parsed) <= 1
    office.json("licence revoke", "L-0001", "--why", "as asked")
    for _ in range(3):
        assert "revoked" in (await visitor.get("/office/members/m-0001")).text
    assert len(parsed) <= 2
