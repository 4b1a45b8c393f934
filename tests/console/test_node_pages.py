"""The pages of a node: registry, expiries, suspensions, sounds, and the doctor's findings."""

import asyncio
import io
import re
import threading
import wave
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from idtone.console import number_search_limit, registry_in_use
from idtone.console.access.rights import Role
from idtone.console.doctor_runs import run_doctor
from idtone.console.drawings.month_bars import month_bars
from idtone.console.drawings.spectrum import TOP_HZ, spectrum
from idtone.console.operator import expiry_calendar, licences, suspensions
from idtone.console.operator.health import DOCTOR, groups
from idtone.console.registry_in_use import ReadRegistry, RegistryInUse
from idtone.core.calls import Direction, Outcome, Reason
from idtone.core.decision_words import REASONS
from idtone.core.errors import UsageError
from idtone.core.http.request_limits import Rate
from idtone.core.numbers import parse_japanese
from idtone.core.settings.policy import PolicySettings
from idtone.core.settings.settings import AssociationSettings, RegistrySettings, Settings
from idtone.operations.doctor.findings import TOPICS, State, bad, good, warning
from idtone.registry.expiries import ExpiryKind, expiries
from idtone.registry.index import RegistryIndex
from idtone.registry.sources import parse_document
from idtone.service.suspension_confirmations import read_confirmed
from idtone.tones.making.sound_files import PBX_FORMATS, ensure_sounds
from idtone.tones.profile_library import load_library
from lab.confirming_node import Node, registry_with_stops
from lab.console.site import Site, Visitor, running_site
from lab.demo import REGISTRY as LAB_REGISTRY
from lab.lab import wait_until
from lab.publication import MEMBER
from lab.registry.trust.association import Association, Machine
from lab.registry.trust.begun_association import association, begun, machine

__all__ = ["association", "begun", "machine"]

PATHS = ("/licences", "/expiries", "/suspensions", "/sounds", "/sounds/own", "/health")
HOSTILE = '"><script>alert(1)</script>'
NOW = datetime(2026, 11, 28, 3, tzinfo=UTC)
LAB = LAB_REGISTRY.read_text("utf-8")
CHANGED = (
    LAB.replace("version: 42", "version: 43")
    .replace("en: Good Telecom", f"en: '{HOSTILE}'")
    .replace("document: 認定通知書", f"document: '{HOSTILE}'")
    .replace("reference: R-1}", f"reference: '{HOSTILE}', authority: '{HOSTILE}'}}")
    + "  - {numbers: '0612345*', since: 2026-10-01T00:00:00+09:00, reference: R-2}\n"
    + "  - {member: m-0003, kind: no-new-numbers, since: 2026-10-01T00:00:00+09:00, reference: R-3}\n"
    + "  - {number: '0312345601', since: 2096-10-01T00:00:00+09:00, reference: R-4}\n"
)
SECRET = ("312345677", "31234567", "0612345", "612345900", "312345601")
"""Numbers of the registry, of which the last four digits may be shown."""


@pytest.fixture
def registry(settings) -> Path:
    path = registry_file(settings)
    path.write_text(LAB, "utf-8")
    return path


@pytest.fixture
def settings(settings, tmp_path):
    """Settings with sounds. One of the files is missing, and one has a wrong content."""
    profiles = tmp_path / "profiles"
    profiles.mkdir()
    own = "{id: own, title: '<script>', level_dbm0: -12, segments: [{frequencies_hz: [700, 1200], on_ms: 300}]}"
    (profiles / "own.yaml").write_text(own)
    sounds = settings.sounds.model_copy(update={"directory": tmp_path / "sounds", "profiles": profiles})
    ensure_sounds(sounds.directory, load_library(profiles).for_calls())
    (sounds.directory / "own.gsm").unlink()
    (sounds.directory / "own.alaw").write_bytes(b"x" * 4000)
    return settings.model_copy(update={"sounds": sounds})


