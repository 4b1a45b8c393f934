"""Reads the UDP datagrams in a capture (pcap, pcapng). Other packets and incomplete packets are skipped.

The available libraries are not suitable: they parse every protocol in a packet, raise undocumented exceptions, and read
a pcapng with several interfaces as if it had one. Formats: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng, and the
link types of tcpdump.org.
"""

import ipaddress
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from idtone.core.errors import RecordingError

_PCAP: Final = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
"""Magic number → byte order, and the unit of the time fraction in ns."""
_PCAPNG: Final = b"\x0a\x0d\x0d\x0a"
_BYTE_ORDERS: Final = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}

_LARGEST_PACKET: Final = 256 * 1024
"""Maximum size of a packet, in bytes. This is libpcap's own limit (MAXIMUM_SNAPLEN)."""
_LARGEST_BLOCK: Final = 16 * 1024 * 1024

_INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _PACKET = 1, 2, 3, 6
_TSRESOL, _TSOFFSET = 9, 14

_ETHERNET, _SLL, _SLL2 = 1, 113, 276
_LOOPBACK: Final = (0, 108)
"""Link types whose IP header follows a four-byte address family in the capturing machine's byte order."""
_RAW_IP: Final = (12, 14, 101, 228, 229)
_VLANS: Final = (0x8100, 0x88A8, 0x9100)
_IPV4, _IPV6 = 0x0800, 0x86DD
_UDP: Final = 17
_EXTENSIONS: Final = (0, 43, 60)
"""IPv6 hop-by-hop, routing and destination options, which all have the same format."""


class Datagram(NamedTuple):
    """One UDP datagram. Addresses have 4 or 16 bytes, as on the wire. `arrival_ns` is None if there is no timestamp."""

    arrival_ns: int | None
    source: bytes
    source_port: int
    destination: bytes
    destination_port: int
    payload: bytes


class _Interface(NamedTuple):
    link: int
    per_second: int = 1_000_000
    offset_s: int = 0


def is_capture(beginning: bytes) -> bool:
    """True if a file that begins like this is a pcap or pcapng file."""
    return beginning[:4] in _PCAP or beginning[:4] == _PCAPNG


def address_text(host: bytes, port: int) -> str:
    """The address as text, for example "10.0.0.1:4000" or "[2001:db8::1]:4000"."""
    name = str(ipaddress.ip_address(host))
    return f"[{name}]:{port}" if len(host) == 16 else f"{name}:{port}"


def datagrams(path: Path, file: BinaryIO) -> Iterator[Datagram]:
    """Yield all datagrams in the order of the capture. An incomplete last packet is skipped.

    Raises RecordingError if the capture is damaged or its link type is not supported.
    """
    packets = _pcapng(path, file) if (magic := file.read(4)) == _PCAPNG else _pcap(path, file, magic)
    for arrival_ns, link, packet in packets:
        found = _udp(packet, _network(path, packet, link))
        if found:
            yield Datagram(arrival_ns, *found)


def _pcap(path: Path, file: BinaryIO, magic: bytes) -> Iterator[tuple[int | None, int, bytes]]:
    order, unit_ns = _PCAP[magic]
    header = file.read(20)
    if len(header) < 20:
        return
    # The upper 16 bits may contain the length of the frame check sequence.
    link = struct.unpack_from(order + "I", header, 16)[0] & 0xFFFF
    record = struct.Struct(order + "4I")
    while len(head := file.read(16)) == 16:
        seconds, fraction, size, _ = record.unpack(head)
        if size > _LARGEST_PACKET:
            raise _damaged(path, file)
        packet = file.read(size)
        if len(packet) == size:
            yield seconds * 1_000_000_000 + fraction * unit_ns, link, packet


