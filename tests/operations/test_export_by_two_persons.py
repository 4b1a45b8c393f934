"""Exports by two persons: the commands, and the resulting packs."""

import asyncio
import base64
import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from typer.testing import CliRunner

from idtone.core.errors import LedgerError, UsageError
from idtone.core.persons import AccountKnownBy, Person
from idtone.core.settings.settings import LedgerSettings, load_settings
from idtone.core.signed_notes import Signer, VerifierKey
from idtone.evidence_cli import app
from idtone.ledger.commands import options
from idtone.ledger.disclosure import record_act as record_act_module
from idtone.ledger.disclosure.disclosure_request import DisclosureRules
from idtone.ledger.disclosure.legal_basis import BASIS_DETAILS
from idtone.ledger.disclosure.pack import MANIFEST, SEAL, seal
from idtone.ledger.disclosure.pack_file import read_zip
from idtone.ledger.disclosure.pack_verification import verify_pack_files
from idtone.ledger.disclosure.packed_calls import packed_calls, selection_digest
from idtone.ledger.disclosure.record_act import record_queued_acts
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import Step, StepKind
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.writing.ledger_writer import LedgerWriter
from lab.ledger.sample_evidence import ALICE, BOB
from lab.operations.ledger_commands import WARRANT, run
from lab.operations.manifest_tamperings import TAMPERINGS

CAROL = Person(1003, "carol", AccountKnownBy.LOGIN)


