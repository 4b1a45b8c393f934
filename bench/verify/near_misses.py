"""Sounds that resemble a profile, and network signals. The verifier must reject each of them."""

import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np

from idtone.core.errors import DocumentError
from idtone.tones.making.synthesis import synthesise
from idtone.tones.profile import Profile, Segment, build_profile

from . import codecs
from .codecs import Coding
from .impaired_legs import Trial, legs_through, ring_back, sound_of
from .profiles import profiles
from .speech_and_music import RATE_HZ, TAKE_S, Part, Signal, Take, rms_of_level

CODINGS: Final[dict[str, Coding | None]] = {"clean": None, "g711-mu": codecs.g711_mu, "gsm": codecs.gsm}

Sound = Callable[[np.random.Generator], Signal]
"""A function that makes a signal; its random parts come from the generator."""

_LEVEL_DBM0: Final = -16


def near_misses(profile: Profile) -> dict[str, Sound]:
    """Near misses of a profile by name, each with a difference beyond the profile's tolerance."""
    altered = {name: _fixed(sound_of(other)) for name, other in _altered(profile)}
    others = {f"profile {name}": _fixed(sound_of(other)) for name, other in profiles().items() if name != profile.id}
    return altered | others | _NETWORK


def near_miss_trials(profile: Profile, name: str, coding: str, first: int, count: int, part: Part) -> list[Trial]:
    """Make legs with a near miss, from number `first` on, through one of CODINGS."""
    make = near_misses(profile)[name]
    seed = zlib.crc32(f"{part.value} {profile.id} {name} {coding}".encode())
    chances = [np.random.default_rng([seed, first + n]) for n in range(count)]
    return legs_through([make(chance) for chance in chances], CODINGS[coding], chances, part)


def signal_take(part: Part, index: int) -> Take:
    """Make a take of network signals with noise between them, on a noisy line."""
    chance = np.random.default_rng([zlib.crc32(f"{part.value} signals".encode()), index])
    kinds, pieces, length = list(_NETWORK.values()), [], 0
    while length < TAKE_S * RATE_HZ:
        level = np.float32(10 ** (chance.uniform(-14, 3) / 20))
        pieces.append(level * kinds[int(chance.integers(len(kinds)))](chance))
        between = chance.standard_normal(int(chance.uniform(0.1, 2) * RATE_HZ), np.float32)
        pieces.append(between * np.float32(rms_of_level(float(chance.uniform(-70, -14)))))
        length += len(pieces[-2]) + len(pieces[-1])
    samples = np.concatenate(pieces)
    samples += np.float32(rms_of_level(float(chance.uniform(-75, -38)))) * chance.standard_normal(
        len(samples), np.float32
    )
    coding = list(CODINGS.values())[index % len(CODINGS)]
    if coding:
        decoded = coding(np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16))
        samples = np.asarray(decoded / np.float32(32768), np.float32)
    return Take(f"signals #{index}", np.clip(samples, -1, 1))


def _fixed(samples: Signal) -> Sound:
    return lambda chance: samples


def _altered(profile: Profile) -> Iterator[tuple[str, Profile]]:
    bursts = [burst.segment for burst in profile.bursts()]
    tree = profile.model_dump(mode="json", exclude={"id", "title", "segments", "repeat"}, exclude_none=True)
    gap_ms = max((segment.off_ms for segment in bursts), default=0) or 100.0

    def altered(name: str, segments: list[Segment]) -> Iterator[tuple[str, Profile]]:
        plain = [segment.model_dump(mode="json", exclude_none=True) for segment in segments]
        try:
            yield name, build_profile({**tree, "id": "near-miss", "title": name, "segments": plain}, name)
        except DocumentError:
            # Outside the telephone band there is nothing to take for the sound.
            return

    for percent in (-2, 2):
        yield from altered(f"frequency {percent:+d} %", [_scaled(segment, 1 + percent / 100, 1) for segment in bursts])
    for percent in (-12, 12):
        yield from altered(f"cadence {percent:+d} %", [_scaled(segment, 1, 1 + percent / 100) for segment in bursts])
    more = [*bursts[:-1], bursts[-1].model_copy(update={"off_ms": bursts[-1].off_ms or gap_ms}), bursts[0]]
    yield from altered(f"{len(more)} bursts for {len(bursts)}", more)
    if len(bursts) > 1:
        yield from altered(f"{len(bursts) - 1} bursts for {len(bursts)}, the last missing", bursts[:-1])
        yield from altered(f"{len(bursts) - 1} bursts for {len(bursts)}, the first missing", bursts[1:])
    if len(bursts) > 2:
        yield from altered(f"1 burst for {len(bursts)}", bursts[:1])
    swapped = [
        other.model_copy(update={"off_ms": segment.off_ms})
        for segment, other in zip(bursts, reversed(bursts), strict=True)
    ]
    if swapped != bursts:
        yield from altered("bursts swapped", swapped)