def _pcapng(path: Path, file: BinaryIO) -> Iterator[tuple[int | None, int, bytes]]:
    file.seek(0)
    order = "<"
    interfaces: list[_Interface] = []
    while len(head := file.read(12)) == 12:
        if head[:4] == _PCAPNG:
            if head[8:] not in _BYTE_ORDERS:
                raise _damaged(path, file)
            order, interfaces = _BYTE_ORDERS[head[8:]], []
        kind, size = struct.unpack_from(order + "2I", head)
        if size < 12 or size % 4 or size > _LARGEST_BLOCK:
            raise _damaged(path, file)
        block = head[8:] + file.read(size - 12)
        if len(block) < size - 8:
            return
        try:
            if kind == _INTERFACE:
                interfaces.append(_interface(block[:-4], order))
            elif kind in (_PACKET, _OLD_PACKET):
                number = struct.unpack_from(order + ("I" if kind == _PACKET else "H"), block)[0]
                high, low, length = struct.unpack_from(order + "3I", block, 4)
                link, per_second, offset_s = interfaces[number]
                arrival_ns = ((high << 32 | low) * 1_000_000_000) // per_second + offset_s * 1_000_000_000
                if length <= len(block) - 24:
                    yield arrival_ns, link, block[20 : 20 + length]
            elif kind == _SIMPLE_PACKET:
                length = min(struct.unpack_from(order + "I", block)[0], len(block) - 8)
                yield None, interfaces[0].link, block[4 : 4 + length]
        except (struct.error, IndexError) as error:
            raise _damaged(path, file) from error


def _interface(block: bytes, order: str) -> _Interface:
    """The interface in the body of an Interface Description Block. Raises struct.error if it is too short."""
    link = struct.unpack_from(order + "H", block)[0]
    per_second, offset_s, at = 1_000_000, 0, 8
    while at + 4 <= len(block):
        code, length = struct.unpack_from(order + "2H", block, at)
        value = block[at + 4 : at + 4 + length]
        if code == 0:
            break
        if code == _TSRESOL and len(value) == 1:
            exponent = value[0] & 0x7F
            per_second = 2**exponent if value[0] & 0x80 else 10**exponent
        elif code == _TSOFFSET and len(value) == 8:
            offset_s = struct.unpack(order + "q", value)[0]
        at += 4 + length + -length % 4
    return _Interface(link, per_second, offset_s)


def _damaged(path: Path, file: BinaryIO) -> RecordingError:
    return RecordingError(
        "{path}: is a damaged capture: no valid packet near byte {position}. Capture again",
        path=path,
        position=file.tell(),
    )


def _network(path: Path, packet: bytes, link: int) -> int:
    """The offset of the IP header, or the packet's length if there is none. Raises RecordingError."""
    if link in _RAW_IP:
        return 0
    if link in _LOOPBACK:
        return 4
    if link == _SLL:
        at, kind = 16, packet[14:16]
    elif link == _SLL2:
        at, kind = 20, packet[:2]
    elif link == _ETHERNET:
        at, kind = 14, packet[12:14]
    else:
        raise RecordingError(
            "{path}: was captured on a link of type {link}, which is not read. Capture on Ethernet or an IP interface",
            path=path,
            link=link,
        )
    while int.from_bytes(kind, "big") in _VLANS:
        at, kind = at + 4, packet[at + 2 : at + 4]
    return at if int.from_bytes(kind, "big") in (_IPV4, _IPV6) else len(packet)


def _udp(packet: bytes, at: int) -> tuple[bytes, int, bytes, int, bytes] | None:
    """The source address and port, destination address and port, and payload of the datagram at `at`.

    The result is None if there is no complete UDP datagram.
    """
    version = packet[at] >> 4 if at < len(packet) else 0
    if version == 4 and len(packet) >= at + 20:
        # Fragments (an offset, or more to come) are skipped, because RTP packets are never that long.
        if packet[at + 9] != _UDP or int.from_bytes(packet[at + 6 : at + 8], "big") & 0x3FFF:
            return None
        source, destination = packet[at + 12 : at + 16], packet[at + 16 : at + 20]
        at += 4 * max(packet[at] & 0x0F, 5)
    elif version == 6 and len(packet) >= at + 40:
        protocol, source, destination = packet[at + 6], packet[at + 8 : at + 24], packet[at + 24 : at + 40]
        at += 40
        while protocol in _EXTENSIONS and at + 2 <= len(packet):
            protocol, at = packet[at], at + 8 * (packet[at + 1] + 1)
        if protocol != _UDP:
            return None
    else:
        return None
    if len(packet) < at + 8:
        return None
    source_port, destination_port, length, _ = struct.unpack_from(">4H", packet, at)
    if length < 8 or len(packet) < at + length:
        return None
    return source, source_port, destination, destination_port, packet[at + 8 : at + length]
