"""Fixtures: the parts of a service, without Asterisk."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from idtone.call_control.journal_reader import JournalReader
from idtone.core.settings.settings import Interface, Settings, load_settings
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.writing.ledger_writer import LedgerWriter
from idtone.ledger.writing.pending_decisions import PendingDecisions
from idtone.service.assembly import assemble, journal_of, load
from idtone.service.call_counts import CallCounts
from idtone.service.instance import Instance
from idtone.service.instance_parts import InstanceParts
from lab.call_control.journal_helpers import EnteredLines
from lab.hook_requests import request
from lab.ledger.sample_evidence import heard_call
from lab.registry.examples import valid_until_2096


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with a registry in which 0312345678 is licensed."""
    (tmp_path / "ledger").mkdir()
    (tmp_path / "registry.yaml").write_text(valid_until_2096(), "utf-8")
    (tmp_path / "idtone.yaml").write_text(
        f"sounds: {{directory: {tmp_path}/sounds}}\n"
        f"registry: {{source: {tmp_path}/registry.yaml, trust: unsigned}}\n"
        f"ledger: {{url: 'sqlite:///{tmp_path}/ledger/l.sqlite3', key_file: {tmp_path}/ledger/key}}\n"
        "association: {member: m-0001}\n"
    )
    return load_settings(tmp_path / "idtone.yaml", {})


@pytest.fixture
def parts(settings: Settings) -> Iterator[InstanceParts]:
    """The parts of a service that has decided a call, without Asterisk."""
    loaded, url = load(settings), settings.ledger.own_url()
    with ExitStack() as opened:
        evidence = opened.enter_context(LedgerWriter.open(url, "lab", loaded.key_ring))
        counts = CallCounts(opened.enter_context(PendingDecisions.open(url, evidence, loaded.key_ring.days)))
        reader = opened.enter_context(LedgerReader.open(url))
        calls, fallback, _ = assemble(settings, loaded, counts, reader)
        journal = JournalReader(journal_of(settings), EnteredLines().enter, lambda: True, lambda _: None)

        for step in heard_call("1795.9-1"):
            counts.append(step)
        calls.decide(request("1795.1-1"), Interface.ARI)
        parts = Instance(settings, "", loaded).parts(calls, counts, fallback, journal, evidence, None)
        yield replace(parts, hand_overs=lambda: 3)
