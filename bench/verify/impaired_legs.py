"""Call legs that contain a sound, and the impairments on their path."""

import functools
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from idtone.tones.making.synthesis import synthesise
from idtone.tones.profile import Profile, build_profile

from . import codecs
from .codecs import Coding
from .speech_and_music import RATE_HZ, Part, Signal, babble, rms_of_level, talker

PACKET: Final = RATE_HZ // 50
"""Samples in a packet of 20 ms."""
LOUDER_DB: Final = (-6.0, 3.0)
_GUARD: Final = RATE_HZ // 4
"""Samples of silence between the legs of one row. It is longer than any codec's delay; each leg keeps the silence after
it.
"""


@dataclass(frozen=True, slots=True)
class Trial:
    """A leg that contains the sound from `start_ms` on, before a codec's delay.

    The sound is `gain_db` louder than the profile's level. `lost` has the spans of missing samples, which are zero.
    """

    samples: Signal
    lost: tuple[tuple[int, int], ...]
    start_ms: float
    gain_db: float


@dataclass(frozen=True, slots=True)
class Condition:
    """The impairments of a leg.

    The noise covers the whole leg, `snr_db` below the level of the sounding parts.
    """

    name: str
    coding: Coding | None = codecs.g711_mu
    noise: str | None = None
    snr_db: float = 0.0
    loss: float = 0.0


CONDITIONS: Final = {
    condition.name: condition
    for condition in (
        Condition("clean", None),
        Condition("g711-mu"),
        Condition("g711-a", codecs.g711_a),
        Condition("g722", codecs.g722),
        Condition("gsm", codecs.gsm),
        Condition("opus-12k", codecs.opus_12k),
        Condition("amr-12.2", codecs.amr_12_2),
        Condition("g729", codecs.g729),
        *(Condition(f"white {snr:+d} dB", noise="white", snr_db=snr) for snr in (0, -5)),
        *(Condition(f"babble {snr:+d} dB", noise="babble", snr_db=snr) for snr in (10, 5, 0)),
        *(Condition(f"talker {snr:+d} dB", noise="talker", snr_db=snr) for snr in (10, 5, 0)),
        *(Condition(f"loss {percent} %", loss=percent / 100) for percent in (1, 3, 5, 10)),
    )
}


def trials(profile: Profile, condition: Condition, first: int, count: int, part: Part) -> list[Trial]:
    """Make `count` trials from number `first` on.

    A trial depends only on its number and on the state of the codec.
    """
    sound, rms = sound_of(profile), sounding_rms(profile)
    chances = [_chance(profile, condition, part, first + n) for n in range(count)]
    return apply_coding([leg_of(sound, rms, condition, chance, part) for chance in chances], condition.coding)


def legs_through(
    sounds: Sequence[Signal], coding: Coding | None, chances: Sequence[np.random.Generator], part: Part
) -> list[Trial]:
    """Pass legs through a codec, one for each sound."""
    condition = Condition("any", coding)
    return apply_coding(
        [leg_of(sound, 0.0, condition, chance, part) for sound, chance in zip(sounds, chances, strict=True)], coding
    )


@functools.cache
def _synthesised(tree: str) -> Signal:
    return synthesise(Profile.model_validate_json(tree), RATE_HZ).astype(np.float32)


def sound_of(profile: Profile) -> Signal:
    """Samples of a profile at 8 kHz, without the pause at its end."""
    samples = _synthesised(profile.model_dump_json())
    return samples[: int(np.flatnonzero(samples)[-1]) + 1]


def sounding_rms(profile: Profile) -> float:
    """RMS of a profile's bursts, with their ramps and without the pauses."""
    sound = sound_of(profile)
    sounding = np.zeros(len(sound), bool)
    for burst in profile.bursts():
        sounding[round(burst.start_ms * RATE_HZ / 1000) : round(burst.end_ms * RATE_HZ / 1000)] = True
    return float(np.sqrt(np.mean(sound[sounding] ** 2)))


def shift(sound: Signal, delay: float, phase: float) -> Signal:
    """Delay a sound, and turn the phase of every frequency, as a line's filters and clocks do.

    `delay` is in samples and may be a fraction.
    """
    size = 1 << (len(sound) + 128).bit_length()
    padded = np.zeros(size)
    padded[64 : 64 + len(sound)] = sound
    spectrum = np.fft.rfft(padded)
    spectrum *= np.exp(1j * (phase - 2 * np.pi * np.arange(len(spectrum)) / size * delay))
    return np.asarray(np.fft.irfft(spectrum, size)[64 : 64 + len(sound) + 1], np.float32)


