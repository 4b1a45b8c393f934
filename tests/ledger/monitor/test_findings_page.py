"""What the findings of several logs say of each other."""

from __future__ import annotations

import pytest

from idtone.core.signed_notes import Note, Signer
from idtone.ledger.evidence.steps import StepKind
from idtone.ledger.monitor.findings_page import LogReport, compare_ends
from idtone.ledger.monitor.log_state import Known
from idtone.ledger.tree.checkpoints import Checkpoint
from lab.ledger.sample_evidence import LOG, NOW, SEED

ROOT = bytes(range(32))


def report(origin: str, size: int, continues: dict[str, object] | None = None) -> LogReport:
    text = Checkpoint(origin, size, ROOT).text
    said = [("act-1", StepKind.CONTINUED.value, 0, continues)] if continues else []
    known = Known(Note(text, (Signer(origin, SEED).sign(text),)), gives_up=said)
    return LogReport(origin, "", known)


@pytest.mark.parametrize(
    ("shown", "continues", "alarm"),
    [
        (5, {"leaves": 5, "root": ROOT.hex()}, ""),
        (4, {"leaves": 5, "root": ROOT.hex()}, ""),  # its end is not published
        (5, {"leaves": 5, "root": "00" * 32}, "it continues pbx-1/idtone with another root than that one has shown"),
        (7, {"leaves": 5, "root": "00" * 32}, "it continues pbx-1/idtone after 5 leaves, and that one has shown 7"),
        (7, {"leaves": 5, "root": "00" * 32, "compromised": True}, ""),
        (7, {"leaves": "5", "root": "00" * 32}, ""),
    ],
)
def test_a_log_that_continues_another_end_than_was_shown_raises_an_alarm(shown, continues, alarm):
    later = report(f"{LOG.name}.2", 9, {"origin": LOG.name, **continues})
    compare_ends([report(LOG.name, shown), later, report("another", 3)], NOW)
    assert [str(each.text) for each in later.alarms] == ([alarm] if alarm else [])
