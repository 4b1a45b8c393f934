"""Converts one sender's RTP packets to sound, using the sender's own clock (RFC 3550, RFC 3551).

Sequence numbers reveal missing packets, and timestamps give the position of each packet. If only the timestamp jumps,
the sender omitted silence. If both jump, packets were lost. If packets are missing in a gap, the entire gap counts as
lost, because the packets do not show which part of it may be silence. Arrival times are used only to check the
timestamps. If the capture's clock contradicts a jump, the sender has restarted its counters, and that clock gives the
length of the gap.
"""

import functools
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple

import G722
import numpy as np
import soundfile
from numpy.typing import NDArray

FEWEST_PACKETS: Final = 8
"""Minimum number of packets in a stream. A few packets of another protocol can look like RTP."""
CLOCK_HZ: Final = 8000
"""RTP clock of all codecs here, including G.722 with its 16 000 samples per second (RFC 3551, section 4.5.2)."""

_HEADER: Final = 12
_DROPOUT: Final = 3000
_MISORDER: Final = 100
"""Maximum distance of a sequence number behind the highest one (RFC 3550, A.1).

`_DROPOUT` is the maximum distance ahead of it.
"""
_NEAR: Final = 20
_CONTRADICTION_S: Final = 2
"""Maximum difference between the capture's clock and the timestamps, in seconds.

Above it, the capture's clock gives the length of a gap. Jitter and a sender's bursts cause less.
"""
_SILENT: Final = (13, 19)
"""Payload types of comfort noise (RFC 3389), which a silent sender uses."""
_DYNAMIC: Final = 96
_EVENT_OCTETS: Final = 4
"""Size of a telephone event's payload, in bytes (RFC 4733, section 2.3).

Event packets do not count as voice time.
"""


@dataclass(frozen=True, slots=True)
class Codec:
    """A codec with one byte per tick of the RTP clock. Its samples have the rate `sample_rate_hz`."""

    name: str
    sample_rate_hz: int
    subtype: str = ""


CODECS: Final[Mapping[int, Codec]] = MappingProxyType(
    {0: Codec("PCMU", 8000, "ULAW"), 8: Codec("PCMA", 8000, "ALAW"), 9: Codec("G722", 16_000)}
)
_NAMES: Final = {3: "GSM", 4: "G723", 5: "DVI4", 6: "DVI4", 7: "LPC", 10: "L16", 11: "L16", 15: "G728", 18: "G729"}


def codec_name(payload_type: int) -> str:
    """The codec's name, for example "G729", or "payload type 111" if only the signaling names the codec."""
    known = CODECS.get(payload_type)
    return known.name if known else _NAMES.get(payload_type, f"payload type {payload_type}")


class RtpPacket(NamedTuple):
    """One RTP packet. `arrival_ns` is None if the capture has no timestamp.

    `payload` is complete for types that can be decoded. For other types, it contains only the first bytes, for
    `is_silent`.
    """

    sequence: int
    timestamp: int
    ssrc: int
    payload_type: int
    payload: bytes
    arrival_ns: int | None

    @property
    def is_silent(self) -> bool:
        """True if the packet contains comfort noise, a telephone event or no data."""
        event = self.payload_type >= _DYNAMIC and len(self.payload) == _EVENT_OCTETS
        return self.payload_type in _SILENT or event or not self.payload


def parse_packet(data: bytes, arrival_ns: int | None) -> RtpPacket | None:
    """The RTP packet in a datagram, or None for other data and RTCP.

    See RFC 3550, section 5.1, and RFC 5761, section 4.
    """
    if len(data) < _HEADER or data[0] >> 6 != 2 or 64 <= data[1] & 0x7F < _DYNAMIC:
        return None
    start, end = _HEADER + 4 * (data[0] & 0x0F), len(data)
    if data[0] & 0x10:
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    if data[0] & 0x20:
        end -= data[-1]
    if start > end:
        return None
    sequence, timestamp, ssrc = (int.from_bytes(data[a:b], "big") for a, b in ((2, 4), (4, 8), (8, 12)))
    payload_type = data[1] & 0x7F
    if payload_type not in CODECS:
        # An hour of video beside the voice would fill the memory.
        end = min(end, start + _EVENT_OCTETS + 1)
    return RtpPacket(sequence, timestamp, ssrc, payload_type, data[start:end], arrival_ns)


def _signed(difference: int, bits: int) -> int:
    half = 1 << bits - 1
    return (difference + half & (1 << bits) - 1) - half


