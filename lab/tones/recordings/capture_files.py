"""Bytes of captures for the tests: RTP packets, frames, pcap and pcapng files.

The module also makes audio files in every container.
"""

import io
import ipaddress
import struct
from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
import soundfile

Address = tuple[str, int]
Timed = tuple[int, bytes]
"""Time of capture in nanoseconds, and the packet."""

CALLER: Final = ("10.0.0.1", 4000)
CALLED: Final = ("10.0.0.2", 4002)
FRAME: Final = 160
FRAME_NS: Final = 20_000_000
START_NS: Final = 1_700_000_000_000_000_000
CONTAINERS: Final = (
    *(("WAV", each) for each in ("PCM_16", "ULAW", "GSM610", "FLOAT", "IMA_ADPCM")),
    *((each, "PCM_16") for each in ("AIFF", "AU", "CAF", "W64", "RF64", "FLAC")),
    *(("OGG", each) for each in ("VORBIS", "OPUS")),
    ("MP3", "MPEG_LAYER_III"),
)
"""Containers of audio files, each with the encoding in it."""


def audio(container: str, subtype: str) -> bytes:
    file, pcm = io.BytesIO(), (3000 * np.sin(np.arange(1600) / 3)).astype(np.int16)
    soundfile.write(file, pcm, 8000, format=container, subtype=subtype)
    return file.getvalue()


def rtp(
    sequence: int,
    timestamp: int,
    payload: bytes,
    *,
    payload_type: int = 0,
    ssrc: int = 0xC0FFEE,
    contributors: int = 0,
    extension: bytes | None = None,
    padding: int = 0,
) -> bytes:
    first = 0x80 | contributors | (0x10 if extension is not None else 0) | (0x20 if padding else 0)
    data = struct.pack(">BBHII", first, payload_type, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc)
    data += bytes(4 * contributors)
    if extension is not None:
        data += struct.pack(">HH", 0xBEDE, len(extension) // 4) + extension
    return data + payload + (bytes(padding - 1) + bytes([padding]) if padding else b"")


def talk(
    octets: bytes, *, sequence: int = 1000, timestamp: int = 50_000, from_ns: int = START_NS, **more: int
) -> list[Timed]:
    """RTP packets of 20 ms each, captured on time. The last packet may be shorter."""
    packets = []
    for number in range(-(-len(octets) // FRAME)):
        payload = octets[number * FRAME : (number + 1) * FRAME]
        data = rtp(sequence + number, timestamp + number * FRAME, payload, **more)
        packets.append((from_ns + number * FRAME_NS, data))
    return packets


def udp(payload: bytes, source: Address = CALLER, destination: Address = CALLED, *, fragment: int = 0) -> bytes:
    """A UDP datagram in an IP packet. The IP version is that of `source`."""
    datagram = struct.pack(">4H", source[1], destination[1], 8 + len(payload), 0) + payload
    hosts = ipaddress.ip_address(source[0]).packed + ipaddress.ip_address(destination[0]).packed
    if len(hosts) == 32:
        # Eight bytes of destination options, as an extension header.
        extended = bytes((17, 0, 1, 4, 0, 0, 0, 0)) + datagram
        return struct.pack(">IHBB", 6 << 28, len(extended), 60, 64) + hosts + extended
    header = struct.pack(">BBHHHBBH", 0x46, 0, 24 + len(datagram), 7, fragment, 64, 17, 0)
    return header + hosts + bytes(4) + datagram


def ethernet(packet: bytes, *, vlans: int = 0) -> bytes:
    kind = b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\x00"
    frame = bytes(12) + b"\x81\x00\x00\x05" * vlans + kind + packet
    return frame + bytes(max(0, 60 - len(frame)))


LINKS: Final[dict[int, Callable[[bytes], bytes]]] = {
    1: ethernet,
    113: lambda packet: bytes(14) + ethernet(packet)[12:],
    276: lambda packet: ethernet(packet)[12:14] + bytes(18) + packet,
    101: lambda packet: packet,
    0: lambda packet: struct.pack("<I", 2) + packet,
    108: lambda packet: struct.pack(">I", 2) + packet,
}
"""Link type → function that wraps an IP packet."""


def on_wire(packets: Iterable[Timed], source: Address = CALLER, destination: Address = CALLED) -> list[Timed]:
    """RTP packets in Ethernet frames."""
    return [(at_ns, ethernet(udp(payload, source, destination))) for at_ns, payload in packets]


def pcap(packets: Iterable[Timed], *, link: int = 1, order: str = "<", nanoseconds: bool = False) -> bytes:
    magic, unit_ns = (0xA1B23C4D, 1) if nanoseconds else (0xA1B2C3D4, 1000)
    data = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262_144, link)
    for at_ns, packet in packets:
        seconds, rest = divmod(at_ns, 1_000_000_000)
        data += struct.pack(order + "4I", seconds, rest // unit_ns, len(packet), len(packet)) + packet
    return data


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + size + body + size


def section(order: str = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link: int, order: str = "<", *, resolution: int | None = None) -> bytes:
    options = b"" if resolution is None else struct.pack(order + "HHB3xHH", 9, 1, resolution, 0, 0)
    return block(1, struct.pack(order + "HHI", link, 0, 262_144) + options, order)


def enhanced(packet: bytes, ticks: int, number: int = 0, order: str = "<") -> bytes:
    head = struct.pack(order + "5I", number, ticks >> 32, ticks & 0xFFFFFFFF, len(packet), len(packet))
    return block(6, head + packet, order)


def pcapng(packets: Iterable[Timed], *, link: int = 1, order: str = "<") -> bytes:
    blocks = (enhanced(packet, at_ns // 1000, 0, order) for at_ns, packet in packets)
    return section(order) + interface(link, order) + b"".join(blocks)