def put(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")


def registry_file(settings) -> Path:
    return Path(settings.registry.source)


def read_of(text: str) -> ReadRegistry:
    document = parse_document(text, "registry.yaml")
    return ReadRegistry(document, RegistryIndex(document), NOW, None)


async def test_each_page_shows_what_is_there_in_both_languages_and_keeps_its_secrets(site, registry):
    viewer = await site.visitor(Role.VIEWER)
    assert all([(await viewer.get(path)).status == 200 for path in PATHS])
    registry.write_text(CHANGED, "utf-8")
    for language in ("en", "ja"):
        visitor = await site.visitor(Role.VIEWER, language=language)
        for path in PATHS:
            answer = await visitor.get(path)
            assert answer.status == 200, (path, answer.text)
            assert "<script>a" not in answer.text
            assert not [secret for secret in SECRET if secret in answer.text], path
    shown = {path: (await viewer.get(path)).text for path in PATHS}
    assert "version 43" in shown["/licences"]
    assert "From version 42 to version 43" in shown["/licences"]
    assert "&lt;script&gt;" in shown["/licences"]
    assert "m-0006 Unpledged Telecom" in shown["/expiries"]
    assert re.search(r"…5000 to …5999 \(1,000 numbers\).*R-2", shown["/suspensions"], re.DOTALL)
    assert "gets no new numbers" in shown["/suspensions"]
    assert shown["/suspensions"].index("R-2") < shown["/suspensions"].index("Not yet in force")
    assert shown["/suspensions"].index("Not yet in force") < shown["/suspensions"].index("R-4")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "No such file"),
        ("registry: {}", "faults, the first in line"),
        (LAB.replace("0112345600-0112345699", "035234567"), "has 1 fault, the first in line"),
    ],
)
async def test_a_registry_that_cannot_be_used_is_told_without_its_numbers(site, settings, text, words, caplog):
    if text:
        registry_file(settings).write_text(text, "utf-8")
    visitor = await site.visitor(Role.VIEWER)
    for path in ("/licences", "/expiries", "/suspensions"):
        answer = await visitor.get(path)
        assert answer.status == 503
        assert words in answer.text
        assert "35234567" not in answer.text + caplog.text
    assert (await visitor.get("/sounds")).status == 200


async def asked(visitor: Visitor, number: str, direction: str = "incoming"):
    return await visitor.send("/licences", "/licences", {"number": number, "direction": direction})


async def test_the_decision_for_a_number_names_it_by_its_last_digits_alone(site, registry, caplog):
    caplog.set_level("DEBUG")
    visitor = await site.visitor(Role.VIEWER)
    answer = await asked(visitor, "03-1234-5678")
    assert answer.status == 200
    assert re.search(r'…5678: .*title="PLAY">identification tone</span></span></h3>\n<p>connected</p>', answer.text)
    assert "12345678" not in answer.text + caplog.text
    chained = (await asked(visitor, "0612345915")).text
    assert "wholesale chain was never checked" in chained
    for number, direction in ((HOSTILE, "incoming"), ("110", "incoming"), ("", "incoming"), ("0312345678", "<b>")):
        refused = await asked(visitor, number, direction)
        assert refused.status == 400
        assert "<script>a" not in refused.text
    assert (await (await site.visitor(Role.OFFICE)).post("/licences", {"number": "0312345678"})).status == 403


async def test_nobody_finds_suspended_numbers_by_trying(site, registry, monkeypatch):
    monkeypatch.setattr(number_search_limit, "NUMBER_SEARCHES", Rate(0, 2))
    viewer, other = await site.visitor(Role.VIEWER), await site.visitor(Role.APPROVER)
    assert [(await asked(viewer, "0312345677")).status for _ in range(3)] == [200, 200, 429]
    assert (await asked(await site.visitor(Role.VIEWER), "0312345677")).status == 429  # another session of this person
    assert (await asked(other, "0312345677")).status == 200


