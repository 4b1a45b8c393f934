"""What a phone heard: the profile's sound and the other party's voice, found in the recording of its RTP capture.

A sound is found by normalised cross-correlation with its samples, hence at one sample's precision wherever the
packets' borders are. Times are milliseconds after the answer; what was heard before it has negative ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .g711 import Samples
from .recording import Signal, reassemble
from .rtp import FRAME, Packet

PRESENT: Final = 0.8
"""Correlation from which a sound counts as heard. Measured with the shipped profiles: through G.711 0.9999, with five
packets lost 0.89, with noise 5 dB below it 0.87; of what is not the sound, the other profile 0.04, speech-like noise
0.08, and the profile's own strongest note held on and on 0.75.
"""
INTACT: Final = 0.9
"""Correlation from which 20 ms of it count as right: through G.711 0.999, with noise 30 dB below the sound 0.96, with a
quarter of them missing 0.87.
"""
VOICE: Final = 0.5
"""Correlation from which 20 ms are a party's voice: through G.711 0.999, under noise as loud as itself 0.55 to 0.7; of
what is not the voice, noise and other voices 0.40, tones 0.34.
"""
_BLOCK: Final = 32
"""Windows searched for a voice at once."""
_ZERO_DBM0_RMS: Final = 22657 / np.sqrt(2)
"""A sine of 0 dBm0 has this peak in µ-law (G.711)."""
_QUIET_RMS: Final = 8.0
"""µ-law's smallest step, -66 dBm0: below it there is nothing to correlate."""


@dataclass(frozen=True)
class Heard:
    """The measurement of one party's capture."""

    correlation: float
    """With the whole sound, at the place where it fits best: 1 is identity up to the level."""
    times: int
    """How often the sound was heard. What follows is about the first time."""
    onset_ms: float | None
    """Begin of the first intact frame: the sound's own begin where that was heard."""
    end_ms: float | None
    """End of the last intact frame."""
    frames: tuple[float, ...]
    """Correlation with each 20 ms of the sound."""
    level_dbm0: float | None
    """Of the sound's loudest 20 ms."""
    voice_ms: float | None
    """When the other party's voice was there first."""
    lost: int

    @property
    def present(self) -> bool:
        return self.times > 0

    @property
    def complete(self) -> bool:
        """Every frame of the sound was there, and nothing over it."""
        return self.present and min(self.frames) >= INTACT


def hear(
    packets: Sequence[Packet],
    answered_ns: int,
    *,
    reference: npt.NDArray[Any] | None = None,
    voice: Samples | None = None,
) -> Heard:
    """Measure a capture: `reference` is the profile's samples (16 bit, or floating with 1 as full scale), `voice` is
    what the other party says. Silence around the reference does not count.
    """
    recording = reassemble(packets)
    sound = _audible(reference) if reference is not None else np.empty(0)
    likeness = correlate(recording.samples, sound)
    fits = [_Fit.of(recording.samples, sound, place) for place in _places(likeness, len(sound))]
    rest = recording.samples.copy()
    for fit in fits:
        fit.remove(rest, sound)
    start = voice_start(rest, voice) if voice is not None else None
    first = fits[0] if fits else None
    return Heard(
        correlation=float(likeness.max(initial=0.0)),
        times=len(fits),
        onset_ms=recording.ms_after(answered_ns, first.span[0]) if first else None,
        end_ms=recording.ms_after(answered_ns, first.span[1]) if first else None,
        frames=tuple(first.correlations.tolist()) if first else (),
        level_dbm0=first.level_dbm0(sound) if first else None,
        voice_ms=recording.ms_after(answered_ns, start) if start is not None else None,
        lost=recording.lost,
    )


def identify(packets: Sequence[Packet], references: Mapping[str, npt.NDArray[Any]]) -> str | None:
    """The profile that was heard; None where it was none of them."""
    samples = reassemble(packets).samples
    found = {name: correlate(samples, _audible(reference)).max(initial=0.0) for name, reference in references.items()}
    best = max(found, key=found.__getitem__)
    return best if found[best] >= PRESENT else None


# -- recording → sound ------------------------------------------------------------------------------------------------


