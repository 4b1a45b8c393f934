"""Numbers that never originate calls: an entry's content, look-ups, the compiled form, and the transfer to
a machine.
"""

import json
import logging
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idtone.core.calls import Period
from idtone.core.errors import TrustError
from idtone.core.number_spans import NumberSpan
from idtone.core.numbers import parse
from idtone.registry import registry_compiler, sources
from idtone.registry.local_registry import from_folder, from_published
from idtone.registry.model import NeverOriginatesEntry
from idtone.registry.never_originating import compiled_never_originating, pack, span_of, unpack
from idtone.registry.sources import SignedSource
from idtone.registry.trust import tuf_roles
from idtone.registry.trust.publication_client import PublicationClient
from lab.registry.examples import GOOD, faults_of, index_of
from lab.registry.trust.association import NEVER, Association, Machine, sign_without_rules
from lab.registry.trust.forge_role import forge

BANK = parse("0335810110")
SINCE = datetime(2026, 3, 1, tzinfo=UTC)
LISTED = (
    GOOD
    + """\
never_originates:
  - {number: "0335810110", holder: 見本警察署, reference: N-1, why: 代表番号, since: 2026-03-01T00:00:00+09:00}
  - {numbers: "0120000*", holder: 見本銀行, reference: N-2, since: 2026-03-01T00:00:00+09:00}
"""
)


def entry(text: str, since: datetime = SINCE, until: datetime | None = None) -> NeverOriginatesEntry:
    return NeverOriginatesEntry(numbers=text, holder="見本銀行", reference="N-1", since=since, until=until)


def test_a_registry_for_labs_has_them_as_a_section():
    index = index_of(LISTED)
    assert index.never_originates(BANK) == (Period(datetime(2026, 2, 28, 15, tzinfo=UTC)),)
    assert index.never_originates(parse("0120000123"))
    for other in ("0335810111", "0335810109", "0120001000", "110", "", "+12125551234"):
        assert not index.never_originates(parse(other)), other
    assert index.never_originating
    assert index.never_originating.entries == 2
    assert index_of(GOOD).never_originating is None, "no list is not an empty list"
    assert index_of(GOOD + "never_originates: []\n").never_originating.entries == 0


@pytest.mark.parametrize(
    ("old", "new", "field", "problem"),
    [
        ('number: "0335810110"', 'number: "033581011"', "[0].number", "needs 10 digits"),
        ('number: "0335810110"', 'number: "110"', "[0].number", "this is an emergency number"),
        ('number: "0335810110", ', "", "[0]", "does not name one of `number` and `numbers`"),
        ('numbers: "0120000*"', 'numbers: "0120000*", number: "0120000000"', "[1]", "does not name one of"),
        ('numbers: "0120000*"', 'numbers: "03*"', "[1].numbers", "an entry may cover"),
        ('numbers: "0120000*"', 'numbers: "0335810110"', "[1].numbers", "same range as never_originates[0].number"),
        ("holder: 見本警察署, ", "", "[0].holder", "is missing"),
        ("reference: N-1, ", "", "[0].reference", "is missing"),
        ("since: 2026-03-01T00:00:00+09:00}", "since: 2026-03-01}", "[0].since", "has no time zone"),
        ("+09:00}\n  -", "+09:00, until: 2026-03-01T00:00:00+09:00}\n  -", "[0].until", "is not after `since`"),
    ],
)
def test_a_fault_names_line_and_field(old, new, field, problem):
    assert old in LISTED
    [fault] = faults_of(LISTED.replace(old, new, 1))
    assert fault.field == f"never_originates{field}"
    assert problem in fault.problem
    assert fault.remedy
    assert fault.line > GOOD.count("\n")
    assert "0335810" not in str(fault)


def test_a_signed_registry_has_them_in_a_file_of_their_own():
    with pytest.raises(registry_compiler.DocumentError, match=r"belong in never-originates.yaml.*Move them there"):
        sources.parse_registry(LISTED.partition("suspensions:")[0] + "never_originates: []\n", "registry.yaml")


periods = st.tuples(st.integers(-3, 3), st.none() | st.integers(1, 3))
entries = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 30), periods), max_size=6)


