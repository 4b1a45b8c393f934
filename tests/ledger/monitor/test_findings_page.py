"""Contradictions between the findings of several logs."""

from datetime import timedelta

import pytest

from idtone.core.signed_notes import Note, Signer
from idtone.ledger.evidence.steps import StepKind
from idtone.ledger.monitor.findings_page import LogReport, compare_ends
from idtone.ledger.monitor.log_state import Known, LogState
from idtone.ledger.monitor.monitor import Monitor
from idtone.ledger.monitor.monitored_logs import MonitoredLogs
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
        (7, {"leaves": 5, "root": "00" * 32}, "it continues pbx-1/idtone after 5 leaves, and that one has shown more"),
        (7, {"leaves": 5, "root": "00" * 32, "compromised": True}, ""),
        (7, {"leaves": "5", "root": "00" * 32}, ""),
    ],
)
def test_a_log_that_continues_another_end_than_was_shown_raises_an_alarm(shown, continues, alarm):
    later = report(f"{LOG.name}.2", 9, {"origin": LOG.name, **continues})
    found = list(compare_ends([report(LOG.name, shown), later, report("another", 3)], NOW))
    assert [(each, str(raised.text)) for each, raised in found] == ([(later, alarm)] if alarm else [])


@pytest.mark.parametrize(("shown", "is_false"), [(2, False), (3, True)])
def test_a_log_that_gives_up_an_end_beyond_which_more_is_signed_raises_an_alarm(shown, is_false):
    given = {"origin": LOG.name, "leaves": 3, "root": ROOT.hex(), "signed": 2, "persons": 1, "why": "burnt"}
    later = report(f"{LOG.name}.2", 9)
    later.known.gives_up = [
        ("act-2", StepKind.END_GIVEN_UP.value, 0, {**given, "by": "a", "by_uid": 1, "by_way": "login"})
    ]
    found = [str(alarm.text) for _, alarm in compare_ends([report(LOG.name, shown), later], NOW)]
    said = "it says that of pbx-1/idtone only the first 2 leaves are signed, and that one has shown more"
    assert found == [said] * is_false


def test_such_an_alarm_stays_as_it_was_seen_first(tmp_path):
    """The alarm remains even when the two logs are no longer compared."""
    monitor = Monitor(MonitoredLogs(state=tmp_path, logs=()))
    later = report(f"{LOG.name}.2", 9, {"origin": LOG.name, "leaves": 5, "root": "00" * 32})
    for day, shown in enumerate((7, 8)):
        later.alarms = ()
        [found] = compare_ends([report(LOG.name, shown), later], NOW + timedelta(days=day))
        monitor._keep(*found)
        assert [each.since for each in later.alarms] == [NOW]
    with LogState.opened(monitor._state_of(later.origin)) as state:
        state.raise_alarms([])
        assert len(state.alarms()) == 1
