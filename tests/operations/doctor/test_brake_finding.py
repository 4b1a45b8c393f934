"""Finding on the subjects that the brake holds."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from idtone.call_control.brake.limits import BrakeStep, LineKind, SubjectKind
from idtone.call_control.brake.shared_stops import Hold
from idtone.core.settings.brake import HighestStep
from idtone.operations.doctor import brake_finding
from lab.operations.doctor.check_tables import BAD, GOOD, UNKNOWN, WARNING, check

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
HOUR_S = 3600.0
SIGNAL = "calls-in-a-minute"
MARK = Hold(
    "ab" * 12,
    SubjectKind.ENDPOINT,
    LineKind.PBX,
    "6001",
    BrakeStep.MARK,
    SIGNAL,
    (NOW - timedelta(hours=1)).timestamp(),
    "pbx-1",
    "1.1-1",
)
STOP = replace(MARK, step=BrakeStep.STOP, label="acme", kind=SubjectKind.CUSTOMER)
OLD = replace(MARK, step=BrakeStep.SLOW, since_s=MARK.since_s - 24 * HOUR_S)
NUMBER = replace(STOP, kind=SubjectKind.NUMBER, label="")


def test_what_is_stopped_and_what_lasts_longer_than_a_day():
    release = "idtone brake release TOKEN"
    check(
        brake_finding.judge,
        [
            ((HighestStep.NOTHING, [STOP], NOW), GOOD, "not used"),
            ((HighestStep.STOP, [], NOW), GOOD, "0 subjects are marked or slowed, none is stopped"),
            ((HighestStep.STOP, [MARK, MARK], NOW), GOOD, "2 subjects"),
            (
                (HighestStep.STOP, [MARK, STOP], NOW), WARNING,
                f"stopped until a person releases it: customer acme ({SIGNAL}, since 2026-11-30 11:00, pbx-1)", release,
            ),
            ((HighestStep.STOP, [NUMBER], NOW), WARNING, "number abababab (", release),
            (
                (HighestStep.STOP, [MARK, OLD], NOW), WARNING,
                f"marked or slowed for more than a day: endpoint 6001 ({SIGNAL}, since 2026-11-29 11:00, pbx-1)",
                release,
            ),
            ((HighestStep.SLOW, [STOP, OLD], NOW), WARNING, "pbx-1); marked or slowed", release),
            ((HighestStep.STOP, [STOP] * 7, NOW), WARNING, " and 2 more", release),
        ],
    )  # fmt: skip


def test_a_state_that_cannot_be_read():
    check(
        brake_finding.unreadable,
        [
            (("x.brake: is damaged", True), BAD, "x.brake: is damaged", "systemctl restart idtone"),
            (("x.brake: cannot be read", False), UNKNOWN, "cannot be read", "as the user"),
        ],
    )
