"""Joins the RTP packets of a capture into one signal."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from .codecs import CODECS, FRAME
from .g711 import SAMPLE_RATE_HZ
from .rtp import Packet

Signal = npt.NDArray[np.float64]
"""Samples at 8 kHz. Full scale is 32768, as in 16 bits."""

_SAMPLE_NS: Final = 1_000_000_000 // SAMPLE_RATE_HZ
_LONGEST_LOSS: Final = 500
"""Maximum number of consecutive lost packets. A larger step of the sequence number is a restart of the sender."""


@dataclass(frozen=True)
class Recording:
    """Received packets as one signal with silence in its gaps. `samples[0]` was heard at `start_ns`."""

    samples: Signal
    start_ns: int
    lost: int
    """Number of packets missing between the received ones.

    Telephone events within the voice count as missing.
    """
    begins: npt.NDArray[np.int64]
    """Index of the first sample of each packet, in ascending order."""
    arrivals_ns: npt.NDArray[np.int64]

    def ms_after(self, answered_ns: int, index: float) -> float:
        return (self.start_ns - answered_ns + index * _SAMPLE_NS) / 1e6

    def arrival_ms(self, answered_ns: int, index: int) -> float:
        """Arrival of the packet that contains this sample, in ms after the answer."""
        packet = max(int(np.searchsorted(self.begins, index, side="right")) - 1, 0)
        return float(self.arrivals_ns[packet] - answered_ns) / 1e6


def reassemble(packets: Sequence[Packet]) -> Recording:
    """Join the packets into one signal, in the order of sending and placed by the clock.

    Packets with consecutive timestamps are one stretch, with silence for lost packets. The packet with the shortest
    delay determines the position of a stretch. However, a stretch begins after every stretch that had arrived
    completely before it. Overlapping stretches are added.
    """
    voices: dict[tuple[int, int], list[Packet]] = {}
    for packet in packets:
        if packet.payload_type in CODECS:
            voices.setdefault((packet.ssrc, packet.payload_type), []).append(packet)
    stretches = sorted(
        (stretch for voice in voices.values() for stretch in _stretches(voice)), key=lambda stretch: stretch.first_ns
    )
    if not stretches:
        return Recording(np.zeros(0), 0, 0, np.zeros(0, np.int64), np.zeros(0, np.int64))
    begins_ns = _in_turn(stretches)
    start_ns = min(begins_ns)
    begins = [round((begin_ns - start_ns) / _SAMPLE_NS) for begin_ns in begins_ns]
    samples = np.zeros(max(begin + len(stretch.samples) for begin, stretch in zip(begins, stretches, strict=True)))
    for begin, stretch in zip(begins, stretches, strict=True):
        samples[begin : begin + len(stretch.samples)] += stretch.samples
    packet_begins = np.concatenate([begin + stretch.begins for begin, stretch in zip(begins, stretches, strict=True)])
    order = np.argsort(packet_begins, kind="stable")
    arrivals_ns = np.concatenate([stretch.arrivals_ns for stretch in stretches])
    lost = sum(stretch.lost for stretch in stretches)
    return Recording(samples, start_ns, lost, packet_begins[order], arrivals_ns[order])


@dataclass(frozen=True)
class _Stretch:
    """Packets with consecutive timestamps."""

    samples: Signal
    start_ns: int
    """Start of the stretch, derived from the packet with the shortest delay."""
    begins: npt.NDArray[np.int64]
    """Index of the first sample of each packet."""
    arrivals_ns: npt.NDArray[np.int64]
    lost: int

    @property
    def first_ns(self) -> int:
        return int(self.arrivals_ns.min())

    @property
    def last_ns(self) -> int:
        return int(self.arrivals_ns.max())


def _in_turn(stretches: Sequence[_Stretch]) -> list[int]:
    """Starts of the stretches, which must be in order of arrival."""
    begins_ns: list[int] = []
    for stretch in stretches:
        over_ns = [
            begin_ns + len(earlier.samples) * _SAMPLE_NS
            for begin_ns, earlier in zip(begins_ns, stretches, strict=False)
            if earlier.last_ns <= stretch.first_ns
        ]
        begins_ns.append(max([stretch.start_ns, *over_ns]))
    return begins_ns


def _stretches(packets: Sequence[Packet]) -> Iterator[_Stretch]:
    """The stretches of one sender's packets in one codec. The packets must be in order of arrival."""
    codec = CODECS[packets[0].payload_type]
    sequences = _unwrap([packet.sequence for packet in packets], 16)
    timestamps = _unwrap([packet.timestamp for packet in packets], 32)
    sequences, order = np.unique(sequences, return_index=True)
    timestamps = timestamps[order] * FRAME // codec.ticks  # in samples at 8 kHz, as in the rest of this function
    lengths = np.array([codec.length(packets[index].payload) for index in order])
    missing = np.diff(sequences) - 1
    follows = timestamps[1:] == timestamps[:-1] + lengths[:-1] + missing * FRAME
    breaks = np.flatnonzero(~follows | (missing > _LONGEST_LOSS)) + 1
    for members in np.split(np.arange(len(order)), breaks):
        begins = timestamps[members] - timestamps[members[0]]
        heard = codec.decode([packets[order[member]].payload for member in members])
        places = np.repeat(begins - np.cumsum(lengths[members]) + lengths[members], lengths[members])
        samples = np.zeros(begins[-1] + lengths[members[-1]])
        samples[places + np.arange(len(heard))] = heard
        arrivals_ns = np.array([packets[order[member]].arrival_ns for member in members])
        lost = sequences[members[-1]] - sequences[members[0]] + 1 - len(members)
        start_ns = int((arrivals_ns - begins * _SAMPLE_NS).min())
        yield _Stretch(samples, start_ns, begins, arrivals_ns, int(lost))


def _unwrap(counters: Sequence[int], bits: int) -> npt.NDArray[np.int64]:
    """Counters of `bits` bits, unwrapped and relative to the first counter."""
    values, half = np.array(counters, np.int64), 1 << (bits - 1)
    steps = (np.diff(values) + half) % (1 << bits) - half
    return np.concatenate(([0], np.cumsum(steps)))
