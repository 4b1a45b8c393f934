"""Calls of an earlier service, which the next service continues at its start."""

import asyncio
import sys
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from idtone.call_control.journal_intake import JournalIntake
from idtone.call_control.restored_calls import restored_calls
from idtone.core.errors import ToneError
from idtone.core.settings.settings import Settings
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.writing.ledger_writer import LedgerWriter
from idtone.service.assembly import assemble, load
from idtone.service.commands import check_settings
from idtone.tones.making.sound_files import PBX_FORMATS
from idtone.tones.master_import import ImportRequest, import_master
from lab.ledger.sample_evidence import FORWARDING, NONCE, NOW, PLAY, decided, write_each
from lab.registry.examples import valid_until_2096
from lab.tones.synthetic_recordings import with_silence, write

SUSPENDED = f"""suspensions:
  - {{number: "{FORWARDING}", since: 2026-03-01T00:00:00+09:00, reference: R-9}}
"""


@pytest.mark.parametrize("age", [timedelta(minutes=1), timedelta(hours=2), timedelta(days=40)])
def test_a_start_takes_up_a_call_of_any_age(settings: Settings, tmp_path, age):
    """A suspension ends the restored call, and its real end is recorded."""
    (tmp_path / "registry.yaml").write_text(valid_until_2096().partition("suspensions:")[0] + SUSPENDED, "utf-8")
    loaded, url = load(settings), settings.ledger.own_url()
    now = datetime.now(UTC)
    call_id = f"{int((now - age).timestamp())}.1-1"
    with ExitStack() as opened:
        evidence = opened.enter_context(LedgerWriter.open(url, "lab", loaded.key_ring))
        write_each(evidence, decided(PLAY, call_id, (now - age - NOW) / timedelta(milliseconds=1)))
        reader = opened.enter_context(LedgerReader.open(url, loaded.key_ring.days))
        calls, *_ = assemble(settings, loaded, evidence, reader)
        assert reader.record(call_id).status is None, "nothing is known of its channel yet"
        assert [call.id for call in calls.suspended.to_end()] == [call_id]
        refused: list[str] = []
        intake = JournalIntake(calls, reader.times, refused.extend, partial(restored_calls, reader))
        line = f"ended,{call_id},{NONCE},{now.timestamp():.6f},CONNECTED,16,licence-valid,ANSWER,60000"
        for written in asyncio.run(intake.enter([line.encode()])):
            written.result()
        record = reader.record(call_id)
    assert (record.status, record.complete, refused) == ("CONNECTED", True, [])


def test_a_sound_that_cannot_be_made_keeps_no_other_from_its_calls(settings: Settings, tmp_path, monkeypatch, caplog):
    """The node lacks the libraries that make sounds, and one file of an imported profile is damaged."""
    own, folder = tmp_path / "own", settings.sounds.directory
    master = write(tmp_path / "master.wav", 0.5 * with_silence(), subtype="PCM_16")
    import_master(master, ImportRequest("pu-pu", "Pu pu", -16), own, folder, PBX_FORMATS)
    settings = settings.model_copy(update={"sounds": settings.sounds.model_copy(update={"profiles": own})})
    monkeypatch.setitem(sys.modules, "idtone.tones.making.encoders", None)
    check_settings(settings)
    loaded = load(settings)
    assert sorted(loaded.sounds) == ["notice", "pu-pu", "sample"]
    for name in ("pu-pu.ulaw", "sample.ulaw"):
        (folder / name).write_bytes(b"")
    with pytest.raises(ToneError, match=r"pu-pu\.ulaw: is not the file that"):
        loaded.restore()
    assert loaded.sounds["sample"].is_there
    (folder / "sample.ulaw").write_bytes(b"")
    with pytest.raises(ToneError, match=r"pu-pu\.ulaw: is not the file that"):
        check_settings(settings)
    assert (folder / "sample.ulaw").read_bytes() == b"", "a check writes nothing"
    assert sorted(load(settings).sounds) == ["notice", "sample"]
    assert "the profile 'pu-pu' is not played: " in caplog.text
