"""Faults of single values: each has its line, its field and a remedy."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta, timezone

import pytest

from idtone.calls import Direction, LicenceStatus
from idtone.ledger.evidence.canonical import canonical
from idtone.registry.sources import parse_document

from ..ledger.sample_evidence import PLAY, decided
from .examples import GOOD, faults_of, spoiled

JST = timezone(timedelta(hours=9))

LONG = "x" * 201


def test_a_valid_registry_is_read():
    document = parse_document(GOOD, "registry.yaml")
    assert document.registry.version == 42
    assert document.registry.expires == datetime(2026, 12, 1, tzinfo=JST)
    member = document.members[0]
    assert (member.id, member.name.ja, member.name.en) == ("m-0001", "良い電話株式会社", "Good Telecom")
    assert member.pledge is not None
    assert member.pledge.signed == date(2026, 1, 5)
    licence = member.licences[0]
    assert licence.status is LicenceStatus.ACTIVE
    assert licence.valid.start == datetime(2026, 1, 10, tzinfo=JST)
    assert licence.valid.until == datetime(2027, 1, 10, tzinfo=JST)
    assert licence.directions == (Direction.INCOMING, Direction.OUTGOING)
    assert document.suspensions[0].reference == "R-1"


def test_no_repr_shows_a_number():
    text = repr(parse_document(GOOD, "registry.yaml"))
    assert "12345" not in text


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "problem", "remedy"),
    [
        ("version: 42", "version: 0", 1, "registry.version", "is less than 1", "larger value"),
        ("version: 42", "version: -42", 1, "registry.version", "is less than 1", "larger value"),
        ("version: 42", f"version: {2**53}", 1, "registry.version", "is more than 9007199254740991", "smaller"),
        ("version: 42", f"version: {10**30}", 1, "registry.version", "is more than 9007199254740991", "smaller"),
        ("version: 42", "version: new", 1, "registry.version", "not a whole number", "whole number"),
        ("version: 42, ", "", 1, "registry.version", "is missing", "Add it"),
        ("association: JUSA", "association: ''", 1, "registry.association", "not a readable text", "one line"),
        (
            "issued: 2026-11-01T00:00:00+09:00", "issued: 2026-11-01T00:00:00", 1, "registry.issued",
            "has no time zone", "+09:00",
        ),
        ("issued: 2026-11-01T00:00:00+09:00", "issued: 2026-11-01", 1, "registry.issued", "has no time zone", "+09:00"),
        ("issued: 2026-11-01T00:00:00+09:00", "issued: 20261101", 1, "registry.issued", "not a date and time", "like"),
        (
            "issued: 2026-11-01T00:00:00+09:00", "issued: 2026-02-30T00:00:00Z", 1, "registry.issued",
            "not a date and time", "like",
        ),
        ("tones:\n  - {id: sample, title: Sample sound}\n", "", 1, "tones", "is missing", "Add it"),
        ("title: Sample sound", "title: S, sha265: x", 3, "tones[0].sha265", "not a known key", "'sha256'"),
        ("title: Sample sound", f"title: {LONG}", 3, "tones[0].title", "not a readable text", "200 characters"),
        ("title: Sample sound", 'title: "a\\e[2Jb"', 3, "tones[0].title", "not a readable text", "one line"),
        ("title: Sample sound", "title: S, sha256: abc", 3, "tones[0].sha256", "not a SHA-256", "64 hexadecimal"),
        ("{id: sample", "{id: ../sample", 3, "tones[0].id", "not an id", "letters"),
        ("{id: sample", "{id: .sample", 3, "tones[0].id", "not an id", "first"),
        ("id: m-0001", "id: m 1", 5, "members[0].id", "not an id", "letters"),
        (", en: Good Telecom", "", 6, "members[0].name.en", "is missing", "Add it"),
        ("signed: 2026-01-05", "signed: 20260105", 7, "members[0].pledge.signed", "not a date", "2026-01-10"),
        ("signed: 2026-01-05", "signed: 2026-13-05", 7, "members[0].pledge.signed", "not a date", "like"),
        (
            "status: active", "status: aktive", 11, "members[0].licences[0].status", "not one of the possible values",
            "'active', 'suspended' or 'revoked'",
        ),
        ("from: 2026-01-10T00:00:00+09:00, ", "", 12, "members[0].licences[0].valid.from", "is missing", "Add it"),
        (
            "until: 2027-01-10T00:00:00+09:00", "until: soon", 12, "members[0].licences[0].valid.until", "not a date",
            "like",
        ),
        (
            "[incoming, outgoing]", "[incoming, inward]", 13, "members[0].licences[0].directions[1]",
            "not one of the possible values", "'outgoing'",
        ),
        ("[incoming, outgoing]", "[]", 13, "members[0].licences[0].directions", "too few entries", "at least 1"),
        ("[incoming, outgoing]", "incoming", 13, "members[0].licences[0].directions", "not a list", "Write a list"),
        ('numbers: ["0312345678"', 'number: ["0312345678"', 14, "members[0].number", "not a known key", "'numbers'"),
        (
            "since: 2026-03-01T00:00:00+09:00", "since: 2026-03-01", 22, "suspensions[0].since", "has no time zone",
            "+09:00",
        ),
        (", reference: R-1", "", 22, "suspensions[0].reference", "is missing", "Add it"),
        ("suspensions:", "suspension:", 21, "suspension", "not a known key", "'suspensions'"),
    ],
)  # fmt: skip
def test_each_fault_names_line_field_and_remedy(old, new, line, field, problem, remedy):
    [fault] = faults_of(spoiled(old, new))
    assert (fault.file, fault.line, fault.field) == ("registry.yaml", line, field)
    assert problem in fault.problem
    assert remedy in fault.remedy
    assert fault.remedy


def test_all_faults_are_reported_in_order_of_place():
    text = spoiled("version: 42", "version: 0").replace("status: active", "status: on").replace("R-1", "''")
    assert [fault.line for fault in faults_of(text)] == [1, 11, 22]


def test_a_sha256_may_be_written_in_capitals():
    document = parse_document(spoiled("title: Sample sound", f"title: S, sha256: {'AB' * 32}"), "registry.yaml")
    assert document.tones[0].sha256 == "ab" * 32


@pytest.mark.parametrize("version", [1, 2**53 - 1])
def test_the_evidence_holds_every_version_that_a_registry_can_have(version):
    read = parse_document(spoiled("version: 42", f"version: {version}"), "registry.yaml").registry.version
    assert json.loads(canonical(decided(PLAY._replace(registry_version=read)).details))["registry_version"] == version


def test_a_key_that_is_a_number_is_not_shown_in_clear():
    [fault] = faults_of(spoiled("{number: ", '{"0312345699": x, number: '))
    assert "12345" not in str(fault)
    assert fault.field == "suspensions[0].…5699"
