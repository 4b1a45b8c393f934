"""A large registry, compiled into arrays in another process, gives the same answers as the document."""

import fcntl
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idtone.core.errors import DocumentError, TrustError
from idtone.core.numbers import parse
from idtone.registry import registry_compiler
from idtone.registry.compiled_registry import compile_registry, unpack
from idtone.registry.index import RegistryIndex, Signed
from idtone.registry.model import SuspensionsDocument
from idtone.registry.parsers import parse_registry, read_large_registry
from idtone.registry.registry_compiler import Compilation, compile_in_process
from idtone.registry.sources import SignedSource, parse_document
from idtone.registry.trust.publication_client import PublicationClient
from lab.core.fake_registry import NOW
from lab.registry.compiled_file import octets_of
from lab.registry.examples import GOOD
from lab.registry.trust.association import NEVER, STOPPED, Association, Machine

SIGNED_GOOD = GOOD.partition("suspensions:")[0]
DOCUMENT = parse_document(SIGNED_GOOD, "registry.yaml")
SIGNED = Signed(SuspensionsDocument(issued=datetime(2026, 11, 1, tzinfo=UTC)), datetime(2027, 1, 1, tzinfo=UTC))


def test_a_compiled_registry_answers_like_the_document():
    octets = octets_of(compile_registry(DOCUMENT))
    assert unpack(octets) == compile_registry(DOCUMENT)
    ready, index = RegistryIndex.of(unpack(octets), SIGNED), RegistryIndex(DOCUMENT)
    for number in (parse(f"+{81312345550 + offset}") for offset in range(200)):
        assert ready.holding(number, NOW) == index.holding(number, NOW), number


def test_the_lapses_of_all_members_build_no_member():
    certified = "\n    certification: {number: '1', until: 2027-01-01, document: notice, next_check: 2026-12-20}\n"
    text = SIGNED_GOOD.replace("\n    pledge: {signed: 2026-01-06}\n", certified)
    ready = compile_registry(parse_registry(text, "registry.yaml"))
    assert list(RegistryIndex.of(ready, SIGNED).certification_lapses()) == [
        (datetime(2026, 12, 19, 15, tzinfo=UTC), "m-0002")
    ]
    assert list(ready.holdings) == [0], "only that of numbers without a holder"


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_changed_octets_are_refused(data):
    octets = octets_of(compile_registry(DOCUMENT))
    at = data.draw(st.integers(0, len(octets) - 1))
    with pytest.raises(TrustError):
        unpack(octets[:at] + bytes([octets[at] ^ data.draw(st.integers(1, 255))]) + octets[at + 1 :])
    with pytest.raises(TrustError):
        unpack(octets[:at])


def test_it_is_compiled_once(tmp_path, monkeypatch):
    path = tmp_path / "ab.registry.yaml"
    path.write_text(SIGNED_GOOD)
    made = compile_in_process(path, "registry.yaml")
    assert made == compile_registry(DOCUMENT)
    monkeypatch.setattr(registry_compiler.sys, "executable", "/nowhere")
    assert compile_in_process(path, "registry.yaml") == made
    path.with_suffix(".compiled").write_bytes(b"of another version")
    with pytest.raises(TrustError, match="cannot be compiled"):
        compile_in_process(path, "registry.yaml")


def test_two_programs_do_not_compile_it_at_once_and_none_leaves_a_process(tmp_path):
    path = tmp_path / "ab.registry.yaml"
    path.write_text(SIGNED_GOOD)
    compiled_first = path.with_suffix(".compiled")
    with path.open("rb") as another:
        fcntl.flock(another, fcntl.LOCK_EX)
        one, dropped = Compilation(path), Compilation(path)
        running = dropped._process._running
        del dropped
        assert running.returncode is not None
        waiting = re.compile(rf"->.*:{path.stat().st_ino} ")
        while not waiting.search(Path("/proc/locks").read_text()):
            time.sleep(0.01)
        compiled_first.write_bytes(octets_of(compile_registry(DOCUMENT)))
        file = compiled_first.stat().st_ino
    assert one.wait("registry.yaml") == compile_registry(DOCUMENT)
    assert compiled_first.stat().st_ino == file


