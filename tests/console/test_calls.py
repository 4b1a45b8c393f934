"""The search for calls and one call's page, with a real ledger."""

import csv
import io
import logging
import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from urllib.parse import quote, urlencode

import aiohttp
import pytest
import yaml

from idtone.console.access.rights import Role
from idtone.console.operator import calls
from idtone.console.operator.call_query import CallQuery
from idtone.console.page import Visit
from idtone.core.calls import Decision, Outcome, Party, Reason
from idtone.core.errors import LedgerError
from idtone.core.japan_time import JAPAN
from idtone.core.numbers import parse
from idtone.core.settings.settings import Settings
from idtone.ledger.commands.proofs import prove
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.record_fields import FIELDS
from idtone.ledger.evidence.steps import CallStatus, Step, StepKind
from idtone.ledger.keys.key_ring import KeyRing, own_key
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.sqlite import path_of
from idtone.ledger.tree.inclusion_proof import InclusionProof
from idtone.ledger.writing.ledger_writer import LedgerWriter
from idtone.tones.making.sound_files import Sound, ensure_sounds
from idtone.tones.profile_library import load_library
from lab.console.held_reads import impatient_search
from lab.console.site import Answer, Site, Visitor
from lab.core.shown_numbers import shows
from lab.ledger.sample_evidence import (
    CALLED,
    CALLER,
    FORWARDING,
    NOTICE,
    NOW,
    REFUSE,
    cancelled_call,
    decided,
    heard_call,
)
from lab.ledger.sample_ledger import query

PURPOSE = "inquiry 7 of the police"
HOSTILE = "<script>alert('1')</script>&\"{{ 7*7 }}"
START = datetime.now(UTC) - timedelta(minutes=30)
LATER_MS = (START - NOW) / timedelta(milliseconds=1)


def told(sha256: str) -> list[Step]:
    """The steps of one call of each kind, a second apart. The newest call is in progress."""
    hostile = Decision(
        Outcome.PLAY,
        Reason.LICENCE_VALID,
        HOSTILE,
        {Party.CALLED: HOSTILE},
        42,
        member=HOSTILE,
        wholesale_chain=HOSTILE,
    )
    sound_elsewhere = {"party": "called", "profile": "../../etc/passwd", "sha256": HOSTILE}
    ms = [LATER_MS + 1000 * number for number in range(10)]
    found = [
        heard_call("c-heard", ms[0]),
        cancelled_call("c-cancelled", ms[1]),
        [decided(REFUSE, "c-refused", ms[2]), steps.ended("c-refused", _at(ms[2] + 1), CallStatus.REFUSED, 21)],
        [decided(NOTICE, "c-interrupted", ms[3]), steps.interrupted("c-interrupted", _at(ms[3] + 900))],
        [
            _chained(replace(decided(hostile, f"c/{HOSTILE}", ms[4]), call_id=f"c/{HOSTILE}"), HOSTILE, HOSTILE),
            steps.answered(f"c/{HOSTILE}", _at(ms[4] + 5)),
            Step(f"c/{HOSTILE}", StepKind.SOUND_STARTED, _at(ms[4] + 6), sound_elsewhere),
            Step(f"c/{HOSTILE}", StepKind.SOUND_FAILED, _at(ms[4] + 7), {"party": "called", "why": HOSTILE}),
            steps.ended(f"c/{HOSTILE}", _at(ms[4] + 9), CallStatus.FAILED, 16, HOSTILE),
        ],
        [steps.ended("c-orphan", _at(ms[5]), CallStatus.FAILED)],
        [decided(call_id="c-earlier", ms=LATER_MS - 7_200_000)],
        [decided(call_id="c-progress", ms=ms[9])],
    ]  # fmt: skip
    found[0][0] = _chained(replace(found[0][0], sip_call_id="7f@phone"), "pbx-2", "pbx-2-1.1-1")
    found[0][2] = steps.sound_started("c-heard", found[0][2].at, "sample", sha256)
    return [step for call in found for step in call]


def _chained(step: Step, node: str, call: str) -> Step:
    return replace(step, details={**step.details, "chain_node": node, "chain_call": call})