CASES = [
    ("0312345678", Direction.INCOMING, Reason.LICENCE_VALID, 7),
    ("0312345677", Direction.INCOMING, Reason.NUMBER_SUSPENDED, 1),
    ("0352345678", Direction.INCOMING, Reason.LICENCE_EXPIRED, 8),
    ("0362345678", Direction.INCOMING, Reason.LICENCE_REVOKED, 8),
    ("0452345678", Direction.INCOMING, Reason.LICENCE_NOT_YET_VALID, 8),
    ("0523456789", Direction.OUTGOING, Reason.DIRECTION_NOT_COVERED, 8),
    ("0782345678", Direction.OUTGOING, Reason.PLEDGE_MISSING, 8),
    ("0612345905", Direction.INCOMING, Reason.LICENCE_VALID, 8),
    ("0612345915", Direction.INCOMING, Reason.CHAIN_UNCHECKED, 7),
    ("0899999999", Direction.INCOMING, Reason.NUMBER_UNKNOWN, 4),
    ("0899999999", Direction.OUTGOING, Reason.NUMBER_UNKNOWN, 4),
    ("0112345678", Direction.INCOMING, Reason.NUMBER_OF_ANOTHER_MEMBER, 4),
]
NODE = Settings(association=AssociationSettings(member=MEMBER))


@pytest.mark.parametrize(("number", "direction", "reason", "rules"), CASES)
def test_the_last_rule_decides_and_no_other(number, direction, reason, rules):
    answer = licences.answer_for(parse_japanese(number), direction, read_of(LAB), NODE, NOW)
    assert answer.decision.reason is reason
    applied = [rule.decides for rule in answer.rules]
    assert applied == [False] * (len(applied) - 1) + [True]
    assert reason is Reason.NUMBER_SUSPENDED or answer.rules[-1].found == REASONS[reason]
    assert [each.reason for each in answer.licences] == [reason] or reason.value.startswith(("n", "c"))
    assert len(applied) == rules


def test_an_expired_registry_decides_before_its_licences():
    expired = LAB.replace("expires: 2036", "expires: 2026").replace("issued: 2026-11-01", "issued: 2025-11-01")
    answer = licences.answer_for(parse_japanese("0312345678"), Direction.INCOMING, read_of(expired), NODE, NOW)
    assert (answer.decision.outcome, answer.rules[-1].found) == (Outcome.NOTICE, REASONS[Reason.REGISTRY_STALE])
    kept = NODE.model_copy(update={"policy": PolicySettings(registry_stale=timedelta(days=60))})
    answer = licences.answer_for(parse_japanese("0312345678"), Direction.INCOMING, read_of(expired), kept, NOW)
    assert answer.decision.outcome is Outcome.PLAY
    assert "it has expired, but still counts" in [rule.found for rule in answer.rules]


async def test_the_registry_is_read_again_only_when_it_has_changed(tmp_path):
    path = tmp_path / "registry.yaml"
    put(path, LAB)
    in_use = RegistryInUse(RegistrySettings(source=str(path), trust="unsigned"))
    first = await in_use.look()
    assert await in_use.look() is first
    put(path, CHANGED)
    second = await in_use.look()
    assert second.changes is not None
    assert (second.changes.version, second.changes.more) == (42, False)
    assert any("R-2" in words for words in second.changes.words)
    put(path, "registry: {")
    with pytest.raises(UsageError):
        await in_use.look()
    put(path, CHANGED)
    third = await in_use.look()
    assert (third.header.version, third.changes) == (43, second.changes)


async def test_a_fault_of_a_file_that_is_being_written_is_not_shown(tmp_path, monkeypatch):
    """A visitor can wait for a read that began before the file was complete."""
    path = tmp_path / "registry.yaml"
    put(path, "")
    read = registry_in_use.read_local_registry

    def read_while_it_is_written(settings: RegistrySettings) -> object:
        try:
            return read(settings)
        finally:
            put(path, LAB)

    monkeypatch.setattr(registry_in_use, "read_local_registry", read_while_it_is_written)
    in_use = RegistryInUse(RegistrySettings(source=str(path), trust="unsigned"))
    assert (await in_use.look()).header.version == 42


async def test_a_signed_registry_is_that_which_the_service_has_kept(association: Association, machine: Machine):
    in_use = RegistryInUse(RegistrySettings(source=machine.source, trust=str(machine.trust), cache=machine.cache))
    with pytest.raises(UsageError, match="idtone registry update"):
        await in_use.look()
    association.publish()
    machine.take()
    first = await in_use.look()
    assert first.index.signed is not None
    stopped = "  - {number: '0312345677', since: 2026-11-02T00:00:00+09:00, reference: R-1}\n"
    association.write(suspensions=f"issued: 2026-11-02T00:00:00+09:00\nsuspensions:\n{stopped}")
    association.publish()
    assert await in_use.look() is first
    machine.take()
    second = await in_use.look()
    assert [entry.reference for entry in second.document.suspensions] == ["R-1"]
    assert second.changes is not None
    assert "R-1" in second.changes.words[-1]


