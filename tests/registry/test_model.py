"""Faults of one value, and of several values together: each message has the line, the field and a remedy."""

import json
from datetime import date, datetime, timedelta, timezone

import pytest

from idtone.core.calls import Direction, LicenceStatus
from idtone.ledger.evidence.canonical_json import canonical
from idtone.registry.sources import parse_document
from lab.ledger.sample_evidence import PLAY, decided
from lab.registry.examples import GOOD, faults_of, replace_in_good

JST = timezone(timedelta(hours=9))
FREE, HELD = "0312340001", "members[1].numbers[0]"


def test_a_valid_registry_is_read():
    document = parse_document(GOOD, "registry.yaml")
    assert (document.registry.version, document.registry.expires) == (42, datetime(2036, 12, 1, tzinfo=JST))
    member = document.members[0]
    assert (member.id, member.name.ja, member.name.en) == ("m-0001", "良い電話株式会社", "Good Telecom")
    assert member.pledge.signed == date(2026, 1, 5)
    licence = member.licences[0]
    assert (licence.valid.start, licence.valid.until) == tuple(datetime(y, 1, 10, tzinfo=JST) for y in (2026, 2037))
    assert (licence.status, licence.directions) == (LicenceStatus.ACTIVE, tuple(Direction))
    assert document.suspensions[0].reference == "R-1"
    assert "12345" not in repr(document)


def test_a_digest_may_be_written_in_capitals():
    document = parse_document(replace_in_good("title: Sample sound", f"title: S, sha256: {'AB' * 32}"), "registry.yaml")
    assert document.tones[0].sha256 == "ab" * 32


@pytest.mark.parametrize(
    ("field", "line"),
    [
        ("notification", "notification: A-02-18234 (03-1234-5678)"),
        ("contact.web", "contact: {web: 'https://www.example.jp/0312345678'}"),
        ("contact.mail", "contact: {mail: 0312345678@example.jp}"),
    ],
)
def test_what_the_public_list_shows_of_a_member_holds_no_telephone_number(field, line):
    name = "    name: {ja: 良い電話株式会社, en: Good Telecom}\n"
    [fault] = faults_of(replace_in_good(name, f"{name}    {line}\n"))
    assert (fault.field, fault.problem) == (f"members[0].{field}", "contains a telephone number")
    assert "12345678" not in str(fault)


def test_a_notification_and_addresses_without_a_telephone_number_are_read():
    name = "    name: {ja: 良い電話株式会社, en: Good Telecom}\n"
    contact = "{web: 'https://www.example.jp/20261201/1', mail: info@example.jp}"
    lines = f"    notification: A-02-18234\n    contact: {contact}\n"
    assert faults_of(replace_in_good(name, name + lines)) == ()


