"""The service as `idtone serve` puts it together, held against a registry that names masters."""

from __future__ import annotations

import asyncio
import gc
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from idtone.ari_app.application import Application
from idtone.dialplan import Heard
from idtone.ledger.reader import LedgerReader
from idtone.ledger.steps import Step, StepKind
from idtone.ledger.writer import LedgerWriter
from idtone.serve import _assemble, _load, loop_first
from idtone.settings import load_settings

from ..ari_app.fake_asterisk import FakeAsterisk

REGISTRY = """\
registry: {{association: JUSA, version: 1, issued: 2026-11-01T00:00:00+09:00, expires: 2096-12-01T00:00:00+09:00}}
tones: [{{id: sample, title: Sample{sha256}}}]
members:
  - id: m-1
    name: {{ja: 甲, en: A}}
    licences:
      - id: L-1
        tone: sample
        status: active
        valid: {{from: 2020-01-01T00:00:00+09:00, until: 2096-01-01T00:00:00+09:00}}
        directions: [incoming]
    numbers: ["0312345678"]
"""


async def until(condition: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + 3
    while not condition():
        assert time.monotonic() < deadline_s, "waited 3 s"
        await asyncio.sleep(0.002)


@pytest.mark.parametrize("named", [False, True])
async def test_a_synthesised_sound_does_not_stand_in_for_a_master(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, named: bool
) -> None:
    """Its licence counts, and yet the called party hears the notice, which the hook plays."""
    (tmp_path / "ledger").mkdir()
    (tmp_path / "registry.yaml").write_text(REGISTRY.format(sha256=f", sha256: {'a' * 64}" if named else ""), "utf-8")
    (tmp_path / "idtone.yaml").write_text(
        f"sounds: {{directory: {tmp_path}/sounds}}\n"
        f"registry: {{source: {tmp_path}/registry.yaml, trust: unsigned}}\n"
        f"ledger: {{url: 'sqlite:///{tmp_path}/ledger/l.sqlite3', key_file: {tmp_path}/ledger/key}}\n"
    )
    asterisk = FakeAsterisk()
    settings = load_settings(tmp_path / "idtone.yaml", {})
    loaded = _load(settings)
    with LedgerWriter.open(settings.ledger.url, "lab", loaded.custody) as evidence:
        board, _ = _assemble(settings, loaded, evidence)
        application = Application(board)
        attending = asyncio.create_task(application.attend(asterisk))
        try:
            asterisk.enter(
                "1795.1", "decide", "1795.1-1", "12", "0312345678", "incoming", "0312340000", "PJSIP%2Fx", "", ""
            )
            await until(lambda: asterisk.resumed_at("1795.1"))
            assert ":PLAY:licence-valid:" in (asterisk.resumed_at("1795.1") or "")
            asterisk.enter("1795.2", "sound", "called", "called", "1795.1-1", "0312345678", "incoming")
            await until(lambda: asterisk.playbacks() or asterisk.resumed_at("1795.2"))
            assert asterisk.resumed_at("1795.2") == (Heard.UNHEARD if named else None)
            assert bool(asterisk.playbacks()) is not named
        finally:
            attending.cancel()
            await asyncio.wait({attending})
    assert ("'sample' is not played: it is synthesised, and the registry names a master" in caplog.text) is named


@pytest.fixture
def as_before() -> Iterator[None]:
    switch_s = sys.getswitchinterval()
    yield
    sys.setswitchinterval(switch_s)
    gc.unfreeze()


async def late_s() -> float:
    """By how much a thread that computes makes the loop late, in the median."""
    over = threading.Event()

    def compute() -> None:
        while not over.is_set():
            sum(range(100))

    computing = threading.Thread(target=compute)
    computing.start()
    late = []
    for _ in range(50):
        began_s = time.perf_counter()
        await asyncio.sleep(0.001)
        late.append(time.perf_counter() - began_s - 0.001)
    over.set()
    computing.join()
    return statistics.median(late)


@pytest.mark.alone
@pytest.mark.usefixtures("as_before")
async def test_a_thread_keeps_the_loop_waiting_no_longer_than_it_must() -> None:
    before_s = await late_s()
    loop_first()
    assert await late_s() < before_s * 0.6  # 0.2 on an idle machine


@pytest.mark.usefixtures("as_before")
def test_what_was_loaded_is_not_searched_for_garbage_again() -> None:
    loaded = [[] for _ in range(10)]
    assert any(each is loaded for each in gc.get_objects())
    loop_first()
    assert not any(each is loaded for each in gc.get_objects())


async def test_calls_that_nobody_will_end_are_interrupted_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "ledger").mkdir()
    (tmp_path / "registry.yaml").write_text(REGISTRY.format(sha256=""), "utf-8")
    (tmp_path / "idtone.yaml").write_text(
        f"sounds: {{directory: {tmp_path}/sounds}}\n"
        f"registry: {{source: {tmp_path}/registry.yaml, trust: unsigned}}\n"
        f"ledger: {{url: 'sqlite:///{tmp_path}/ledger/l.sqlite3', key_file: {tmp_path}/ledger/key}}\n"
    )
    settings = load_settings(tmp_path / "idtone.yaml", {})
    loaded = _load(settings)
    long_ago = datetime.now(UTC) - timedelta(hours=5)
    with LedgerWriter.open(settings.ledger.url, "lab", loaded.custody) as evidence:
        evidence.append(Step("lost", StepKind.DECIDED, long_ago, {"outcome": "PLAY"})).result(20)
    for _ in range(2):
        with LedgerWriter.open(settings.ledger.url, "lab", loaded.custody) as evidence:
            _assemble(settings, loaded, evidence)
    with LedgerReader.open(settings.ledger.url) as reader:
        record = reader.record("lost")
    assert record
    assert [step.kind for step in record.steps] == [StepKind.DECIDED, StepKind.INTERRUPTED]