async def test_every_page_says_in_time_that_the_registrys_signatures_end(settings, association, machine):
    """No page of the registry need be opened first. In an earlier version, no page said it after a start."""

    def publish(lasts: str) -> None:
        (association.folder / "authority.yaml").write_text(f"lasts: {{timestamp: {lasts}}}\n")
        association.publish()
        machine.take()

    publish("PT47H")
    signed = RegistrySettings(source=machine.source, trust=str(machine.trust), cache=machine.cache)
    async with running_site(settings.model_copy(update={"registry": signed})) as site:
        visitor = await site.visitor(Role.VIEWER)

        async def is_said() -> bool:
            return "signatures end at" in (await visitor.get("/account")).text

        async def is_over() -> bool:
            await site.console.read_ahead()
            return not await is_said()

        await wait_until(is_said, "the registry to be read ahead", 30)
        publish("P3D")
        await wait_until(is_over, "the new edition", 30)


async def test_a_page_waits_for_the_first_registry_and_not_for_a_newer_one(tmp_path, monkeypatch):
    path = tmp_path / "registry.yaml"
    put(path, LAB)
    going_on = threading.Event()
    read = registry_in_use.read_local_registry
    monkeypatch.setattr(registry_in_use, "read_local_registry", lambda settings: going_on.wait(60) and read(settings))
    monkeypatch.setattr(registry_in_use, "FIRST_S", 0.1)
    monkeypatch.setattr(registry_in_use, "AGAIN_S", 0.1)
    in_use = RegistryInUse(RegistrySettings(source=str(path), trust="unsigned"))
    for _ in range(2):
        with pytest.raises(UsageError, match="is being read"):
            await in_use.look()
    going_on.set()
    first = await in_use.look()
    going_on.clear()
    put(path, CHANGED)
    assert await in_use.look() is first
    going_on.set()
    async with asyncio.timeout(60):
        while await in_use.look() is first:
            pass
    going_on.clear()
    put(path, LAB)
    await in_use.look()
    going_on.set()
    assert in_use._reading
    await in_use._reading
    put(path, CHANGED)
    monkeypatch.setattr(registry_in_use, "AGAIN_S", 60)
    assert (await in_use.look()).header.version == 43, "not the one that was read before it, after the last look"


def test_what_ends_when():
    more = LAB.replace(
        """
  - id: m-0003""",
        """\
      - {id: L-22, tone: sample, status: active, directions: [incoming, outgoing],
         valid: {from: 2026-04-01T00:00:00+09:00, until: 2026-12-20T00:00:00+09:00}}

  - id: m-0003""",
    )
    read = read_of(more)
    found = expiries(read.document, read.index, timedelta(days=365))
    assert found == sorted(found, key=lambda each: each.at)
    told = {(each.kind, each.member, each.subject) for each in found}
    assert (ExpiryKind.LICENCE, "m-0002", "L-22") in told
    assert (ExpiryKind.PLEDGE, "m-0006", "") in told
    assert (ExpiryKind.CHAIN_CHECK, "m-0005", "m-0001 > m-0005") in told
    assert (ExpiryKind.REGISTRY, None, "") in told
    assert not {"L-0002", "L-0003"} & {each.subject for each in found}  # replaced, revoked
    assert len(expiries(read.document, read.index, None)) == len(found) - 5
    rows = expiry_calendar.entries(found, NOW)
    assert [row.expiry.member for row in rows if row.is_over] == ["m-0006"]
    assert [row.expiry.subject for row in rows if row.is_soon] == ["L-22"]
    assert expiry_calendar.by_month(rows)[0][0] == "2026-12"
    bars = expiry_calendar.bars_of(found, NOW)
    assert [series.total for series in bars.series] == [0, 1, 0, 5, 0]
    assert [tick.text for tick in bars.months][:4] == ["11", "12", "01", "02"]
    assert {bars.months[place].at: year for place, year in ((0, "2026"), (2, "2027"))} == {
        tick.at: tick.text for tick in bars.years if tick.at <= bars.months[3].at
    }


