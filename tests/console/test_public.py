"""The pages for everyone: the list of operators and its files, badges, packs; and files that are uploaded to them."""

import asyncio
import hashlib
import io
import json
import zipfile

import pytest

from idtone.console.access.rights import Role
from idtone.console.page import ALL_PAGES
from idtone.console.public import packs
from idtone.console.public.published_files import PublishedFiles
from idtone.console.read_process import ReadEndedError
from idtone.console.uploads import FIELD_LIMIT
from lab.ledger.example_pack import PACK

HOSTILE = '<script>alert("x")</script>'


async def test_public_pages_need_no_script_and_set_no_cookie(public):
    visitor = await public.visitor()
    for page in public.app[ALL_PAGES]:
        if page.right is None and page.path != "/sign-in" and "{" not in page.path:
            answer = await visitor.get(page.path)
            if page.method == "GET":
                assert answer.status == 200, page.path
                assert "<script" not in answer.text
                assert "script-src" not in answer.headers["Content-Security-Policy"]
    assert not visitor.cookies


async def test_the_list_is_the_one_that_was_signed(public):
    visitor = await public.visitor()
    listed = json.loads((await visitor.get("/public/operators/files/operators.json")).text)
    shown = {language: (await visitor.get(f"/public/operators?lang={language}")).text for language in ("ja", "en")}
    assert listed["operators"]
    for operator in listed["operators"]:
        for language, text in shown.items():
            assert operator["name"][language] in text
    first = listed["operators"][0]
    assert first["name"]["en"] in (await visitor.get(f"/public/operators?lang=en&name={first['member']}")).text
    nobody = (await visitor.get(f"/public/operators?lang=en&name={HOSTILE}")).text
    assert "None." in nobody
    assert HOSTILE not in nobody
    for name in PublishedFiles.read(public.console.office_files.folder).files:
        assert (await visitor.get(f"/public/operators/files/{name}")).status == 200, name
    for name in ("../registry.yaml", "%2e%2e/registry.yaml", "registry.yaml", "proof/../../suspensions.yaml"):
        assert (await visitor.get(f"/public/operators/files/{name}")).status == 404, name


async def test_a_badge_counts_only_as_it_was_published_and_while_it_is_valid(public, monkeypatch):
    octets, stopped = b"<svg/>", set[str]()
    listed = {
        "operators": [
            {
                "member": "m-1",
                "name": {"ja": "見本", "en": HOSTILE},
                "licences": [],
                "evaluation": {
                    "badge": hashlib.sha256(octets).hexdigest(),
                    "title": {"ja": "優", "en": "Good"},
                    "percent": "90.0",
                    "valid_from": "2020-01-01T00:00:00+09:00",
                    "valid_until": "2120-01-01T00:00:00+09:00",
                },
            }
        ]
    }
    monkeypatch.setattr(PublishedFiles, "read", lambda office: PublishedFiles(listed, {}, stopped))
    visitor = await public.visitor()
    good = await visitor.upload("/public/operators/badge?lang=en", octets, "badge.svg")
    assert "Genuine." in good.text
    assert HOSTILE not in good.text
    for other in (octets + b" ", b"x"):
        assert "NOT genuine." in (await visitor.upload("/public/operators/badge?lang=en", other)).text
    stopped.add("m-1")
    at_present = (await visitor.upload("/public/operators/badge?lang=en", octets)).text
    assert "does not count at present: the member is not in the public list" in at_present
    assert "enuine." not in at_present
    stopped.clear()
    listed["operators"][0]["evaluation"]["valid_until"] = "2021-01-01T00:00:00+09:00"
    assert "NOT genuine." in (await visitor.upload("/public/operators/badge?lang=en", octets)).text


async def test_a_pack_is_verified_and_its_numbers_are_not_shown(public):
    visitor = await public.visitor()
    good = await visitor.upload("/public/pack?lang=en", PACK.read_bytes(), "pack.zip")
    assert "Good. Each file is as it was sealed" in good.text
    assert "not known here" in good.text
    assert "0312345678" not in good.text.replace("+81", "0")
    with zipfile.ZipFile(PACK) as archive:
        key = json.loads(archive.read("manifest.json"))["log_key"]
    known = await visitor.upload("/public/pack?lang=en", PACK.read_bytes(), key=key)
    assert "the one that you entered" in known.text


