"""A tone profile: what a sound is, as data.

A profile is a row of segments, each a burst of one or more sine waves (or of silence) and the pause
after it, the whole played `repeat` times. The association's own sound is not public and comes as a
recording; no profile that is synthesised here may call itself the standard.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field

from idtone import documents
from idtone.documents import Complaint, Model
from idtone.errors import DocumentError

DURATION_LIMIT_MS: Final = 10_000
FILE_SIZE_LIMIT: Final = 64 * 1024
"""Bytes."""
OVERLOAD_DBM0: Final = 3.14
"""The level of a sine whose peak is full scale. This is the overload point of A-law (ITU-T G.711),
whose range fills 16-bit linear PCM exactly, so 0 dBm0 has its peak at 22 827 of 32 768. By the
reference of µ-law (peak 22 657) the same samples are 0.065 dB louder."""
RAMP_MS: Final = 5.0
"""Enough that the edges of a burst do not click."""

_SLUG = re.compile(r"[a-z0-9][a-z0-9-]*")

FrequencyHz = Annotated[float, Field(ge=300, le=3400, allow_inf_nan=False)]
"""The telephone band."""


def _slug(value: str) -> str:
    if not _SLUG.fullmatch(value):
        raise ValueError("cannot name a sound file. Use the letters a-z, digits and '-'")
    return value


def _one_line(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ValueError("is not one line of text. Say in a few words what the sound is")
    return value


class Modulation(Model):
    """Amplitude modulation by a sine that starts with the burst; `depth` 1 goes down to silence."""

    rate_hz: Annotated[float, Field(ge=0.5, le=100, allow_inf_nan=False)]
    depth: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class Segment(Model):
    """One burst and the pause after it; without frequencies the burst is silent too.

    `ramp_ms` is the length of each of the raised-cosine edges, inside `on_ms`.
    """

    frequencies_hz: Annotated[tuple[FrequencyHz, ...], Field(max_length=8)]
    on_ms: Annotated[float, Field(ge=1, le=DURATION_LIMIT_MS, allow_inf_nan=False)]
    off_ms: Annotated[float, Field(ge=0, le=DURATION_LIMIT_MS, allow_inf_nan=False)] = 0.0
    ramp_ms: Annotated[float, Field(ge=0, le=DURATION_LIMIT_MS, allow_inf_nan=False)] = RAMP_MS
    modulation: Modulation | None = None

    @property
    def crest(self) -> float:
        """The highest peak the burst can reach, over the peak of one sine of the same level."""
        depth = self.modulation.depth if self.modulation else 0.0
        return math.sqrt(len(self.frequencies_hz)) * (1 + depth) / math.sqrt(1 + depth * depth / 2)


@dataclass(frozen=True, slots=True)
class Burst:
    """A segment at its place in the sound, in milliseconds from the beginning."""

    start_ms: float
    end_ms: float
    segment: Segment


class Profile(Model):
    """A sound. `level_dbm0` is the level of every burst as a whole, its frequencies being equally loud."""

    id: Annotated[str, Field(max_length=64), AfterValidator(_slug)]
    title: Annotated[str, Field(max_length=120), AfterValidator(_one_line)]
    standard: bool = False
    level_dbm0: Annotated[float, Field(ge=-40, le=0, allow_inf_nan=False)]
    segments: Annotated[tuple[Segment, ...], Field(max_length=64)]
    repeat: Annotated[int, Field(ge=1, le=100)] = 1

    @property
    def duration_ms(self) -> float:
        """From the first burst to the end of the last pause."""
        return max((start + segment.on_ms + segment.off_ms for start, segment in self._timeline()), default=0.0)

    def bursts(self) -> tuple[Burst, ...]:
        """Every burst that is heard, repetitions written out, in order of time."""
        return tuple(
            Burst(start, start + segment.on_ms, segment)
            for start, segment in self._timeline()
            if segment.frequencies_hz
        )

    def _timeline(self) -> Iterator[tuple[float, Segment]]:
        now_ms = 0.0
        for _ in range(self.repeat):
            for segment in self.segments:
                yield now_ms, segment
                now_ms = now_ms + segment.on_ms + segment.off_ms


def load_profile(path: Path) -> Profile:
    """Read a profile. Raises DocumentError with every fault of the file."""
    return documents.load(path, Profile, rules, size_limit=FILE_SIZE_LIMIT)


def parse_profile(text: str, name: str) -> Profile:
    """As `load_profile`, from text; `name` stands for the file in the faults."""
    return documents.parse(text, name, Profile, rules)


def build_profile(tree: dict[str, Any], name: str) -> Profile:
    """As `load_profile`, from values that stand in no file; the faults name their field alone."""
    try:
        return documents.validate(tree, "", name, Profile, rules)
    except DocumentError as error:
        raise DocumentError(replace(fault, line=0, column=0) for fault in error.faults) from error


def rules(profile: Profile) -> Iterator[Complaint]:
    """What must hold across the values of a profile."""
    if profile.standard:
        yield Complaint(
            ("standard",),
            "is true for a synthesised sound",
            "Remove it; the association's standard sound comes as a recording, never from frequencies",
        )
    if not any(segment.frequencies_hz for segment in profile.segments):
        yield Complaint(("segments",), "hold no tone at all", "Give one of them a frequency")
    for index, segment in enumerate(profile.segments):
        yield from _segment_rules(("segments", index), segment)
    # A silent segment has no crest; 1.0 stands for a plain sine.
    crest = max([1.0, *(segment.crest for segment in profile.segments)])
    highest_dbm0 = OVERLOAD_DBM0 - 20 * math.log10(crest * 32768 / 32767)
    if profile.level_dbm0 > highest_dbm0:
        yield Complaint(
            ("level_dbm0",),
            "lets the peaks of the loudest segment clip",
            f"Stay below {math.floor(highest_dbm0 * 10) / 10:.1f}, or use fewer frequencies or less modulation",
        )
    if profile.duration_ms > DURATION_LIMIT_MS:
        yield Complaint(
            ("repeat",) if profile.repeat > 1 else ("segments",),
            f"make a sound of {profile.duration_ms:g} ms",
            f"Shorten it to {DURATION_LIMIT_MS} ms; nobody waits longer for a connection",
        )


def _segment_rules(location: tuple[str | int, ...], segment: Segment) -> Iterator[Complaint]:
    if not segment.frequencies_hz:
        if segment.modulation:
            yield Complaint((*location, "modulation"), "modulates silence", "Remove it, or give frequencies")
        return
    if 2 * segment.ramp_ms > segment.on_ms:
        yield Complaint(
            (*location, "ramp_ms"),
            f"is {segment.ramp_ms:g} ms and does not fit twice into {segment.on_ms:g} ms",
            f"Use at most {segment.on_ms / 2:g}",
        )
    twice = [frequency for frequency, count in Counter(segment.frequencies_hz).items() if count > 1]
    if twice:
        yield Complaint((*location, "frequencies_hz"), f"name {twice[0]:g} Hz more than once", "Keep one of them")
