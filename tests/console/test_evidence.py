"""The evidence in the console: verification, statistics, exports by two persons, witnesses, disclosures."""

import io
import json
import re
import stat
import zipfile
from collections.abc import AsyncIterator
from contextvars import copy_context
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from idtone.console.access.rights import Role
from idtone.console.counts import Counts
from idtone.console.counts_file import read_counts
from idtone.console.operator.evidence import VERIFICATION, witness_rows
from idtone.console.operator.evidence_exports import FIELDS, in_fields
from idtone.console.operator.evidence_statistics import CountedPeriod, Period, plot_of
from idtone.console.statistics import count_calls, counts_path
from idtone.core.persons import AccountKnownBy
from idtone.core.settings.settings import Settings
from idtone.core.signed_notes import Note, Signer, VerifierKey
from idtone.core.translation import Message, speak
from idtone.ledger.disclosure.pack_file import read_zip
from idtone.ledger.disclosure.pack_verification import verify_pack_files
from idtone.ledger.disclosure.packed_calls import packed_calls, selection_digest
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.tally import Part, tally
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.keys.timestamp_store import Stamps
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.writing.ledger_writer import LedgerWriter
from lab.console.site import Site, Visitor, events, name_of, running_site
from lab.idtone_programs import ledger_words, locate_command
from lab.japan_today import today
from lab.lab import wait_until
from lab.ledger import sample_evidence as sample
from lab.ledger.sample_ledger import query

HOSTILE = '<script>alert("x")</script>&\'"'
INVESTIGATOR, APPROVER = (Role.INVESTIGATOR,), (Role.APPROVER,)
BOTH = (Role.APPROVER, Role.INVESTIGATOR)
DEMAND = {
    "case": f"R-7 {HOSTILE}", "calls": "c-1 c-2", "basis": "warrant", "authority": f"見本警察署 {HOSTILE}",
    "reference": "見本 第7号", "scope": "calls of one number in November", "received": "2026-11-01T10:00",
    "court": HOSTILE, "valid_until": "2096-12-31",
}  # fmt: skip


def enter(settings: Settings, *told: steps.Step) -> None:
    with LedgerWriter.open(
        settings.ledger.own_url(), settings.node, KeyRing.of(settings.ledger, settings.node)
    ) as writer:
        sample.write_each(writer, *told)


@pytest.fixture
async def node(settings) -> AsyncIterator[Site]:
    """A node's console with two finished calls and one in progress, and with users who have two roles."""
    now = datetime.now(UTC) - timedelta(hours=2) - sample.NOW
    calls = [*sample.heard_call("c-1"), *sample.heard_call("c-2", 5000), sample.decided(call_id="c-3", ms=60_000)]
    enter(settings, *(steps.Step(each.call_id, each.kind, each.at + now, each.details, each.numbers) for each in calls))
    async with running_site(settings, BOTH) as site:
        yield site


def command(settings: Settings, folder: Path, *arguments: str) -> tuple[int, str]:
    config = folder / "idtone.yaml"
    config.write_text(
        f"node: {settings.node}\nledger: {{url: '{settings.ledger.url}', key_file: {settings.ledger.key_file}}}\n"
    )
    result = CliRunner().invoke(*locate_command(ledger_words(*arguments, "-c", config)))
    return result.exit_code, result.stdout


