"""The report on a verified recording: its verdict, places, bursts and tests."""

from dataclasses import dataclass
from enum import StrEnum


class ToneVerdict(StrEnum):
    """Verdicts in order of precedence. If there are several places, the first verdict in this order counts."""

    CONFORMS = "conforms"
    """The recording contains the sound, which passed every test."""
    PRESENT = "present"
    """The recording contains the sound, but does not show that the whole sound conforms."""
    CANNOT_TELL = "cannot-tell"
    """The recording shows neither the presence nor the absence of the sound."""
    ABSENT = "absent"
    """The recording does not contain the sound, although it may contain something similar."""


class CheckOutcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Test:
    """The result of one test. `says` describes the result.

    `certain` is False for a failure that the line can have caused: losses masked by a decoder or an adaptive buffer,
    echo, or noise. A sound that fails only tests of this kind may still be the profile's. `explained` is True if the
    recording shows the cause: a part of a burst is missing, or the room resounds.
    """

    name: str
    outcome: CheckOutcome
    says: str
    certain: bool = True
    explained: bool = False


@dataclass(frozen=True, slots=True)
class HeardBurst:
    """A burst of the sound as measured in the recording.

    Errors are relative to the profile's cadence at its best fit. They are None if the edges cannot be measured because
    a part is lost or another sound covers it. `heard` is the share of the burst that is in the recording. `level_dbm0`
    is the level of all its tones together.
    """

    start_ms: float
    end_ms: float
    start_error_ms: float | None
    end_error_ms: float | None
    level_dbm0: float
    heard: float


@dataclass(frozen=True, slots=True)
class Match:
    """A place in a recording with the sound or something similar.

    Times count from the start of the recording. Errors are in percent, and positive if the sound is higher or slower.
    `score` is the natural logarithm of the odds that this is the sound and not speech or noise.
    """

    verdict: ToneVerdict
    start_ms: float
    end_ms: float
    level_dbm0: float
    frequency_error_percent: float
    cadence_error_percent: float
    score: float
    bursts: tuple[HeardBurst, ...]
    tests: tuple[Test, ...]

    @property
    def failed(self) -> tuple[str, ...]:
        """The descriptions of the tests that did not pass."""
        return tuple(test.says for test in self.tests if test.outcome is not CheckOutcome.PASSED)


@dataclass(frozen=True, slots=True)
class Report:
    """The verdict on one leg. `reason` explains it.

    `findings` are the places, best first. A place counts as the sound if its score is at least `threshold`. At this
    threshold, speech and music cause at most `false_alarms_per_hour` (95 % confidence).
    """

    profile: str
    verdict: ToneVerdict
    reason: str
    findings: tuple[Match, ...]
    duration_ms: float
    lost_ms: float
    threshold: float
    false_alarms_per_hour: float
