"""Speech codecs, from samples at 8 kHz to the samples at the far end.

Each codec takes many legs in a row as one signal, because starting a program or codec takes longer than coding one leg.
"""

import ctypes
import functools
import io
import subprocess
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from lab import g711, packages

Pcm = npt.NDArray[np.int16]
"""Samples at 8 kHz, one channel."""
Coding = Callable[[Pcm], Pcm]

RATE_HZ: Final = 8000

_library = functools.cache(packages.library)
_folder = functools.cache(packages.find_or_get_ffmpeg)


def g711_mu(samples: Pcm) -> Pcm:
    """Pass samples through ITU-T G.711, µ-law."""
    return g711.decode(g711.encode(samples, g711.PCMU), g711.PCMU)


def g711_a(samples: Pcm) -> Pcm:
    """Pass samples through ITU-T G.711, A-law."""
    return g711.decode(g711.encode(samples, g711.PCMA), g711.PCMA)


def g722(samples: Pcm) -> Pcm:
    """Pass samples through ITU-T G.722 at 64 kbit/s, fed at 16 kHz."""
    coded = _ffmpeg(_resampled(samples, RATE_HZ, 16000).tobytes(), *_raw(16000), "-i", "-", "-f", "g722", "-")
    decoded = _ffmpeg(coded, "-f", "g722", "-i", "-", *_raw(16000), "-")
    return _resampled(np.frombuffer(decoded, "<i2"), 16000, RATE_HZ)


def gsm(samples: Pcm) -> Pcm:
    """Pass samples through GSM 06.10 full rate, 13 kbit/s."""
    raw = {"samplerate": RATE_HZ, "subtype": "GSM610", "format": "RAW"}
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", channels=1, **raw) as coded:
        coded.write(samples)
    file.seek(0)
    decoded, _ = soundfile.read(file, dtype="int16", channels=1, **raw)
    return np.asarray(decoded)


def opus_12k(samples: Pcm) -> Pcm:
    """Pass samples through narrowband Opus for speech, 12 kbit/s."""
    opus = "-c:a libopus -b:a 12k -application voip -f ogg".split()
    coded = _ffmpeg(samples.tobytes(), *_raw(RATE_HZ), "-i", "-", *opus, "-")
    decoded = _ffmpeg(coded, "-c:a", "libopus", "-f", "ogg", "-i", "-", *_raw(48000), "-")
    return _resampled(np.frombuffer(decoded, "<i2"), 48000, RATE_HZ)


def amr_12_2(samples: Pcm) -> Pcm:
    """Pass samples through 3GPP AMR narrowband at 12.2 kbit/s, by OpenCORE."""
    library, mode, frame = _library("libopencore-amrnb0", "libopencore-amrnb.so.0"), 7, 160
    for name in ("Encoder_Interface_init", "Decoder_Interface_init"):
        getattr(library, name).restype = ctypes.c_void_p
    encoder = ctypes.c_void_p(library.Encoder_Interface_init(0))
    decoder = ctypes.c_void_p(library.Decoder_Interface_init())
    given, decoded = _frames(samples, frame)
    coded = (ctypes.c_ubyte * 64)()
    try:
        for place in range(0, len(given) * 2, frame * 2):
            library.Encoder_Interface_Encode(encoder, mode, ctypes.c_void_p(given.ctypes.data + place), coded, 0)
            library.Decoder_Interface_Decode(decoder, coded, ctypes.c_void_p(decoded.ctypes.data + place), 0)
    finally:
        library.Encoder_Interface_exit(encoder)
        library.Decoder_Interface_exit(decoder)
    return decoded[: len(samples)]


def g729(samples: Pcm) -> Pcm:
    """Pass samples through ITU-T G.729 annex A at 8 kbit/s, by bcg729."""
    library, frame = _library("libbcg729-0", "libbcg729.so.0"), 80
    for name in ("initBcg729EncoderChannel", "initBcg729DecoderChannel"):
        getattr(library, name).restype = ctypes.c_void_p
    encoder = ctypes.c_void_p(library.initBcg729EncoderChannel(ctypes.c_ubyte(0)))
    decoder = ctypes.c_void_p(library.initBcg729DecoderChannel())
    given, decoded = _frames(samples, frame)
    coded, length = (ctypes.c_ubyte * 16)(), ctypes.c_ubyte()
    try:
        for place in range(0, len(given) * 2, frame * 2):
            library.bcg729Encoder(encoder, ctypes.c_void_p(given.ctypes.data + place), coded, ctypes.byref(length))
            library.bcg729Decoder(
                decoder,
                coded,
                length,
                ctypes.c_ubyte(0),
                ctypes.c_ubyte(0),
                ctypes.c_ubyte(0),
                ctypes.c_void_p(decoded.ctypes.data + place),
            )
    finally:
        library.closeBcg729EncoderChannel(encoder)
        library.closeBcg729DecoderChannel(decoder)
    return decoded[: len(samples)]


def _frames(samples: Pcm, frame: int) -> tuple[Pcm, Pcm]:
    """The samples, padded to complete frames, and an empty array of the same size."""
    whole = np.zeros(-(-len(samples) // frame) * frame, np.int16)
    whole[: len(samples)] = samples
    return whole, np.zeros_like(whole)


def _raw(rate_hz: int) -> list[str]:
    return f"-f s16le -ar {rate_hz} -ac 1".split()


def _resampled(samples: Pcm, from_hz: int, to_hz: int) -> Pcm:
    return np.asarray(soxr.resample(samples, from_hz, to_hz, "HQ"), np.int16)


def _ffmpeg(given: bytes, *arguments: str) -> bytes:
    command = [_folder() / "ffmpeg", "-v", "error", *arguments]
    return subprocess.run(command, input=given, stdout=subprocess.PIPE, check=True).stdout