async def test_the_verification_is_that_of_the_command(node, settings, tmp_path):
    visitor = await node.visitor(Role.VIEWER)
    assert "not verified in the console yet" in (await visitor.get("/evidence")).text
    assert (await visitor.send("/evidence", "/evidence/verify")).headers["Location"] == "/evidence"
    assert "The ledger is being verified." in (await visitor.get("/evidence")).text
    assert "すべての証跡は" in await events(visitor, "/evidence/changes")
    last = node.app[VERIFICATION].last()
    code, told = command(settings, tmp_path, "verify", "--json")
    assert (code, json.loads(told)) == (0, last.report)
    assert last.good_at == last.at
    assert "Good: all evidence is what was signed." in (await visitor.get("/evidence")).text
    query(tmp_path / "ledger.sqlite3", "UPDATE steps SET details = replace(details, 'sample', 'simple')")
    await visitor.send("/evidence", "/evidence/verify")
    await events(visitor, "/evidence/changes")
    after = node.app[VERIFICATION].last()
    assert (after.report["good"], after.good_at) == (False, last.at)
    code, told = command(settings, tmp_path, "verify", "--json")
    assert (code, json.loads(told)) == (1, after.report)
    text = (await visitor.get("/evidence")).text
    assert "NOT GOOD" in text
    assert "call c-1: leaf 0 is not what was written" in text
    visitor.language = "ja"
    text = (await visitor.get("/evidence")).text
    assert "通話 c-1: 葉 0 が、書き込んだ内容と異なります" in text
    assert "台帳自身のチェックポイント" in text


async def test_the_state_of_the_log_is_shown(node, settings, tmp_path):
    visitor = await node.visitor(Role.VIEWER)
    facts = _facts((await visitor.get("/evidence")).text)
    assert (facts["Log"], facts["Signed"]) == ("pbx-1/idtone", "2 leaves")
    assert facts["Timestamp"] == "no authority is set (ledger.timestamp)"
    ring = KeyRing.of(settings.ledger, settings.node)
    head = Note.parse(settings.ledger.checkpoint_file().read_bytes())
    Stamps(settings.ledger.stamps()).put(head, b"reply")
    ring.successor_trees.add(None, tmp_path / "l", tmp_path / "aside", unsigned=head.text)
    ring.successor_trees.record_start(ring.successor_trees.trees[-1])
    query(
        tmp_path / "ledger.sqlite3",
        "INSERT INTO steps SELECT 99, node, 'c-9', kind, at, details, 2 FROM steps WHERE leaf = 1",
    )
    facts = _facts((await visitor.get("/evidence")).text)
    assert facts["Signed"] == "2 leaves; 1 not signed"
    assert facts["Earlier log"] == "pbx-1/idtone: its end is not signed"
    assert facts["Timestamp"].startswith("2 leaves, ")
    ring.successor_trees.give_up(ring.successor_trees.trees[-1], "act-1")
    facts = _facts((await visitor.get("/evidence")).text)
    assert facts["Earlier log"] == "pbx-1/idtone: its end was given up"


def _facts(page: str) -> dict[str, str]:
    """The facts about the log on the page, without markup."""
    shown = page.partition("<h2>The log</h2>")[2].partition("</dl>")[0]
    found = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", shown)
    return {name: re.sub("<.*?>", "", value) for name, value in found}


async def test_a_verification_can_be_cancelled_and_a_failed_one_says_why(node, tmp_path):
    visitor = await node.visitor(Role.VIEWER)
    work = node.app[VERIFICATION].work
    await visitor.send("/evidence", "/evidence/verify")
    first = work.task
    await visitor.send("/evidence", "/evidence/verify")
    assert work.task is first, "one at a time"
    await visitor.send("/evidence", "/evidence/cancel")
    assert "The verification was cancelled." in (await visitor.get("/evidence")).text
    assert node.app[VERIFICATION].last() is None
    (tmp_path / "ledger.sqlite3").write_bytes(b"no database")
    await visitor.send("/evidence", "/evidence/verify")
    await wait_until(lambda: not work.is_running, "the verification to fail", 30)
    text = (await visitor.get("/evidence")).text
    assert "The verification failed:" in text


def test_a_witness_stands_by_its_cosignature_and_by_what_the_service_says():
    log, witness, silent = (
        Signer("pbx-1/idtone", bytes(32)),
        Signer("w.example", b"1" * 32),
        Signer("s.example", b"2" * 32),
    )
    text = "pbx-1/idtone\n7\n" + "A" * 43 + "=\n"
    from idtone.core.signed_notes import Note

    note = Note(text, (log.sign(text), witness.cosign(text, 1793491200)))
    entries = [f"https://{each.key.name} {each.cosigner}" for each in (witness, silent)]
    told = [{"name": "s.example", "leaves": 3, "trouble": HOSTILE}]
    first, second = witness_rows(entries, note, told)
    assert (first.leaves, first.at, first.trouble) == (7, datetime.fromtimestamp(1793491200, UTC), "")
    assert (second.leaves, second.at, second.trouble) == (3, None, HOSTILE)


