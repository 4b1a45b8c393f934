"""Tone profiles, which describe sounds as data.

A profile is either a sequence of segments, played `repeat` times, or a recording (the supplied master). Each segment is
a burst of one or more sine waves (or of silence) and the pause after it. The association's own sound is not public and
comes as a recording, so a synthesized profile must not be marked as the standard.
"""

import errno
import hashlib
import math
import re
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field

from idtone.core import yaml_documents
from idtone.core.errors import DocumentError, Fault
from idtone.core.translation import Message
from idtone.core.yaml_documents import Model, ValidationFault

DURATION_LIMIT_MS: Final = 3_600_000
"""Maximum duration of a sound, in ms. Test signals may last an hour. The limit for calls is `CALL_LIMIT_MS`."""
CALL_LIMIT_MS: Final = 10_000
"""Maximum duration of a sound for calls, in ms. It is short because the parties are connected only after the sound."""
RAMP_LIMIT_MS: Final = 1000
FILE_SIZE_LIMIT: Final = 64 * 1024
"""Maximum size of a profile's file, in bytes."""
RAMP_MS: Final = 5.0
"""Default duration of a ramp, in ms. It is long enough to avoid clicks at the edges of a burst."""


class Law(StrEnum):
    """The law that defines 0 dBm0 (ITU-T G.711). In linear samples, the two laws differ by 0.065 dB."""

    A = "a-law"
    MU = "mu-law"

    @property
    def full_scale_dbm0(self) -> float:
        """Level of a sine whose peak is full scale, 32 768 in 16 bits.

        The peak of 0 dBm0 is therefore 22 827 in A-law and 22 657 in µ-law.
        """
        level_dbm0, peak = self.overload
        return float(level_dbm0) + 20 * math.log10(32768 / peak)

    @property
    def overload(self) -> tuple[Decimal, int]:
        """Level in dBm0 and peak in 16-bit steps at which the law overloads."""
        return (Decimal("3.14"), 32768) if self is Law.A else (Decimal("3.17"), 32636)


_SLUG = re.compile(r"[a-z0-9][a-z0-9-]*")
_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")

FrequencyHz = Annotated[float, Field(ge=300, le=3400, allow_inf_nan=False)]
"""A frequency in the telephone band, in Hz."""
LevelDbm0 = Annotated[float, Field(ge=-40, le=0, allow_inf_nan=False)]


def _slug(value: str) -> str:
    if not _SLUG.fullmatch(value):
        raise ValueError(Message("cannot name a sound file"), Message("Use the letters a-z, digits and '-'"))
    return value