def _at(ms: float) -> datetime:
    return NOW + timedelta(milliseconds=ms)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    folder = tmp_path_factory.mktemp("sounds")
    return ensure_sounds(folder, [load_library()["sample"]])["sample"]


@pytest.fixture
def settings(settings: Settings, sounds: Sound, tmp_path: Path) -> Settings:
    shutil.copytree(sounds.stem.parent, tmp_path / "sounds")
    made = settings.model_copy(update={"sounds": settings.sounds.model_copy(update={"directory": tmp_path / "sounds"})})
    with LedgerWriter.open(made.ledger.own_url(), made.node, KeyRing.of(made.ledger, made.node)) as writer:
        for step in told(sounds.sha256):
            written = writer.append(step)
        written.result(60)
    return made


@pytest.fixture
async def viewer(site: Site) -> Visitor:
    return await site.visitor(Role.VIEWER)


@pytest.fixture
async def investigator(site: Site) -> Visitor:
    return await site.visitor(Role.INVESTIGATOR)


def shown(answer: Answer) -> list[str]:
    """The ids of the calls in the list."""
    return [unescape(each) for each in re.findall(r'<td class="mono long"[^>]*>(.*?)</td>', answer.text)]


ALL = ["c-progress", "c-orphan", f"c/{HOSTILE}", "c-interrupted", "c-refused", "c-cancelled", "c-heard", "c-earlier"]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ALL),
        ({"outcome": "REFUSE"}, ["c-refused"]),
        ({"reason": "licence-expired"}, ["c-interrupted"]),
        ({"direction": "incoming"}, [each for each in ALL if each != "c-orphan"]),
        ({"direction": "outgoing"}, []),
        ({"member": HOSTILE}, [f"c/{HOSTILE}"]),
        ({"licence": "L-0001", "delivery": "sent"}, ["c-heard"]),
        ({"licence": "L-0001", "delivery": "not-known"}, ["c-progress", "c-interrupted", "c-cancelled", "c-earlier"]),
        ({"fallback": "yes"}, []),
        ({"odd": "yes"}, ["c-orphan", f"c/{HOSTILE}", "c-cancelled"]),
        ({"call": "c-"}, sorted((each for each in ALL if each.startswith("c-")), reverse=True)),
        ({"call": "nothing"}, []),
        ({"until": (START - timedelta(hours=1)).astimezone(JAPAN).isoformat()[:16]}, ["c-earlier"]),
        ({"from": (START - timedelta(hours=1)).astimezone(JAPAN).isoformat()[:16]}, ALL[:-1]),
    ],
)
async def test_a_search_finds_what_its_address_says(viewer, asked, found):
    answer = await viewer.get(f"/calls?{urlencode(asked)}")
    assert answer.status == 200
    assert sorted(shown(answer)) == sorted(found) if "call" in asked else shown(answer) == found
    rows = list(csv.reader(io.StringIO((await viewer.get(f"/calls.csv?{urlencode(asked)}")).text)))
    assert rows[0] == [*FIELDS]
    if "call" not in asked:
        assert [row[2] for row in rows[1:]] == found


@pytest.mark.parametrize(
    "given", [{"from": "yesterday"}, {"delivery": "perhaps"}, {"before": "1"}, {"until": "9999-99-99"}]
)
async def test_a_search_that_cannot_be_read_says_so(viewer, given):
    for path in ("/calls", "/calls.csv"):
        answer = await viewer.get(f"{path}?{urlencode(given)}")
        assert (answer.status, "problem" in answer.text) == (400, True)


async def test_one_call_that_begins_so_is_shown_at_once(viewer):
    for begun in ("c-hea", "c-heard"):
        answer = await viewer.get(f"/calls?call={begun}")
        assert (answer.status, answer.headers["Location"]) == (303, "/calls/c-heard")