async def test_others_get_what_they_verify_with(node, settings):
    visitor = await node.visitor(Role.VIEWER)
    key = VerifierKey.parse((await visitor.get("/evidence/key")).text)
    with LedgerReader.open(settings.ledger.own_url()) as reader:
        held = reader.checkpoint()
    answer = await visitor.get("/evidence/checkpoint")
    assert answer.text == held
    assert 'filename="checkpoint.txt"' in answer.headers["Content-Disposition"]
    assert str(key) in (await visitor.get("/evidence")).text.replace("&#43;", "+")
    assert (await visitor.get("/evidence/cosigned")).status == 404


def counted(settings: Settings, known: Counts | None = None) -> Counts:
    return count_calls(settings, "", known, progress=lambda done, total: None)


def test_what_was_counted_before_and_what_has_changed_since_is_what_all_counts(settings, monkeypatch):
    monkeypatch.setattr("idtone.console.statistics.BATCH", 7)
    told = sample.evidence(40)
    counts = None
    for first in range(0, len(told), 13):
        enter(settings, *told[first : first + 13])
        counts = counted(settings, counts)
        with LedgerReader.open(settings.ledger.own_url()) as reader:
            everything = tally(reader.each_record(), lambda at: at.astimezone().date())
        assert sorted(counts.tallies.values(), key=str) == sorted(everything, key=str)
        assert sum(counts.hours.values()) == sum(counts.reasons.values()) == sum(each.calls for each in everything)
    whole = counted(settings)
    assert (counts.tallies, +counts.hours, +counts.reasons) == (whole.tallies, +whole.hours, +whole.reasons)
    other = settings.model_copy(update={"ledger": settings.ledger.model_copy(update={"origin": "other"})})
    assert counted(other, whole).tallies == whole.tallies


def test_counts_are_kept_for_the_next_start_and_only_for_the_same_ledger(settings, monkeypatch, tmp_path):
    monkeypatch.setattr("idtone.console.statistics.BATCH", 7)
    enter(settings, *sample.evidence(10))
    first = counted(settings)
    found = read_counts(counts_path(settings))
    assert found == first
    assert stat.S_IMODE(counts_path(settings).stat().st_mode) == 0o600
    enter(settings, *sample.evidence(12)[-10:])
    went_through: list[int] = []
    again = count_calls(settings, "", found, progress=lambda done, total: went_through.append(total))
    assert went_through[-1] < first.place, "only what is new"
    assert again.tallies == counted(settings).tallies
    query(tmp_path / "ledger.sqlite3", "UPDATE steps SET at = at + 86400000000")
    moved = counted(settings, again)
    assert moved.days() != first.days(), "another ledger is counted from its beginning"
    for damage in (lambda text: text[:-9], lambda text: text.replace('"tallies": [[', '"tallies": [[1, '), str.upper):
        counts_path(settings).write_text(damage(counts_path(settings).read_text()))
        assert read_counts(counts_path(settings)) is None
    counted(settings)
    monkeypatch.setattr("idtone.console.counts_file.__version__", "another")
    assert read_counts(counts_path(settings)) is None


@pytest.mark.parametrize(
    ("first", "last", "period"),
    [
        ("", "", (date(2026, 10, 30), date(2026, 11, 28))),
        ("2026-11-01", "2026-11-03", (date(2026, 11, 1), date(2026, 11, 3))),
        ("2026-11-03", "2026-11-01", (date(2026, 11, 1), date(2026, 11, 3))),
        (HOSTILE, "x", (date(2026, 10, 30), date(2026, 11, 28))),
        ("2026-11-27", "", (date(2026, 11, 27), date(2026, 11, 28))),
        ("0001-01-01", "9999-12-31", (date(2026, 10, 30), date(2026, 11, 28))),
        ("2000-01-01", "2100-12-31", (date(2090, 11, 13), date(2100, 12, 31))),
    ],
)
def test_the_period_of_the_address(first, last, period):
    found = Period.of(first, last, date(2026, 11, 28))
    assert (found.first, found.last) == period
    plot_of(Counts(), found, datetime(2026, 11, 28, tzinfo=UTC))