def test_a_large_file_is_read_without_a_tree_of_its_numbers(tmp_path, monkeypatch):
    text = SIGNED_GOOD.replace("members:\n", "members:\n  - {id: m-none, name: {ja: 無, en: None}}\n", 1)
    path, wanted = tmp_path / "registry.yaml", compile_registry(parse_registry(text, "registry.yaml"))
    path.write_text(text)
    monkeypatch.setattr("idtone.registry.parsers._AT_ONCE", 1)
    monkeypatch.setattr("idtone.registry.parsers.parse_registry", None)
    large = read_large_registry(path, "registry.yaml")
    assert not large.document.members
    assert compile_registry(large.document, large.held, large.members) == wanted


def test_a_fault_of_a_large_file_is_found_a_few_members_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr("idtone.registry.parsers._AT_ONCE", 1)
    path = tmp_path / "registry.yaml"
    members = SIGNED_GOOD[SIGNED_GOOD.index("members:") :]
    licence = SIGNED_GOOD[SIGNED_GOOD.index("    licences:") : SIGNED_GOOD.index("    numbers:")]
    for old, new, field in (
        ("id: m-0002", "id: m-0001", "members[1].id"),
        ("    licences: []\n", licence, "members[1].licences[0].id"),
        ("tone: sample", "tone: other", "members[0].licences[0].tone"),
        ("until: 2037", "until: 2025", "members[0].licences[0].valid.until"),
        ("0312340001", "031234", "members[1].numbers[0]"),
        ("0312340001", "0312345678", "members[1].numbers[0]"),
        ("members:", "evaluated: []\nmembers:", "evaluated"),
        (members, "", "members"),
        (members, "members: {m-0001: {numbers: []}}\n", "members"),
    ):
        assert SIGNED_GOOD.count(old) == 1, old
        path.write_text(SIGNED_GOOD.replace(old, new))
        with pytest.raises(DocumentError) as error:
            read_large_registry(path, "registry.yaml")
        assert [fault.field for fault in error.value.faults] == [field]


def test_faults_keep_their_places(tmp_path):
    path = tmp_path / "ab.registry.yaml"
    path.write_text(SIGNED_GOOD.replace("status: active", "status: activ"))
    with pytest.raises(DocumentError) as error:
        compile_in_process(path, "registry.yaml")
    assert str(error.value.faults[0]).startswith("registry.yaml:")
    assert not path.with_suffix(".compiled").exists()


def test_the_service_compiles_a_large_registry_and_keeps_the_result(tmp_path, monkeypatch):
    monkeypatch.setattr("idtone.registry.sources.LARGE", 10)
    association = Association(tmp_path / "association")
    association.begin()
    machine = Machine(association, tmp_path / "machine")
    source = SignedSource(machine.repository(), 0.0)
    assert source.refresh()
    assert source.current
    assert source.current.holding(parse("0312345601"), NOW)
    (kept,) = machine.cache.glob("targets/*.compiled")
    association.publish(now=datetime.now(UTC) + timedelta(seconds=1))
    source.refresh()
    assert kept.exists()
    before = source.current
    association.write(SIGNED_GOOD.replace("version: 42", "version: 43"))
    association.publish()
    assert not source.refresh(), "it is compiled first, in the background"
    assert source.current is before
    association.write(suspensions=STOPPED, never=NEVER)
    association.publish()
    assert source.refresh(), "a suspension does not wait for it"
    assert source.current.never_originates(parse("0335810110"))
    assert (source.current.version, source.current.sha256) == (42, before.sha256)
    assert source.current.origin not in (before.origin, machine.repository().update().origin)
    assert source.current.suspensions_of(parse("0312345677"))
    restarted = SignedSource(PublicationClient(machine.trust, str(tmp_path / "unreachable"), machine.cache), 0.0)
    assert restarted.refresh()
    assert restarted.current.suspensions_of(parse("0312345677")), "nor does a restart lift it"
    assert restarted.current.origin == source.current.origin
    while source.current.version == 42:
        time.sleep(0.01)
        source.refresh()
    assert source.current.suspensions_of(parse("0312345677"))
    assert source.current.never_originates(parse("0335810110"))
    source.refresh()
    assert [path for path in machine.cache.glob("targets/*.compiled") if path != kept]
    assert not kept.exists()