def correlate(samples: Signal, sound: Signal) -> Signal:
    """Normalised cross-correlation of `sound` with the recording at every place where they meet, at least by a sample.

    Element 0 is the sound lying `len(sound) - 1` samples before the recording begins.
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
    """Where in the recording the sound begins each time it is there, in order."""
    left, places = likeness.copy(), []
    while len(left) and left.max() >= PRESENT:
        peak = int(left.argmax())
        places.append(peak - (length - 1))
        left[max(0, peak - length + 1) : peak + length] = 0
    return sorted(places)


@dataclass(frozen=True)
class _Fit:
    """The sound held against the recording at one place, 20 ms by 20 ms."""

    place: int
    edges: npt.NDArray[np.int64]
    """Of the frames, within the sound; one more than there are frames."""
    correlations: Signal
    gains: Signal

    @classmethod
    def of(cls, samples: Signal, sound: Signal, place: int) -> _Fit:
        edges = np.append(np.arange(0, len(sound), FRAME), len(sound))
        heard = _cut(samples, place, len(sound))
        own, theirs, both = (np.add.reduceat(product, edges[:-1]) for product in (sound**2, heard**2, sound * heard))
        # Where the sound pauses there is nothing to correlate with: what is 20 dB below its loudest frame is silence.
        floor = own.max() / 100
        return cls(place, edges, (both + floor) / np.sqrt((own + floor) * (theirs + floor)), both / (own + floor))

    @property
    def span(self) -> tuple[int, int]:
        """Begin of the first and end of the last intact frame, in the recording."""
        intact = np.flatnonzero(self.correlations >= INTACT)
        first, last = (intact[0], intact[-1]) if len(intact) else (0, len(self.gains) - 1)
        return self.place + int(self.edges[first]), self.place + int(self.edges[last + 1])

    def level_dbm0(self, sound: Signal) -> float:
        """Of the sound's loudest frame, as heard."""
        energies = np.add.reduceat(sound**2, self.edges[:-1])
        good = self.correlations >= INTACT
        good |= not good.any()
        gain = np.sum(self.gains[good] * energies[good]) / np.sum(energies[good])
        rms = gain * np.sqrt(np.max(energies / np.diff(self.edges)))
        return float(20 * np.log10(rms / _ZERO_DBM0_RMS))

    def remove(self, samples: Signal, sound: Signal) -> None:
        """Take the sound out of a recording, as loud as it is in each frame."""
        scaled = sound * np.repeat(self.gains, np.diff(self.edges))
        begin, end = max(self.place, 0), min(self.place + len(sound), len(samples))
        samples[begin:end] -= scaled[begin - self.place : end - self.place]


def _cut(samples: Signal, place: int, length: int) -> Signal:
    """A piece of the recording, with silence where it reaches beyond it."""
    inside = samples[max(place, 0) : max(place + length, 0)]
    before = min(max(-place, 0), length)
    return np.pad(inside, (before, length - before - len(inside)))


def _audible(reference: npt.NDArray[Any]) -> Signal:
    """The samples between the silences around them, on the scale of 16 bits. Raises ValueError where all is silence."""
    samples = reference.astype(np.float64) * (32768 if reference.dtype.kind == "f" else 1)
    loud = np.flatnonzero(np.abs(samples) > _QUIET_RMS / 2)
    if not len(loud):
        raise ValueError("the reference is silent; there is nothing to look for")
    return samples[loud[0] : loud[-1] + 1]


# -- recording → voice ------------------------------------------------------------------------------------------------


def voice_start(samples: Signal, voice: Samples) -> int | None:
    """The first sample of `voice`, which loops and may have begun anywhere in its loop; None where it is not there.

    Found in windows of 20 ms, so it takes 30 ms of the voice to find it.
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
    """Where in the loop each window lies most probably."""
    spectra = np.conj(np.fft.rfft(windows, len(voice))) * np.fft.rfft(voice.astype(np.float64))
    phases: npt.NDArray[np.int64] = np.fft.irfft(spectra, len(voice)).argmax(axis=-1)
    return phases


def _looped(voice: Samples, phase: int, length: int) -> Signal:
    return voice[np.arange(phase, phase + length) % len(voice)].astype(np.float64)


def _likeness(heard: Signal, spoken: Signal) -> Signal:
    """Normalised correlation of pieces of the same length, along the last axis."""
    floor = heard.shape[-1] * _QUIET_RMS**2
    energies = np.maximum(np.sum(heard**2, axis=-1), floor) * np.sum(spoken**2, axis=-1)
    likeness: Signal = np.sum(heard * spoken, axis=-1) / np.sqrt(energies)
    return likeness


def _first_sample(samples: Signal, at: int, phase: int, voice: Samples) -> int:
    """From where on the recording is better explained by the voice than without it; at `at` it is there in `phase`."""
    begin = max(0, at - FRAME)
    heard, spoken = samples[begin : at + FRAME], _looped(voice, phase - (at - begin), at + FRAME - begin)
    gain = heard[-FRAME:] @ spoken[-FRAME:] / (spoken[-FRAME:] @ spoken[-FRAME:])
    explained = heard**2 - (heard - gain * spoken) ** 2
    return begin + int(np.cumsum(explained[::-1])[::-1].argmax())
