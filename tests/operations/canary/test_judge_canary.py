"""The result of a canary call, for each of its possible ends."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from idtone.core.settings.canary import CanarySettings
from idtone.ledger.evidence.call_record import Record, record_of_steps
from idtone.ledger.evidence.tally import tally
from idtone.operations.canary.judge_canary import PlacedCall, ReceivedRecording, judge, without_verdict
from idtone.operations.doctor import canary_finding
from idtone.operations.doctor.findings import State
from idtone.service import canary_result
from idtone.service.canary_result import CanaryFault, CanaryResult
from idtone.tones.verification.report import Match, Report, ToneVerdict
from lab.ledger.sample_evidence import heard_call

NOW = datetime(2026, 11, 30, 9, tzinfo=UTC)
RECORD = replace(record_of_steps("pbx-1", list(heard_call())), canary=True)


def report(verdict: ToneVerdict, level_dbm0: float = -16.0) -> Report:
    match = Match(verdict, 0, 400, level_dbm0, 0, 0, 99, (), ())
    return Report(
        "sample", verdict, f"it {verdict}", () if verdict is ToneVerdict.ABSENT else (match,), 3000, 0, 9, 0.1
    )


def arrived(verdict: ToneVerdict, level_dbm0: float = -16.0, *, silent: bool = False) -> ReceivedRecording:
    return ReceivedRecording(report(verdict, level_dbm0), silent, -16.0)


GOOD, HARD, UNSURE, ABSENT = map(
    arrived, (ToneVerdict.CONFORMS, ToneVerdict.PRESENT, ToneVerdict.CANNOT_TELL, ToneVerdict.ABSENT)
)
NOTICE = replace(RECORD, outcome="NOTICE", reason="licence-expired", profiles={"called": "notice"})
CASES: list[tuple[Record | None, float, ReceivedRecording | None, str, CanaryFault | None]] = [
    (RECORD, 0.0, GOOD, "conforms", None),
    (RECORD, 0.0, HARD, "present", None),
    (RECORD, -1.9, GOOD, "conforms", None),
    (RECORD, 0.0, arrived(ToneVerdict.CONFORMS, -25.9), "conforms", None),
    (None, 0.0, GOOD, "absent", CanaryFault.NO_RECORD),
    (replace(RECORD, complete=False), 0.0, GOOD, "absent", CanaryFault.NO_RECORD),
    (NOTICE, 0.0, GOOD, "absent", CanaryFault.OTHER_SOUND),
    (replace(RECORD, outcome="REFUSE", profiles={}), 0.0, GOOD, "absent", CanaryFault.OTHER_SOUND),
    (replace(RECORD, profiles={}), 0.0, GOOD, "absent", CanaryFault.OTHER_SOUND),
    (replace(RECORD, status="BUSY"), 0.0, GOOD, "absent", CanaryFault.NOT_CONNECTED),
    (RECORD, 0.0, None, "absent", CanaryFault.NOT_ANSWERED_HERE),
    (RECORD, 0.0, arrived(ToneVerdict.ABSENT, silent=True), "absent", CanaryFault.SILENCE),
    (RECORD, 0.0, ABSENT, "absent", CanaryFault.SOUND),
    (RECORD, 0.0, UNSURE, "cannot-tell", CanaryFault.SOUND),
    (RECORD, 0.0, arrived(ToneVerdict.CONFORMS, -26.1), "conforms", CanaryFault.LEVEL),
    (replace(RECORD, delivery={"called": "not-known"}), 0.0, GOOD, "conforms", CanaryFault.EVIDENCE),
    (RECORD, 3600.0, GOOD, "conforms", CanaryFault.CLOCK),
]


@pytest.mark.parametrize(("record", "moved_s", "recorded", "verdict", "fault"), CASES)
def test_each_ending_has_its_result(
    record: Record | None, moved_s: float, recorded: ReceivedRecording | None, verdict: str, fault: CanaryFault | None
) -> None:
    found = judge(PlacedCall(NOW, 4.0, moved_s, record), "licensed", lambda profile: recorded)
    assert (found.verdict, found.fault, found.good) == (verdict, fault, fault is None), found.says


def test_every_fault_is_met_by_a_case_or_comes_without_a_call() -> None:
    without = {CanaryFault.SUSPENDED, CanaryFault.REGISTRY, CanaryFault.NOT_PLACED}
    assert {fault for *_, fault in CASES if fault} | without == set(CanaryFault)
    assert all(without_verdict(NOW, fault).verdict == "cannot-tell" for fault in without)


def test_a_member_without_a_licence_expects_the_notice() -> None:
    asked = []
    found = judge(PlacedCall(NOW, 4.0, 0.0, NOTICE), "notice", lambda profile: asked.append(profile) or GOOD)
    assert (found.good, asked) == (True, ["notice"])
    assert judge(PlacedCall(NOW, 4.0, 0.0, RECORD), "notice", lambda profile: GOOD).fault is CanaryFault.OTHER_SOUND


@pytest.mark.parametrize("recorded", [GOOD, ABSENT, None])
def test_a_result_is_read_as_it_was_written(tmp_path: Path, recorded: ReceivedRecording | None) -> None:
    found = judge(PlacedCall(NOW, 4.0, 0.0, RECORD), "licensed", lambda profile: recorded)
    canary_result.write(found, tmp_path / "canary.json")
    assert canary_result.read(tmp_path / "canary.json") == found


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"at": "x", "fault": null}', '{"fault": "unknown"}', "\udcff"])
def test_a_damaged_file_is_no_result(tmp_path: Path, text: str) -> None:
    (tmp_path / "canary.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert canary_result.read(tmp_path / "canary.json") is None
    assert canary_result.read(tmp_path / "missing.json") is None


SETTINGS = CanarySettings(forwarding_number="0312345678", called_number="0312345690", trunk="trunk-1")
LAST = CanaryResult(NOW, "conforms", expected="sample")


@pytest.mark.parametrize(
    ("settings", "last", "after", "state", "found"),
    [
        (CanarySettings(), None, timedelta(0), State.GOOD, "not used"),
        (CanarySettings(trunk="t"), None, timedelta(0), State.WARNING, "lack forwarding_number, called_number"),
        (SETTINGS, None, timedelta(0), State.WARNING, "no canary call was placed yet"),
        (SETTINGS, LAST, timedelta(minutes=22), State.GOOD, "conforms, at 2026-11-30 09:00"),
        (SETTINGS, LAST, timedelta(minutes=23), State.WARNING, "from 2026-11-30 09:00"),
        (SETTINGS, LAST, -timedelta(hours=1), State.WARNING, "from 2026-11-30 09:00"),
        (SETTINGS, replace(LAST, fault=CanaryFault.SILENCE), timedelta(0), State.BAD, "only silence arrived"),
    ],
)
def test_the_doctor_reports_it(
    settings: CanarySettings, last: CanaryResult | None, after: timedelta, state: State, found: str
) -> None:
    finding = canary_finding.judge(settings, last, NOW + after)
    assert (finding.state, found in finding.found) == (state, True), finding.found


def test_statistics_leave_a_canary_call_out() -> None:
    assert tally([RECORD], lambda at: at.date()) == []
    assert len(tally([replace(RECORD, canary=False)], lambda at: at.date())) == 1
