"""G.711 encoder and decoder with tables computed from the recommendation, independent of the libraries under test."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]
"""Samples at 8 kHz, 16 bit, one channel."""

SAMPLE_RATE_HZ: Final = 8000
PCMU: Final = 0
"""RTP payload type of µ-law (RFC 3551)."""
PCMA: Final = 8
"""RTP payload type of A-law."""


@dataclass(frozen=True)
class _Law:
    """One of G.711's two laws as tables: octet → sample, and sample (as uint16) → octet."""

    decode: Samples
    encode: npt.NDArray[np.uint8]


def _mu_law() -> _Law:
    """G.711 table 2.

    An octet has a sign, three bits of segment and four bits of step, all inverted. The bias is 33 (14 bit).
    """
    octets = ~np.arange(256, dtype=np.uint8)
    segment, step = (octets >> 4 & 7).astype(np.int32), (octets & 15).astype(np.int32)
    magnitude = ((2 * step + 33) << segment) - 33
    return _law(np.where(octets & 0x80, -magnitude, magnitude) * 4)


def _a_law() -> _Law:
    """G.711 table 1.

    An octet has a sign, a segment and a step, with the even bits inverted. Segment 0 is linear.
    """
    octets = np.arange(256, dtype=np.uint8) ^ 0x55
    segment, step = (octets >> 4 & 7).astype(np.int32), (octets & 15).astype(np.int32)
    magnitude = np.where(segment == 0, 2 * step + 1, (2 * step + 33) << np.maximum(segment - 1, 0))
    return _law(np.where(octets & 0x80, magnitude, -magnitude) * 8)


def _law(values: npt.NDArray[np.int32]) -> _Law:
    """The law whose octets decode to `values`. A sample is encoded as the octet with the nearest value."""
    order = np.argsort(values, kind="stable")
    ascending = values[order]
    samples = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    nearest = np.searchsorted((ascending[1:] + ascending[:-1]) / 2, samples, side="right")
    return _Law(values.astype(np.int16), order[nearest].astype(np.uint8))


_LAWS: Final = {PCMU: _mu_law(), PCMA: _a_law()}


def encode(samples: Samples, payload_type: int) -> bytes:
    """G.711 octets of the samples, µ-law for payload type 0 and A-law for 8."""
    return _LAWS[payload_type].encode[samples.view(np.uint16)].tobytes()


def decode(octets: bytes, payload_type: int) -> Samples:
    """The samples of G.711 octets."""
    return _LAWS[payload_type].decode[np.frombuffer(octets, np.uint8)]
