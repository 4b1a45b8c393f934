"""Judges a canary call by its record and by the verifier's report on the recording."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from idtone.core.calls import Delivery, Outcome, Party
from idtone.ledger.evidence.call_record import Record
from idtone.ledger.evidence.steps import CallStatus
from idtone.service.canary_result import CanaryFault, CanaryResult
from idtone.tones.verification.report import Report, ToneVerdict

CLOCK_S: Final = 2.0
"""Maximum change of the clock during a call, in seconds. If it moves by more, it is not synchronised."""
LEVEL_DB: Final = 10.0
"""Maximum difference from the profile's level, in dB. Networks attenuate by up to 7 dB (ITU-T G.121). The verifier
recognises much quieter sounds too."""
_HEARD: Final = frozenset({ToneVerdict.CONFORMS, ToneVerdict.PRESENT})
_EXPECTED: Final = {"licensed": Outcome.PLAY, "notice": Outcome.NOTICE}


@dataclass(frozen=True, slots=True)
class PlacedCall:
    """A canary call that was placed, with its times and its record.

    `clock_moved_s` is the number of seconds by which the clock was set during the call. `record` is None if the ledger
    has no record of it.
    """

    at: datetime
    lasted_s: float
    clock_moved_s: float
    record: Record | None


@dataclass(frozen=True, slots=True)
class ReceivedRecording:
    """The answering leg's recording, with the verifier's report on it.

    `silent` is True if the recording is silent. `level_dbm0` is the level of the sound itself.
    """

    report: Report
    silent: bool
    level_dbm0: float


def judge(placed: PlacedCall, expect: str, verify: Callable[[str], ReceivedRecording | None]) -> CanaryResult:
    """Judge a canary call. If there are several faults, the earliest in the call counts.

    `expect` is `licensed` or `notice`. `verify` compares the recording with the profile that has a given id, and
    returns None if the answering leg was not reached.
    """
    record = placed.record
    if record is None or not record.complete:
        return _result(placed, CanaryFault.NO_RECORD)
    profile = record.profiles.get(Party.CALLED)
    if record.outcome != _EXPECTED[expect] or profile is None:
        return _result(placed, CanaryFault.OTHER_SOUND, f"{record.outcome}, {record.reason}")
    if record.status != CallStatus.CONNECTED:
        return _result(placed, CanaryFault.NOT_CONNECTED, _ending(record), profile=profile)
    arrived = verify(profile)
    if arrived is None:
        return _result(placed, CanaryFault.NOT_ANSWERED_HERE, profile=profile)
    report = arrived.report
    if arrived.silent:
        return _result(placed, CanaryFault.SILENCE, "", report, profile)
    if report.verdict not in _HEARD:
        return _result(placed, CanaryFault.SOUND, report.reason, report, profile)
    level_dbm0 = report.findings[0].level_dbm0
    if abs(level_dbm0 - arrived.level_dbm0) > LEVEL_DB:
        return _result(placed, CanaryFault.LEVEL, f"{level_dbm0:.1f}", report, profile)
    # The calling leg is a Local channel, of which the evidence claims nothing.
    if record.delivery.get(Party.CALLED, Delivery.NOT_KNOWN) == Delivery.NOT_KNOWN:
        return _result(placed, CanaryFault.EVIDENCE, "; ".join(record.anomalies) or "delivery", report, profile)
    if abs(placed.clock_moved_s) > CLOCK_S:
        return _result(placed, CanaryFault.CLOCK, f"{placed.clock_moved_s:.1f}", report, profile)
    return _result(placed, None, report.reason, report, profile)


def _ending(record: Record) -> str:
    cause = f", {record.hangup_cause} (Q.850)" if record.hangup_cause else ""
    return f"{record.status}{cause}"


def _result(
    placed: PlacedCall,
    fault: CanaryFault | None,
    detail: str = "",
    report: Report | None = None,
    profile: str | None = None,
) -> CanaryResult:
    record = placed.record
    return CanaryResult(
        placed.at,
        (report.verdict if report else ToneVerdict.ABSENT).value,
        fault,
        detail,
        profile,
        record.call_id if record else "",
        (record.outcome or "") if record else "",
        (record.reason or "") if record else "",
        (record.status or "") if record else "",
        round(report.findings[0].level_dbm0, 1) if report and report.findings else None,
        round(placed.lasted_s, 1),
    )


def without_verdict(at: datetime, fault: CanaryFault, detail: str = "") -> CanaryResult:
    """A canary result that has no verdict on the sound.

    Either no call was placed or the recording cannot be judged.
    """
    return CanaryResult(at, ToneVerdict.CANNOT_TELL.value, fault, detail)
