"""The running service erases the customers' forms whose retention is over."""

import os
import subprocess
import time
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import SimpleNamespace

import pytest

from idtone.core.errors import LedgerError
from idtone.core.settings.settings import Settings, load_settings
from idtone.ledger.disclosure.disclosure_request import DisclosureRules
from idtone.ledger.disclosure.record_act import record_act
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import Scalar, StepKind
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.writing.ledger_writer import LedgerWriter
from idtone.member.customers import retention
from idtone.member.customers.record_history import FormAct, histories
from idtone.member.customers.record_store import CustomerRecord, RecordFolder, RecordStore
from idtone.member.customers.retention import forget_due, forget_in_time
from idtone.service import instance
from lab.asterisk import IDTONE, free_ports
from lab.ledger.sample_evidence import ALICE
from lab.patch_library import patch_library

THEN = datetime(2018, 6, 30, 3, tzinfo=UTC)


@pytest.fixture
def member(settings: Settings, tmp_path: Path) -> Settings:
    """A member's settings with two forms of 2018: C-1 has ended in the same year, C-2 has not."""
    path = tmp_path / "idtone.yaml"
    path.write_text(
        path.read_text()
        + f"node: pbx-1\ncustomers: {{directory: {tmp_path}/customers}}\n"
        + f"ari: {{url: 'http://127.0.0.1:{free_ports(1)[0]}/ari'}}\n"
    )
    own = load_settings(path, {})
    key_ring, store = KeyRing.of(own.ledger, own.node), RecordStore.open(own.customers, make=True)

    def act(kind: FormAct, subject: str, **details: Scalar) -> None:
        record_act(
            own.ledger.own_url(),
            own.node,
            key_ring,
            lambda id_: steps.duty(id_, THEN, ALICE, kind, subject, details),
            DisclosureRules(),
        )

    for name in ("C-1", "C-2"):
        digest = store.put(CustomerRecord(name, "application: …", ("+81312345678",), "1", "alice", THEN))
        act(FormAct.RECORDED, name, digest=digest, count=1)
    act(FormAct.ENDED, "C-1", on="2018-07-31")
    return own


def kept(settings: Settings) -> list[str]:
    folder = RecordFolder(settings.customers.directory)
    return [name for name in ("C-1", "C-2") if folder.has_key(name)]


def forgotten(settings: Settings) -> list[str]:
    """Ids of the erased forms, from the ledger."""
    with LedgerReader.open(settings.ledger.own_url()) as reader:
        found = histories(reader.acts(frozenset({StepKind.DUTY})), datetime.now(UTC))
    return [each.id for each in found.values() if each.forgotten]


def test_the_service_forgets_them_at_its_start(member: Settings, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as output:
        service = subprocess.Popen(
            [IDTONE, "serve", "-c", tmp_path / "idtone.yaml"],
            stdout=output,
            stderr=output,
            env=os.environ | {"IDTONE_ARI_PASSWORD": "of-no-asterisk"},
        )
    try:
        deadline_s = time.monotonic() + 120
        while "are forgotten: C-1" not in log.read_text():
            assert service.poll() is None, log.read_text()
            assert time.monotonic() < deadline_s, log.read_text()
            time.sleep(0.05)
    finally:
        service.terminate()
        assert service.wait(60) == 0
    assert (kept(member), forgotten(member)) == (["C-2"], ["C-1"])


def test_another_package_that_cannot_be_loaded_stops_no_service(member, monkeypatch, caplog):
    broken = EntryPoint("other", "no.such.package:forget", instance.RETENTION)
    monkeypatch.setattr(instance, "entry_points", lambda group: [broken, *entry_points(group=group)])
    service = SimpleNamespace(_settings=member)
    (ours,) = instance.Instance._forgetting_forms(service, None)
    ours.close()
    assert "no.such.package:forget of idtone.retention cannot be loaded" in caplog.text


async def test_what_cannot_be_recorded_is_not_destroyed_and_is_tried_again(member, monkeypatch, caplog):
    class Closed:
        def append(self, step: object) -> None:
            raise LedgerError("the ledger is closed")

    async def enough(_: float) -> None:
        raise TimeoutError

    patch_library(monkeypatch, retention, "asyncio", sleep=enough)
    with suppress(TimeoutError):
        await forget_in_time(member, Closed())
    assert "cannot be forgotten: the ledger is closed" in caplog.text
    assert (kept(member), forgotten(member)) == (["C-1", "C-2"], [])
    with LedgerWriter.open(member.ledger.own_url(), member.node, KeyRing.of(member.ledger, member.node)) as writer:
        early = datetime(2025, 7, 31, 14, 59, tzinfo=UTC)  # still the last day, in Japan
        assert forget_due(member, writer, early) == []
        assert forget_due(member, writer, datetime.now(UTC)) == ["C-1"]
        assert forget_due(member, writer, datetime.now(UTC)) == []
    assert (kept(member), forgotten(member)) == (["C-2"], ["C-1"])


def test_without_forms_nothing_is_made(settings: Settings, tmp_path: Path) -> None:
    customers = settings.customers.model_copy(update={"directory": tmp_path / "none"})
    assert forget_due(settings.model_copy(update={"customers": customers}), None, THEN) == []
    assert not (tmp_path / "none").exists()
