"""Certifications of members and of links: the content of an entry, the effect of a lapse, and the warnings
before it.
"""

from datetime import UTC, datetime, timedelta

import pytest

from idtone.core.calls import Direction, ForwardedCall, Outcome, Reason
from idtone.core.decision import Policy, decide
from idtone.core.numbers import WITHHELD, parse
from idtone.operations.doctor.registry_findings import certifications
from idtone.registry.compiled_registry import compile_registry, unpack
from idtone.registry.expiries import ExpiryKind, certification_ends, expiries
from idtone.registry.expiry_warning import ExpiryWarning
from idtone.registry.index import RegistryIndex
from idtone.registry.registry_report import link_words, member_lines, member_report, number_report
from idtone.registry.sources import parse_document
from lab.registry.compiled_file import octets_of
from lab.registry.examples import GOOD, faults_of

OWN = """certification: {number: A-1, until: 2027-06-01, document: 認定通知書 2026-03-25, next_check: 2027-05-01,
      mark: E-1, mark_until: 2027-07-01}"""
OF_LINK = "certification: {number: A-2, until: 2027-04-01, document: 認定通知書, next_check: 2027-08-01}"
CERTIFIED = (
    GOOD.replace("2036-12-01", "2096-12-01")
    .replace("2037-01-10", "2096-01-10")
    .replace("    pledge: {signed: 2026-01-05}", f"    {OWN}\n    pledge: {{signed: 2026-01-05}}")
    .partition("suspensions:")[0]
    + f"""\
  - id: m-0003
    name: {{ja: 卸先電話, en: Reseller}}
    pledge: {{signed: 2026-01-06}}
    licences:
      - id: L-0003
        tone: sample
        status: active
        valid: {{from: 2026-01-10T00:00:00+09:00, until: 2096-01-10T00:00:00+09:00}}
        directions: [incoming, outgoing]
chains:
  - numbers: "0312345600-0312345609"
    links:
      - from: m-0001
        to: m-0003
        checked: {{by: m-0001, day: 2026-04-01, document: 認定通知書}}
        {OF_LINK}
"""
)
DOCUMENT = parse_document(CERTIFIED, "registry.yaml")
HELD, CHAINED = parse("0312345678"), parse("0312345601")
JAPAN = timedelta(hours=9)


def day(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}T00:00:00+09:00")


@pytest.mark.parametrize(
    ("number", "lapses"), [(HELD, "2027-05-01"), (CHAINED, "2027-04-01")], ids=["next check", "of the link"]
)
@pytest.mark.parametrize(
    "form", [compile_registry, lambda document: unpack(octets_of(compile_registry(document)))], ids=["read", "packed"]
)
def test_a_lapse_gives_chain_unchecked(number, lapses, form):
    """The reason applies from the earliest recorded end on. A chain ends with any of its members or links."""
    index = RegistryIndex(DOCUMENT)
    index._compiled = form(DOCUMENT)
    call = ForwardedCall("c-1", Direction.INCOMING, number, WITHHELD, parse("09012345678"))
    holding = index.holding(number, day(lapses))
    assert holding
    policy = Policy(member=holding.member)
    before = decide(call, index, policy, day(lapses) - timedelta(seconds=1))
    assert (before.outcome, before.reason) == (Outcome.PLAY, Reason.LICENCE_VALID)
    after = decide(call, index, policy, day(lapses))
    assert (after.outcome, after.reason) == (Outcome.NOTICE, Reason.CHAIN_UNCHECKED)
    assert decide(call, RegistryIndex(without()), policy, day("2090-01-01")).outcome is Outcome.PLAY, "none recorded"


def without():
    return parse_document(CERTIFIED.replace(OWN, "").replace(OF_LINK, ""), "registry.yaml")


