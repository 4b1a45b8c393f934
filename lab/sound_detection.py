"""Finds the profile's sound and the other party's voice in a phone's received RTP.

Normalised cross-correlation locates the sound to one sample, at any position in the packets. Times are milliseconds
after the answer, and negative before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .codecs import CODECS
from .g711 import Samples
from .rtp import FRAME, FRAME_NS, Packet
from .rtp_recording import Signal, reassemble

PRESENT: Final = 0.8
"""Correlation from which a sound counts as heard.

Measured with the shipped profiles, the sound has 0.9999 through G.711, 0.89 with five packets lost, and 0.87 with noise
5 dB below it. Other sounds have 0.04 (the other profile), 0.08 (speech-like noise), and 0.75 (the profile's own
strongest note as a continuous tone).
"""
INTACT: Final = 0.9
"""Correlation from which 20 ms of the sound count as intact.

Measured values are 0.999 through G.711, 0.96 with noise 30 dB below the sound, and 0.87 with a quarter of the 20 ms
missing.
"""
VOICE: Final = 0.5
"""Correlation from which 20 ms are a party's voice.

Measured values are 0.999 through G.711, and 0.55 to 0.7 under equally loud noise. Other signals have 0.40 (noise and
other voices) and 0.34 (tones).
"""
_BLOCK: Final = 32
"""Number of windows that are searched for a voice at once."""
_ZERO_DBM0_RMS: Final = 22657 / np.sqrt(2)
"""RMS value of a sine of 0 dBm0 in µ-law (G.711)."""
_QUIET_RMS: Final = 8.0
"""Smallest step of µ-law, -66 dBm0. Quieter signals are not correlated."""


@dataclass(frozen=True)
class DetectedSound:
    """Measured sound and voice in one party's capture."""

    correlation: float
    """Correlation with the complete sound at its best position. 1 is identity up to the level."""
    times: int
    """Number of times that the sound was heard. The following fields describe one of them."""
    onset_ms: float | None
    """Start of the first intact frame, which is the start of the sound if that was heard."""
    arrival_ms: float | None
    """Arrival of the packet in which the first intact frame begins.

    A phone uses the packet with the shortest delay as its clock. After a burst, the packets before it count as late,
    and `onset_ms` is earlier than their arrival.
    """
    end_ms: float | None
    """End of the last intact frame."""
    frames: tuple[float, ...]
    """Correlation of each 20 ms of the sound."""
    level_dbm0: float | None
    """Level of the sound's loudest 20 ms."""
    voice_ms: float | None
    """Time at which the other party's voice was first heard."""
    voice_arrival_ms: float | None
    """Arrival of the packet in which the voice begins."""
    lost: int

    @property
    def present(self) -> bool:
        return self.times > 0

    @property
    def complete(self) -> bool:
        """True if every frame of the sound was heard and nothing covered it."""
        return self.present and min(self.frames) >= INTACT


def hear(
    packets: Sequence[Packet],
    answered_ns: int,
    *,
    reference: npt.NDArray[Any] | None = None,
    voice: Samples | None = None,
) -> DetectedSound:
    """Measure a capture. Of a repeated sound, only the first one counts.

    `reference` holds the profile's samples (16 bit, or floating-point with 1 as full scale). Silence at its ends is
    ignored. `voice` is the other party's voice.
    """
    return hear_each(packets, answered_ns, reference=reference, voice=voice)[0]


def hear_each(
    packets: Sequence[Packet],
    answered_ns: int,
    *,
    reference: npt.NDArray[Any] | None = None,
    voice: Samples | None = None,
) -> tuple[DetectedSound, ...]:
    """Measure each time that the sound was played, in order, as `hear` does.

    Returns a single measurement if the sound was never played.
    """
    recording = reassemble(packets)
    sound = _audible(reference) if reference is not None else np.empty(0)
    likeness = correlate(recording.samples, sound)
    fits = [_Fit.of(recording.samples, sound, place) for place in _places(likeness, len(sound))]
    rest = recording.samples.copy()
    for fit in fits:
        fit.remove(rest, sound)
    start = voice_start(rest, voice) if voice is not None else None
    return tuple(
        DetectedSound(
            correlation=float(likeness.max(initial=0.0)),
            times=len(fits),
            onset_ms=recording.ms_after(answered_ns, fit.span[0]) if fit else None,
            arrival_ms=recording.arrival_ms(answered_ns, fit.span[0]) if fit else None,
            end_ms=recording.ms_after(answered_ns, fit.span[1]) if fit else None,
            frames=tuple(fit.correlations.tolist()) if fit else (),
            level_dbm0=fit.level_dbm0(sound) if fit else None,
            voice_ms=recording.ms_after(answered_ns, start) if start is not None else None,
            voice_arrival_ms=recording.arrival_ms(answered_ns, start) if start is not None else None,
            lost=recording.lost,
        )
        for fit in fits or [None]
    )


