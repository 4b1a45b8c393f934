"""Codecs of the lab's phones by RTP payload type, in packets of 20 ms.

All payload types are Asterisk's, including the dynamic ones. G.711 is implemented in `g711`. G.722 and Opus come from
the project's packages. A codec with memory is reset at the start of each stretch of packets.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import G722 as g722
import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from . import g711, ogg
from .g711 import PCMA, PCMU, SAMPLE_RATE_HZ, Samples

G722: Final = 9
G729: Final = 18
"""Payload type of G.729. Its content is never decoded: like most PBXs, the lab has no transcoder for it."""
OPUS: Final = 107
EVENTS: Final = 101
"""Payload type of telephone events: pressed keys (RFC 4733)."""
VIDEO: Final = 99
"""Payload type of H.264. Its content is never decoded."""
VIDEO_TICKS: Final = 1800
"""Ticks of the video clock in 20 ms."""
PICTURE: Final = bytes([0x09, 0xF0])
"""An empty picture: an access unit delimiter."""
FRAME: Final = 160
"""Number of samples in 20 ms."""


@dataclass(frozen=True, slots=True)
class Codec:
    """A codec. `encode` returns payloads of 20 ms each.

    `decode` returns 20 ms of samples for each payload of a stretch.
    """

    name: str
    """Name in the SDP attribute a=rtpmap."""
    ticks: int
    """Ticks of the RTP clock in 20 ms."""
    encode: Callable[[Samples], list[bytes]]
    decode: Callable[[Sequence[bytes]], Samples]
    samples_an_octet: int = 1
    """Samples per octet, or 0 if this number varies."""

    def length(self, payload: bytes) -> int:
        """Number of samples at 8 kHz in a payload, or those of 20 ms if the samples per octet vary."""
        return len(payload) * self.samples_an_octet or FRAME


def encode_frames(samples: Samples, payload_type: int) -> list[bytes]:
    """Payloads of samples that are sent in a loop. Raises ValueError unless the samples are complete frames."""
    if not len(samples) or len(samples) % FRAME:
        raise ValueError(f"a voice has whole frames of {FRAME} samples, not {len(samples)} samples")
    return CODECS[payload_type].encode(samples)


def _g711(name: str, payload_type: int) -> Codec:
    def coded(samples: Samples) -> list[bytes]:
        return _cut(g711.encode(samples, payload_type))

    def heard(payloads: Sequence[bytes]) -> Samples:
        return g711.decode(b"".join(payloads), payload_type)

    return Codec(name, FRAME, coded, heard)


def _g722_encode(samples: Samples) -> list[bytes]:
    wide = _resampled(samples, SAMPLE_RATE_HZ, 16000)
    return _cut(bytes(g722.G722(16000, 64000).encode(wide)))


def _g722_decode(payloads: Sequence[bytes]) -> Samples:
    wide = np.asarray(g722.G722(16000, 64000).decode(b"".join(payloads)), np.int16)
    return _resampled(wide, 16000, SAMPLE_RATE_HZ)


def _g729_encode(samples: Samples) -> list[bytes]:
    return [bytes(20)] * (len(samples) // FRAME)


def _g729_decode(payloads: Sequence[bytes]) -> Samples:
    return np.zeros(len(b"".join(payloads)) * 8, np.int16)


def _opus_encode(samples: Samples) -> list[bytes]:
    file = io.BytesIO()
    soundfile.write(file, _resampled(samples, SAMPLE_RATE_HZ, 48000), 48000, format="OGG", subtype="OPUS")
    return ogg.demux(file.getvalue())


def _opus_decode(payloads: Sequence[bytes]) -> Samples:
    wide, _ = soundfile.read(io.BytesIO(ogg.mux(payloads)), dtype="int16")
    return _resampled(wide, 48000, SAMPLE_RATE_HZ)


def _settled(encode: Callable[[Samples], list[bytes]], samples: Samples) -> list[bytes]:
    """Payloads of a loop's second round, in which the encoder has its state from the first round."""
    count = len(samples) // FRAME
    return encode(np.tile(samples, 3))[count : 2 * count]


def _cut(octets: bytes) -> list[bytes]:
    return [octets[at : at + FRAME] for at in range(0, len(octets), FRAME)]


def _resampled(samples: npt.NDArray[Any], from_hz: int, to_hz: int) -> Samples:
    wanted: Samples = soxr.resample(samples, from_hz, to_hz)
    return wanted


CODECS: Final = {
    PCMU: _g711("PCMU/8000", PCMU),
    PCMA: _g711("PCMA/8000", PCMA),
    # The RTP clock is 8000 Hz although G.722 samples at 16 kHz (RFC 3551, 4.5.2).
    G722: Codec("G722/8000", FRAME, partial(_settled, _g722_encode), _g722_decode),
    G729: Codec("G729/8000", FRAME, _g729_encode, _g729_decode, 8),
    OPUS: Codec("opus/48000/2", 6 * FRAME, partial(_settled, _opus_encode), _opus_decode, 0),
}