@dataclass(slots=True)
class RtpStream:
    """Packets of one source and one SSRC, added in any order of arrival."""

    packets: dict[tuple[int, int], RtpPacket] = field(default_factory=dict)
    """Packets by number of restarts and extended sequence number."""
    _restarts: int = 0
    _highest: int = 0
    _last: RtpPacket | None = None
    _step: int = 0
    _stray: RtpPacket | None = None
    _followed: int = 0

    def add(self, packet: RtpPacket) -> None:
        """Add a packet. Duplicates and stray packets without a successor are dropped."""
        last = self._last
        if last is None:
            self._accept(packet, packet.sequence)
            return
        ahead = _signed(packet.sequence - self._highest, 16)
        elapsed = _signed(packet.timestamp - last.timestamp, 32)
        if -_MISORDER <= ahead <= _DROPOUT or (ahead > 0 and self._step and elapsed == ahead * self._step):
            if 0 < ahead <= _NEAR:
                self._followed += 1
            if ahead == 1:
                self._step = elapsed
            self._accept(packet, self._highest + ahead)
        elif (stray := self._stray) and packet.sequence == (stray.sequence + 1) & 0xFFFF:
            self._restarts += 1
            self._highest = 0
            self._accept(stray, stray.sequence)
            self._accept(packet, stray.sequence + 1)
            self._followed += 1
        else:
            self._stray = packet

    def _accept(self, packet: RtpPacket, extended: int) -> None:
        self._stray = None
        self.packets.setdefault((self._restarts, extended), packet)
        if extended >= self._highest or self._last is None:
            self._highest, self._last = extended, packet

    @property
    def is_plausible(self) -> bool:
        """True if this is RTP and not another protocol whose packets begin with the same bits."""
        return len(self.packets) >= FEWEST_PACKETS and 2 * self._followed >= len(self.packets)

    def packets_in_order(self) -> list[tuple[int, RtpPacket]]:
        """The packets in sending order, each with the number of missing packets before it."""
        found: list[tuple[int, RtpPacket]] = []
        before: tuple[int, int] | None = None
        for key in sorted(self.packets):
            missing = key[1] - before[1] - 1 if before and key[0] == before[0] else 0
            found.append((missing, self.packets[key]))
            before = key
        return found


@dataclass(slots=True)
class RtpTimeline:
    """A stream's packets in one codec, positioned on its clock.

    `runs` are payloads without a gap, each run with its first tick. `lost` contains spans of ticks (first, end), and
    `ticks` is the total length. `pairs` is the number of pairs of successive packets. `misfits` counts the pairs whose
    timestamps do not match the packet's length.
    """

    runs: list[tuple[int, list[bytes]]] = field(default_factory=list)
    lost: list[tuple[int, int]] = field(default_factory=list)
    ticks: int = 0
    pairs: int = 0
    misfits: int = 0


def place_packets(packets: Iterable[tuple[int, RtpPacket]], payload_type: int) -> RtpTimeline:
    """The packets with `payload_type`, positioned on their clock.

    The time of packets in another codec counts as lost.
    """
    line = RtpTimeline()
    anchor: RtpPacket | None = None
    missing, interrupted = 0, False
    for absent, packet in packets:
        missing += absent
        if packet.payload_type != payload_type or packet.is_silent:
            interrupted = True
            missing += not packet.is_silent
            continue
        hole = 0
        if anchor:
            hole = _hole(anchor, packet)
            if not missing and not interrupted:
                line.pairs += 1
                line.misfits += _signed(packet.timestamp - anchor.timestamp, 32) != len(anchor.payload)
            if hole and missing:
                line.lost.append((line.ticks, line.ticks + hole))
        if hole or not line.runs:
            line.runs.append((line.ticks + hole, []))
        line.runs[-1][1].append(packet.payload)
        line.ticks += hole + len(packet.payload)
        anchor, missing, interrupted = packet, 0, False
    return line


def _hole(before: RtpPacket, after: RtpPacket) -> int:
    """Ticks between the end of one packet and the start of a later one, at least 0."""
    hole = _signed(after.timestamp - before.timestamp, 32) - len(before.payload)
    if before.arrival_ns is None or after.arrival_ns is None or after.arrival_ns <= before.arrival_ns:
        return max(hole, 0)
    waited = (after.arrival_ns - before.arrival_ns) * CLOCK_HZ // 1_000_000_000 - len(before.payload)
    return max(waited if abs(hole - waited) > _CONTRADICTION_S * CLOCK_HZ else hole, 0)


def decode_timeline(line: RtpTimeline, codec: Codec) -> NDArray[np.float32]:
    """The samples of a stream, where 1.0 is full scale and gaps are zero.

    G.722's decoder keeps its state across a gap, as in a telephone. It is correct again within milliseconds.
    """
    ratio = codec.sample_rate_hz // CLOCK_HZ
    samples = np.zeros(line.ticks * ratio, np.float32)
    for start, piece in _decoded(line, codec):
        samples[start * ratio : start * ratio + len(piece)] = piece
    return samples


def _decoded(line: RtpTimeline, codec: Codec) -> Iterator[tuple[int, NDArray[np.float32]]]:
    wideband = G722.G722(codec.sample_rate_hz, 64_000)
    for start, payloads in line.runs:
        octets = b"".join(payloads)
        if codec.subtype:
            yield start, _table(codec.subtype)[np.frombuffer(octets, np.uint8)]
        else:
            yield start, np.frombuffer(wideband.decode(octets), np.int16).astype(np.float32) * np.float32(2**-15)


@functools.cache
def _table(subtype: str) -> NDArray[np.float32]:
    """The sample for each of the 256 codes of a G.711 law."""
    octets = io.BytesIO(bytes(range(256)))
    table, _ = soundfile.read(
        octets, dtype="float32", format="RAW", subtype=subtype, channels=1, samplerate=CLOCK_HZ, always_2d=False
    )
    return np.asarray(table, np.float32)
