"""Speech and music without an identification sound: Asterisk prompts, espeak-ng voices, music on hold.

The material has two fixed parts: one that shaped the verifier's thresholds (DEVELOPMENT), and one that judges it
(HELD_OUT). It is unpacked and decoded into the user's cache. Any number of hours is made from it by changes of pitch,
tempo, level, band, noise and companding law. A take depends only on its number.
"""

import functools
import os
import random
import re
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from lab import g711, packages
from lab.unpacked_packages import cache_directory, exclusive_lock, print_progress

Signal = npt.NDArray[np.float32]
"""Samples at 8 kHz, one channel; 1.0 is full scale."""

RATE_HZ: Final = 8000
TAKE_S: Final = 600

_SEAL: Final = "base-2"
"""A part of the cache folder's name. It changes when the cached content changes."""
_PEAK_0_DBM0: Final = 22827 / 32768


class Part(StrEnum):
    """A part of the material; the two parts share no prompt, voice or piece of music."""

    DEVELOPMENT = "development"
    HELD_OUT = "held-out"


@dataclass(frozen=True, slots=True)
class Take:
    """About ten minutes of material from one source."""

    name: str
    samples: Signal

    @property
    def duration_s(self) -> float:
        return len(self.samples) / RATE_HZ


_PROMPTS: Final = {
    Part.DEVELOPMENT: {"prompts-en": "asterisk-core-sounds-en-wav"},
    Part.HELD_OUT: {
        **{f"prompts-{language}": f"asterisk-core-sounds-{language}-wav" for language in ("es", "fr", "it", "ru")},
        "prompts-de": "asterisk-prompt-de",
        "prompts-es-co": "asterisk-prompt-es-co",
        "prompts-fr-armelle": "asterisk-prompt-fr-armelle",
        "prompts-it-menardi": "asterisk-prompt-it-menardi-wav",
    },
}
_MUSIC: Final = "asterisk-moh-opsound-g722"
_SIGNALS: Final = re.compile(r"(?:a|de)scending-2tone|beep.*|confbridge-(?:join|leave)")
"""Names of prompt files that are tones, not speech."""
_VOICE_VARIANTS: Final = ("", "+f2", "+m3", "+f4", "+m7", "+croak", "+whisper", "+klatt2")
_VOICES_AT_ONCE: Final = 8
"""Number of groups into which espeak's languages are divided, to avoid a hundred small files."""
_SYLLABLES: Final = tuple(
    consonant + vowel for consonant in ("b d f g h k l m n p r s t v z ch sh st tr kl").split() for vowel in "aeiou"
)


def takes_in(hours: float) -> int:
    return max(1, round(hours * 3600 / TAKE_S))


def speech_take(part: Part, index: int) -> Take:
    """Make a take of speech: clips of one source in a row, with the effects of a telephone line."""
    chance = _chance(part, "speech", index)
    source = _voice(part, chance)
    tempo = float(chance.uniform(0.78, 1.3))
    return Take(f"{source.stem} ×{tempo:.3f} #{index}", _line(_clips(source, tempo, chance), chance))


def _voice(part: Part, chance: np.random.Generator) -> Path:
    voices = [path for path in base(part) if not path.stem.startswith("music")]
    return voices[int(chance.integers(len(voices)))]


def music_take(part: Part, index: int) -> Take:
    """Make a take of music: a part of one piece, at another pitch."""
    sources = [path for path in base(part) if path.stem.startswith("music")]
    chance = _chance(part, "music", index)
    source = sources[index % len(sources)]
    tempo = float(chance.uniform(0.7, 1.4))
    piece = _load(source)
    wanted = int(TAKE_S * RATE_HZ * tempo)
    start = int(chance.integers(len(piece)))
    piece = np.take(piece, np.arange(start, start + wanted), mode="wrap").astype(np.float32) / 32768
    samples = soxr.resample(piece, tempo * RATE_HZ, RATE_HZ, "MQ")
    return Take(f"{source.stem} ×{tempo:.3f} #{index}", _line(samples, chance))


def talker(part: Part, length: int, chance: np.random.Generator) -> Signal:
    """Samples of one talker without long pauses, with an active RMS of 1."""
    source = _load(_voice(part, chance))
    tempo = float(chance.uniform(0.85, 1.2))
    wanted = int(length * tempo) + 64
    found = np.zeros(0, np.float32)
    while len(found) < wanted:
        start = int(chance.integers(max(1, len(source) - 4 * wanted)))
        found = np.concatenate((found, _active(source[start : start + 4 * wanted].astype(np.float32))))
    samples = soxr.resample(found[:wanted], tempo * RATE_HZ, RATE_HZ, "MQ")[:length]
    return np.asarray(samples / np.sqrt(np.mean(samples**2) + 1e-12), np.float32)