async def test_pages_go_to_older_calls_and_back(viewer, monkeypatch):
    monkeypatch.setattr(calls, "PAGE_CALLS", 3)
    first = await viewer.get("/calls")
    seen, older = shown(first), link(first, "next")
    assert not link(first, "prev")
    second = await viewer.get(older)
    third = await viewer.get(link(second, "next"))
    assert [*seen, *shown(second), *shown(third)] == ALL
    assert not link(third, "next")
    assert shown(await viewer.get(link(third, "prev"))) == shown(second)
    assert shown(await viewer.get(link(second, "prev"))) == seen


async def test_a_search_without_patience_goes_on_from_where_it_was(viewer, monkeypatch):
    monkeypatch.setattr(calls, "calls_by_query", impatient_search)
    answer = await viewer.get("/calls?outcome=REFUSE")
    found, turns = shown(answer), 0
    assert "Searched back to" in answer.text
    while on := re.search(r'<a href="([^"]+)">Continue the search', answer.text):
        answer = await viewer.get(unescape(on[1]))
        found, turns = found + shown(answer), turns + 1
    assert found == ["c-refused"]
    assert turns > 3


def test_the_quick_ranges_keep_the_rest_of_the_search():
    now = datetime(2026, 11, 2, 0, 30, tzinfo=JAPAN)
    query = CallQuery.of({"outcome": "REFUSE", "from": "2026-01-01T00:00", "until": "2026-02-01T00:00"})
    found = [query.since(begin) for _, begin in calls.quick_ranges(now)]
    begins = ("2026-11-01T23%3A30", "2026-11-02T00%3A00", "2026-10-26T00%3A30")
    assert found == [f"/calls?from={begin}&outcome=REFUSE" for begin in begins]
    assert CallQuery.of({"from": "2026-11-02T00:30"}).start == now


async def test_one_click_leads_from_a_call_to_the_request_for_its_evidence(investigator, viewer):
    found = re.search(r'href="(/evidence/exports/request[^"]*)"', (await investigator.get("/calls/c-heard")).text)
    assert found
    form = (await investigator.get(unescape(found[1]))).text
    assert ">c-heard</textarea>" in form
    assert re.search(r'name="scope" value="the record of one call on 20\d\d-\d\d-\d\d at \d\d:\d\d"', form)
    assert "/evidence/exports/request" not in (await viewer.get("/calls/c-heard")).text


def link(answer: Answer, relation: str) -> str:
    found = re.search(rf'<a href="([^"]+)" rel="{relation}">', answer.text)
    return unescape(found[1]) if found else ""


async def test_a_csv_that_breaks_off_is_no_whole_one(viewer, monkeypatch):
    monkeypatch.setattr(calls, "CSV_PART", 2)
    whole, parts = Visit.read, []

    async def failing(*given: object) -> object:
        parts.append(given)
        if len(parts) == 3:
            raise LedgerError("the disk is gone")
        return await whole(*given)

    monkeypatch.setattr(Visit, "read", failing)
    with pytest.raises(aiohttp.ClientPayloadError):
        await viewer.get("/calls.csv")


async def test_without_a_ledger_each_page_says_so(viewer, settings):
    path_of(settings.ledger.own_url()).unlink()
    for path in ("/calls", "/calls.csv", "/calls/c-heard", "/calls/c-heard/proof"):
        answer = await viewer.get(path)
        assert (answer.status, "there is no ledger yet" in answer.text) == (503, True), path


# -- numbers -------------------------------------------------------------------------------------------------------


async def test_a_number_is_searched_for_a_purpose_that_is_recorded(investigator, settings, caplog):
    caplog.set_level(logging.DEBUG)
    answer = await investigator.send("/calls", "/calls/by-number", {"number": "090-1234-5679", "purpose": PURPOSE})
    assert answer.status == 200
    assert shown(answer) == [each for each in ALL if each != "c-orphan"]
    (act,) = acts(settings)
    assert {name: act.details[name] for name in ("by", "by_way", "purpose")} == {
        "by": "investigator",
        "by_way": "console",
        "purpose": PURPOSE,
    }
    days = KeyRing.of(settings.ledger, settings.node).days
    key = days.get(str(act.details["number_day"]))
    assert key is not None
    assert act.details["number_token"] == key.token(parse(CALLER))
    secrets = [CALLER, CALLER.removeprefix("0"), "1234-5679"]
    assert not any(secret in text for secret in secrets for text in (caplog.text, str(act.details), answer.text))


