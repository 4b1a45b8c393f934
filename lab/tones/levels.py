"""Decodes and measures samples from the synthesis and the encoders."""

import io
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from idtone.tones.making.formats import LibsndfileEncoding, SoundFormat

PEAK_0_DBM0 = 22827.06
"""Peak of a sine at 0 dBm0 (ITU-T G.711, A-law), in 16-bit linear PCM."""


def level_dbm0(pcm: NDArray[Any]) -> float:
    rms = np.sqrt(np.mean(pcm.astype(np.float64) ** 2))
    return float(20 * np.log10(rms * np.sqrt(2) / PEAK_0_DBM0))


def slice_ms(pcm: NDArray[Any], sample_rate_hz: int, from_ms: float, to_ms: float) -> NDArray[Any]:
    return pcm[round(from_ms * sample_rate_hz / 1000) : round(to_ms * sample_rate_hz / 1000)]


def decode(content: bytes, sound_format: SoundFormat) -> NDArray[np.int16]:
    """Samples that libsndfile reads from a file that it wrote in this format."""
    encoding = sound_format.encoding
    assert isinstance(encoding, LibsndfileEncoding)
    file = io.BytesIO(content)
    if encoding.container == "RAW":
        rate = sound_format.sample_rate_hz
        raw = {"format": "RAW", "channels": 1, "samplerate": rate, "subtype": encoding.subtype, "endian": "LITTLE"}
        pcm, _ = soundfile.read(file, dtype="int16", **raw)
    else:
        pcm, rate = soundfile.read(file, dtype="int16")
        assert rate == sound_format.sample_rate_hz
    return np.asarray(pcm)