def apply_coding(legs: Sequence[Trial], coding: Coding | None) -> list[Trial]:
    """Pass all legs through one run of the codec.

    Lost samples stay lost.
    """
    if coding is None:
        return list(legs)
    guard = np.zeros(_GUARD, np.float32)
    row = np.concatenate([piece for leg in legs for piece in (leg.samples, guard)])
    pcm = np.clip(np.rint(row * 32768), -32768, 32767).astype(np.int16)
    heard = np.zeros(len(row), np.float32)
    decoded = coding(pcm)[: len(row)]
    heard[: len(decoded)] = decoded / np.float32(32768)
    begins = np.cumsum([0, *(len(leg.samples) + _GUARD for leg in legs)])
    arrived = []
    for leg, begin, end in zip(legs, begins, begins[1:], strict=False):
        samples = heard[begin:end].copy()
        for lost_from, lost_to in leg.lost:
            samples[lost_from:lost_to] = 0
        arrived.append(Trial(samples, leg.lost, leg.start_ms, leg.gain_db))
    return arrived


def _chance(profile: Profile, condition: Condition, part: Part, number: int) -> np.random.Generator:
    return np.random.default_rng([zlib.crc32(f"{part.value} {profile.id} {condition.name}".encode()), number])


def leg_of(sound: Signal, rms: float, condition: Condition, chance: np.random.Generator, part: Part) -> Trial:
    """Make a leg with a sound.

    `rms` is that of the sounding parts, and matters only for a leg with noise.
    """
    gain_db = float(chance.uniform(*LOUDER_DB))
    heard = shift(sound, float(chance.uniform(-0.5, 0.5)), float(chance.uniform(0, 2 * np.pi)))
    heard *= np.float32(10 ** (gain_db / 20))
    before, after = (int(seconds * RATE_HZ) for seconds in chance.uniform((0.3, 0.3), (3.0, 2.0)))
    samples = np.zeros(before + len(heard) + after, np.float32)
    samples[before : before + len(heard)] = heard
    if condition.noise:
        noise_rms = rms * 10 ** ((gain_db - condition.snr_db) / 20)
        samples += np.float32(noise_rms) * _NOISES[condition.noise](part, len(samples), chance)
    else:
        _surround(samples, before, before + len(heard), chance, part)
    lost = _lost(len(samples), condition.loss, chance)
    for lost_from, lost_to in lost:
        samples[lost_from:lost_to] = 0
    return Trial(np.clip(samples, -1, 1), lost, 1000 * before / RATE_HZ, gain_db)


_NOISES: Final[dict[str, Callable[[Part, int, np.random.Generator], Signal]]] = {
    "white": lambda part, length, chance: chance.standard_normal(length, np.float32),
    "babble": babble,
    "talker": talker,
}


def _surround(samples: Signal, start: int, end: int, chance: np.random.Generator, part: Part) -> None:
    """Add a line's usual signals before and after the sound, at least 50 ms away from it."""
    if chance.random() < 0.5:
        samples += np.float32(rms_of_level(float(chance.uniform(-75, -50)))) * chance.standard_normal(
            len(samples), np.float32
        )
    quiet_before, quiet_after = (int(seconds * RATE_HZ) for seconds in chance.uniform(0.05, 0.4, 2))
    before, after = start - quiet_before, len(samples) - end - quiet_after
    kind = chance.choice(["silence", "ring-back", "talker"])
    if kind == "ring-back" and before > 0:
        ring = ring_back()
        place = int(chance.integers(len(ring)))
        samples[:before] += np.float32(10 ** (chance.uniform(-6, 3) / 20)) * np.resize(np.roll(ring, place), before)
    elif kind == "talker" and before > 0:
        samples[:before] += np.float32(rms_of_level(float(chance.uniform(-28, -14)))) * talker(part, before, chance)
    if chance.random() < 0.5 and after > 0:
        level = np.float32(rms_of_level(float(chance.uniform(-28, -14))))
        samples[len(samples) - after :] += level * talker(part, after, chance)


@functools.cache
def ring_back() -> Signal:
    """One period of the Japanese ring-back tone."""
    segment = {
        "frequencies_hz": [400],
        "on_ms": 1000,
        "off_ms": 2000,
        "modulation": {"rate_hz": 16, "depth": 0.85},
    }
    profile = build_profile({"id": "ring", "title": "ring", "level_dbm0": -16, "segments": [segment]}, "ring")
    return synthesise(profile, RATE_HZ).astype(np.float32)


def _lost(length: int, loss: float, chance: np.random.Generator) -> tuple[tuple[int, int], ...]:
    """Spans of samples in packets that are lost independently of each other. The packets begin at a random sample."""
    if not loss:
        return ()
    edges = np.arange(int(chance.integers(PACKET)), length - PACKET, PACKET)
    gone = edges[chance.random(len(edges)) < loss]
    return tuple((int(edge), int(edge) + PACKET) for edge in gone)