async def test_a_sip_call_id_is_searched_in_the_same_way(investigator, settings):
    fields = {"number": "", "sip_call_id": " 7f@phone ", "purpose": PURPOSE}
    answer = await investigator.send("/calls", "/calls/by-number", fields)
    assert (answer.status, shown(answer)) == (200, ["c-heard"])
    (act,) = acts(settings)
    key = KeyRing.of(settings.ledger, settings.node).days.get(str(act.details["number_day"]))
    assert key is not None
    assert act.details["number_token"] == key.sip_call_id_token("7f@phone")
    assert "7f@phone" not in answer.text
    both = await investigator.send("/calls", "/calls/by-number", fields | {"number": CALLER})
    assert (both.status, "are two searches" in both.text) == (400, True)
    page = await investigator.get("/calls/c-heard")
    assert "The call comes from call pbx-2-1.1-1 of the PBX pbx-2, which announces it." in page.text


@pytest.mark.parametrize(
    ("number", "purpose", "says"),
    [
        (CALLER, "", "The purpose needs 1 to"),
        (CALLER, "x" * 301, "The purpose needs 1 to"),
        (CALLER, f"calls of {FORWARDING}", "The purpose holds what may be a telephone number"),
        ("no number", PURPOSE, "only telephone numbers can be found"),
        ("119", PURPOSE, "only telephone numbers can be found"),
    ],
)
async def test_without_a_number_or_a_purpose_nothing_is_searched_nor_recorded(
    investigator, settings, number, purpose, says
):
    answer = await investigator.send("/calls", "/calls/by-number", {"number": number, "purpose": purpose})
    assert answer.status == 400
    assert says in answer.text
    assert not shown(answer)
    assert not acts(settings)


async def test_who_may_not_open_numbers_gets_neither_form_nor_number(viewer, settings):
    page = await viewer.get("/calls/c-heard")
    assert "purpose" not in page.text
    assert "purpose" not in (await viewer.get("/calls")).text
    for path in ("/calls/by-number", "/calls/c-heard/numbers"):
        fields = {"form_token": page.form_token, "number": CALLER, "purpose": PURPOSE}
        assert (await viewer.post(path, fields)).status == 403
    assert not acts(settings)
    for text in (page.text, (await viewer.get("/calls")).text, (await viewer.get("/calls.csv")).text):
        assert not any(shows(text, number) for number in (FORWARDING, CALLER, CALLED))


async def test_the_numbers_of_a_call_are_opened_for_a_purpose_and_shown_once(investigator, settings):
    answer = await investigator.send("/calls/c-heard", "/calls/c-heard/numbers", {"purpose": PURPOSE})
    assert answer.status == 200
    for number in (FORWARDING, CALLER, CALLED):
        assert f"+81{number.removeprefix('0')}" in answer.text
    (act,) = acts(settings)
    assert (act.details["call"], act.details["purpose"]) == ("c-heard", PURPOSE)
    assert "+813" not in (await investigator.get("/calls/c-heard")).text
    refused = await investigator.send("/calls/c-heard", "/calls/c-heard/numbers", {"purpose": " "})
    assert (refused.status, "+813" in refused.text) == (400, False)
    assert (await investigator.send("/calls/c-heard", "/calls/nothing/numbers", {"purpose": PURPOSE})).status == 404
    assert len(acts(settings)) == 1


def acts(settings: Settings) -> list[Step]:
    with LedgerReader.open(settings.ledger.own_url()) as reader:
        return reader.acts(frozenset({StepKind.NUMBERS_OPENED}))