def test_a_period_is_drawn_again_when_its_counts_or_the_hour_or_the_period_change():
    now, period = datetime(2026, 11, 28, 9, 59, tzinfo=UTC), Period(date(2026, 11, 1), date(2026, 11, 28))
    counts = Counts()
    drawn = CountedPeriod.of(counts, period, now, None)
    assert CountedPeriod.of(counts, period, now - timedelta(minutes=30), drawn) is drawn
    for others in (
        (Counts(), period, now),
        (counts, Period(date(2026, 11, 2), period.last), now),
        (counts, period, now + timedelta(minutes=1)),
    ):
        assert CountedPeriod.of(*others, drawn) is not drawn


# The command counts by the days of the machine's time zone, the console by those of Japan.
@pytest.mark.usefixtures("in_japan")
async def test_the_statistics_are_those_of_the_command(node, settings, tmp_path):
    visitor = await node.visitor(Role.VIEWER)
    assert "Calls are being counted" in (await visitor.get("/evidence/statistics")).text
    told = await events(visitor, "/evidence/statistics/changes")
    assert "polygon" in told
    assert re.search(r"event: progress\ndata: .*集計日時", told)
    assert ">3 通話<" in told, "each call once"
    for part in Part:
        _, expected = command(settings, tmp_path, "stats", "--by", part, "--csv")
        answer = await visitor.get(f"/evidence/statistics/{part}.csv")
        assert answer.text.lstrip("\ufeff").splitlines() == expected.splitlines()
    assert "PLAY,licence-valid,3" in (await visitor.get("/evidence/statistics/reason.csv")).text
    assert (await visitor.get("/evidence/statistics/none.csv")).status == 404
    for language, words in (("en", "By member"), ("ja", "会員別")):
        visitor.language = language
        page = (await visitor.get("/evidence/statistics?from=2026-11-01&to=x")).text
        assert words in page
    empty = (await visitor.get("/evidence/statistics?from=2001-01-01&to=2001-01-02")).text
    assert "m-0001" not in empty


async def asked(visitor: Visitor, **other: str) -> str:
    """Request an export. Returns the id of the request's act."""
    answer = await visitor.send("/evidence/exports/request", "/evidence/exports/request", DEMAND | other)
    assert answer.status == 303, answer.text
    return answer.headers["Location"].rpartition("/")[2]