def test_bars_stand_on_each_other():
    low, high = month_bars(["2026-12", "2027-01"], {"a": [1, 0], "b": [3, 0]}).bars
    assert (low.x, low.y) == (high.x, high.y + high.height)
    assert high.height == 3 * low.height
    assert month_bars(["2026-12"], {"a": [0]}).bars == ()


def test_confirmed_suspensions_stand_out_from_the_others(tmp_path):
    node = Node(tmp_path)
    ledger = tmp_path / "ledger.sqlite3"
    assert read_confirmed(ledger).at is None
    node.confirming._keep(1, registry_with_stops(1).signed, NOW)
    told = read_confirmed(ledger)
    assert told.waiting == 1
    assert told.at is not None
    entries = registry_with_stops(1, 2).signed.suspensions.suspensions
    rows = {row.reference: str(row.stages[-1].words) for row in suspensions.rows(entries, told, NOW)}
    assert rows == {"R-1": "in force on this node", "R-2": "published", "R-0": "published"}
    feed = {
        "instance": {"since": NOW.isoformat()},
        "calls": {
            "decisions": [{"reason": "number-suspended", "calls": 3}, {"reason": "licence-valid", "calls": 9}],
            "suspended": {"R-1": 2},
        },
    }
    effect = suspensions.effect_of(feed)
    assert (effect.refused, effect.ended) == (3, {"R-1": 2})


async def test_sounds_are_compared_drawn_and_played(site, settings, registry):
    visitor = await site.visitor(Role.VIEWER)
    names = re.findall(r'hx-get="/sounds/(\w+)"', (await visitor.get("/sounds")).text)
    assert names == ["sample", "notice", "own"]
    parts = {name: (await visitor.get(f"/sounds/{name}", **{"HX-Request": "true"})).text for name in names}
    text, part = "".join(parts.values()), parts["own"]
    assert "<html" not in text
    assert "Being measured" not in (await visitor.get("/sounds/own")).text
    assert text.count('class="good">right') == 3 * len(PBX_FORMATS) - 2
    assert part.count("is missing") == 1
    assert part.count("not what the profile gives") == 1
    assert "to 300 ms: 700 + 1200 Hz" in part
    kinds = [re.findall(r'class="badge \w*">([^<]*)<', parts[name])[0] for name in names]
    assert kinds == ["licensed sound", "notice", "other sound"]
    for name in PBX_FORMATS[:-1]:
        answer = await site_bytes(site, visitor, f"/sounds/own/{name}")
        assert (answer.status, answer.headers["Content-Type"]) == (200, "audio/wav")
        with wave.open(io.BytesIO(answer.octets)) as played:
            assert (played.getnchannels(), played.getsampwidth()) == (1, 2)
            assert played.getframerate() == (16000 if name == "sln16" else 8000)
    for path in (
        "none",
        "own/gsm",
        "own/mp3",
        "none/sln",
        "..%2f..%2fetc/sln",
        "own/..%2f..%2fregistry.yaml",
        "own%2f../sln",
    ):
        assert (await visitor.get(f"/sounds/{path}")).status == 404, path


class Octets:
    def __init__(self, status: int, headers, octets: bytes) -> None:
        self.status, self.headers, self.octets = status, headers, octets


async def site_bytes(site: Site, visitor: Visitor, path: str, **headers: str) -> Octets:
    cookie = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
    async with visitor.http.get(f"{site.address}{path}", headers={"Cookie": cookie, **headers}) as answer:
        return Octets(answer.status, answer.headers, await answer.read())