def _one_line(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ValueError(Message("is not one line of text"), Message("Say in a few words what the sound is"))
    return value


def _sha256(value: str) -> str:
    if not _SHA256.fullmatch(value):
        raise ValueError(
            Message("is not a SHA-256"), Message("Write its 64 hexadecimal digits, as sha256sum prints them")
        )
    return value.lower()


class Modulation(Model):
    """Amplitude modulation by a sine that starts with the burst. A `depth` of 1 goes down to silence."""

    rate_hz: Annotated[float, Field(ge=0.5, le=100, allow_inf_nan=False)]
    depth: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class Sweep(Model):
    """A change in a burst's frequencies, each of which ends at the frequency with the same index in `to_hz`.

    If `steps` is None, the frequencies glide evenly over all of `on_ms`. Otherwise they change in this number of
    equally long steps, from the segment's frequencies in the first step to `to_hz` in the last. The phase is
    continuous.
    """

    to_hz: Annotated[tuple[FrequencyHz, ...], Field(max_length=8)]
    steps: Annotated[int, Field(ge=2, le=1000)] | None = None


class Segment(Model):
    """A burst and the pause after it. A burst without frequencies is silent.

    `ramp_ms` is the length of each raised-cosine edge inside `on_ms`. `level_dbm0` replaces the profile's level for
    this burst.
    """

    frequencies_hz: Annotated[tuple[FrequencyHz, ...], Field(max_length=8)]
    on_ms: Annotated[float, Field(ge=1, le=DURATION_LIMIT_MS, allow_inf_nan=False)]
    off_ms: Annotated[float, Field(ge=0, le=DURATION_LIMIT_MS, allow_inf_nan=False)] = 0.0
    ramp_ms: Annotated[float, Field(ge=0, le=RAMP_LIMIT_MS, allow_inf_nan=False)] = RAMP_MS
    level_dbm0: LevelDbm0 | None = None
    modulation: Modulation | None = None
    sweep: Sweep | None = None

    @property
    def crest(self) -> float:
        """Ratio of the burst's highest possible peak to the peak of a single sine at the same level."""
        depth = self.modulation.depth if self.modulation else 0.0
        return math.sqrt(len(self.frequencies_hz)) * (1 + depth) / math.sqrt(1 + depth * depth / 2)

    def frequencies_at(self, fraction: float) -> tuple[float, ...]:
        """The frequencies in Hz at `fraction` (0 to 1) of the burst's duration."""
        sweep = self.sweep
        if sweep is None:
            return self.frequencies_hz
        if sweep.steps:
            fraction = min(math.floor(fraction * sweep.steps), sweep.steps - 1) / (sweep.steps - 1)
        return tuple(low + (high - low) * fraction for low, high in zip(self.frequencies_hz, sweep.to_hz, strict=True))


@dataclass(frozen=True, slots=True)
class Burst:
    """A segment at its position in the sound, in ms from the start of the sound."""

    start_ms: float
    end_ms: float
    segment: Segment


class Tolerance(Model):
    """Permitted deviation of a recorded sound from the profile.

    `time_percent` is relative to the length of the whole cadence. The level is judged only if `level_db` is given,
    because many networks change levels, and speech codecs do not preserve them.
    """

    frequency_percent: Annotated[float, Field(ge=0.1, le=5, allow_inf_nan=False)] = 1.0
    time_percent: Annotated[float, Field(ge=1, le=20, allow_inf_nan=False)] = 6.0
    level_db: Annotated[float, Field(ge=0.5, le=20, allow_inf_nan=False)] | None = None


class Trim(Model):
    """The part of a recording that is the sound, from `from_ms` up to `to_ms`."""

    from_ms: Annotated[float, Field(ge=0, le=DURATION_LIMIT_MS, allow_inf_nan=False)] = 0.0
    to_ms: Annotated[float, Field(gt=0, le=DURATION_LIMIT_MS, allow_inf_nan=False)]


class Profile(Model):
    """A sound made from `segments` or from a `recording`.

    `level_dbm0` is the level of each burst as a whole, whose frequencies are equally loud. A recording is amplified so
    that its sounding part has this level. `recording` is an audio file in the profile's folder: its file name in the
    YAML file, and its full path in a loaded profile. `sha256` is the hash of its bytes. `dither_seed` adds triangular
    noise of one step to linear samples, and the same seed gives the same noise.
    """

    id: Annotated[str, Field(max_length=64), AfterValidator(_slug)]
    title: Annotated[str, Field(max_length=120), AfterValidator(_one_line)]
    standard: bool = False
    level_dbm0: LevelDbm0
    law: Law = Law.A
    segments: Annotated[tuple[Segment, ...], Field(max_length=64)] = ()
    repeat: Annotated[int, Field(ge=1, le=10_000)] = 1
    dither_seed: Annotated[int, Field(ge=0, lt=2**64)] | None = None
    tolerance: Tolerance = Tolerance()
    recording: Path | None = None
    sha256: Annotated[str, AfterValidator(_sha256)] | None = None
    trim: Trim | None = None

    @property
    def duration_ms(self) -> float:
        """Time in ms from the first burst to the end of the last pause, or the length of a recording's trimmed part."""
        if self.trim:
            return self.trim.to_ms - self.trim.from_ms
        return max((start + segment.on_ms + segment.off_ms for start, segment in self._timeline()), default=0.0)

    def bursts(self) -> tuple[Burst, ...]:
        """All audible bursts by time, including repetitions. A recording has none."""
        return tuple(self.timeline())

    def timeline(self) -> Iterator[Burst]:
        """Yield the same bursts as `bursts` one at a time, so that an hour of them does not fill the memory."""
        for start, segment in self._timeline():
            if segment.frequencies_hz:
                yield Burst(start, start + segment.on_ms, segment)

    def level_of(self, segment: Segment) -> float:
        """The level of the segment in dBm0."""
        return self.level_dbm0 if segment.level_dbm0 is None else segment.level_dbm0

    def _timeline(self) -> Iterator[tuple[float, Segment]]:
        now_ms = 0.0
        for _ in range(self.repeat):
            for segment in self.segments:
                yield now_ms, segment
                now_ms = now_ms + segment.on_ms + segment.off_ms


def load_profile(path: Path) -> Profile:
    """The profile in a file. If it has a recording, the recording must exist and have the hash given in the profile.

    Raises DocumentError with all faults of the file.
    """
    profile = yaml_documents.load(path, Profile, profile_faults, size_limit=FILE_SIZE_LIMIT)
    if profile.recording is None:
        return profile
    recording = path.parent / profile.recording
    try:
        digest = sha256_of(recording)
    except OSError as error:
        problem = f"{recording} cannot be read: {error.strerror}"
        raise DocumentError(
            [Fault(str(path), 0, 0, "recording", problem, Message("Put the master there, or import it again"))]
        ) from error
    if digest != profile.sha256:
        problem = f"{recording} has another SHA-256, {digest}"
        raise DocumentError([Fault(str(path), 0, 0, "sha256", problem, Message("Import the right master again"))])
    return profile.model_copy(update={"recording": recording})


def sha256_of(path: Path) -> str:
    """A file's SHA-256 in lowercase, as profiles contain it.

    Raises OSError, even for a special file, because reading a pipe would block.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is a folder, a pipe or a device")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def parse_profile(text: str, name: str) -> Profile:
    """The profile in a text, whose recording is not read. `name` is the file name used in faults."""
    return yaml_documents.parse(text, name, Profile, profile_faults)


def build_profile(tree: dict[str, Any], name: str) -> Profile:
    """A profile from values that are not in a file, so that faults have no line. Its recording is not read."""
    try:
        return yaml_documents.validate(tree, "", name, Profile, profile_faults)
    except DocumentError as error:
        raise DocumentError(replace(fault, line=0, column=0) for fault in error.faults) from error


def profile_faults(profile: Profile) -> Iterator[ValidationFault]:
    """Yield faults of values that are valid on their own but contradict each other."""
    yield from _recording_rules(profile) if profile.recording else _synthesis_rules(profile)
    if profile.duration_ms > DURATION_LIMIT_MS:
        yield ValidationFault(
            ("repeat",) if profile.repeat > 1 else ("segments",),
            Message("would make the sound {duration_ms:.10g} ms long", duration_ms=profile.duration_ms),
            Message("Shorten it to {duration_limit_ms} ms", duration_limit_ms=DURATION_LIMIT_MS),
        )


def _recording_rules(profile: Profile) -> Iterator[ValidationFault]:
    if profile.segments:
        yield ValidationFault(
            ("segments",),
            Message("are given together with a recording"),
            Message("Keep either the recording or the segments"),
        )
    if profile.repeat > 1:
        yield ValidationFault(
            ("repeat",), Message("repeats a recording"), Message("Remove it; a recording is played once")
        )
    if profile.recording and profile.recording.name != str(profile.recording):
        yield ValidationFault(
            ("recording",),
            Message("is not a plain file name"),
            Message("Keep the recording in the profile's own folder"),
        )
    for name in ("sha256", "trim"):
        if getattr(profile, name) is None:
            yield ValidationFault(
                (name,), Message("is missing for a recording"), Message("Write the profile with `idtone tone import`")
            )
    if profile.trim and profile.trim.from_ms >= profile.trim.to_ms:
        yield ValidationFault(
            ("trim", "to_ms"), Message("is not after from_ms"), Message("Give the end of the sound in the recording")
        )


def _synthesis_rules(profile: Profile) -> Iterator[ValidationFault]:
    if profile.standard:
        yield ValidationFault(
            ("standard",),
            Message("is true for a synthesised sound"),
            Message("Remove it; the association's standard sound comes as a recording, never from frequencies"),
        )
    for name in ("sha256", "trim"):
        if getattr(profile, name) is not None:
            yield ValidationFault(
                (name,), Message("is given without a recording"), Message("Remove it, or give the recording")
            )
    if not any(segment.frequencies_hz for segment in profile.segments):
        yield ValidationFault(("segments",), Message("contain no tone"), Message("Give one of them a frequency"))
    for index, segment in enumerate(profile.segments):
        yield from _segment_rules(("segments", index), segment)
        if not segment.frequencies_hz:
            continue
        highest_dbm0 = profile.law.full_scale_dbm0 - 20 * math.log10(segment.crest * 32768 / 32767)
        if profile.level_of(segment) > highest_dbm0:
            own = segment.level_dbm0 is not None
            yield ValidationFault(
                ("segments", index, "level_dbm0") if own else ("level_dbm0",),
                Message("makes the peaks of the segment clip")
                if own
                else Message("makes the peaks of segment {number} clip", number=index + 1),
                Message(
                    "Stay below {highest_dbm0:.1f}, or use fewer frequencies or less modulation",
                    highest_dbm0=math.floor(highest_dbm0 * 10) / 10,
                ),
            )


def _segment_rules(location: tuple[str | int, ...], segment: Segment) -> Iterator[ValidationFault]:
    if not segment.frequencies_hz:
        for name in ("modulation", "sweep", "level_dbm0"):
            if getattr(segment, name) is not None:
                yield ValidationFault(
                    (*location, name), Message("is set for a silent segment"), Message("Remove it, or give frequencies")
                )
        return
    if 2 * segment.ramp_ms > segment.on_ms:
        yield ValidationFault(
            (*location, "ramp_ms"),
            Message(
                "is {ramp_ms:g} ms and does not fit twice into {on_ms:g} ms",
                ramp_ms=segment.ramp_ms,
                on_ms=segment.on_ms,
            ),
            Message("Use at most {most_ms:g}", most_ms=segment.on_ms / 2),
        )
    twice = [frequency for frequency, count in Counter(segment.frequencies_hz).items() if count > 1]
    if twice:
        yield ValidationFault(
            (*location, "frequencies_hz"),
            Message("name {frequency_hz:g} Hz more than once", frequency_hz=twice[0]),
            Message("Keep one of them"),
        )
    if segment.sweep and len(segment.sweep.to_hz) != len(segment.frequencies_hz):
        yield ValidationFault(
            (*location, "sweep", "to_hz"),
            Message(
                "names {ends} frequencies for {frequencies}",
                ends=len(segment.sweep.to_hz),
                frequencies=len(segment.frequencies_hz),
            ),
            Message("Give one frequency for each frequency of the segment"),
        )
