"""Acts of the ledger's keepers, recorded with and without the service."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from pathlib import Path

import pytest

from idtone.errors import LedgerError
from idtone.ledger.disclosure import record_act as record_act_module
from idtone.ledger.disclosure.disclosure_request import DisclosureRules
from idtone.ledger.disclosure.record_act import record_act, record_acts
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.leaves import ACTS
from idtone.ledger.evidence.steps import Step, StepKind
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.writing.ledger_writer import LedgerWriter

from ...lab.lab import until
from ..sample_evidence import ALICE, BOB, NOW, heard_call, key_ring_of
from ..verification.test_verify_ledger import faults, write


def export(act_id: str) -> Step:
    return steps.exported(act_id, NOW, ALICE, "R-7", 2, False, "5e" * 32)


def recorded(url: str, act_id: str) -> tuple[Step, ...]:
    with LedgerReader.open(url) as reader:
        record = reader.record(act_id)
        assert len(reader.proofs(act_id)) == 1
    assert record
    assert record.anomalies == ()
    return record.steps


def test_without_the_service_the_command_writes_itself(url):
    write(url, heard_call())
    act_id = record_act(url, "pbx-1", key_ring_of(url), export, DisclosureRules())
    assert recorded(url, act_id) == (export(act_id),)
    assert faults(url) == []


async def test_with_the_service_the_service_writes_it(url, file):
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        recording = asyncio.create_task(record_acts(url, writer, DisclosureRules()))
        act_id = await asyncio.to_thread(record_act, url, "pbx-1", key_ring_of(url), export, DisclosureRules())
        assert recorded(url, act_id) == (export(act_id),)
        folder = file.with_name(f"{file.name}.acts")
        await until(lambda: not list(folder.iterdir()), "the acts to be recorded")
        assert folder.stat().st_mode & 0o777 == 0o700
        recording.cancel()
        await asyncio.wait({recording})


def test_a_service_that_does_not_record_is_an_error_and_nothing_is_left(url, file, monkeypatch):
    monkeypatch.setattr(record_act_module, "RECORDED_WITHIN_S", 0.3)
    with (
        LedgerWriter.open(url, "pbx-1", key_ring_of(url)),
        pytest.raises(LedgerError, match=r"has not recorded this within 0\.3 s"),
    ):
        record_act(url, "pbx-1", key_ring_of(url), export, DisclosureRules())
    assert list(file.with_name(f"{file.name}.acts").iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        "", "[]", "{}", '{"id": "act-x", "kind": "ended", "at": "2026-11-01T00:00:00+00:00", "details": {}}',
        '{"id": "act-other", "kind": "exported", "at": "2026-11-01T00:00:00+00:00", "details": {}}',
        '{"id": "act-x", "kind": "exported", "at": "2026-11-01T00:00:00", "details": {}}',
        '{"id": "act-x", "kind": "exported", "at": "2026-11-01T00:00:00+00:00", "details": {"a": []}}',
    ],
)  # fmt: skip
async def test_nothing_else_is_recorded_by_that_way(url, file, content, caplog):
    folder = file.with_name(f"{file.name}.acts")
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer, caplog.at_level(logging.ERROR):
        folder.mkdir()
        (folder / "act-x.act").write_text(content)
        recording = asyncio.create_task(record_acts(url, writer, DisclosureRules()))
        await until(lambda: not (folder / "act-x.act").exists(), "the file to be taken away")
        recording.cancel()
        await asyncio.wait({recording})
    assert (folder / "act-x.refused").exists()
    assert "is not recorded" in caplog.text
    with LedgerReader.open(url) as reader:
        assert reader.records() == []


async def test_what_cannot_be_written_now_is_left_for_the_next_instance(url, file):
    folder = file.with_name(f"{file.name}.acts")
    folder.mkdir(parents=True)
    at = NOW.isoformat()
    (folder / "act-x.act").write_text(
        json.dumps({"id": "act-x", "kind": "exported", "at": at, "details": {"case": "R-7"}})
    )
    closed = LedgerWriter.open(url, "pbx-1", key_ring_of(url))
    closed.close()
    record_act_module._record_all(url, closed, DisclosureRules())
    assert (folder / "act-x.act").exists()
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        record_act_module._record_all(url, writer, DisclosureRules())
    assert list(folder.iterdir()) == []
    assert len(recorded(url, "act-x")) == 1


def left(file: Path, step: Step) -> Path:
    """As a command leaves it."""
    path = file.with_name(f"{file.name}.acts") / f"{step.call_id}.act"
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        json.dumps({"id": step.call_id, "kind": step.kind, "at": step.at.isoformat(), "details": dict(step.details)})
    )
    return path


def test_an_act_whose_file_is_still_there_is_not_recorded_again(url, file):
    """The instance that recorded it was ended before it could remove the file."""
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        for _ in range(2):
            path = left(file, export("act-x"))
            record_act_module._record_all(url, writer, DisclosureRules())
            assert list(path.parent.iterdir()) == []
    assert recorded(url, "act-x") == (export("act-x"),)


def test_another_act_by_an_id_that_is_taken_is_refused(url, file, caplog):
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer, caplog.at_level(logging.ERROR):
        writer.append(export("act-x")).result(20)
        path = left(file, steps.exported("act-x", NOW, BOB, "R-8", 2, False, "5e" * 32))
        record_act_module._record_all(url, writer, DisclosureRules())
    assert path.with_suffix(".refused").exists()
    assert "there is another act by this id already" in caplog.text
    assert recorded(url, "act-x") == (export("act-x"),)


def test_what_the_service_was_writing_when_the_command_gave_up_is_recorded(url, monkeypatch):
    monkeypatch.setattr(record_act_module, "RECORDED_WITHIN_S", 0.0)
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        unlink = Path.unlink

        def read_before(path: Path, missing_ok: bool = False) -> None:
            writer.append(export(path.stem)).result(20)
            unlink(path, missing_ok)

        monkeypatch.setattr(Path, "unlink", read_before)
        act_id = record_act(url, "pbx-1", key_ring_of(url), export, DisclosureRules())
        monkeypatch.undo()
    assert recorded(url, act_id) == (export(act_id),)


def test_what_another_user_has_left_is_not_recorded(url, file, caplog, monkeypatch):
    folder = file.with_name(f"{file.name}.acts")
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer, caplog.at_level(logging.ERROR):
        folder.mkdir()
        left = folder / "act-x.act"
        left.write_text(json.dumps({"id": "act-x", "kind": "exported", "at": NOW.isoformat(), "details": {}}))
        owner = os.geteuid()
        if owner == 0:
            owner = 12345
            os.chown(left, owner, owner)
        monkeypatch.setattr(record_act_module.os, "geteuid", lambda: owner + 1)
        record_act_module._record_all(url, writer, DisclosureRules())
    assert "left by another user" in caplog.text
    assert left.with_suffix(".refused").exists()
    with LedgerReader.open(url) as reader:
        assert reader.records() == []


async def test_the_service_refuses_what_may_not_be_and_who_left_it_is_told(url, caplog):
    def approve(act_id: str) -> Step:
        return steps.export_approved(act_id, NOW, BOB, "act-none", "5e" * 32, NOW)

    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer, caplog.at_level(logging.ERROR):
        recording = asyncio.create_task(record_acts(url, writer, DisclosureRules(two_persons=True)))
        for act in (approve, export):
            with pytest.raises(LedgerError, match="the service refuses to record this"):
                await asyncio.to_thread(record_act, url, "pbx-1", key_ring_of(url), act, DisclosureRules())
        recording.cancel()
        await asyncio.wait({recording})
    assert "there is no request act-none" in caplog.text
    assert "exports take two persons here" in caplog.text
    with LedgerReader.open(url) as reader:
        assert reader.records() == []


@pytest.mark.parametrize("kind", [kind for kind in StepKind if kind in ACTS])
def test_an_act_is_over_at_once_and_is_found_by_its_id(url, kind):
    others = [Step("act-y", StepKind.ENDED, NOW), *heard_call()]
    write(url, [Step("act-x", kind, NOW, {"case": "R-7"}), *others])
    with LedgerReader.open(url) as reader:
        assert [(step.call_id, step.kind) for step in reader.acts()] == [("act-x", kind)]
        assert len(reader.proofs("act-x")) == 1