async def test_an_export_by_two_persons_and_its_delivery(node, settings, tmp_path):
    alice, bob = await node.visitor(*INVESTIGATOR), await node.visitor(*APPROVER)
    act = await asked(alice)
    page = f"/evidence/exports/{act}"
    shown = (await alice.get(page)).text
    assert "another person has to approve it" in shown
    assert HOSTILE not in shown
    assert f"…{sample.CALLER[-4:]}" in shown, "the investigator may open numbers"
    for role in (Role.VIEWER, Role.APPROVER, Role.ADMINISTRATOR):
        others = (await (await node.visitor(role)).get(page)).text
        assert f"…{sample.CALLER[-4:]}" not in others, role
        assert f"…{sample.CALLED[-4:]}" not in others, role
    for number in (sample.FORWARDING[1:], sample.CALLER[1:], sample.CALLED[1:]):
        assert number not in shown
        assert number not in (await bob.get(page)).text
    assert (await alice.send(page, f"{page}/approve")).status == 403
    assert (await alice.send(page, f"{page}/make")).status == 400
    assert (await bob.send(page, f"{page}/approve")).status == 303
    made = await alice.send(page, f"{page}/make")
    assert made.status == 303, made.text
    page = made.headers["Location"]
    assert (await bob.get(f"{page}/pack")).status == 404, "he has not made it"
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in alice.cookies.items())}
    async with alice.http.get(f"{node.address}{page}/pack", headers=headers) as answer:
        octets = await answer.read()
    (tmp_path / "pack.zip").write_bytes(octets)
    files = read_zip(tmp_path / "pack.zip")
    key = VerifierKey.parse((await alice.get("/evidence/key")).text)
    verdict = verify_pack_files(files, key)
    assert (verdict.faults, verdict.policy) == ([], "two-persons")
    by = [verdict.request.by, verdict.request.approval.by]
    assert [person.name for person in by] == [name_of(*INVESTIGATOR), name_of(*APPROVER)]
    assert {person.known_by for person in by} == {AccountKnownBy.CONSOLE}
    assert (await bob.send(page, f"{page}/make")).status == 400, "it counts once"

    token = (await alice.get(page)).form_token
    for sent in (octets, b""):
        sheet = await alice.upload(f"{page}/receipt", sent, "pack.zip", form_token=token)
        assert sheet.text.startswith("%PDF"), sheet.text
    changed = io.BytesIO(octets)
    with zipfile.ZipFile(changed, "a") as archive:
        archive.writestr("x", b"")
    for sent in (changed.getvalue(), b"no pack"):
        assert "not a pack that was made here" in (await alice.upload(f"{page}/receipt", sent, form_token=token)).text
    day = today().isoformat()
    given = {"form_token": token, "by": f"見本警察署 {HOSTILE}", "on": day}
    assert "out of date" in (await alice.upload(f"{page}/received", b"scan", **given | {"form_token": "x"})).text
    assert (
        "Day on the document is not a day" in (await alice.upload(f"{page}/received", b"", **given | {"on": "x"})).text
    )
    assert (await alice.upload(f"{page}/received", b"scan", **given)).status == 303
    shown = (await alice.get(page)).text
    assert "見本警察署 &lt;script&gt;" in shown
    assert HOSTILE not in shown
    viewer = await node.visitor(Role.VIEWER)
    assert (await viewer.send(page, f"{page}/confirmed", {"reference": "x", "on": day})).status == 403
    assert (await viewer.upload(f"{page}/received", b"", form_token=(await viewer.get(page)).form_token)).status == 403
    assert command(settings, tmp_path, "verify")[0] == 0


async def test_nobody_approves_what_he_has_requested_and_a_refusal_says_why(node):
    year = today().year
    both, bob = await node.visitor(*BOTH), await node.visitor(*APPROVER)
    act = await asked(both)
    page = f"/evidence/exports/{act}"
    token = (await both.get(page)).form_token
    answer = await both.post(f"{page}/approve", {"form_token": token})
    assert (answer.status, "another person has to approve it" in answer.text) == (400, True)
    assert "Why: fill this in" in (await bob.send(page, f"{page}/refuse", {"why": " "})).text
    assert (await bob.send(page, f"{page}/refuse", {"why": HOSTILE})).status == 303
    for path in (page, "/evidence/exports", f"/evidence/disclosures?year={year}"):
        shown = (await bob.get(path)).text
        assert "&lt;script&gt;" in shown
        assert HOSTILE not in shown
    assert (await bob.get("/evidence/exports/act-none")).status == 404


