"""The registries of a pack. A third party repeats the decisions with the pack alone, and notices changes."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from typer.testing import CliRunner

from idtone.core.calls import Direction, ForwardedCall
from idtone.core.decision import Policy, decide, time_by
from idtone.core.numbers import parse
from idtone.core.settings.settings import Settings, load_settings
from idtone.core.signed_notes import Note, Signer
from idtone.ledger.disclosure.pack_file import read_zip
from idtone.ledger.evidence import steps
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.writing.ledger_writer import LedgerWriter
from idtone.registry.sources import FileSource, SignedSource
from idtone.registry.trust.publication_client import PublicationClient
from idtone.registry.trust.tuf_roles import Keys
from idtone.registry.used_registries import FOLDER, UsedRegistries, UsedRegistry, metadata_digest
from lab.idtone_programs import locate_command
from lab.ledger.sample_evidence import write_each
from lab.ledger.vectors.logs_table import ROOT as ROOT_OF_ANOTHER
from lab.nightly_tests import rest_in_breadth
from lab.node_js import find_or_get_node
from lab.operations.ledger_commands import WARRANT, reseal
from lab.registry.examples import GOOD
from lab.registry.trust.association import NEVER, Association, Machine
from lab.repository import ROOT

SUSPENSIONS = """\
issued: 2026-11-02T00:00:00+09:00
suspensions:
  - {number: "0312345677", since: 2026-03-01T00:00:00+09:00, reference: R-1}
  - {number: "0312345679", since: 2026-03-01T00:00:00+09:00, until: 2026-04-01T00:00:00+09:00, reference: R-2}
  - {member: m-0003, since: 2026-03-01T00:00:00+09:00, reference: R-3}
"""
THIRD = """\
  - {id: m-0003, name: {ja: 甲, en: A}, pledge: {signed: 2026-01-05}, numbers: ["0362345600-0362345699"]}
"""
CHAIN = """\
chains:
  - numbers: "0312345600-0312345649"
    links: [{from: m-0001, to: m-0002, checked: {by: m-0001, day: 2026-04-01, document: D}}]
portings:
  - {numbers: "0312345650-0312345659", from: m-0001, to: m-0002, at: 2026-11-20T00:00:00+09:00}
