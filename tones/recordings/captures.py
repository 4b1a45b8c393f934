"""Reads RTP captures (pcap, pcapng) and splits them into legs, never reading the signaling."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from idtone.core.errors import RecordingError

from .datagrams import address_text, datagrams, is_capture
from .open_recording import LARGEST_SAMPLES, LONGEST_S, Notice, beginning_of, open_recording, warn
from .recorded_leg import RecordedLeg
from .rtp_stream import (
    CLOCK_HZ,
    CODECS,
    FEWEST_PACKETS,
    RtpPacket,
    RtpStream,
    RtpTimeline,
    codec_name,
    decode_timeline,
    parse_packet,
    place_packets,
)

_MOST_PACKETS: Final = 4_000_000
"""Maximum number of packets in a capture: 22 hours of one sender with 50 packets per second."""


class _Source(NamedTuple):
    source: bytes
    source_port: int
    destination: bytes
    destination_port: int
    ssrc: int

    @property
    def route(self) -> str:
        source = address_text(self.source, self.source_port)
        return f"{source} → {address_text(self.destination, self.destination_port)}"


class _Found(NamedTuple):
    origin: _Source
    payload_type: int
    line: RtpTimeline


def read_capture(path: Path, *, longest_s: float = LONGEST_S, notice: Notice = warn) -> tuple[RecordedLeg, ...]:
    """Read one leg for each G.711 or G.722 codec in each SSRC between two addresses.

    The legs are in the order of their first packets, with names like "10.0.0.1:4000 → 10.0.0.2:4002 (PCMU)", including
    the SSRC if two names would be equal. The time of a leg begins with its first packet. Packets are sorted, and
    duplicates are dropped. `lost` covers missing sequence numbers and the time of packets in another codec. Unsent
    silence, comfort noise and telephone events become silence. A sender that restarts its counters continues in the
    same leg. Streams that cannot be decoded (other codecs, encryption) are omitted. `notice` receives a sentence about
    each, by default as a warning in the log.

    Raises RecordingError if no leg is left, or if a leg is longer than `longest_s`.
    """
    with open_recording(path) as file:
        if not is_capture(beginning_of(file)):
            raise RecordingError(
                "{path}: is not a capture (pcap or pcapng). Name a capture or an audio file", path=path
            )
        streams: dict[_Source, RtpStream] = {}
        count = octets = 0
        for datagram in datagrams(path, file):
            packet = parse_packet(datagram.payload, datagram.arrival_ns)
            if packet is None:
                continue
            count, octets = count + 1, octets + len(packet.payload)
            if count > _MOST_PACKETS:
                raise RecordingError(
                    "{path}: holds more than {most_packets} RTP packets. Cut it by call first",
                    path=path,
                    most_packets=_MOST_PACKETS,
                )
            if octets > LARGEST_SAMPLES:
                raise RecordingError("{path}: holds more sound than is read at once. Cut it by call first", path=path)
            origin = _Source(
                datagram.source, datagram.source_port, datagram.destination, datagram.destination_port, packet.ssrc
            )
            streams.setdefault(origin, RtpStream()).add(packet)
    left_out: list[str] = []
    found = [
        each
        for origin, stream in streams.items()
        if stream.is_plausible
        for each in _codecs(origin, stream.packets_in_order(), left_out)
    ]
    _check_extent(path, found, longest_s)
    if not found:
        reason = "; ".join(left_out[:3]) or f"no stream has {FEWEST_PACKETS} complete packets"
        raise RecordingError(
            "{path}: holds no RTP that can be read: {reason}. Capture unencrypted G.711 or G.722",
            path=path,
            reason=reason,
        )
    for sentence in left_out:
        notice(f"{path}: {sentence}")
    return tuple(_legs(found))


def _codecs(origin: _Source, packets: list[tuple[int, RtpPacket]], left_out: list[str]) -> Iterator[_Found]:
    counts = Counter(packet.payload_type for _, packet in packets if not packet.is_silent)
    for payload_type, count in counts.items():
        named = f"{origin.route}: {codec_name(payload_type)}"
        if payload_type not in CODECS:
            left_out.append(f"{named} is not decoded, {count} packets are left out")
            continue
        if count < FEWEST_PACKETS:
            left_out.append(f"{named} has only {count} packets, which are left out")
            continue
        line = place_packets(packets, payload_type)
        if 2 * line.misfits > line.pairs:
            left_out.append(
                f"{named} has packets whose length contradicts their time, as in SRTP (encrypted), {count} are left out"
            )
            continue
        yield _Found(origin, payload_type, line)


def _check_extent(path: Path, found: list[_Found], longest_s: float) -> None:
    if any(each.line.ticks > longest_s * CLOCK_HZ for each in found):
        raise RecordingError(
            "{path}: has a leg longer than {longest_s:g} s. Cut it by call first", path=path, longest_s=longest_s
        )
    total = sum(each.line.ticks * CODECS[each.payload_type].sample_rate_hz // CLOCK_HZ for each in found)
    if total > LARGEST_SAMPLES:
        raise RecordingError(
            "{path}: holds more sound than is read at once (2 GiB of samples). Cut it by call first", path=path
        )


def _legs(found: list[_Found]) -> Iterator[RecordedLeg]:
    names = Counter((each.origin.route, each.payload_type) for each in found)
    for origin, payload_type, line in found:
        codec = CODECS[payload_type]
        ratio = codec.sample_rate_hz // CLOCK_HZ
        apart = f", SSRC {origin.ssrc:08x}" if names[origin.route, payload_type] > 1 else ""
        lost = tuple((ratio * start, ratio * end) for start, end in line.lost)
        yield RecordedLeg(
            f"{origin.route} ({codec.name}{apart})", decode_timeline(line, codec), codec.sample_rate_hz, lost
        )