def rezipped(change: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(PACK) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for name in {**dict.fromkeys(old.namelist()), **dict.fromkeys(change)}:
            new.writestr(name, change[name] if name in change else old.read(name))
    return made.getvalue()


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (lambda: b"", 400),
        (lambda: b"no zip", 400),
        (lambda: PACK.read_bytes()[:-7], 400),
        (lambda: rezipped({"bomb": bytes(packs.LIMIT + 1)}), 400),
        (lambda: rezipped({"manifest.json": HOSTILE.encode()}), 200),
    ],
    ids=["nothing", "no ZIP", "cut", "bomb", "another manifest"],
)
async def test_what_is_no_pack_is_told_in_words(public, octets, status):
    visitor = await public.visitor()
    answer = await visitor.upload("/public/pack?lang=en", octets(), HOSTILE)
    assert answer.status == status
    assert "Good. Each" not in answer.text
    assert HOSTILE not in answer.text


async def test_uploads_have_a_limit(public, monkeypatch):
    monkeypatch.setattr(packs, "LIMIT", 1000)
    visitor = await public.visitor()
    assert "larger than" in (await visitor.upload("/public/pack?lang=en", bytes(400_000))).text
    long = await visitor.upload("/public/pack?lang=en", b"x", key="k" * (FIELD_LIMIT + 1))
    assert (long.status, "larger than" in long.text) == (400, True)
    assert (await visitor.post("/public/pack?lang=en", {"pack": "text"})).status == 400


async def test_a_pack_that_takes_too_long_can_be_verified_elsewhere(public, monkeypatch):
    async def ended(*_: object) -> None:
        raise ReadEndedError("It took too long.")

    monkeypatch.setattr("idtone.console.page.Visit.read", ended)
    answer = await (await public.visitor()).upload("/public/pack?lang=en", PACK.read_bytes())
    assert answer.status == 400
    assert "It took too long. Verify the pack on a computer of your own: with “idtone-evidence" in answer.text


async def test_more_packs_than_have_room_are_told_to_wait(public, monkeypatch):
    going_on = asyncio.Event()

    async def slowly(visit, do, *args):
        await going_on.wait()
        return do(*args)

    monkeypatch.setattr("idtone.console.page.Visit.in_thread", slowly)
    visitor = await public.visitor()
    most = packs.AT_ONCE + packs.WAITING
    sent = [asyncio.create_task(visitor.upload("/public/pack?lang=en", PACK.read_bytes())) for _ in range(most + 1)]
    done, _ = await asyncio.wait(sent, return_when=asyncio.FIRST_COMPLETED)
    assert [task.result().status for task in done] == [503]
    going_on.set()
    answers = [task.result().status for task in sent if task not in done and await asyncio.wait({task})]
    assert answers == [200] * most


async def test_on_a_node_the_page_is_for_its_users_and_the_others_are_not_there(site):
    stranger, user = await site.visitor(), await site.visitor(Role.VIEWER)
    assert (await stranger.get("/verify")).status == 303
    assert (await stranger.upload("/verify", PACK.read_bytes())).status == 303
    token = (await user.get("/verify")).form_token
    assert "Good. Each" in (await user.upload("/verify", PACK.read_bytes(), form_token=token)).text
    assert "out of date" in (await user.upload("/verify", PACK.read_bytes(), form_token="other")).text  # noqa: S106
    for path in ("/public/operators", "/public/pack", "/report"):
        assert (await user.get(path)).status == 404


async def test_a_licensed_operator_without_an_evaluation_has_a_mark_that_can_be_verified(public, office, tmp_path):
    office.json("publication publish", "--site", tmp_path / "site", *office.all_keys())
    octets = (tmp_path / "site" / "evaluation" / "licensed" / "m-0001.svg").read_bytes()
    visitor = await public.visitor()
    shown = (await visitor.get("/public/operators")).text
    assert "licensed, not evaluated" in shown
    assert (await visitor.get("/public/operators/files/evaluation/licensed/m-0001.svg")).text == octets.decode()
    told = (await visitor.upload("/public/operators/badge", octets, "m.svg")).text
    assert all(each in told for each in ("Genuine", "Good Telecom", "the mark says nothing of an evaluation"))
    forged = octets.replace("良い電話".encode(), "悪い電話".encode())
    assert "NOT genuine" in (await visitor.upload("/public/operators/badge", forged, "m.svg")).text
    (tmp_path / "m.svg").write_bytes(octets)
    verify = ("evaluation verify", tmp_path / "site", tmp_path / "m.svg", "--trust", office.root)
    assert "not evaluated" in office.output(*verify)
    assert office.output(*verify, "--json")["mark"]["badge"]
    (tmp_path / "m.svg").write_bytes(forged)
    office.output(*verify, code=1)
