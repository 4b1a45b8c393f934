"""The parts that `idtone serve` assembles, with a registry that may name masters."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from idtone.call_control.call_control import CallControl
from idtone.core.calls import Outcome, Party, Reason
from idtone.core.errors import DocumentError, TrustError
from idtone.core.settings.settings import AgiSettings, Interface, JournalSettings, RegistrySettings, Settings
from idtone.dialplan import JOURNAL_FILE
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.call_record import Record
from idtone.ledger.evidence.steps import Step, StepKind
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.writing.ledger_writer import LedgerWriter
from idtone.registry.sources import FileSource
from idtone.service import assembly
from idtone.service.assembly import assemble, load
from idtone.service.commands import check_settings
from idtone.service.instance import Instance
from lab.asterisk import free_ports
from lab.hook_requests import request
from lab.ledger.sample_evidence import NONCE, PLAY, forwarded, heard_call, write_each
from lab.registry.examples import valid_until_2096


@contextmanager
def assembled(settings: Settings, *written: Step) -> Iterator[CallControl]:
    """Context with the call control of a service. The ledger of the service has these steps."""
    loaded = load(settings)
    with LedgerWriter.open(settings.ledger.url, "lab", loaded.key_ring) as evidence:
        write_each(evidence, *written)
        with LedgerReader.open(settings.ledger.url, loaded.key_ring.days) as reader:
            calls, _, _ = assemble(settings, loaded, evidence, reader)
            yield calls


def record_of(settings: Settings, call_id: str) -> Record:
    with LedgerReader.open(settings.ledger.url) as reader:
        record = reader.record(call_id)
    assert record
    return record


@pytest.mark.parametrize("named", [False, True])
def test_a_synthesised_sound_does_not_replace_a_master(settings, caplog, named):
    """The licence of the synthesised sound is valid, but the called party gets the notice."""
    settings.registry.file().write_text(valid_until_2096("a" * 64 if named else ""), "utf-8")
    with assembled(settings) as calls:
        call = calls.decide(request("1795.1-1"), Interface.ARI)
        assert call
        verdict = calls.verdict(call)
    assert (verdict.outcome, verdict.reason) == (Outcome.PLAY, Reason.LICENCE_VALID)
    assert verdict.files == {Party.CALLED: "notice" if named else "sample"}
    assert ("'sample' is not played: it is synthesised, but the registry names a master" in caplog.text) is named


async def test_a_call_of_an_earlier_service_is_recognised_by_its_nonce_unless_it_has_ended(settings, caplog):
    going_on = steps.decided(forwarded("1795.1-1"), PLAY, datetime.now(UTC), nonce=NONCE)
    with assembled(settings, going_on, *heard_call("1795.2-1")) as calls:
        known = calls.find("1795.1-1")
        assert (known.decision.outcome, known.decision.licence) == (PLAY.outcome, PLAY.licence)
        assert [number.e164 for number in known.forwarding_numbers] == ["+81312345678"]
        requests = (request("1795.1-1"), request("1795.1-1", "999999999999"), request("1795.2-1"))
        found = [await calls.decide_after_look_up(each, Interface.ARI) for each in requests]
        assert found == [known, None, None]
        assert "1795.2-1: this call has ended; it gets no verdict" in caplog.text
        assert calls.decide(request("1795.3-1"), Interface.ARI)
    assert record_of(settings, "1795.2-1").anomalies == ()


def test_a_check_reads_files_and_changes_nothing(settings, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    check_settings(settings)
    assert sorted(tmp_path.rglob("*")) == before
    root = tmp_path / "root.json"
    signed = settings.model_copy(update={"registry": RegistrySettings(source=str(tmp_path), trust=str(root))})
    with pytest.raises(TrustError, match="No such file"):
        check_settings(signed)
    root.write_text("{}")
    with pytest.raises(TrustError, match="is not the root file of an association"):
        check_settings(signed)
    ledger = settings.ledger.model_copy(update={"legal_bases": tmp_path / "legal_bases.yaml"})
    with pytest.raises(DocumentError, match=r"legal_bases\.yaml: cannot be read"):
        check_settings(settings.model_copy(update={"ledger": ledger}))
    settings.registry.file().write_text("registry: 1", "utf-8")
    with pytest.raises(DocumentError, match=r"registry\.yaml"):
        check_settings(settings)


def test_a_start_does_not_wait_for_a_registry_that_never_answers(settings, monkeypatch, caplog):
    """The registry is, for example, on a network share that hangs. The service uses the registry once it
    can be read.
    """
    answers = threading.Event()
    look = FileSource.refresh
    monkeypatch.setattr(FileSource, "refresh", lambda source: answers.wait(60) and look(source))
    monkeypatch.setattr(assembly, "REGISTRY_WITHIN_S", 0.05)
    source = load(settings).source
    assert source.current is None
    assert "the registry's source has not answered within 0.05 s; the service starts without a registry" in caplog.text
    answers.set()
    while source.current is None:
        time.sleep(0.01)


def test_the_journal_has_a_file_for_asterisk_before_calls_come(settings, tmp_path):
    load(settings)
    assert (tmp_path / "sounds" / "journal" / JOURNAL_FILE).stat().st_size == 0
    elsewhere = settings.model_copy(update={"journal": JournalSettings(directory=tmp_path / "spool" / "journal")})
    load(elsewhere)
    assert (tmp_path / "spool" / "journal" / JOURNAL_FILE).exists()


def test_agi_listens_only_if_it_is_the_chosen_interface(settings, tmp_path):
    socket = tmp_path / "agi.sock"
    for interface in Interface:
        for address in (f"127.0.0.1:{free_ports(1)[0]}", f"unix:{socket}"):
            chosen = settings.model_copy(update={"interface": interface, "agi": AgiSettings(listen=address)})
            with ExitStack() as bound:
                listener = Instance(chosen, "", load(chosen))._listener(bound)
                assert (listener is not None) is (interface is Interface.AGI), address
                assert socket.exists() is (interface is Interface.AGI and "unix" in address), address


def test_a_start_takes_up_calls_of_any_age_and_says_nothing_of_their_end(settings):
    """A call can last for days. Only Asterisk knows whether its channel is there."""
    days_ago = datetime.now(UTC) - timedelta(days=3)
    with assembled(settings, steps.decided(forwarded("1795.1-1"), PLAY, days_ago, nonce=NONCE)):
        pass
    with assembled(settings) as calls:
        assert calls.find("1795.1-1")
    assert [step.kind for step in record_of(settings, "1795.1-1").steps] == [StepKind.DECIDED]