@pytest.mark.parametrize(
    ("old", "new", "field", "problem"),
    [
        ("document: 認定通知書 2026-03-25", "document: 登記事項証明書", "document", "proves no certification"),
        ("document: 認定通知書 2026-03-25", "document: 履歴事項全部証明書", "document", "proves no certification"),
        ("document: 認定通知書 2026-03-25", "document: Commercial Register extract", "document", "proves no"),
        ("document: 認定通知書 2026-03-25, ", "", "document", "is missing"),
        ("number: A-1, ", "", "number", "is missing"),
        ("next_check: 2027-05-01", "next_check: soon", "next_check", "is not a date"),
        (",\n      mark: E-1", "", "mark", "is missing"),
        (", mark_until: 2027-07-01", "", "mark_until", "is missing"),
    ],
)
def test_a_fault_names_line_and_field(old, new, field, problem):
    assert old in CERTIFIED
    [fault] = faults_of(CERTIFIED.replace(old, new, 1))
    assert fault.field == f"members[0].certification.{field}"
    assert problem in fault.problem
    assert fault.line
    assert fault.remedy


def test_a_link_has_the_same_rules():
    [fault] = faults_of(CERTIFIED.replace(OF_LINK, OF_LINK.replace("認定通知書", "登記事項証明書")))
    assert fault.field == "chains[0].links[0].certification.document"


def test_each_end_is_in_the_calendar():
    found = [(each.kind, each.member, each.subject, each.at) for each in certification_ends(DOCUMENT)]
    assert sorted(found) == sorted(
        [
            (ExpiryKind.CERTIFICATION, "m-0001", "", day("2027-06-01")),
            (ExpiryKind.MARK, "m-0001", "", day("2027-07-01")),
            (ExpiryKind.CERTIFICATION_CHECK, "m-0001", "", day("2027-05-01")),
            (ExpiryKind.CERTIFICATION, "m-0003", "m-0001 > m-0003", day("2027-04-01")),
            (ExpiryKind.CERTIFICATION_CHECK, "m-0003", "m-0001 > m-0003", day("2027-08-01")),
        ]
    )
    assert {each.member for each in certification_ends(DOCUMENT, "m-0003")} == {"m-0001", "m-0003"}
    assert not [*certification_ends(DOCUMENT, "m-0002")]
    every = expiries(DOCUMENT, RegistryIndex(DOCUMENT), None)
    assert [each for each in every if each.kind is ExpiryKind.MARK]


@pytest.mark.parametrize(
    ("moment", "member", "status", "named"),
    [
        ("2027-03-01", None, "good", "2027-04-01"),
        ("2027-03-02", None, "warning", "m-0003 (m-0001 > m-0003)"),
        ("2027-03-02", "m-0003", "warning", "2027-04-01"),
        ("2027-03-02", "m-0002", "good", "none is recorded"),
        ("2027-04-01", None, "bad", "the certification of m-0003"),
        ("2027-05-01", "m-0001", "bad", "the next check of the certification of m-0001"),
    ],
)
def test_the_doctor_warns_thirty_days_before(moment, member, status, named):
    finding = certifications(DOCUMENT, member, day(moment))
    assert (finding.state, named in finding.found) == (status, True), finding


def test_the_log_says_it_once_a_day(caplog):
    index, expiry = RegistryIndex(DOCUMENT), ExpiryWarning(timedelta(0), "m-0001")
    hour = timedelta(hours=1)
    for at in (day("2027-03-01") - hour, day("2027-03-02"), day("2027-03-02") + 20 * hour, day("2027-03-03")):
        expiry.review(index, at)
    assert ["lapses, or its check is due, on 2027-04-01 (m-0001>m-0003)" in said for said in caplog.messages] == [
        True
    ] * 2
    caplog.clear()
    expiry.review(index, day("2027-04-01"))
    [said] = caplog.messages
    assert "HAS LAPSED" in said
    assert "chain-unchecked" in said
    caplog.clear()
    ExpiryWarning(timedelta(0), "m-0002").review(index, day("2027-06-01"))
    assert not caplog.messages, "of other members"


def test_it_is_shown():
    now = day("2027-03-01").astimezone(UTC)
    [member] = [each for each in DOCUMENT.members if each.id == "m-0001"]
    words = "A-1 until 2027-05-31, mark E-1 until 2027-06-30, by 認定通知書 2026-03-25, next check 2027-05-01"
    assert f"  certification {words}" in list(member_lines(member_report(member, now)))
    later = [*member_lines(member_report(member, day("2027-05-01")))]
    assert f"  certification {words} (does not count now)" in later
    [link] = number_report(DOCUMENT, CHAINED, now, None)["links"]
    assert link_words(link).endswith("; certification A-2 until 2027-03-31, by 認定通知書, next check 2027-08-01")