# -- one call ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call_id", "says", "in_japanese"),
    [
        ("c-heard", ["by packets", "good", "the same SHA-256", "this one decided"], ["送信パケット数", "正常"]),
        ("c-cancelled", ["sound-failed after ended", "hung up", "another sound now", "Leaf 2"], ["終了の後に"]),
        (
            "c-refused",
            ["the forwarding number is suspended at the request of the police", "Neither party"],
            ["番号停止中"],
        ),
        ("c-interrupted", ["its end is not known", "the licence has run out"], ["中断"]),
        ("c-orphan", ["ended without decided before it", "its decision is missing"], ["decided がありません"]),
        ("c-progress", ["in progress", "in no leaf of the tree yet"], ["進行中"]),
        ("c-earlier", ["in progress", "not in the ledger yet"], ["進行中"]),
    ],
)
async def test_a_call_says_what_happened_and_why(viewer, site, call_id, says, in_japanese):
    text = unescape((await viewer.get(f"/calls/{call_id}")).text)
    assert [each for each in says if each not in text] == []
    japanese = await site.visitor(Role.VIEWER, language="ja")
    text = unescape((await japanese.get(f"/calls/{call_id}")).text)
    assert [each for each in in_japanese if each not in text] == []


async def test_what_comes_from_outside_is_shown_and_never_markup(site):
    for language in ("en", "ja"):
        visitor = await site.visitor(Role.INVESTIGATOR, language=language)
        path = f"/calls/{quote(f'c/{HOSTILE}', safe='')}"
        for answer in (
            await visitor.get(path),
            await visitor.get("/calls"),
            await visitor.get(
                f"/calls?{urlencode(dict.fromkeys(('member', 'licence', 'reason', 'outcome'), HOSTILE))}"
            ),
            await visitor.get(f"/calls?{urlencode({'from': HOSTILE, 'delivery': HOSTILE})}"),
            await visitor.get(f"/calls/{quote(HOSTILE, safe='')}"),
        ):
            assert "&lt;script&gt;" in answer.text or HOSTILE not in unescape(answer.text)
            assert "<script>alert" not in answer.text
            assert "style=" not in answer.text
        assert HOSTILE in unescape((await visitor.get(path)).text)
        assert (await visitor.get(f"{path}/sound/called")).status == 404


@pytest.mark.parametrize(
    "path", ["nothing", "act-1", "nothing/proof", "act-1/proof", "nothing/sound/called", "c-heard/sound/caller"]
)
async def test_what_does_not_exist_says_so(viewer, path):
    assert (await viewer.get(f"/calls/{path}")).status == 404


async def test_the_proof_is_the_one_that_the_command_prints(viewer, settings, capsys, tmp_path):
    answer = await viewer.get("/calls/c-cancelled/proof")
    config = tmp_path / "idtone.yaml"
    config.write_text(yaml.safe_dump(settings.model_dump(mode="json", include={"node", "ledger"}, exclude_none=True)))
    prove("c-cancelled", config)
    assert answer.text == capsys.readouterr().out
    proof = InclusionProof.parse(answer.text.encode())
    second = InclusionProof.parse((await viewer.get(f"/calls/c-cancelled/proof?leaf={proof.index + 1}")).text.encode())
    log = own_key(settings.ledger, settings.node)
    for each in (proof, second):
        assert each.check(each.extra, log).size > each.index
    assert b"hung up" in second.extra


async def test_a_changed_record_is_not_proven(viewer, settings):
    query(
        path_of(settings.ledger.own_url()),
        "UPDATE steps SET details = replace(details, '400', '401') WHERE kind = 'sound-ended'",
    )
    text = unescape((await viewer.get("/calls/c-heard")).text)
    assert "the record is not leaf" in text
    assert "not good" in text
    assert "good" in (await viewer.get("/calls/c-refused")).text


async def test_the_sound_is_played_only_if_it_is_the_one_of_the_evidence(viewer, settings):
    answer = await viewer.get("/calls/c-heard/sound/called")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "audio/wav")
    file = settings.sounds.directory / "sample.sln16"
    file.write_bytes(bytes(file.stat().st_size))
    assert (await viewer.get("/calls/c-heard/sound/called")).status == 404
    text = unescape((await viewer.get("/calls/c-heard")).text)
    assert "is another sound now" in text
    assert "<audio" not in text
    file.unlink()
    assert "the sound cannot be read" in unescape((await viewer.get("/calls/c-heard")).text)
