"""The report on a verified recording: verdict, places, bursts and tests."""

from dataclasses import dataclass
from enum import StrEnum


class ToneVerdict(StrEnum):
    """The verdicts in order of precedence. Of the verdicts on several places, the first in this order counts."""

    CONFORMS = "conforms"
    """The sound is there, and every test of it passed."""
    PRESENT = "present"
    """The sound is there, but the recording does not show that the whole sound conforms."""
    CANNOT_TELL = "cannot-tell"
    """The recording shows neither that the sound is there nor that it is not."""
    ABSENT = "absent"
    """The sound is not there, although something similar may be."""


class CheckOutcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Test:
    """The result of one test; `says` is the result in words.

    `certain` is False for a failure that the line can have caused: losses that a decoder or an adaptive buffer covered
    up, echo, noise. A sound that only fails such tests may still be the profile's. `explained` is True if the recording
    shows the cause: a part of a burst is missing, or the room resounds.
    """

    name: str
    outcome: CheckOutcome
    says: str
    certain: bool = True
    explained: bool = False


@dataclass(frozen=True, slots=True)
class HeardBurst:
    """A burst of the sound as measured in the recording.

    Errors are relative to the profile's cadence at its best fit. They are None if the edges cannot be measured: a part
    is lost, or another sound covers it.

    `heard` is the share of the burst that is in the recording. `level_dbm0` is the level of all its tones together.
    """

    start_ms: float
    end_ms: float
    start_error_ms: float | None
    end_error_ms: float | None
    level_dbm0: float
    heard: float


@dataclass(frozen=True, slots=True)
class Match:
    """A place in a recording at which the sound is, or something similar.

    Times count from the start of the recording. Errors are relative: 1.0 is 1 % higher or slower. `score` is the
    natural logarithm of the odds that this is the sound and not speech or noise.
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
        """The words of the tests that did not pass."""
        return tuple(test.says for test in self.tests if test.outcome is not CheckOutcome.PASSED)


@dataclass(frozen=True, slots=True)
class Report:
    """The verdict on one leg; `reason` explains it in words.

    `findings` are the places, the best first. A place counts as the sound if its score is at least `threshold`. At this
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