async def test_what_a_command_has_requested_is_not_approved_here(node, settings):
    with LedgerReader.open(settings.ledger.own_url()) as reader:
        selection = selection_digest("R-8", True, packed_calls(reader, ["c-1"], None, sealed=True), None)
    now = datetime.now(UTC)
    until_then = now + timedelta(hours=1)
    enter(settings, steps.export_requested("act-1", now, sample.ALICE, "R-8", ["c-1"], True, selection, until_then))
    bob = await node.visitor(*APPROVER)
    assert "idtone-evidence disclosure approve" in (await bob.get("/evidence/exports/act-1")).text
    answer = await bob.send("/evidence/exports/act-1", "/evidence/exports/act-1/approve")
    assert (answer.status, "is approved in the console" in answer.text) == (400, True)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"case": ""}, "Case: fill this in"),
        ({"calls": ""}, "name 1 to 1,000 calls"),
        ({"calls": "c-"}, "several calls have ids that begin with c-"),
        ({"calls": HOSTILE}, "no leaf"),
        ({"basis": ""}, "choose the legal basis"),
        ({"basis": HOSTILE}, "there is no such legal basis"),
        ({"court": ""}, "Court: this legal basis needs it"),
        ({"scope": "calls of 03-1234-5678"}, "“What was asked” holds what may be a telephone number"),
        ({"received": "yesterday"}, "choose a day and a time"),
        ({"received": "2096-01-01T00:00"}, "this time has not come yet"),
        ({"valid_until": "2020-01-01"}, "the warrant was valid until 2020-01-01 only"),
        ({"basis": "inquiry"}, "tick this box"),
    ],
)
async def test_a_request_follows_the_rules_of_the_command(node, settings, change, why):
    visitor = await node.visitor(*INVESTIGATOR)
    answer = await visitor.send("/evidence/exports/request", "/evidence/exports/request", DEMAND | change)
    assert answer.status == 400
    assert why in answer.text.replace("&#39;", "'")
    assert HOSTILE not in answer.text
    with LedgerReader.open(settings.ledger.own_url()) as reader:
        assert reader.acts() == []


async def test_all_that_is_wrong_with_a_request_is_shown_at_once_at_its_field(node):
    visitor = await node.visitor(*INVESTIGATOR)
    fields = {"basis": "warrant", "calls": "c-", "received": "x", "valid_until": "2020-01-01", "scope": "03-1234-5678"}
    answer = await visitor.send("/evidence/exports/request", "/evidence/exports/request", fields)
    named = re.findall(r'<a href="#field-(\w+)">', answer.text)
    assert named == ["case", "calls", "authority", "reference", "scope", "received", "court", "valid_until"]
    for each in named:
        assert re.search(rf'id="field-{each}"[^>]* aria-describedby="error-{each}"', answer.text), each
        assert f'id="error-{each}"' in answer.text


def test_errors_name_the_fields_of_the_page():
    missing = Message("the legal basis {basis} needs {missing}; add it", basis="warrant", missing="--court, --x")
    assert in_fields(missing) == "the legal basis warrant needs “Court”, --x; add it"
    assert in_fields("--on and --by") == f"“{FIELDS['on']}” and “{FIELDS['by']}”"

    def in_japanese() -> str:
        speak("ja")
        return in_fields(missing)

    assert "裁判所" in copy_context().run(in_japanese)


async def test_the_disclosures_of_a_year_as_page_csv_and_pdf(node, settings, tmp_path):
    year = today().year
    visitor = await node.visitor(*INVESTIGATOR)
    act = await asked(visitor)
    assert act in (await visitor.get(f"/evidence/disclosures?year={year}")).text
    _, expected = command(settings, tmp_path, "disclosure list", "--csv")
    assert (await visitor.get("/evidence/disclosures.csv")).text.lstrip("\ufeff").splitlines() == expected.splitlines()
    assert (await visitor.get("/evidence/disclosures.pdf")).text.startswith("%PDF")
    for other in ("2001", "x", "99999", HOSTILE):
        answer = await visitor.get(f"/evidence/disclosures?year={other}")
        assert answer.status == 200
        assert HOSTILE not in answer.text
    assert act not in (await visitor.get("/evidence/disclosures?year=2001")).text


async def test_without_a_ledger_each_page_says_so(site):
    for language in ("en", "ja"):
        visitor = await site.visitor(Role.VIEWER, language=language)
        for path in ("/evidence", "/evidence/statistics", "/evidence/exports", "/evidence/disclosures"):
            answer = await visitor.get(path)
            assert (answer.status, "ledger.sqlite3" in answer.text) == (200, True), path
