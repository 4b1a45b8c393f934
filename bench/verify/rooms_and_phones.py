"""Effects of a phone or a room on a leg: adaptive playout, noise suppression, reverberation.

The rooms and the adaptive buffer are simulated. The buffer repeats or leaves out periods like WebRTC's NetEq. The noise
suppressors are real libraries.
"""

import ctypes
import functools
from typing import Final

import numpy as np
import soxr
from webrtc_noise_gain import AudioProcessor

from lab import packages

from .codecs import RATE_HZ, Pcm
from .speech_and_music import Signal

_SHORTEST: Final = RATE_HZ // 400
_LONGEST: Final = RATE_HZ * 15 // 1000
"""Longest period, in samples, that an adaptive buffer repeats or leaves out. Periods are 2.5 to 15 ms long."""
_BUSY: Final = 0.6
"""Share of the possible places that the buffer uses while it drains or fills."""


def adaptive_playout(samples: Signal, chance: np.random.Generator) -> Signal:
    """Pass samples through an adaptive buffer, which at times repeats or leaves out a period.

    That happens at most once in 60 ms. The buffer drains or fills for some hundred milliseconds, and then rests.
    """
    pieces: list[Signal] = []
    place = 0
    while place < len(samples) - 4 * _LONGEST:
        rest = int(chance.uniform(0.1, 0.8) * RATE_HZ)
        pieces.append(samples[place : place + rest])
        place += rest
        slower = chance.random() < 0.5
        for _ in range(int(chance.integers(1, 5))):
            step = int(0.06 * RATE_HZ)
            if place + step + 3 * _LONGEST > len(samples):
                break
            if chance.random() > _BUSY:
                pieces.append(samples[place : place + step])
                place += step
                continue
            period = _period(samples[place : place + 3 * _LONGEST])
            one, two = samples[place : place + period], samples[place + period : place + 2 * period]
            fade = np.linspace(0, 1, period, dtype=np.float32)
            if slower:
                pieces += [one, two * (1 - fade) + one * fade]
                place += period
            else:
                pieces.append(one * (1 - fade) + two * fade)
                place += 2 * period
            pieces.append(samples[place : place + step])
            place += step
    pieces.append(samples[place:])
    return np.concatenate(pieces).astype(np.float32)


def _period(piece: Signal) -> int:
    template = piece[:_LONGEST]
    scores = [
        float(template @ piece[lag : lag + _LONGEST]) / (float(np.linalg.norm(piece[lag : lag + _LONGEST])) + 1e-9)
        for lag in range(_SHORTEST, _LONGEST + 1)
    ]
    return _SHORTEST + int(np.argmax(scores))


def add_room(samples: Signal, chance: np.random.Generator, snr_db: float, rt60_s: float) -> Signal:
    """Put a sound into a room: direct sound, early reflections, a decaying tail, and noise."""
    length = int(min(rt60_s, 0.6) * RATE_HZ)
    times_s = np.arange(length) / RATE_HZ
    density = np.minimum(1.0, 0.005 + (times_s / 0.05) ** 2)
    taps = chance.standard_normal(length) * (chance.random(length) < density)
    response = taps * 10 ** (-3 * times_s / rt60_s)
    response[: RATE_HZ // 500] = 0
    ratio_db = float(chance.uniform(0, 12))
    response *= 10 ** (-ratio_db / 20) / (np.linalg.norm(response) + 1e-12)
    response[0] = 1.0
    size = 1 << (len(samples) + length).bit_length()
    wet = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(response, size), size)[: len(samples)]
    active = wet[np.abs(samples) > 0.02] if np.any(np.abs(samples) > 0.02) else wet
    noise = _pink(len(samples), chance)
    wet += noise * np.sqrt(np.mean(active**2)) * 10 ** (-snr_db / 20)
    return np.asarray(wet, np.float32)


def _pink(length: int, chance: np.random.Generator) -> Signal:
    spectrum = np.fft.rfft(chance.standard_normal(length))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 20))
    noise = np.fft.irfft(spectrum, length)
    return np.asarray(noise / np.sqrt(np.mean(noise**2) + 1e-20), np.float32)


_library = functools.cache(packages.library)


def suppress_by_speex(samples: Pcm) -> Pcm:
    """Pass samples through the noise suppression of libspeexdsp, in frames of 20 ms."""
    library, frame = _library("libspeexdsp1", "libspeexdsp.so.1"), RATE_HZ // 50
    library.speex_preprocess_state_init.restype = ctypes.c_void_p
    state = ctypes.c_void_p(library.speex_preprocess_state_init(frame, RATE_HZ))
    on = ctypes.c_int(1)
    library.speex_preprocess_ctl(state, 0, ctypes.byref(on))
    whole = np.zeros(-(-len(samples) // frame) * frame, np.int16)
    whole[: len(samples)] = samples
    for place in range(0, len(whole), frame):
        library.speex_preprocess_run(state, ctypes.c_void_p(whole.ctypes.data + 2 * place))
    library.speex_preprocess_state_destroy(state)
    return whole[: len(samples)]


def suppress_by_webrtc(samples: Pcm, level: int = 2) -> Pcm:
    """Pass samples through the noise suppression of WebRTC, at 16 kHz in frames of 10 ms."""
    wide = np.clip(soxr.resample(samples.astype(np.float64), RATE_HZ, 16000, "HQ"), -32768, 32767).astype("<i2")
    processor = AudioProcessor(0, level)
    heard = b"".join(
        processor.Process10ms(wide[place : place + 160].tobytes()).audio for place in range(0, len(wide) - 159, 160)
    )
    decoded = soxr.resample(np.frombuffer(heard, "<i2").astype(np.float64), 16000, RATE_HZ, "HQ")
    return np.asarray(np.clip(decoded, -32768, 32767), np.int16)