ISSUED, UNTIL = "issued: 2026-11-01T00:00:00+09:00", "until: 2037-01-10T00:00:00+09:00"
LICENCE = "members[0].licences[0]"
STARTED = "2026-03-01T00:00:00+09:00"
FAULTS = [
    # what is replaced, and by what; line, field, problem, remedy
    ("version: 42", "version: 0", 1, "registry.version", "is less than 1", "larger value"),
    ("version: 42", "version: -42", 1, "registry.version", "is less than 1", "larger value"),
    ("version: 42", f"version: {2**53}", 1, "registry.version", "is more than 9007199254740991", "smaller"),
    ("version: 42", f"version: {10**30}", 1, "registry.version", "is more than 9007199254740991", "smaller"),
    ("version: 42", "version: new", 1, "registry.version", "not a whole number", "whole number"),
    ("version: 42, ", "", 1, "registry.version", "is missing", "Add it"),
    ("association: JUSA", "association: ''", 1, "registry.association", "not a readable text", "one line"),
    (ISSUED, "issued: 2026-11-01T00:00:00", 1, "registry.issued", "has no time zone", "+09:00"),
    (ISSUED, "issued: 2026-11-01", 1, "registry.issued", "has no time zone", "+09:00"),
    (ISSUED, "issued: 20261101", 1, "registry.issued", "not a date and time", "like"),
    (ISSUED, "issued: 2026-02-30T00:00:00Z", 1, "registry.issued", "not a date and time", "like"),
    ("tones:\n  - {id: sample, title: Sample sound}\n", "", 1, "tones", "is missing", "Add it"),
    ("title: Sample sound", "title: S, sha265: x", 3, "tones[0].sha265", "not a known key", "'sha256'"),
    ("title: Sample sound", f"title: {'x' * 201}", 3, "tones[0].title", "not a readable text", "200 characters"),
    ("title: Sample sound", 'title: "a\\e[2Jb"', 3, "tones[0].title", "not a readable text", "one line"),
    ("title: Sample sound", "title: S, sha256: abc", 3, "tones[0].sha256", "not a SHA-256", "64 hexadecimal"),
    ("{id: sample", "{id: ../sample", 3, "tones[0].id", "not an id", "letters"),
    ("{id: sample", "{id: .sample", 3, "tones[0].id", "not an id", "first"),
    ("id: m-0001", "id: m 1", 5, "members[0].id", "not an id", "letters"),
    (", en: Good Telecom", "", 6, "members[0].name.en", "is missing", "Add it"),
    ("signed: 2026-01-05", "signed: 20260105", 7, "members[0].pledge.signed", "not a date", "2026-01-10"),
    ("signed: 2026-01-05", "signed: 2026-13-05", 7, "members[0].pledge.signed", "not a date", "like"),
    ("status: active", "status: aktive", 11, f"{LICENCE}.status", "one of the possible", "'suspended' or 'revoked'"),
    ("from: 2026-01-10T00:00:00+09:00, ", "", 12, f"{LICENCE}.valid.from", "is missing", "Add it"),
    (UNTIL, "until: soon", 12, f"{LICENCE}.valid.until", "not a date", "like"),
    ("[incoming, outgoing]", "[incoming, in]", 13, f"{LICENCE}.directions[1]", "one of the possible", "'outgoing'"),
    ("[incoming, outgoing]", "[]", 13, f"{LICENCE}.directions", "too few entries", "at least 1"),
    ("[incoming, outgoing]", "incoming", 13, f"{LICENCE}.directions", "not a list", "Write a list"),
    ('numbers: ["0312345678"', 'number: ["0312345678"', 14, "members[0].number", "not a known key", "'numbers'"),
    ("2026-03-01T00:00:00+09:00", "2026-03-01", 22, "suspensions[0].since", "has no time zone", "+09:00"),
    (", reference: R-1", "", 22, "suspensions[0].reference", "is missing", "Add it"),
    ("suspensions:", "suspension:", 21, "suspension", "not a known key", "'suspensions'"),
    # between values
    ("expires: 2036-12-01", "expires: 2026-10-01", 1, "registry.expires", "is not after `issued`", "Correct"),
    ("expires: 2036-12-01", "expires: 2026-11-01", 1, "registry.expires", "is not after `issued`", "Correct"),
    ("until: 2037-01-10", "until: 2026-01-10", 12, f"{LICENCE}.valid.until", "not after `from`", "Correct"),
    (
        "{signed: 2026-01-05}",
        "{signed: 2026-01-05, until: 2026-01-05}",
        7,
        "members[0].pledge.until",
        "after",
        "Correct",
    ),
    ("signed: 2026-01-05", "signed: 2026-01-05, sha256: ab", 7, "members[0].pledge.sha256", "not a SHA-256", "64"),
    ("signed: 2026-01-05", "document: V", 7, "members[0].pledge.signed", "is missing", "Add it"),
    ("tone: sample", "tone: simple", 10, f"{LICENCE}.tone", "'simple'", "Did you mean 'sample'"),
    ("tone: sample", "tone: zzz", 10, f"{LICENCE}.tone", "'zzz'", "Known here: sample"),
    ("id: m-0002", "id: m-0001", 15, "members[1].id", "same id as members[0].id", "own id"),
    ("- {id: sample,", "- {id: sample, title: A}\n  - {id: sample,", 4, "tones[1].id", "same id as tones[0].id", ""),
    (FREE, "0312345650", 20, HELD, "overlaps members[0].numbers[1] of member m-0001", "one"),
    (FREE, "0312345678", 20, HELD, "members[0].numbers", "one member"),
    (FREE, "0612345*", 20, HELD, "same as members[0].numbers[2] of member m-0001", "one"),
    (FREE, "110", 20, HELD, "emergency", "remove it"),
    (FREE, "+12125551234", 20, HELD, "not a Japanese", "Write it like"),
    (FREE, "03123", 20, HELD, "not a Japanese", "Write it like"),
    (FREE, "03*", 20, HELD, "covers 100,000,000", "really holds"),
    ("0312345677", "0312345*", 22, "suspensions[0].number", "not a Japanese", "Write it like"),
    ("0312345677", "119", 22, "suspensions[0].number", "emergency", "remove it"),
    ('number: "0312345677", ', "", 22, "suspensions[0]", "names 0 of `number`", "exactly one"),
    (", reference: R-1", ", reference: R-1, member: m-0001", 22, "suspensions[0]", "names 2 of", "exactly one"),
    ('number: "0312345677"', "numbers: 03*", 22, "suspensions[0].numbers", "covers 100,000,000", "really"),
    ('number: "0312345677"', "member: m-9", 22, "suspensions[0].member", "'m-9', which is not in", "add the member"),
    (", reference: R-1", ", reference: R, kind: stopp", 22, "suspensions[0].kind", "one of the", "'no-new-numbers'"),
    (", reference: R-1", ", reference: R, kind: no-new-numbers", 22, "suspensions[0].kind", "about a member", "remove"),
    ("reference: R-1", f"reference: R, until: {STARTED}", 22, "suspensions[0].until", "not after `since`", "Correct"),
]


def test_each_fault_names_line_field_and_remedy():
    for old, new, line, field, problem, remedy in FAULTS:
        [fault] = faults_of(replace_in_good(old, new))
        assert (fault.file, fault.line, fault.field) == ("registry.yaml", line, field), new
        assert problem in fault.problem, new
        assert remedy in fault.remedy, new
        assert fault.remedy, new
        assert "12345" not in fault.problem, new


@pytest.mark.parametrize("version", [1, 2**53 - 1])
def test_the_evidence_holds_every_version_that_a_registry_can_have(version):
    read = parse_document(replace_in_good("version: 42", f"version: {version}"), "registry.yaml").registry.version
    assert json.loads(canonical(decided(PLAY._replace(registry_version=read)).details))["registry_version"] == version


def test_a_key_that_is_a_number_is_not_shown_in_clear():
    [fault] = faults_of(replace_in_good("{number: ", '{"0312345699": x, number: '))
    assert "12345" not in str(fault)
    assert fault.field == "suspensions[0].…5699"