def _scaled(segment: Segment, frequency: float, time: float) -> Segment:
    changed: dict[str, Any] = {
        "frequencies_hz": tuple(hz * frequency for hz in segment.frequencies_hz),
        "on_ms": segment.on_ms * time,
        "off_ms": segment.off_ms * time,
    }
    if segment.sweep:
        to_hz = tuple(hz * frequency for hz in segment.sweep.to_hz)
        changed["sweep"] = segment.sweep.model_copy(update={"to_hz": to_hz})
    return segment.model_copy(update=changed)


def _cadence(*segments: tuple[tuple[float, ...], float, float], repeat: int = 1) -> Sound:
    """A signal of frequencies that are on and off for these milliseconds, `repeat` times."""
    plain = [{"frequencies_hz": hz, "on_ms": on_ms, "off_ms": off_ms, "ramp_ms": 0} for hz, on_ms, off_ms in segments]
    tree = {"id": "tone", "title": "tone", "level_dbm0": _LEVEL_DBM0, "segments": plain, "repeat": repeat}
    return _fixed(synthesise(build_profile(tree, "tone"), RATE_HZ).astype(np.float32))


def _dtmf(on_ms: float) -> Sound:
    rows, columns = (697, 770, 852, 941), (1209, 1336, 1477, 1633)

    def dial(chance: np.random.Generator) -> Signal:
        digits = [((rows[a], columns[b]), on_ms, on_ms) for a, b in chance.integers(4, size=(10, 2))]
        return _cadence(*digits)(chance)

    return dial


def _fsk(rate: int, mark_hz: float, space_hz: float) -> Sound:
    """A function that makes two seconds of random bits as FSK with continuous phase."""

    def send(chance: np.random.Generator) -> Signal:
        bits = chance.integers(2, size=2 * rate)
        place = np.minimum(np.arange(2 * RATE_HZ) * rate // RATE_HZ, len(bits) - 1)
        frequency_hz = np.where(bits[place], mark_hz, space_hz)
        return _loud(np.sin(2 * np.pi * np.cumsum(frequency_hz) / RATE_HZ))

    return send


def _ced(chance: np.random.Generator) -> Signal:
    samples = np.arange(int(3.3 * RATE_HZ))
    reversed_ = np.where(samples * 1000 // RATE_HZ // 450 % 2, -1, 1)
    return _loud(reversed_ * np.sin(2 * np.pi * 2100 * samples / RATE_HZ))


def _loud(samples: Any) -> Signal:
    return np.asarray(samples * 22827 / 32768 * 10 ** (_LEVEL_DBM0 / 20), np.float32)


_NETWORK: Final[dict[str, Sound]] = {
    "dial tone": _cadence(((400,), 4000, 0)),
    "second dial tone 125/125": _cadence(((400,), 125, 125), repeat=12),
    "second dial tone 150/150": _cadence(((400,), 150, 150), repeat=12),
    "busy tone": _cadence(((400,), 500, 500), repeat=4),
    "fast busy tone": _cadence(((400,), 250, 250), repeat=6),
    "ring-back tone": lambda chance: ring_back(),
    "call waiting tone": _cadence(((440,), 100, 100), ((440,), 100, 1000), repeat=3),
    "DTMF 50/50": _dtmf(50),
    "DTMF 100/100": _dtmf(100),
    "SIT": _cadence(((950,), 330, 0), ((1400,), 330, 0), ((1800,), 330, 0)),
    "CNG": _cadence(((1100,), 500, 3000), repeat=2),
    "CED": _cadence(((2100,), 3000, 0)),
    "CED with reversals": _ced,
    "V.21 caller": _fsk(300, 980, 1180),
    "V.21 answerer": _fsk(300, 1650, 1850),
    "V.23": _fsk(1200, 1300, 2100),
    "V.23 backward": _fsk(75, 390, 450),
}
