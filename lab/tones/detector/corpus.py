"""A small corpus of recordings, determined by a seed.

Each recording has the verdict of Python's verifier, for a comparison with the browser's detector.
"""

import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import soxr
from numpy.typing import NDArray

from bench.verify.impaired_legs import PACKET, shift, sound_of
from bench.verify.profiles import profiles
from bench.verify.rooms_and_phones import add_room
from bench.verify.transmission_chains import DAMAGES, lost_packets
from idtone.tones.detector.profile_json import profile_json
from idtone.tones.profile import Profile
from idtone.tones.verification.fit import Fitter
from idtone.tones.verification.sound_plan import plan_of
from idtone.tones.verification.verifier import Verifier
from lab import g711

from ..profiles import make_profile, tone
from ..verification.synthetic_legs import without_phase

RATE_HZ: Final = 8000

Samples = NDArray[np.float32]
Chance = np.random.Generator


def speech_like(length: int, chance: Chance) -> Samples:
    """Syllables of voiced sounds, at an active level of −20 dBov."""
    samples = np.zeros(length + RATE_HZ)
    place = 0
    while place < length:
        count = int(chance.uniform(0.1, 0.3) * RATE_HZ)
        pitch_hz = chance.uniform(90, 220) * np.linspace(1, chance.uniform(0.8, 1.2), count)
        phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE_HZ
        formants_hz = chance.uniform((300, 900, 2200), (900, 2200, 3400))
        for harmonic in range(1, 30):
            near = np.exp(-(((harmonic * pitch_hz[0] - formants_hz) / 150) ** 2)).sum()
            samples[place : place + count] += (near + 0.02) * np.sin(harmonic * phase) * np.hanning(count)
        place += count + int(chance.uniform(0, 0.2) * RATE_HZ)
    samples = samples[:length]
    return np.asarray(0.1 * samples / np.sqrt(np.mean(samples**2) + 1e-12), np.float32)


def _noise(snr_db: float) -> Callable[[Samples, Chance], Samples]:
    return lambda samples, chance: (
        samples + np.float32(0.08 * 10 ** (-snr_db / 20)) * chance.standard_normal(len(samples), np.float32)
    )


def _law(law: int) -> Callable[[Samples, Chance], Samples]:
    def carried(samples: Samples, chance: Chance) -> Samples:
        pcm = np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)
        return np.asarray(g711.decode(g711.encode(pcm, law), law) / np.float32(32768), np.float32)

    return carried


def _lossy(share: float) -> Callable[[Samples, Chance], Samples]:
    def carried(samples: Samples, chance: Chance) -> Samples:
        lost = np.repeat(lost_packets(len(samples) // PACKET + 1, share, chance), PACKET)[: len(samples)]
        return np.where(lost, np.float32(0), samples)

    return carried


def _speech_before(samples: Samples, chance: Chance) -> Samples:
    heard = samples.copy()
    heard[: RATE_HZ // 2] += speech_like(RATE_HZ // 2, chance)
    return heard


WAYS: Final[Mapping[str, Callable[[Samples, Chance], Samples]]] = {
    "clean": lambda samples, chance: samples,
    "A-law": _law(g711.PCMA),
    "µ-law": _law(g711.PCMU),
    "noise at 10 dB": _noise(10),
    "noise at 0 dB": _noise(0),
    "speech before": _speech_before,
    "speech over it": lambda samples, chance: samples + np.float32(0.6) * speech_like(len(samples), chance),
    "3 % lost": _lossy(0.03),
    "10 % lost": _lossy(0.10),
    "room": lambda samples, chance: add_room(samples, chance, 30.0, 0.3),
    "no phase": without_phase,
}
RATES_HZ: Final = (16_000, 44_100, 48_000)


def _pulses(count: int = 2, hz: float = 400, times: float = 1.0) -> Samples:
    return sound_of(make_profile(*[tone(hz, on_ms=100 * times, off_ms=100 * times)] * count))


def _sounds(profile: Profile) -> dict[str, Samples]:
    damaged = np.random.default_rng(3)
    return {
        "one burst": _pulses(1),
        "three bursts": _pulses(3),
        "3 % higher": _pulses(hz=412),
        "12 % slower": _pulses(times=1.12),
        "half of each burst": DAMAGES["half of every burst missing"](profile, damaged),
        "only noise": np.zeros(RATE_HZ // 4, np.float32),
    }


def legs() -> Iterator[tuple[str, Profile, Samples, int]]:
    """Yield the name, profile, samples and sample rate in hertz of each recording in the corpus."""
    known = profiles()
    pulses = known["two-pulses"]
    rows = [(pulses, "whole", sound_of(pulses), way) for way in WAYS]
    rows += [(pulses, name, sound, way) for name, sound in _sounds(pulses).items() for way in ("A-law", "room")]
    rows += [
        (known[name], "whole", sound_of(known[name]), way)
        for name, way in (
            ("notice", "10 % lost"),
            ("notice", "no phase"),
            ("trembling", "clean"),
            ("sweep", "10 % lost"),
        )
    ]
    for profile, name, sound, way in rows:
        full = f"{profile.id}, {name}, {way}"
        yield full, profile, _leg(sound, way, full), RATE_HZ
    for rate_hz in RATES_HZ:
        samples = _leg(sound_of(pulses), "µ-law", "rates")
        yield f"two-pulses, at {rate_hz} Hz", pulses, soxr.resample(samples, RATE_HZ, rate_hz), rate_hz


def _leg(sound: Samples, way: str, name: str) -> Samples:
    chance = np.random.default_rng(zlib.crc32(name.encode()))
    heard = shift(sound, float(chance.uniform(-0.5, 0.5)), float(chance.uniform(0, 2 * np.pi)))
    samples = np.zeros(RATE_HZ * 5 // 2, np.float32)
    samples[5000 : 5000 + len(heard)] = heard
    samples += np.float32(1e-4) * chance.standard_normal(len(samples), np.float32)
    return np.clip(WAYS[way](samples, chance), -1, 1).astype(np.float32)


def write(folder: Path) -> None:
    """Write the recordings, the profiles and Python's verdicts to `folder`, for the tests in JavaScript."""
    cases: list[dict[str, Any]] = []
    grids: dict[str, dict[str, int]] = {}
    verifiers: dict[str, Verifier] = {}
    for number, (name, profile, samples, rate_hz) in enumerate(legs()):
        if profile.id not in verifiers:
            verifiers[profile.id] = Verifier(profile)
            (folder / f"{profile.id}.json").write_text(profile_json(profile), "utf-8")
            grid = Fitter(plan_of(profile))._coarse
            grids[profile.id] = {"places": len(grid.places), "tempi": len(grid.tempi), "pitches": len(grid.pitches)}
        samples.astype("<f4").tofile(folder / f"{number}.f32")
        report = verifiers[profile.id].verify(samples, rate_hz)
        best = report.findings[0] if report.findings else None
        cases.append(
            {
                "name": name,
                "profile": profile.id,
                "file": f"{number}.f32",
                "rate": rate_hz,
                "verdict": report.verdict,
                "at_s": best and best.start_ms / 1000,
                "score": best and best.score,
            }
        )
    (folder / "cases.json").write_text(json.dumps(cases), "utf-8")
    (folder / "grids.json").write_text(json.dumps(grids), "utf-8")
