"""The report desk with members that sign: the chain of requests, and attacks."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from idtone.core.errors import LedgerError, TrustError, UsageError
from idtone.core.numbers import parse
from idtone.member.reports.report_documents import FETCH, REPORT
from idtone.office.desk.reports import report_desk
from idtone.office.desk.reports.call_traceback import Finding, ReportResult, Stage
from idtone.office.desk.reports.desk_key import load_officer_key
from idtone.office.desk.reports.number_holder import Basis, Holder
from idtone.office.desk.reports.report_settings import FILE
from idtone.office.desk.reports.report_store import ReportStore
from idtone.office.desk.reports.retention import erase_due_reports
from lab.lab import wait_until
from lab.office.desk.desk_process import running_desk
from lab.office.desk.reports.members import (
    AT,
    CONTACT,
    ELSEWHERE,
    NAME,
    NOW,
    NUMBER,
    OFFICERS,
    PHRASE,
    RECEIPT,
    SERVICE,
    WORDS,
    Members,
    authority,
    report,
    service_report,
)

SECRETS = [NAME, CONTACT, WORDS, NUMBER, f"+81{NUMBER[1:]}", NUMBER[1:], RECEIPT, RECEIPT.replace("-", "")]


def state(members: Members, report_id: str) -> tuple[Stage, Finding | None]:
    kept = members.reports.named(report_id)
    return kept.stage, kept.finding


def test_a_report_goes_from_member_to_member_until_one_holds_the_customer(members):
    report_id = members.report()
    assert state(members, members.report(report(ELSEWHERE), "OTHER")) == (Stage.OFFICE, Finding.NO_HOLDER)
    [request] = members.fetch("m-0001")
    assert (request.at, request.within_minutes, request.downstream) == (AT, 60, None)
    assert request.due == request.asked + timedelta(days=5)
    members.answered("m-0001", "upstream", upstream="m-0002")
    [further] = members.fetch("m-0002")
    assert (further.number, further.downstream) == (request.number, "m-0001")
    assert state(members, report_id) == (Stage.MEMBER, None)
    members.answered("m-0002", "customer-held", pack="5e" * 32)
    assert state(members, report_id) == (Stage.OFFICE, Finding.CUSTOMER_HELD)
    members.reports.close(report_id, ReportResult.TRACED, "as the pack shows", NOW)
    assert members.reports.named(report_id).result is ReportResult.TRACED
    with pytest.raises(UsageError, match="closed already"):
        members.reports.close(report_id, ReportResult.OPEN, "again", NOW)
    acts = [act.act for act in members.desk.ledger.acts()]
    wanted = ["report-entered", "report", "report-fetch", "report-answered", "report-answer", "report-closed"]
    assert {act for act in wanted if act not in acts} == set()


@pytest.mark.parametrize(
    ("most", "named", "finding"),
    [(8, ["m-0002", "m-0001"], Finding.LOOP), (2, ["m-0002", "m-0003"], Finding.TOO_LONG)],
    ids=["with a loop", "where it is too long"],
)
def test_a_chain_ends(members, most, named, finding):
    (members.desk.folder / "reports.yaml").write_text(f"traceback: {{members: {most}}}")
    report_id = members.report()
    for member, upstream in zip(["m-0001", *named], named, strict=False):
        members.answered(member, "upstream", upstream=upstream)
    assert state(members, report_id) == (Stage.OFFICE, finding)
    assert not any(members.fetch(each) for each in ("m-0001", "m-0002", "m-0003"))


def test_an_overdue_request_is_listed_and_the_member_sees_the_reminder(members):
    report_id = members.report()
    late = NOW + timedelta(days=6)
    assert not members.reports.store.overdue(NOW)
    [request] = members.reports.store.overdue(late)
    members.reports.remind(request)
    assert [each.reminders for each in members.fetch("m-0001")] == [1]
    members.reports.close(report_id, ReportResult.OPEN, "no answer came", NOW)
    assert not members.fetch("m-0001")
    assert not members.reports.store.overdue(late)
    with pytest.raises(TrustError, match="answered or withdrawn"):
        members.desk.accept(members.answer("m-0001", request.id), NOW)


ATTACKS = {
    "an answer for another member": lambda m, q: m.answer("m-0002", q),
    "an answer to a request that never was": lambda m, q: m.answer("m-0001", "Q-0"),
    "an answer with another member's key": lambda m, q: m.document(
        "report-answer", {"request": q, "result": "not-ours", "found": {"calls": 0}}, "m-0001", "m-0002"
    ),
    "an unknown member upstream": lambda m, q: m.answer("m-0001", q, "upstream", upstream="m-9"),
    "upstream without a member": lambda m, q: m.answer("m-0001", q, "upstream"),
    "held without a pack": lambda m, q: m.answer("m-0001", q, "customer-held"),
    "a pack that is no digest": lambda m, q: m.answer("m-0001", q, "customer-held", pack="x"),
    "a field of the attacker's own": lambda m, q: m.answer("m-0001", q, stage="closed"),
    "a receipt that is used already": lambda m, q: m.document(
        REPORT, m.sealed(report(ELSEWHERE)).model_dump(), "m-0002"
    ),
    "a report that is sealed for another desk": lambda m, q: m.document(
        REPORT, m.sealed(report(), "ZZZZZ").model_dump() | {"report": m.sealed(report()).report}, "m-0002"
    ),
    "a report with its reporter in clear": lambda m, q: m.document(
        REPORT, m.sealed(report(), "YYYYY").model_dump() | {"name": "x"}, "m-0002"
    ),
    "a fetch without a key": lambda m, q: m.document(FETCH, {"to": "AAAA"}, "m-0001"),
    "a fetch with a key of small order": lambda m, q: m.document(
        FETCH, {"to": base64.b64encode(bytes(32)).decode()}, "m-0001"
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_refused_and_changes_nothing(members, attack):
    report_id = members.report()
    [request] = members.fetch("m-0001")
    acts = len(members.desk.ledger.acts())
    with pytest.raises(TrustError) as refused:
        members.desk.accept(ATTACKS[attack](members, request.id), NOW)
    assert not [secret for secret in SECRETS if secret in str(refused.value)]
    assert state(members, report_id) == (Stage.MEMBER, None)
    assert len(members.desk.ledger.acts()) == acts
    assert len(members.reports.store.listed()) == 1


def test_the_request_of_another_member_and_no_request_get_the_same_answer(members):
    members.report()
    [request] = members.fetch("m-0001")
    errors = set()
    for each in (request.id, "Q-0123456789abcdef"):
        with pytest.raises(TrustError) as refused:
            members.desk.accept(members.answer("m-0002", each), NOW)
        errors.add(str(refused.value))
    assert len(errors) == 1
    assert not members.fetch("m-0002")
    assert not members.fetch("m-0002", request.id)
    assert [each.id for each in members.fetch("m-0001", request.id)] == [request.id]


def test_a_member_with_many_requests_gets_the_most_urgent_first(members, monkeypatch):
    monkeypatch.setattr(report_desk, "FETCHED_AT_ONCE", 2)
    ids = [members.report(receipt=f"MANY{n}") for n in range(3)]
    store = members.reports.store
    first = members.fetch("m-0001")
    assert [store.request(each.id).report for each in first] == sorted(
        ids, key=lambda one: store.requests_of(one)[0].id
    )[:2]
    members.desk.accept(members.answer("m-0001", first[0].id), NOW)
    assert store.count_waiting("m-0001") == 2


def test_what_is_replayed_gets_the_same_answer_and_leaves_nothing(members):
    octets = members.document(REPORT, members.sealed(report()).model_dump(), "m-0002")
    first = members.desk.accept(octets, NOW)
    [request] = members.fetch("m-0001")
    answer = members.answer("m-0001", request.id)
    members.desk.accept(answer, NOW)
    acts = len(members.desk.ledger.acts())
    assert members.desk.accept(octets, NOW) == first
    assert members.desk.accept(answer, NOW) == {"request": request.id, "result": "not-ours"}
    assert len(members.desk.ledger.acts()) == acts
    to = base64.b64encode(X25519PrivateKey.generate().public_key().public_bytes_raw()).decode()
    fetch = members.document(FETCH, {"to": to}, "m-0001")
    assert members.desk.accept(fetch, NOW) == members.desk.accept(fetch, NOW), "only the one-time key opens it"
    with pytest.raises(TrustError, match="answered or withdrawn"):
        members.desk.accept(members.answer("m-0001", request.id, "upstream", upstream="m-0002"), NOW)


def test_nothing_secret_is_in_any_file_leaf_log_or_answer(members, tmp_path, caplog):
    members.report(report(disclose=True))
    [request] = members.fetch("m-0001")
    assert not {NAME, CONTACT, WORDS} & set(request.model_dump(mode="json").values())
    members.answered("m-0001", "upstream", upstream="m-0002")
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "registry.yaml"]
    assert {"reports.sqlite3", "desk.sqlite3", "ledger.sqlite3"} <= {path.name for path in files}
    for secret in SECRETS:
        for written in (
            secret.encode(),
            json.dumps(secret).strip('"').encode(),
            base64.b64encode(secret.encode())[:-4],
        ):
            assert not [path for path in files if written in path.read_bytes()], secret
        assert secret not in caplog.text
        assert secret not in repr(report())


def test_the_reporter_is_revealed_by_the_officers_key_and_consent_alone(members, tmp_path):
    key = load_officer_key(tmp_path / OFFICERS, PHRASE)
    assert (tmp_path / OFFICERS).stat().st_mode & 0o077 == 0
    for phrase in ("wrong", ""):
        with pytest.raises(TrustError, match="passphrase is wrong"):
            load_officer_key(tmp_path / OFFICERS, phrase)
    silent, willing = members.report(), members.report(report(disclose=True), "VVVVV")
    unnamed = members.report(report(named=False), "WWWWW")
    with ReportStore(members.desk.folder).opened() as database:  # an attacker who can write the store
        database.execute("UPDATE reports SET disclose = 1")
        swapped = database.execute("SELECT reporter FROM reports WHERE id = ?", (willing,)).fetchone()[0]
        database.execute("UPDATE reports SET reporter = ? WHERE id = ?", (swapped, unnamed))
    for report_id, error, said in (
        (silent, UsageError, "has not consented"),
        (unnamed, TrustError, "was changed"),
        ("R-0", UsageError, "no report"),
    ):
        with pytest.raises(error, match=said):
            members.reports.reveal(report_id, key, "police request 7")
    with pytest.raises(TrustError, match="sealed for another key"):
        members.reports.reveal(willing, members.reports.key.private, "the desk itself")
    assert not [act for act in members.desk.ledger.acts() if act.act == "reporter-revealed"]
    revealed = members.reports.reveal(willing, key, "police request 7")
    assert (revealed.name, revealed.contact) == (NAME, CONTACT)
    [act] = [act for act in members.desk.ledger.acts() if act.act == "reporter-revealed"]
    assert (act.subject, act.details) == (willing, {"why": "police request 7"})


def test_a_report_about_a_service_waits_for_the_office_and_is_not_traced(members):
    about_call, about_service = members.report(), members.report(service_report(), "OTHER")
    kept = members.reports.named(about_service)
    assert (kept.stage, kept.finding, kept.names_number) == (Stage.OFFICE, Finding.NO_NUMBER, False)
    assert members.report(service_report(), "OTHER") == about_service, "sent again, it stays one report"
    with pytest.raises(TrustError, match="number"):
        members.reports.call(kept.sealed)
    token = members.reports.key.token(parse(NUMBER))
    assert [each.id for each in members.reports.store.listed(token=token)] == [about_call]
    [act] = [act for act in members.desk.ledger.acts() if (act.act, act.subject) == ("report-entered", about_service)]
    assert (act.details["basis"], act.details["stage"], SERVICE in str(act.details)) == ("no-number", "office", False)
    for report_id, wrong in ((about_service, ReportResult.TRACED), (about_call, ReportResult.EXAMINED)):
        with pytest.raises(UsageError, match=f"cannot be closed as {wrong}"):
            members.reports.close(report_id, wrong, "x", NOW)
    members.reports.close(about_service, ReportResult.EXAMINED, "asked the operator", NOW)
    assert members.reports.forget(NOW + timedelta(days=1)) == 1
    files = [members.desk.folder / name for name in ("reports.sqlite3", "desk.sqlite3")]
    box = kept.sealed.report[:200].encode()
    assert not [path for path in files if box in path.read_bytes() or SERVICE.encode() in path.read_bytes()]
    forgotten = members.reports.named(about_service)
    assert (forgotten.names_number, forgotten.result) == (False, ReportResult.EXAMINED)


def test_what_is_forgotten_is_in_no_store_and_the_result_stays(members):
    closed, waiting = members.report(), members.report(receipt="OTHER")
    members.reports.close(closed, ReportResult.OPEN, f"{NAME} did not call back", NOW)
    assert members.reports.named(closed).why == f"{NAME} did not call back"
    assert all(NAME not in str(act.details) for act in members.desk.ledger.acts()), "the ledger keeps all for ever"
    boxes = [members.reports.named(closed).sealed.report[:200], members.reports.named(closed).sealed.reporter[:200]]
    files = [members.desk.folder / name for name in ("reports.sqlite3", "desk.sqlite3")]
    assert all(box.encode() in path.read_bytes() for box in boxes for path in files)
    assert members.reports.forget(NOW) == 0
    assert members.reports.forget(NOW + timedelta(days=1)) == 1
    assert not [path for box in boxes for path in files if box.encode() in path.read_bytes()]
    kept = members.reports.named(closed)
    assert (kept.is_forgotten, kept.result, kept.why) == (True, ReportResult.OPEN, None)
    assert not [path for path in files if NAME.encode() in path.read_bytes()]
    assert not members.reports.named(waiting).is_forgotten
    assert [act.details for act in members.desk.ledger.acts() if act.act == "reports-forgotten"] == [{"reports": 1}]
    with pytest.raises(UsageError, match="names no reporter"):
        members.reports.reveal(closed, X25519PrivateKey.generate(), "late")


async def test_the_desk_forgets_by_itself_what_was_closed_that_long_ago(tmp_path):
    members = Members(authority(tmp_path / "authority"))
    now, days = datetime.now(UTC), timedelta(days=30)
    old, recent = members.report(), members.report(receipt="OTHER")
    members.reports.close(old, ReportResult.OPEN, "no answer came", now - days)
    members.reports.close(recent, ReportResult.OPEN, "no answer came", now - days + timedelta(hours=1))
    assert erase_due_reports(members.desk, now + timedelta(days=9999)) == 0, "by itself only with a retention"
    (members.desk.folder / FILE).write_text("retention: P30D\n")
    with running_desk(members.desk.folder):
        await wait_until(lambda: members.reports.named(old).is_forgotten, "the desk to forget")
    assert not members.reports.named(recent).is_forgotten
    assert members.desk.ledger.acts()[-1].act == "reports-forgotten"


@pytest.mark.parametrize("phrase", ["wrong", ""])
def test_the_officers_key_needs_its_passphrase(members, tmp_path, phrase):
    path: Path = tmp_path / OFFICERS
    assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(TrustError, match="passphrase is wrong"):
        load_officer_key(path, phrase)


def test_what_the_ledger_does_not_record_is_not_done(members, monkeypatch):
    report_id = members.report()
    [request] = members.fetch("m-0001")

    def full(*_: object, **__: object) -> str:
        raise LedgerError("the disk is full")

    monkeypatch.setattr(members.desk.ledger, "record_as", full)
    octets = members.answer("m-0001", request.id)
    for attempt in (
        lambda: members.desk.accept(octets, NOW),
        lambda: members.report(receipt="UUUUU"),
        lambda: members.reports.close(report_id, ReportResult.OPEN, "x", NOW),
    ):
        with pytest.raises(LedgerError):
            attempt()
    assert state(members, report_id) == (Stage.MEMBER, None)
    assert len(members.reports.store.listed()) == 1
    monkeypatch.undo()
    members.desk.accept(octets, NOW)
    assert state(members, report_id) == (Stage.OFFICE, Finding.NOT_OURS)


def test_a_number_that_changed_hands_within_the_time_of_the_call_is_asked_of_both(members, monkeypatch):
    both = Holder("m-0001", Basis.CHANGED, ("m-0003",))
    monkeypatch.setattr(report_desk, "holder_of", lambda *_: both)
    report_id = members.report()
    members.answered("m-0001", "upstream", upstream="m-0002")
    members.answered("m-0002", "not-ours")
    [request] = members.fetch("m-0003")
    assert request.downstream is None, "no member has named it"
    assert state(members, report_id) == (Stage.MEMBER, None)
    members.answered("m-0003", "not-ours")
    assert state(members, report_id) == (Stage.OFFICE, Finding.NOT_OURS)
    [entered] = [act for act in members.desk.ledger.acts() if act.act == "report-entered"]
    assert (entered.details["basis"], entered.details["others"]) == ("changed", "m-0003")


def test_a_report_that_is_sealed_again_is_the_same_report(members):
    first, again = members.sealed(report()), members.sealed(report())
    assert first != again
    report_id = members.reports.enter(first, "m-0002", NOW)
    entered = len(members.desk.ledger.acts())
    assert members.reports.enter(again, "m-0002", NOW) == report_id
    assert len(members.desk.ledger.acts()) == entered
    for other in (members.sealed(report(named=False)), members.sealed(report(disclose=True))):
        with pytest.raises(TrustError, match="another report has this receipt"):
            members.reports.enter(other, "m-0002", NOW)
    members.reports.close(report_id, ReportResult.OPEN, "x", NOW)
    members.reports.forget(NOW + timedelta(days=1))
    assert members.reports.enter(again, "m-0002", NOW) == report_id
