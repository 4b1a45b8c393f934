"""Acts of the people who keep the ledger, recorded with and without a running service."""

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from idtone.core.errors import LedgerError
from idtone.ledger.disclosure import record_act as record_act_module
from idtone.ledger.disclosure.disclosure_request import DisclosureRules
from idtone.ledger.disclosure.record_act import record_act, record_queued_acts
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import Step, StepKind
from idtone.ledger.store.ledger_reader import OF_THE_LEDGER, LedgerReader
from idtone.ledger.writing.ledger_writer import LedgerWriter
from lab.lab import wait_until
from lab.ledger.sample_evidence import ALICE, BOB, NOW, heard_call, key_ring_of, write_each
from lab.ledger.sample_ledger import records_of, verification_faults, write, writer_of
from lab.patch_library import patch_library

ALONE = DisclosureRules()


def export(act_id: str) -> Step:
    return steps.exported(act_id, NOW, ALICE, "R-7", 2, False, "5e" * 32)


def command(url: str, act=export) -> str:
    """Record an act from a command, and return its id."""
    return record_act(url, "pbx-1", key_ring_of(url), act, ALONE)


def record_all(url: str, writer: LedgerWriter) -> None:
    """Record all waiting acts once, which the service does at intervals."""
    record_act_module._record_all(url, writer, ALONE)


@asynccontextmanager
async def recording(url: str, rules: DisclosureRules = ALONE) -> AsyncIterator[None]:
    with writer_of(url) as writer:
        task = asyncio.create_task(record_queued_acts(url, writer, rules))
        yield
        task.cancel()
        await asyncio.wait({task})


def recorded(url: str, act_id: str) -> tuple[Step, ...]:
    with LedgerReader.open(url) as reader:
        assert len(reader.proofs(act_id)) == 1
    record = records_of(url)[act_id]
    assert record.anomalies == ()
    return record.steps


@pytest.fixture
def folder(file: Path) -> Path:
    """The folder in which commands leave acts for the service."""
    folder = file.with_name(f"{file.name}.acts")
    folder.mkdir(parents=True)
    folder.chmod(0o700)
    return folder


def left(folder: Path, step: Step) -> Path:
    """The file of an act that a command left for the service."""
    path = folder / f"{step.call_id}.act"
    act = {"id": step.call_id, "kind": step.kind, "at": step.at.isoformat(), "details": dict(step.details)}
    path.write_text(json.dumps(act))
    return path


def test_without_the_service_the_command_writes_itself(url):
    write(url, heard_call())
    act_id = command(url)
    assert recorded(url, act_id) == (export(act_id),)
    assert verification_faults(url) == []


async def test_with_the_service_the_service_writes_it(url, file):
    folder = file.with_name(f"{file.name}.acts")
    async with recording(url):
        act_id = await asyncio.to_thread(command, url)
        assert recorded(url, act_id) == (export(act_id),)
        await wait_until(lambda: not list(folder.iterdir()), "the acts to be recorded")
        assert folder.stat().st_mode & 0o777 == 0o700


def test_a_service_that_does_not_record_is_an_error_and_nothing_is_left(url, folder, monkeypatch):
    monkeypatch.setattr(record_act_module, "RECORDED_WITHIN_S", 0.3)
    with writer_of(url), pytest.raises(LedgerError, match=r"has not recorded this within 0\.3 s"):
        command(url)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        "", "[]", "{}", '{"id": "act-x", "kind": "ended", "at": "2026-11-01T00:00:00+00:00", "details": {}}',
        '{"id": "act-other", "kind": "exported", "at": "2026-11-01T00:00:00+00:00", "details": {}}',
        '{"id": "act-x", "kind": "exported", "at": "2026-11-01T00:00:00", "details": {}}',
        '{"id": "act-x", "kind": "exported", "at": "2026-11-01T00:00:00+00:00", "details": {"a": []}}',
    ],
)  # fmt: skip
async def test_nothing_else_is_recorded_by_that_way(url, folder, content, caplog):
    act = folder / "act-x.act"
    act.write_text(content)
    async with recording(url):
        await wait_until(lambda: not act.exists(), "the file to be taken away")
    assert act.with_suffix(".refused").exists()
    assert "is not recorded" in caplog.text
    assert records_of(url) == {}


def test_what_cannot_be_written_now_is_left_for_the_next_instance_and_recorded_once(url, folder):
    path = left(folder, export("act-x"))
    closed = writer_of(url)
    closed.close()
    record_all(url, closed)
    assert path.exists()
    with writer_of(url) as writer:
        record_all(url, writer)
        assert list(folder.iterdir()) == []
        left(folder, export("act-x"))  # as if the instance had been ended before it could remove the file
        record_all(url, writer)
        assert list(folder.iterdir()) == []
    assert recorded(url, "act-x") == (export("act-x"),)


def test_another_act_by_an_id_that_is_taken_is_refused(url, folder, caplog):
    with writer_of(url) as writer, caplog.at_level(logging.ERROR):
        write_each(writer, export("act-x"))
        path = left(folder, steps.exported("act-x", NOW, BOB, "R-8", 2, False, "5e" * 32))
        record_all(url, writer)
    assert path.with_suffix(".refused").exists()
    assert "there is another act by this id already" in caplog.text
    assert recorded(url, "act-x") == (export("act-x"),)


def test_what_the_service_was_writing_when_the_command_gave_up_is_recorded(url, monkeypatch):
    monkeypatch.setattr(record_act_module, "RECORDED_WITHIN_S", 0.0)
    unlink = Path.unlink

    def read_before(path: Path, missing_ok: bool = False) -> None:
        write_each(writer, export(path.stem))
        unlink(path, missing_ok)

    with writer_of(url) as writer, monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", read_before)
        act_id = command(url)
    assert recorded(url, act_id) == (export(act_id),)


def test_what_another_user_has_left_is_not_recorded(url, folder, caplog, monkeypatch):
    path, owner = left(folder, export("act-x")), os.geteuid()
    with writer_of(url) as writer, caplog.at_level(logging.ERROR):
        if owner == 0:
            owner = 12345
            os.chown(path, owner, owner)
        patch_library(monkeypatch, record_act_module, "os", geteuid=lambda: owner + 1)
        record_all(url, writer)
    assert "left by another user" in caplog.text
    assert path.with_suffix(".refused").exists()
    assert records_of(url) == {}


async def test_the_service_refuses_what_may_not_be_and_who_left_it_is_told(url, caplog):
    def approve(act_id: str) -> Step:
        return steps.export_approved(act_id, NOW, BOB, "act-none", "5e" * 32, NOW)

    async with recording(url, DisclosureRules(two_persons=True)):
        for act in (approve, export):
            with pytest.raises(LedgerError, match="the service refuses to record this"):
                await asyncio.to_thread(command, url, act)
    for why in ("there is no request act-none", "exports take two persons here"):
        assert why in caplog.text
    assert records_of(url) == {}


def test_an_act_is_over_at_once_and_is_found_by_its_id(url):
    acts = [Step(f"act-{kind}", kind, NOW, {"case": "R-7"}) for kind in StepKind if kind in OF_THE_LEDGER]
    write(url, acts, [Step("act-y", StepKind.ENDED, NOW)], heard_call())
    with LedgerReader.open(url) as reader:
        assert [(step.call_id, step.kind) for step in reader.acts()] == [(act.call_id, act.kind) for act in acts]
        assert [len(reader.proofs(act.call_id)) for act in acts] == [1] * len(acts)