def hear_whole(
    packets: Sequence[Packet], answered_ns: int, *, reference: npt.NDArray[Any], voice: Samples | None = None
) -> DetectedSound:
    """Measure as `hear` does, but without gaps in time if this matches better.

    On a busy machine, Asterisk may send packets of the sound late. In such a capture no packet is missing, so its
    packets match the sound better if they are joined without gaps.
    """
    by_the_clock = hear(packets, answered_ns, reference=reference, voice=voice)
    if by_the_clock.complete or not packets:
        return by_the_clock
    begin_ns = packets[0].arrival_ns - answered_ns
    whole = hear(in_order(packets), -begin_ns, reference=reference, voice=voice)
    if whole.correlation <= by_the_clock.correlation:
        return by_the_clock

    def arrival_ms(even_ms: float | None) -> float | None:
        if even_ms is None:
            return None
        packet = packets[round((even_ms * 1e6 - begin_ns) / FRAME_NS)]
        return (packet.arrival_ns - answered_ns) / 1e6

    return replace(whole, arrival_ms=arrival_ms(whole.arrival_ms), voice_arrival_ms=arrival_ms(whole.voice_arrival_ms))


def hear_last(
    packets: Sequence[Packet], answered_ns: int, *, reference: npt.NDArray[Any], voice: Samples | None = None
) -> DetectedSound:
    """Measure as `hear_whole` does. Of a repeated sound, only the last one counts."""
    heard = hear_whole(packets, answered_ns, reference=reference, voice=voice)
    first = hear(in_order(packets), 0, reference=reference)
    if first.times < 2 or first.end_ms is None:
        return heard
    later = packets[int(first.end_ms * 1e6 // FRAME_NS) :]
    return hear_last(later, answered_ns, reference=reference, voice=voice)


def in_order(packets: Iterable[Packet]) -> list[Packet]:
    """The packets in order, with the arrival times of an even stream that begins at 0."""
    put: list[Packet] = []
    for at, packet in enumerate(packets):
        ticks = CODECS[packet.payload_type].ticks if packet.payload_type in CODECS else FRAME
        put.append(packet._replace(arrival_ns=at * FRAME_NS, sequence=at & 0xFFFF, timestamp=at * ticks, ssrc=0))
    return put


def identify(packets: Sequence[Packet], references: Mapping[str, npt.NDArray[Any]]) -> str | None:
    """Name of the profile that was heard, even if its packets were late, or None if none was heard."""
    samples = reassemble(in_order(packets)).samples
    found = {name: correlate(samples, _audible(reference)).max(initial=0.0) for name, reference in references.items()}
    best = max(found, key=found.__getitem__)
    return best if found[best] >= PRESENT else None


# -- recording → sound ------------------------------------------------------------------------------------------------


def correlate(samples: Signal, sound: Signal) -> Signal:
    """Normalised cross-correlation of `sound` with the recording at every position.

    The two overlap by at least one sample. In element 0, the sound begins `len(sound) - 1` samples before the
    recording.
    """
    if not len(samples) or not len(sound):
        return np.zeros(0)
    reach = len(sound) - 1
    padded = np.pad(samples, reach)
    size = 1 << (len(padded) - 1).bit_length()
    products = np.fft.irfft(np.fft.rfft(padded, size) * np.conj(np.fft.rfft(sound, size)), size)
    energies = np.concatenate(([0.0], np.cumsum(padded**2)))
    windows = np.maximum(energies[len(sound) :] - energies[: -len(sound)], len(sound) * _QUIET_RMS**2)
    likeness: Signal = products[: len(windows)] / np.sqrt(windows * np.sum(sound**2))
    return likeness


def _places(likeness: Signal, length: int) -> list[int]:
    """Positions in the recording at which the sound begins, in order."""
    left, places = likeness.copy(), []
    while len(left) and left.max() >= PRESENT:
        peak = int(left.argmax())
        places.append(peak - (length - 1))
        left[max(0, peak - length + 1) : peak + length] = 0
    return sorted(places)


@dataclass(frozen=True)
class _Fit:
    """Comparison of the sound with the recording at one position, by frames of 20 ms."""

    place: int
    edges: npt.NDArray[np.int64]
    """Edges of the frames within the sound: one more than the number of frames."""
    correlations: Signal
    gains: Signal

    @classmethod
    def of(cls, samples: Signal, sound: Signal, place: int) -> _Fit:
        edges = np.append(np.arange(0, len(sound), FRAME), len(sound))
        heard = _cut(samples, place, len(sound))
        own, theirs, both = (np.add.reduceat(product, edges[:-1]) for product in (sound**2, heard**2, sound * heard))
        # A pause cannot be correlated, so a frame 20 dB below the loudest counts as silence.
        floor = own.max() / 100
        return cls(place, edges, (both + floor) / np.sqrt((own + floor) * (theirs + floor)), both / (own + floor))

    @property
    def span(self) -> tuple[int, int]:
        """Start of the first and end of the last intact frame, as positions in the recording."""
        intact = np.flatnonzero(self.correlations >= INTACT)
        first, last = (intact[0], intact[-1]) if len(intact) else (0, len(self.gains) - 1)
        return self.place + int(self.edges[first]), self.place + int(self.edges[last + 1])

    def level_dbm0(self, sound: Signal) -> float:
        """Received level of the sound's loudest frame."""
        energies = np.add.reduceat(sound**2, self.edges[:-1])
        good = self.correlations >= INTACT
        good |= not good.any()
        gain = np.sum(self.gains[good] * energies[good]) / np.sum(energies[good])
        rms = gain * np.sqrt(np.max(energies / np.diff(self.edges)))
        return float(20 * np.log10(rms / _ZERO_DBM0_RMS))

    def remove(self, samples: Signal, sound: Signal) -> None:
        """Subtract the sound from the recording `samples`, with the gain of each frame."""
        scaled = sound * np.repeat(self.gains, np.diff(self.edges))
        begin, end = max(self.place, 0), min(self.place + len(sound), len(samples))
        samples[begin:end] -= scaled[begin - self.place : end - self.place]


def _cut(samples: Signal, place: int, length: int) -> Signal:
    """A piece of the recording. Its parts outside the recording are silence."""
    inside = samples[max(place, 0) : max(place + length, 0)]
    before = min(max(-place, 0), length)
    return np.pad(inside, (before, length - before - len(inside)))


def _audible(reference: npt.NDArray[Any]) -> Signal:
    """The samples without silence at the ends, on the scale of 16 bits. Raises ValueError if all are silent."""
    samples = reference.astype(np.float64) * (32768 if reference.dtype.kind == "f" else 1)
    loud = np.flatnonzero(np.abs(samples) > _QUIET_RMS / 2)
    if not len(loud):
        raise ValueError("the reference is silent; there is nothing to look for")
    return samples[loud[0] : loud[-1] + 1]


# -- recording → voice ------------------------------------------------------------------------------------------------


def voice_start(samples: Signal, voice: Samples) -> int | None:
    """Position of the voice's first sample in the recording, or None if the voice is not found.

    `voice` loops and may begin anywhere in the loop. The search uses windows of 20 ms, so the recording must have 30 ms
    of the voice.
    """
    if len(samples) < FRAME:
        return None
    windows = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[:: FRAME // 2]
    for block in range(0, len(windows), _BLOCK):
        phases = _phases(windows[block : block + _BLOCK], voice)
        for number, (window, phase) in enumerate(zip(windows[block:], phases, strict=False), block):
            spoken = _looped(voice, int(phase), FRAME)
            quarters = _likeness(window.reshape(4, -1), spoken.reshape(4, -1))
            if _likeness(window, spoken) >= VOICE and quarters.min() >= VOICE / 2:
                return _first_sample(samples, number * FRAME // 2, int(phase), voice)
    return None


def _phases(windows: Signal, voice: Samples) -> npt.NDArray[np.int64]:
    """Most probable position of each window in the loop."""
    spectra = np.conj(np.fft.rfft(windows, len(voice))) * np.fft.rfft(voice.astype(np.float64))
    phases: npt.NDArray[np.int64] = np.fft.irfft(spectra, len(voice)).argmax(axis=-1)
    return phases


def _looped(voice: Samples, phase: int, length: int) -> Signal:
    return voice[np.arange(phase, phase + length) % len(voice)].astype(np.float64)


def _likeness(heard: Signal, spoken: Signal) -> Signal:
    """Normalised correlation of pieces with the same length, along the last axis."""
    floor = heard.shape[-1] * _QUIET_RMS**2
    energies = np.maximum(np.sum(heard**2, axis=-1), floor) * np.sum(spoken**2, axis=-1)
    likeness: Signal = np.sum(heard * spoken, axis=-1) / np.sqrt(energies)
    return likeness


def _first_sample(samples: Signal, at: int, phase: int, voice: Samples) -> int:
    """The first sample from which the voice explains the recording better than silence does.

    At the sample `at`, the voice is at position `phase` of its loop.
    """
    begin = max(0, at - FRAME)
    heard, spoken = samples[begin : at + FRAME], _looped(voice, phase - (at - begin), at + FRAME - begin)
    gain = heard[-FRAME:] @ spoken[-FRAME:] / (spoken[-FRAME:] @ spoken[-FRAME:])
    explained = heard**2 - (heard - gain * spoken) ** 2
    return begin + int(np.cumsum(explained[::-1])[::-1].argmax())