@given(entries, st.integers(0, 80))
@settings(max_examples=100, deadline=None)
def test_a_number_has_the_times_of_all_entries_over_it(listed, offset):
    day = timedelta(days=1)
    made = []
    for first, length, (start, lasts) in listed:
        since = SINCE + start * day
        span = NumberSpan(81312345000 + first, 81312345000 + first + length)
        text = f"0{span.first - 81 * 10**9}-0{span.last - 81 * 10**9}"
        made.append(entry(text, since, None if lasts is None else since + lasts * day))
    ready = compiled_never_originating(made, SINCE)
    assert unpack(pack(ready)) == ready
    number = 81312345000 + offset
    for moment in (SINCE + n * day for n in range(-4, 8)):
        expected = any(number in span_of(each) and each.in_force(moment) for each in made)
        assert any(each.in_force(moment) for each in ready.of(number)) == expected
    placed = list(ready.placed())
    assert placed == sorted(placed, key=lambda each: each[0].first)
    assert {n for span, _ in placed for n in range(span.first, span.last + 1)} == {
        n for each in made for n in range(span_of(each).first, span_of(each).last + 1)
    }


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_changed_octets_are_refused(data):
    octets = pack(compiled_never_originating([entry("0335810110"), entry("0120000*", SINCE, SINCE + timedelta(1))]))
    at = data.draw(st.integers(0, len(octets) - 1))
    with pytest.raises(TrustError):
        unpack(octets[:at] + bytes([octets[at] ^ data.draw(st.integers(1, 255))]) + octets[at + 1 :])


@pytest.fixture
def association(tmp_path) -> Association:
    made = Association(tmp_path / "association")
    made.begin()
    return made


@pytest.fixture
def machine(association, tmp_path) -> Machine:
    return Machine(association, tmp_path / "machine")


def test_a_machine_without_a_list_says_so_and_stays_usable(association, machine, caplog):
    caplog.set_level(logging.INFO)
    source = SignedSource(machine.repository(), 0.0)
    assert source.refresh()
    assert (source.current.version, source.current.never_originating) == (42, None)
    assert "no list of numbers that never originate" in caplog.text
    association.write(never=NEVER)
    association.publish()
    assert source.refresh()
    assert "1 entries of numbers that never originate" in caplog.text
    published = from_published("x", machine.repository().last_good()).index()
    for index in (source.current, published, from_folder(association.folder).index()):
        assert index.never_originates(BANK)


def test_a_repository_that_has_not_the_role_is_usable(association, machine):
    """A repository that another program has made may lack the role."""

    def without(targets: dict) -> None:
        roles = targets["delegations"]["roles"]
        roles[:] = [role for role in roles if role["name"] != tuf_roles.NEVER_ORIGINATES]

    forge(association, "targets", without)
    forge(association, "snapshot", lambda snapshot: snapshot["meta"].pop(f"{tuf_roles.NEVER_ORIGINATES}.json"))
    assert tuf_roles.NEVER_ORIGINATES_FILE not in machine.take().sha256


@pytest.mark.breadth
def test_a_large_list_is_compiled_once_in_another_process(association, machine, monkeypatch):
    monkeypatch.setattr(sources, "LARGE", 10)
    association.write(never=NEVER)
    association.publish()
    source = SignedSource(machine.repository(), 0.0)
    assert source.refresh()
    assert source.current.never_originates(BANK)
    monkeypatch.setattr(registry_compiler.sys, "executable", "/nowhere")
    after_a_restart = SignedSource(PublicationClient(machine.trust, machine.source, machine.cache), 0.0)
    assert after_a_restart.refresh()
    assert after_a_restart.current.never_originates(BANK)


def test_a_faulty_list_changes_nothing_and_names_its_fault(association, machine, monkeypatch, caplog):
    association.write(never=NEVER)
    association.publish()
    source = SignedSource(machine.repository(), 0.0)
    source.refresh()
    sign_without_rules(monkeypatch, tuf_roles.NEVER_ORIGINATES)
    association.write(never=NEVER.replace("0335810110", "033581011"))
    association.publish()
    assert not source.refresh()
    assert source.current.never_originates(BANK), "the last good list stays"
    assert "never-originates.yaml:3" in caplog.text
    assert "033581011" not in caplog.text


def test_what_is_kept_names_its_files(association, machine):
    machine.take()
    kept = json.loads((machine.cache / tuf_roles.KEPT).read_text())
    assert tuf_roles.NEVER_ORIGINATES_FILE not in kept["sha256"]
    association.write(never=NEVER)
    association.publish()
    machine.take()
    kept = json.loads((machine.cache / tuf_roles.KEPT).read_text())
    assert tuf_roles.NEVER_ORIGINATES_FILE in kept["sha256"]