@pytest.mark.parametrize(
    ("header", "status", "part"),
    [
        ("bytes=0-3", 206, slice(0, 4)),
        ("bytes=40-", 206, slice(40, None)),
        ("bytes=-10", 206, slice(-10, None)),
        ("bytes=0-99999999", 206, slice(0, None)),
        ("bytes=99999999-", 416, None),
        ("bytes=9-3", 416, None),
        ("pages=1-2", 416, None),
        ("", 200, slice(0, None)),
    ],
)
async def test_a_browser_may_ask_for_a_part_of_a_sound(site, registry, header, status, part):
    visitor = await site.visitor(Role.VIEWER)
    whole = (await site_bytes(site, visitor, "/sounds/sample/sln")).octets
    answer = await site_bytes(site, visitor, "/sounds/sample/sln", **({"Range": header} if header else {}))
    assert answer.status == status
    if part:
        assert answer.octets == whole[part]
        if status == 206:
            first = range(len(whole))[part][0]
            assert answer.headers["Content-Range"] == f"bytes {first}-{first + len(answer.octets) - 1}/{len(whole)}"
    else:
        assert answer.headers["Content-Range"] == f"bytes */{len(whole)}"


def test_a_spectrum_has_its_peak_at_the_frequency():
    rate_hz = 8000
    times = np.arange(rate_hz) / rate_hz
    drawn = spectrum(np.where(times < 0.5, 0.5 * np.sin(2 * np.pi * 1000 * times), 0), rate_hz)
    points = [tuple(map(float, point.split(","))) for point in drawn.points.split(" ")]
    x, y = min(points, key=lambda point: point[1])
    assert (x - drawn.left) / (drawn.right - drawn.left) * TOP_HZ == pytest.approx(1000, abs=20)
    assert y == drawn.levels[0].at
    assert all(y > drawn.levels[2].at for _, y in points[250:])
    silent = spectrum(np.zeros(800), rate_hz)
    assert {point.split(",")[1] for point in silent.points.split(" ")} == {f"{drawn.bottom:g}"}


FINDINGS = [
    bad("ari", f"found {HOSTILE}", "remedy-1"),
    warning("cdr", "found", "remedy-2"),
    bad("sounds", "found", "remedy-1"),
    good("ledger", "found"),
]


async def test_the_doctor_runs_once_at_a_time_and_says_how_far_it_is(site, registry, monkeypatch):
    going_on = asyncio.Event()
    loop = asyncio.get_running_loop()
    started = []

    def slowly(settings, waiting):
        started.append(settings)
        waiting([*TOPICS][3:])
        asyncio.run_coroutine_threadsafe(going_on.wait(), loop).result()
        return FINDINGS

    monkeypatch.setattr(site.app[DOCTOR], "_do", slowly)
    visitor, other = await site.visitor(Role.VIEWER), await site.visitor(Role.APPROVER)
    assert "It has not run" in (await visitor.get("/health")).text
    for each in (visitor, other):
        assert (await each.send("/health", "/health/run")).headers["Location"] == "/health"
    async with asyncio.timeout(60):
        while f"3 of {len(TOPICS)} checked" not in (await visitor.get("/health")).text:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in other.cookies.items())}
    async with other.http.get(f"{site.address}/health/changes", headers=headers) as answer:
        stream = (await answer.content.readuntil(b"\n\n")).decode()
        going_on.set()
        stream += (await answer.content.read()).decode()
    assert len(started) == 1
    assert stream.count("event: run") >= 2
    assert stream.endswith("event: over\ndata: over\n\n")
    assert "remedy-2" in stream
    text = (await visitor.get("/health")).text
    assert "Run by viewer" in text
    assert text.count("remedy-1") == 1
    assert "<script>a" not in text
    assert text.index("Bad (2)") < text.index("Warning (1)") < text.index("Good (1)")
    (run,) = site.app[DOCTOR].ended
    assert [group.state for group in groups(run)] == [State.BAD, State.WARNING, State.GOOD]


async def test_a_run_that_fails_is_told_and_another_may_begin(site, registry, caplog, monkeypatch):
    def fails(settings, waiting):
        raise RuntimeError("no")

    monkeypatch.setattr(site.app[DOCTOR], "_do", fails)
    visitor = await site.visitor(Role.VIEWER)
    await visitor.send("/health", "/health/run")
    assert "event: over" in (await visitor.get("/health/changes")).text
    assert "run failed" in (await visitor.get("/health")).text
    assert "RuntimeError" in caplog.text


def test_the_console_runs_the_doctor_itself(settings, registry):
    told = []
    findings = run_doctor(settings, told.append)
    assert [finding.topic for finding in findings] == [*TOPICS]
    assert told
    assert not [finding for finding in findings if "crashed" in finding.found]