def babble(part: Part, length: int, chance: np.random.Generator, talkers: int = 8) -> Signal:
    """Samples of several talkers together, with an RMS of 1."""
    samples = np.sum([talker(part, length, chance) for _ in range(talkers)], axis=0)
    return np.asarray(samples / np.sqrt(np.mean(samples**2)), np.float32)


def rms_of_level(level_dbm0: float) -> float:
    """RMS of a signal of a given level."""
    return float(10 ** (level_dbm0 / 20) * _PEAK_0_DBM0 / np.sqrt(2))


@functools.cache
def base(part: Part) -> tuple[Path, ...]:
    """Decoded sources of a part, each a file with an array of int16 at 8 kHz.

    The first call creates the files, which takes about a minute.
    """
    cache = cache_directory(os.environ, print_progress) / f"material-{_SEAL}"
    folder = cache / part.value
    cache.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(cache / "lock", "the material", print_progress):
        for leftover in cache.glob("making-*"):
            shutil.rmtree(leftover)
        if not folder.exists():
            print_progress(f"bench: decoding the {part.value} material, once …")
            making = Path(tempfile.mkdtemp(prefix="making-", dir=cache))
            try:
                _make_base(part, making)
                making.rename(folder)
            finally:
                shutil.rmtree(making, ignore_errors=True)
    return tuple(sorted(folder.glob("*.npy")))


def _make_base(part: Part, folder: Path) -> None:
    for name, package in _PROMPTS[part].items():
        root = packages.unpacked_tree(package)
        files = sorted(path for path in root.rglob("*") if path.suffix in (".wav", ".gsm") and _is_speech(path))
        _save(folder / f"{name}.npy", [_read(path) for path in files])
    for group, voices in enumerate(_voices(part)):
        _save(folder / f"espeak-{group}.npy", [_spoken(voice) for voice in voices])
    pieces = sorted(path for path in packages.unpacked_tree(_MUSIC).rglob("*.g722") if path.is_file())
    mine = pieces[:1] if part is Part.DEVELOPMENT else pieces[1:]
    for path in mine:
        _save(folder / f"music-{path.stem}.npy", [_read_g722(path)])


def _is_speech(path: Path) -> bool:
    return path.is_file() and not _SIGNALS.fullmatch(path.stem)


def _save(path: Path, clips: Sequence[npt.NDArray[np.int16]]) -> None:
    gap = np.zeros(RATE_HZ // 5, np.int16)
    np.save(path, np.concatenate([part for clip in clips for part in (clip, gap)]))


def _read(path: Path) -> npt.NDArray[np.int16]:
    raw: dict[str, Any] = (
        {"format": "RAW", "subtype": "GSM610", "channels": 1, "samplerate": RATE_HZ} if path.suffix == ".gsm" else {}
    )
    samples, rate_hz = soundfile.read(path, dtype="float32", **raw)
    return _as_int16(samples if samples.ndim == 1 else samples[:, 0], rate_hz)


def _read_g722(path: Path) -> npt.NDArray[np.int16]:
    ffmpeg = packages.find_or_get_ffmpeg() / "ffmpeg"
    decoded = subprocess.run(
        [ffmpeg, "-v", "error", "-f", "g722", "-i", path, "-f", "s16le", "-ar", "16000", "-"],
        check=True, stdout=subprocess.PIPE,
    ).stdout  # fmt: skip
    return _as_int16(np.frombuffer(decoded, "<i2").astype(np.float32) / 32768, 16000)


def _as_int16(samples: Signal, rate_hz: int) -> npt.NDArray[np.int16]:
    at_8k = soxr.resample(samples, rate_hz, RATE_HZ, "HQ") if rate_hz != RATE_HZ else samples
    return np.clip(np.rint(at_8k * 32767), -32768, 32767).astype(np.int16)


def _voices(part: Part) -> list[list[str]]:
    """espeak's languages, in groups. Every third language is for the development."""
    listing = _espeak("--voices")
    languages = sorted({line.split()[1] for line in listing.decode(errors="replace").splitlines()[1:]})
    mine = [name for index, name in enumerate(languages) if (index % 3 == 0) == (part is Part.DEVELOPMENT)]
    return [mine[start::_VOICES_AT_ONCE] for start in range(_VOICES_AT_ONCE)]


def _spoken(voice: str) -> npt.NDArray[np.int16]:
    """Some minutes of speech in one language, by several voices: numbers, in that language's words, and syllables."""
    chance = random.Random(zlib.crc32(voice.encode()))
    clips = []
    for variant in _VOICE_VARIANTS:
        words = [_word(chance) for _ in range(60)]
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch, "spoken.wav")
            _espeak(
                "-v",
                f"{voice}{variant}",
                "-s",
                str(chance.randint(120, 220)),
                "-p",
                str(chance.randint(20, 80)),
                "-w",
                str(path),
                " ".join(words),
            )
            if path.exists() and path.stat().st_size > 44:
                clips.append(_read(path))
    return np.concatenate(clips) if clips else np.zeros(0, np.int16)