class Office:
    """An office of several persons who share a machine."""

    def __init__(self, settings: Path, monkeypatch: pytest.MonkeyPatch, pack: Path) -> None:
        settings.write_text(
            settings.read_text().replace("ledger: {", "ledger: {exports: two-persons, approval: PT1H, ")
        )
        self.config = settings
        self.pack = pack
        self._monkeypatch = monkeypatch

    def be(self, person: Person) -> None:
        self._monkeypatch.setattr(options, "acting_person", lambda: person)

    def run(self, person: Person, *arguments: object) -> dict[str, Any]:
        self.be(person)
        result = run(*arguments, "-c", self.config, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def ask(self, *arguments: object, person: Person = ALICE) -> str:
        return str(self.run(person, "export", "--case", "R-7", *WARRANT, *(arguments or ("c-1", "c-2")))["request"])

    def approve(self, request: str, person: Person = BOB) -> str:
        return str(self.run(person, "disclosure approve", request, "--yes")["approval"])

    def export(self, request: str, person: Person = ALICE) -> dict[str, Any]:
        return self.run(person, "export", "--request", request, "-o", self.pack)

    @property
    def settings(self) -> LedgerSettings:
        return load_settings(self.config, {}).ledger

    @property
    def key_ring(self) -> KeyRing:
        return KeyRing.of(self.settings, "pbx-1")

    def kinds(self) -> list[StepKind]:
        with LedgerReader.open(self.settings.url) as reader:
            return [step.kind for step in reader.acts()]

    def enter(self, make: Callable[[str], Step]) -> str:
        """Enter an act without the commands, as anyone who runs programs as the service's user can."""
        made = make("act-0123")
        with LedgerWriter.open(self.settings.url, "pbx-1", self.key_ring) as writer:
            writer.append(made).result(60)
        return made.call_id


@pytest.fixture
def office(config: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Office:
    return Office(config, monkeypatch, tmp_path / "pack.zip")


def test_one_requests_another_approves_and_makes_the_pack(office):
    request = office.ask()
    assert not office.pack.exists()
    [listed] = office.run(CAROL, "disclosure requests")
    assert (listed["state"], listed["case"], listed["calls"]) == ("open", "R-7", ["c-1", "c-2"])
    assert listed["requested"]["by"] == "alice"
    office.approve(request)
    made = office.export(request, BOB)
    told = json.loads(run("verify pack", office.pack, "--log-key", made["log_key"], "--two-persons", "--json").stdout)
    assert (told["good"], told["policy"], told["faults"]) == (True, "two-persons", [])
    assert (told["requested"]["by"], told["requested"]["act"]) == ("alice", request)
    assert (told["approved"]["by"], told["approved"]["by_way"]) == ("bob", "sudo")
    assert told["records"][0]["opened"]["forwarding"] == "+81312345678"
    shown = run("verify pack", office.pack).stdout
    assert "requested by alice (uid 1001, by login)" in shown
    assert "approved by  bob (uid 1002, by sudo)" in shown
    assert "承認 / approved by<td>bob" in read_zip(office.pack)["report.html"].decode()
    assert office.kinds() == [StepKind.EXPORT_REQUESTED, StepKind.EXPORT_APPROVED, StepKind.EXPORTED]
    assert office.run(CAROL, "disclosure requests", "--state", "exported")[0]["exported"]["by"] == "bob"
    assert run("verify", "-c", office.config).exit_code == 0


def test_the_approver_sees_the_calls_but_no_number(office):
    request = office.ask()
    office.be(BOB)
    assert run("disclosure approve", request, "-c", office.config).exit_code == 1, "declining is a negative verdict"
    with pytest.raises(UsageError, match="--json does not show what you approve"):
        run("disclosure approve", request, "-c", office.config, "--json")
    assert office.kinds() == [StepKind.EXPORT_REQUESTED]
    shown = run("disclosure approve", request, "-c", office.config, "--yes").stdout
    asked = ("R-7", "令状による差押え等", "見本簡易裁判所", "alice (uid 1001, by login)", "are opened")
    calls = ("c-1", "c-2", "…5678", "…5679", "PLAY")
    assert [text for text in (*asked, *calls) if text not in shown] == []
    assert "12345678" not in shown
    office.run(CAROL, "disclosure refuse", request, "--why", "the court has withdrawn it")
    with pytest.raises(UsageError, match="is refused"):
        office.export(request)
    assert office.run(ALICE, "disclosure requests")[0]["refused"]["why"] == "the court has withdrawn it"
    listed = CliRunner().invoke(app, ["disclosure", "requests", "-c", str(office.config)], env={"COLUMNS": "80"}).stdout
    assert request in listed  # not cut off, because a person has to type it
    assert "refused" in listed


def test_without_an_approval_nothing_is_exported_or_recorded(office):
    request, owner = office.ask(), office.settings.key_file.stat().st_uid
    export, as_alice = ("export", "--request", request), partial(office.run, ALICE)
    for attempt, why in (
        (lambda: office.approve(request, ALICE), "another person has to approve it"),
        (lambda: office.export(request), "is open; only an approved request"),
        (lambda: office.approve("act-9"), "there is no request 'act-9'"),
        (lambda: office.run(BOB, "disclosure refuse", "act-9", "--why", "no"), "there is no request 'act-9'"),
        (lambda: office.run(BOB, "disclosure refuse", request, "--why", " "), "needs a reason"),
        (lambda: office.approve(request, Person(0, "root", AccountKnownBy.LOGIN)), "no person's own account"),
        (lambda: as_alice(*export, "c-1", "-o", office.pack), "give --request and -o alone"),
        (lambda: as_alice("export", "--case", "R", *WARRANT, "c-1", "-o", office.pack), "leave out -o"),
        (lambda: as_alice(*export), "name the pack's file with -o"),
        (
            lambda: office.ask(person=Person(owner, "idtone", AccountKnownBy.ACCOUNT)),
            "log in as yourself and run this by sudo",
        ),
    ):
        with pytest.raises(UsageError, match=why):
            attempt()
        assert office.kinds() == [StepKind.EXPORT_REQUESTED], why
        assert not office.pack.exists(), why


def test_an_approval_counts_once_and_only_for_the_two_persons(office):
    request = office.ask()
    office.approve(request)
    with pytest.raises(LedgerError, match="carol has neither requested nor approved this"):
        office.export(request, CAROL)
    office.export(request)
    office.pack.unlink()
    for again in (lambda: office.export(request, BOB), lambda: office.approve(request, CAROL)):
        with pytest.raises(UsageError, match="is exported"):
            again()
    assert not office.pack.exists()


def test_calls_with_new_records_have_to_be_requested_again(office):
    first, second = office.ask(), office.ask("c-1")
    office.approve(second)
    with LedgerReader.open(office.settings.url) as reader:
        at = reader.records("c-1")[0].steps[-1].at
    office.enter(lambda _: steps.sound_failed("c-1", at, "cut off"))
    for act in (lambda: office.approve(first), lambda: office.export(second)):
        with pytest.raises(UsageError, match=r"request (it|them) (anew|again)"):
            act()


def test_an_approval_expires(office, monkeypatch):
    request = office.ask()
    office.config.write_text(office.config.read_text().replace("PT1H", "PT1M"))
    other = office.ask()
    office.approve(request)

    class Later(record_act_module.datetime):  # type: ignore[name-defined, misc]
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return super().now(tz) + timedelta(minutes=2)

    monkeypatch.setattr("idtone.operations.make_pack.datetime", Later)
    with pytest.raises(UsageError, match="is expired"):
        office.export(request)
    monkeypatch.setattr("idtone.ledger.disclosure.record_act.datetime", Later)
    with pytest.raises(LedgerError, match="is expired"):  # by the writer's clock, not the command's
        office.approve(other)


async def test_the_service_refuses_what_other_settings_allow(office, tmp_path):
    request = office.ask()
    alone, longer = tmp_path / "alone.yaml", tmp_path / "longer.yaml"
    alone.write_text(office.config.read_text().replace("two-persons", "one-person"))
    longer.write_text(office.config.read_text().replace("PT1H", "P365D"))
    with LedgerWriter.open(office.settings.url, "pbx-1", office.key_ring) as writer:
        recording = asyncio.create_task(
            record_queued_acts(office.settings.url, writer, DisclosureRules.of(office.settings))
        )
        office.be(BOB)
        for own, arguments in (
            (alone, ["export", "--case", "R-7", *WARRANT, "-o", office.pack, "c-1"]),
            (longer, ["disclosure approve", request, "--yes"]),
            (longer, ["export", "--case", "R-7", *WARRANT, "c-1"]),
        ):
            with pytest.raises(LedgerError, match="the service refuses to record this"):
                await asyncio.to_thread(run, *arguments, "-c", own)
        await asyncio.to_thread(office.approve, request)
        await asyncio.to_thread(office.export, request)
        recording.cancel()
        await asyncio.wait({recording})
    assert office.kinds() == [StepKind.EXPORT_REQUESTED, StepKind.EXPORT_APPROVED, StepKind.EXPORTED]


def test_a_self_approval_that_was_written_without_the_commands_does_not_count(office):
    request = office.ask()
    with LedgerReader.open(office.settings.url) as reader:
        [asked] = reader.acts()
    until = asked.at + timedelta(hours=1)
    selection = str(asked.details["selection"])
    office.enter(lambda act: steps.export_approved(act, asked.at, ALICE, request, selection, until))
    with pytest.raises(UsageError, match="is open"):
        office.export(request)


def test_a_legal_basis_that_was_changed_after_the_approval_is_refused(office):
    request = office.ask()
    assert "見本警察署" in json.dumps(office.run(CAROL, "disclosure requests"), ensure_ascii=False)
    office.approve(request)
    with LedgerReader.open(office.settings.url) as reader:
        asked = reader.acts()[0]
    for change in ({"court": "another court"}, {"basis": "emergency", "why": "haste"}, {"scope": None}):
        details = {name: value for name, value in {**asked.details, **change}.items() if value is not None}
        basis = {name: value for name, value in details.items() if name in BASIS_DETAILS}
        forged = steps.exported(
            "act-9", asked.at, ALICE, "R-7", 2, False, "ab" * 32, (request, str(asked.details["selection"])), basis
        )
        with pytest.raises(LedgerError, match=r"this is not recorded: (it has another value of basis|its legal basis)"):
            record_act_module.record_act(
                office.settings.url,
                "pbx-1",
                office.key_ring,
                lambda act, step=forged: replace(step, call_id=act),
                DisclosureRules.of(office.settings),
            )
    office.export(request)


def test_a_request_of_earlier_times_without_a_basis_is_not_exported(office):
    until = datetime.now(UTC) + timedelta(hours=1)
    with LedgerReader.open(office.settings.url) as reader:
        chosen = packed_calls(reader, ["c-1"], None, sealed=True)
    selection = selection_digest("R-7", False, chosen, None)
    asked = datetime.now(UTC)
    request = office.enter(
        lambda act: steps.export_requested(act, asked, ALICE, "R-7", ["c-1"], False, selection, until)
    )
    office.approve(request)
    with pytest.raises(UsageError, match="names no legal basis"):
        office.export(request)


def resealed(office: Office, files: dict[str, bytes], change: Callable[[dict[str, Any]], object]) -> dict[str, bytes]:
    """Reseal a changed pack, like an attacker who has the signing key but cannot change the tree."""
    manifest = json.loads(files[MANIFEST])
    change(manifest)
    pack = {**files, MANIFEST: rfc8785.dumps(manifest)}
    return {**pack, SEAL: seal(pack, manifest["case"], office.key_ring.signer)}


def test_a_pack_with_a_false_approval_is_a_fault(office):
    request = office.ask()
    office.approve(request)
    log = VerifierKey.parse(office.export(request)["log_key"])
    files = read_zip(office.pack)
    for change, fault in TAMPERINGS:
        faults = verify_pack_files(resealed(office, files, change), log).faults
        assert any(fault in each for each in faults) if fault else not faults, (fault, faults)
    with LedgerReader.open(office.settings.url, office.key_ring.days) as reader:
        details = json.dumps([dict(step.details) for step in reader.acts()])
    for number in ("312345678", "9012345679", "5031234567"):
        assert number not in details, "no act contains a number"


def test_a_witness_must_have_cosigned_the_approval_too(office):
    witness = Signer("w.example", bytes(32))

    def cosign() -> None:
        seen = office.key_ring.seen.latest(office.key_ring.signer.key)
        assert seen
        office.key_ring.cosigned.remember(seen[0].with_lines([witness.cosign(seen[0].text, int(time.time()))]))

    cosign()  # only the records
    first, second = office.ask(), office.ask()
    office.approve(first)
    office.export(first)
    shown = run("verify pack", office.pack, "--witness-key", witness.cosigner)
    assert shown.exit_code == 1
    assert "w.example has not cosigned the tree" in shown.stdout
    assert run("verify pack", office.pack).exit_code == 0
    office.approve(second)
    cosign()
    office.export(second)
    shown = run("verify pack", office.pack, "--witness-key", witness.cosigner)
    assert (shown.exit_code, "cosigned by  w.example" in shown.stdout) == (0, True)


def test_numbers_that_are_open_against_the_request_are_a_fault(office):
    request = office.ask("c-1", "--sealed")
    office.approve(request)
    made = office.export(request)
    files, log = read_zip(office.pack), VerifierKey.parse(made["log_key"])
    assert verify_pack_files(files, log).faults == []
    with LedgerReader.open(office.settings.url, office.key_ring.days) as reader:
        key = reader.record_key("c-1")
    assert key
    opened = resealed(office, files, lambda manifest: manifest["records"][0].update(key=base64.b64encode(key).decode()))
    assert verify_pack_files(opened, log).faults == ["the numbers are opened, and that was not approved"]