"""
REGISTRY = GOOD.partition("suspensions:")[0] + THIRD + CHAIN
Calls = dict[str, tuple[str, str, str]]
CALLS: Calls = {
    "licensed": ("0312345678", "09012345679", "licence-valid"),
    "licensed prefix": ("0612345001", "09012345679", "licence-valid"),
    "suspended": ("0312345677", "09012345679", "number-suspended"),
    "suspended stock": ("0362345601", "09012345679", "number-suspended"),
    "suspended before": ("0312345679", "09012345679", "licence-valid"),
    "unknown": ("0399999999", "09012345679", "number-unknown"),
    "another member's": ("0312340001", "09012345679", "number-of-another-member"),
    "by a chain": ("0312345601", "09012345679", "licence-none"),
    "before a porting": ("0312345651", "09012345679", "licence-valid"),
    "never originates": ("0312345678", "0335810110", "number-never-originates"),
    "withheld": ("", "09012345679", "number-withheld"),
}
POLICY = Policy(member="m-0001")
CLOCK = Signer("witness.example/w", bytes(range(32)))
"""Signer of a witness."""
AT = datetime(2026, 11, 10, tzinfo=UTC)


@dataclass
class Node:
    """A node that has decided calls, and exports their evidence."""

    config: Path
    settings: Settings
    pack: Path
    root: Path | None

    def decide(self, registry: Any, calls: Calls, at: datetime = AT) -> None:
        ring = KeyRing.of(self.settings.ledger, "pbx-1")
        with LedgerWriter.open(self.settings.ledger.url, "pbx-1", ring) as writer:
            for name, (number, caller, reason) in calls.items():
                call = ForwardedCall(name, Direction.INCOMING, parse(number), parse(caller), parse("05031234567"))
                decision = decide(call, registry, POLICY, time_by(registry, at))
                assert decision.reason == reason, name
                assert decision.registry_sha256
                ended = steps.ended(name, at + timedelta(seconds=1), steps.CallStatus.CANCEL, 16)
                write_each(writer, steps.decided(call, decision, at, "ari", "123456789012"), ended)

    def export(self, *calls: str, more: tuple[str, ...] = ()) -> dict[str, bytes]:
        self.pack.unlink(missing_ok=True)
        told = run("ledger", "export", "--case", "R-7", *WARRANT, *more, *calls, "-o", self.pack, "-c", self.config)
        assert told.exit_code == 0, told.output
        return read_zip(self.pack)

    def repeat(self, *more: object) -> tuple[int, dict[str, Any]]:
        told = run("registry", "decide", "--pack", self.pack, "--json", *more)
        found = json.loads(told.stdout)
        return told.exit_code, {"faults": found["faults"], **{each["call_id"]: each for each in found["calls"]}}


def run(*arguments: object) -> Any:
    return CliRunner().invoke(
        *locate_command(list(map(str, arguments))), env={"COLUMNS": "200"}, catch_exceptions=False
    )


@pytest.fixture(scope="module")
def association(tmp_path_factory: pytest.TempPathFactory) -> Association:
    return association_of(tmp_path_factory.mktemp("association"))


def association_of(folder: Path) -> Association:
    made = Association(folder)
    made.write(REGISTRY, SUSPENSIONS, NEVER)
    made.begin()
    return made


@pytest.fixture(scope="module")
def node(association: Association, tmp_path_factory: pytest.TempPathFactory) -> Node:
    return node_of(association, tmp_path_factory.mktemp("node"), CALLS)


def node_of(association: Association, folder: Path, calls: Calls) -> Node:
    machine = Machine(association, folder / "machine")
    config = folder / "idtone.yaml"
    config.write_text(
        f"node: pbx-1\nledger: {{url: 'sqlite:///{folder}/l.sqlite3', key_file: {folder}/key}}\n"
        f"registry: {{source: {machine.source}, trust: {machine.trust}, cache: {machine.cache}}}\n"
        "association: {member: m-0001}\n"
    )
    source = SignedSource(machine.repository(), 0.0)
    assert source.refresh()
    made = Node(config, load_settings(config, {}), folder / "pack.zip", machine.trust)
    made.decide(source.current, calls)
    return made


def test_the_decisions_are_repeated_with_nothing_but_the_pack(node):
    node.export(*CALLS)
    code, found = node.repeat("--root", node.root)
    withheld = found.pop("withheld")
    assert (withheld["repeated"], withheld["good"]) == (None, True), "there is no number to ask the registry for"
    assert (code, found.pop("faults")) == (0, [])
    for name, each in found.items():
        assert (each["same"], each["signed_by_association"], each["root_is_known"]) == (True, True, True), name
        assert each["recorded"]["reason"] == CALLS[name][2]
    assert run("verify", "pack", node.pack).exit_code == 0


def test_a_pack_shows_nothing_of_other_numbers(node):
    files = node.export("licensed")
    [shown] = [content.decode() for name, content in files.items() if name.startswith("registry/")]
    for other in ("1312340001", "136234560", "1335810110", "131234565", "1312345677", "R-1", "良い電話", "見本警察署"):
        assert other not in shown
    code, found = node.repeat()
    assert (code, found["licensed"]["same"], found["licensed"]["root_is_known"]) == (0, True, False)


def test_if_the_numbers_stay_sealed_nothing_is_shown_of_them(node):
    files = node.export("licensed", more=("--sealed",))
    [shown] = [json.loads(content) for name, content in files.items() if name.startswith("registry/")]
    assert (shown["numbers"], bool(shown["metadata"])) == ({}, True)
    code, found = node.repeat()
    assert (code, found["licensed"]["repeated"]) == (1, None)


def says(told: Any) -> str:
    return " ".join(told.stdout.split())


def named(association: Association, node: Node, until: str = "") -> None:
    """Enter the node's log and its witness in the association's registry, and publish the registry."""
    log = KeyRing.of(node.settings.ledger, "pbx-1").signer.key
    policy = (
        f"witness_policy: {{cosignatures: 1, witnesses: [{{key: {CLOCK.cosigner}, since: 2026-01-01T00:00:00Z}}]}}\n"
    )
    entry = f"    logs: [{{key: {log}, since: 2026-01-01T00:00:00Z{until}}}]\n    licences:\n      - id: L-0001"
    changed = REGISTRY.replace("    licences:\n      - id: L-0001", entry, 1)
    version = 44 if until else 43
    association.write(changed.replace("version: 42", f"version: {version}") + policy)
    association.publish()


def test_a_pack_says_whose_log_it_is_and_which_witnesses_count(tmp_path):
    """First the registry names no logs.

    Then it names them, and finally another member has the key.
    """
    association = association_of(tmp_path / "association")
    node = node_of(association, tmp_path, {"licensed": CALLS["licensed"]})
    node.export("licensed")
    told = run("verify", "pack", node.pack, "--root", node.root)
    assert (told.exit_code, "whose log not known" in says(told)) == (1, True), "never silently good"

    named(association, node)
    cached = PublicationClient(node.root, str(association.repository), node.settings.registry.cache)
    cached.keep(cached.update())
    ring = KeyRing.of(node.settings.ledger, "pbx-1")
    with LedgerReader.open(node.settings.ledger.own_url()) as reader:
        head = Note.parse((reader.checkpoint() or "").encode())
    ring.cosigned.remember(replace(head, signatures=(*head.signatures, CLOCK.cosign(head.text, int(time.time())))))
    files = node.export("licensed")
    assert "良い電話株式会社 / Good Telecom (m-0001)" in files["report.html"].decode()
    told = run("verify", "pack", node.pack, "--root", node.root)
    assert told.exit_code == 0, told.stdout
    assert "whose log 良い電話株式会社 / Good Telecom (m-0001)" in says(told)
    assert "as demanded: 1 of witness.example/w; cosigned in time by witness.example/w" in says(told)
    assert "were not verified" not in told.stdout

    (tmp_path / "another.json").write_bytes(ROOT_OF_ANOTHER)
    told = run("verify", "pack", node.pack, "--root", tmp_path / "another.json")
    assert (told.exit_code, "whose log not known: see the faults above" in says(told)) == (1, True), told.stdout

    named(association, node, ", until: 2026-10-01T00:00:00Z")
    today = plain_names(association.repository / "metadata", tmp_path)
    told = run("verify", "pack", node.pack, "--root", node.root, "--registry", today, "--json")
    found = json.loads(told.stdout)
    assert (told.exit_code, found["rules"]) == (1, ["log-until", "witness-policy"])
    assert (found["log_of"]["member"], found["association_verified"]) == ("m-0001", True)
    for program in (
        [sys.executable, "docs/verify_pack.py"],
        [*find_or_get_node(), "tools/second-opinion/verify-pack.mjs"],
    ):
        command = [*program, node.pack, "--log-key", found["log"], "--root", node.root, "--registry", today]
        done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "whose log: m-0001, 良い電話株式会社 / Good Telecom" in done.stdout


def plain_names(folder: Path, to: Path) -> Path:
    """Folder with the metadata under names without versions."""
    for role in ("root", "targets", "registry"):
        latest = max(folder.glob(f"*.{role}.json"), key=lambda path: int(path.name.partition(".")[0]))
        (to / f"{role}.json").write_bytes(latest.read_bytes())
    return to


Shown = dict[str, Any]


def _entry(shown: Shown, file: str) -> dict[str, Any]:
    entry: dict[str, Any] = shown["numbers"]["licensed"][file][0]
    return entry


def _other_words(shown: Shown) -> None:
    entry = _entry(shown, "registry.yaml")
    entry["content"] = entry["content"].replace("L-0001", "L-0002")


LIES: dict[str, Callable[[Shown], object]] = {
    "another licence": _other_words,
    "another place": lambda shown: _entry(shown, "registry.yaml").update(index=0),
    "another path": lambda shown: _entry(shown, "registry.yaml")["path"].reverse(),
    "no path": lambda shown: _entry(shown, "suspensions.yaml").update(path=[]),
    "an entry of another number": lambda shown: _entry(shown, "suspensions.yaml").update(
        shown["numbers"]["suspended"]["suspensions.yaml"][0]
    ),
    "a file less": lambda shown: shown["numbers"]["licensed"].pop("never-originates.yaml"),
    "no entry": lambda shown: shown["numbers"]["licensed"].update({"registry.yaml": []}),
    "nothing of the call": lambda shown: shown["numbers"].pop("licensed"),
    "another member's policy": lambda shown: shown["policy"].update(member="m-0002"),
    "a number that is none": lambda shown: _entry(shown, "registry.yaml").update(size="x"),
}


@rest_in_breadth("lie", LIES)
def test_what_the_association_has_not_signed_is_noticed(node, lie):
    files = node.export("licensed", "suspended")
    [name] = [name for name in files if name.startswith("registry/")]
    shown = json.loads(files[name])
    LIES[lie](shown)
    reseal(node.pack, node.settings.ledger, files | {name: rfc8785.dumps(shown)})
    code, found = node.repeat("--root", node.root)
    assert code == 1
    assert not found["licensed"]["same"]
    assert lie == "another member's policy" or found["suspended"]["good"]


def test_metadata_that_others_have_signed_are_noticed(node, tmp_path):
    """A member makes a false association with other licences, so the digest or the root differs."""
    other = Association(tmp_path / "other")
    other.write(REGISTRY, SUSPENSIONS, NEVER)
    other.begin()
    files = node.export("licensed")
    code, _ = node.repeat("--root", other.root())
    assert code == 1
    [name] = [name for name in files if name.startswith("registry/")]
    shown = json.loads(files[name])
    shown["metadata"]["root.json"] = shown["metadata"]["targets.json"]
    reseal(node.pack, node.settings.ledger, files | {name: rfc8785.dumps(shown)})
    assert "is not a registry by which" in run("verify", "pack", node.pack).stdout


def test_a_later_registry_does_not_replace_the_earlier_one(association, node, tmp_path):
    machine = Machine(association, tmp_path / "machine")
    source = SignedSource(machine.repository(), 0.0)
    source.refresh()
    before = source.current.sha256
    association.publish(association.signers(Keys.DUTY))
    assert source.refresh(), "the same files, signed again"
    assert source.current.sha256 != before
    used = UsedRegistries(machine.cache / FOLDER)
    assert {bool(used.find(each)) for each in (before, source.current.sha256)} == {True}
    assert len(list((machine.cache / FOLDER).glob("*.gz"))) == 3, "files that did not change are kept once"


def test_while_members_are_compiled_each_decision_is_that_of_the_edition_which_it_names(tmp_path, monkeypatch):
    monkeypatch.setattr("idtone.registry.sources.LARGE", 10)
    association = association_of(tmp_path / "association")
    node = node_of(association, tmp_path, {})
    source = SignedSource(Machine(association, tmp_path / "machine").repository(), 0.0)
    source.refresh()
    members = REGISTRY.replace("version: 42", "version: 43").replace('"0612345*"', '"0612345*", "0399999999"')
    lifted = SUSPENSIONS.replace("0312345677", "0612345001")
    association.write(members, lifted, NEVER.replace("0335810110", "0335810119"))
    association.publish()
    assert source.refresh()
    stopped = {
        "stopped": ("0612345001", "", "number-suspended"),
        "bars": ("0312345678", "0335810119", "number-never-originates"),
    }
    old = {name: each for name, each in CALLS.items() if name != "licensed prefix"}
    node.decide(source.current, old | stopped)
    node.export(*old, *stopped)
    code, found = node.repeat("--root", node.root)
    assert code == 0, [each for name, each in found.items() if name != "faults" and not each["good"]]
    versions = {name: found[name]["registry_version"] for name in [*old, *stopped]}
    assert versions == dict.fromkeys(old, 42) | dict.fromkeys(stopped)
    assert len({found[name]["registry_sha256"] for name in versions}) == 2


def test_the_latest_registry_is_the_one_of_the_largest_version_whatever_the_times_of_the_files(tmp_path):
    used = UsedRegistries(tmp_path)
    kept = {}
    for number, (version, age_s) in enumerate([(9, 300), (10, 400), (10, 500), (2, 0)]):
        metadata = {"registry.json": json.dumps({"signed": {"version": version}, "signatures": [number]}).encode()}
        kept[number] = UsedRegistry(metadata_digest(metadata), {}, metadata)
        used.put(kept[number], lambda name: BytesIO())
        at = time.time() - age_s
        os.utime(tmp_path / f"{kept[number].sha256}.json", (at, at))
    assert used.latest() == kept[1], "of one version, the one that came last"


def test_an_unsigned_registry_is_shown_as_the_members_own_words(tmp_path):
    file, config = tmp_path / "registry.yaml", tmp_path / "idtone.yaml"
    file.write_text(GOOD)
    config.write_text(
        f"node: pbx-1\nledger: {{url: 'sqlite:///{tmp_path}/l.sqlite3', key_file: {tmp_path}/key}}\n"
        f"registry: {{source: {file}, trust: unsigned, cache: {tmp_path}/cache}}\nassociation: {{member: m-0001}}\n"
    )
    source = FileSource(file, UsedRegistries(tmp_path / "cache" / FOLDER))
    source.refresh()
    node = Node(config, load_settings(config, {}), tmp_path / "pack.zip", None)
    node.decide(source.current, {name: CALLS[name] for name in ("licensed", "suspended", "unknown")})
    node.export("licensed", "suspended", "unknown")
    code, found = node.repeat()
    assert (code, found["licensed"]["same"], found["licensed"]["signed_by_association"]) == (0, True, False)
    told = run("registry", "decide", "--pack", node.pack).stdout
    assert "unsigned: these are the member's own words" in told


def test_registries_go_with_the_numbers_that_they_decided(tmp_path):
    """After `ledger.retention`, no pack can open the numbers of these registries."""
    texts = [GOOD.replace("version: 42", f"version: {version}") for version in (42, 43, 44)]
    file = tmp_path / "registry.yaml"
    found = []
    for days, text in zip((30, 20, 0), texts, strict=True):
        file.write_text(text)
        source = FileSource(file, UsedRegistries(tmp_path / "used", timedelta(days=25)))
        source.refresh()
        found.append(source.current.sha256)
        at = (datetime.now(UTC) - timedelta(days=days)).timestamp()
        os.utime(tmp_path / "used" / f"{found[-1]}.json", (at, at))
    kept = UsedRegistries(tmp_path / "used")
    assert [bool(kept.find(each)) for each in found] == [True, True, True], "the first was in use until 20 days ago"
    later = UsedRegistries(tmp_path / "used", timedelta(days=15))
    file.write_text(GOOD.replace("version: 42", "version: 45"))
    FileSource(file, later).refresh()
    assert [bool(kept.find(each)) for each in found] == [False, True, True]
    assert len(list((tmp_path / "used").glob("*.gz"))) == 3