def _word(chance: random.Random) -> str:
    kind = chance.random()
    if kind < 0.2:
        return " ".join(f"{chance.randrange(10 ** chance.randint(1, 4))}")
    if kind < 0.4:
        return f"{chance.randrange(10 ** chance.randint(1, 7))}"
    word = "".join(chance.choices(_SYLLABLES, k=chance.randint(1, 4)))
    return word + chance.choice(["", "", "", "n", "s", ",", ".", "?"])


@functools.cache
def _espeak_command() -> tuple[str, ...]:
    if installed := shutil.which("espeak-ng"):
        return (installed,)
    root = packages.unpacked_tree("espeak-ng")
    data = next(root.glob("usr/lib/*/espeak-ng-data"))
    return (*packages.command(root, "usr/bin/espeak-ng"), f"--path={data.parent}")


def _espeak(*arguments: str) -> bytes:
    return subprocess.run(
        [*_espeak_command(), *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=False
    ).stdout


def _chance(part: Part, kind: str, index: int) -> np.random.Generator:
    return np.random.default_rng([zlib.crc32(f"{part.value} {kind}".encode()), index])


@functools.cache
def _load(path: Path) -> npt.NDArray[np.int16]:
    return np.asarray(np.load(path, mmap_mode="r"))


def _clips(path: Path, tempo: float, chance: np.random.Generator) -> Signal:
    """Clips of some seconds from random places in the source, each at its own level, with changed pitch and tempo."""
    source = _load(path)
    wanted = int(TAKE_S * RATE_HZ * tempo)
    found: list[Signal] = []
    length = 0
    while length < wanted:
        start = int(chance.integers(len(source)))
        stretch = source[start : start + int(chance.uniform(2, 20) * RATE_HZ)]
        found.append(stretch * np.float32(10 ** (chance.uniform(-14, 3) / 20) / 32768))
        length += len(stretch)
    return np.asarray(soxr.resample(np.concatenate(found)[:wanted], tempo * RATE_HZ, RATE_HZ, "MQ"), np.float32)


def _line(samples: Signal, chance: np.random.Generator) -> Signal:
    """The signal with random effects of a telephone line: a narrower band, noise, and one of the companding laws."""
    line = samples
    if chance.random() < 0.4:
        line = _band(line, float(chance.uniform(150, 350)), float(chance.uniform(3000, 3600)))
    if chance.random() < 0.6:
        noise = chance.standard_normal(RATE_HZ * 37, np.float32)
        line = line + np.resize(noise, len(line)) * np.float32(rms_of_level(float(chance.uniform(-75, -38))))
    law = (None, g711.PCMA, g711.PCMU)[int(chance.integers(3))]
    if law is None:
        return np.asarray(np.clip(line, -1, 1), np.float32)
    pcm = np.clip(np.rint(line * 32768), -32768, 32767).astype(np.int16)
    return np.asarray(g711.decode(g711.encode(pcm, law), law).astype(np.float32) / np.float32(32768))


def _band(samples: Signal, low_hz: float, high_hz: float) -> Signal:
    taps = 257
    time_s = (np.arange(taps) - taps // 2) / RATE_HZ
    ideal = 2 * high_hz * np.sinc(2 * high_hz * time_s) - 2 * low_hz * np.sinc(2 * low_hz * time_s)
    size = 1 << (len(samples) + taps).bit_length()
    spectrum = np.fft.rfft(samples, size) * np.fft.rfft(ideal * np.hanning(taps) / RATE_HZ, size)
    return np.asarray(np.fft.irfft(spectrum, size)[taps // 2 : taps // 2 + len(samples)], np.float32)


def _active(samples: Signal) -> Signal:
    """The samples without longer pauses (after ITU-T P.56: parts within 16 dB of the speech are active)."""
    frame = RATE_HZ // 50
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame)
    if not len(frames):
        return np.zeros(0, np.float32)
    power = np.mean(frames**2, axis=1)
    active = power > np.mean(power[power >= np.quantile(power, 0.5)]) / 40 + 1
    held = active.copy()
    for shift in (1, 2):
        held[shift:] |= active[:-shift]
    return np.asarray(frames[held].reshape(-1), np.float32)
