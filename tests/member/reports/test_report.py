"""A report's file, its sealed parts, and the matching calls in the ledger."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from idtone.core.errors import DocumentError, TrustError
from idtone.ledger.evidence.call_record import record_of_steps
from idtone.member.reports.matching_calls import matching_calls, suggested_answer
from idtone.member.reports.report import parse_report
from idtone.member.reports.report_documents import (
    AnswerResult,
    Request,
    new_receipt,
    receipt_digest,
    report_id_of,
    sealed_report,
    time_span,
)
from idtone.member.reports.sealed_box import Purpose, open_box, public_key, seal
from lab.ledger.sample_evidence import NOW, heard_call
from lab.repository import ROOT

SAMPLE = (ROOT / "config" / "report.yaml").read_text("utf-8")
NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
KEY, OTHER = X25519PrivateKey.generate(), X25519PrivateKey.generate()
PUBLIC = KEY.public_key().public_bytes_raw()


def test_the_sample_is_a_report_and_its_commented_parts_too():
    report = parse_report(SAMPLE, "report.yaml", NOON)
    assert (report.number, report.within_minutes, report.reporter) == ("+81312345678", 60, None)
    whole = "\n".join(
        line.replace("  # ", "  ", 1) if line.startswith(("  # attach", "  #   -", "  # reporter:", "  #   ")) else line
        for line in SAMPLE.splitlines()
    )
    report = parse_report(whole, "report.yaml", NOON)
    assert report.reporter
    assert not report.reporter.disclose
    assert len(report.attachments) == 1


FAULTS = {
    'number: "0312345678"': ('number: "twelve"', "5[0-9]*:|report.number: is not a telephone number. Write it like"),
    "at: 2026-11-20T10:15:00+09:00": ("at: 2027-01-01T00:00:00+09:00", "report.at: is in the future"),
    "within_minutes: 60": ("within_minutes: 99999", "report.within_minutes"),
    "what: |": ("why: |", "report.what"),
    "    The caller claimed": ("    " + "x" * 5000, "report.what: is not a readable text"),
}


@pytest.mark.parametrize("old", FAULTS)
def test_a_fault_is_named_with_its_place_and_without_the_number(old, tmp_path):
    new, said = FAULTS[old]
    assert SAMPLE.count(old) == 1
    with pytest.raises(DocumentError, match=said) as refused:
        parse_report(SAMPLE.replace(old, new), "report.yaml", NOON)
    assert all(fault.line for fault in refused.value.faults)
    assert "twelve" not in str(refused.value)


def test_a_box_opens_by_its_key_for_its_purpose_and_in_its_place_alone():
    box = seal({"a": "あ"}, PUBLIC, Purpose.REPORT, "here")
    assert open_box(box, KEY, Purpose.REPORT, "here") == {"a": "あ"}
    octets = bytearray(base64.b64decode(box))
    octets[40] ^= 1
    for spoiled in (
        lambda: open_box(box, OTHER, Purpose.REPORT, "here"),
        lambda: open_box(box, KEY, Purpose.REPORTER, "here"),
        lambda: open_box(box, KEY, Purpose.REPORT, "there"),
        lambda: open_box(base64.b64encode(octets).decode(), KEY, Purpose.REPORT, "here"),
        lambda: open_box("no base64", KEY, Purpose.REPORT, "here"),
        lambda: open_box("", KEY, Purpose.REPORT, "here"),
        lambda: seal({}, bytes(32), Purpose.REPORT, "here"),
        lambda: public_key("AAAA"),
        lambda: public_key("%"),
    ):
        with pytest.raises(TrustError):
            spoiled()


def test_a_boxs_length_tells_little():
    lengths = {len(seal({"name": "x" * n}, PUBLIC, Purpose.REPORTER, "")) for n in range(1, 200)}
    assert len(lengths) == 1


def test_a_report_is_sealed_for_the_desk_and_its_reporter_for_the_officer():
    named = SAMPLE + "  reporter: {name: 申告 花子, contact: hanako@mail.example, disclose: true}\n"
    report, receipt = parse_report(named, "report.yaml", NOON), new_receipt()
    sealed = sealed_report(report, receipt, PUBLIC, OTHER.public_key().public_bytes_raw())
    assert (sealed.disclose, sealed.receipt) == (True, receipt_digest(receipt.lower()))
    call = open_box(sealed.report, KEY, Purpose.REPORT, sealed.receipt)
    assert "reporter" not in call
    assert sealed.reporter
    assert open_box(sealed.reporter, OTHER, Purpose.REPORTER, sealed.receipt)["name"] == "申告 花子"
    assert receipt not in sealed.model_dump_json()
    assert report_id_of(sealed.receipt) == f"R-{sealed.receipt[:16]}"
    with pytest.raises(TrustError, match="no key of a report officer"):
        sealed_report(report, receipt, PUBLIC, None)


def test_the_nearest_call_is_what_the_ledger_says():
    records = [record_of_steps("pbx-1", heard_call(f"c-{n}", n * 60_000)) for n in range(3)]
    request = Request(
        id="Q-1",
        number="+81312345678",
        at=NOW + timedelta(seconds=70),
        within_minutes=5,
        asked=NOW,
        due=NOW,
        downstream=None,
        reminders=0,
    )
    facts = matching_calls(records, request.at)
    assert (facts.calls, facts.call, facts.outcome, facts.reason, facts.delivery) == (
        3,
        "c-1",
        "PLAY",
        "licence-valid",
        "sent",
    )
    start, end = time_span(request.at, request.within_minutes)
    assert (request.at - start, end - request.at) == (timedelta(minutes=5), timedelta(minutes=6))
    assert suggested_answer(facts) is AnswerResult.CUSTOMER_HELD
    assert suggested_answer(matching_calls([], NOW)) is AnswerResult.NOT_OURS
