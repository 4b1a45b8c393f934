from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest

from idtone.errors import RecordingError
from idtone.tones.recordings.datagrams import Datagram, address, datagrams, is_capture

from . import wire

NOW_NS = wire.START_NS + 123_000
WORDS = b"any words at all"


def read(content: bytes) -> list[Datagram]:
    return list(datagrams(Path("some.pcap"), io.BytesIO(content)))


@pytest.mark.parametrize("link", wire.LINKS)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("version", [4, 6])
def test_every_link_byte_order_and_version_of_ip(link: int, order: str, version: int) -> None:
    hosts = ("192.0.2.1", "192.0.2.2") if version == 4 else ("2001:db8::1", "2001:db8::2")
    packet = wire.LINKS[link](wire.udp(WORDS, (hosts[0], 4000), (hosts[1], 4002)))
    for content in (
        wire.pcap([(NOW_NS, packet)], link=link, order=order),
        wire.pcap([(NOW_NS, packet)], link=link, order=order, nanoseconds=True),
        wire.pcapng([(NOW_NS, packet)], link=link, order=order),
    ):
        assert is_capture(content[:16])
        (found,) = read(content)
        assert found.payload == WORDS
        assert found.arrival_ns == NOW_NS
        assert (found.source_port, found.destination_port) == (4000, 4002)
        assert address(found.destination, 4002) == ("192.0.2.2:4002" if version == 4 else "[2001:db8::2]:4002")


def test_vlan_tags_are_passed_through() -> None:
    (found,) = read(wire.pcap([(NOW_NS, wire.ethernet(wire.udp(WORDS), vlans=2))]))
    assert found.payload == WORDS


def test_the_padding_of_a_short_frame_is_not_payload() -> None:
    frame = wire.ethernet(wire.udp(b"ab"))
    assert len(frame) == 60
    assert read(wire.pcap([(NOW_NS, frame)]))[0].payload == b"ab"


def test_incomplete_datagrams_are_skipped() -> None:
    whole = wire.ethernet(wire.udp(WORDS))
    arp = bytes(12) + b"\x08\x06" + bytes(28)
    tcp = bytearray(whole)
    tcp[14 + 9] = 6
    first, later = (wire.ethernet(wire.udp(WORDS, fragment=flags)) for flags in (0x2000, 0x0010))
    packets = [arp, bytes(tcp), first, later, whole[:-1], whole[:20], b"", whole]
    assert [found.payload for found in read(wire.pcap([(NOW_NS, packet) for packet in packets]))] == [WORDS]


def test_interfaces_have_their_own_link_and_clock() -> None:
    packet = wire.udp(WORDS)
    content = (
        wire.section() + wire.interface(101) + wire.interface(1, resolution=9) + wire.interface(113, resolution=0x8A)
    )
    content += wire.enhanced(packet, NOW_NS // 1000, 0)
    content += wire.enhanced(wire.LINKS[1](packet), NOW_NS, 1)
    content += wire.enhanced(wire.LINKS[113](packet), 5 * 1024, 2)
    content += wire.block(0x0BAD, b"unknown blocks are passed over")
    content += wire.block(3, struct.pack("<I", len(packet)) + packet)
    content += wire.section(">") + wire.interface(1, ">") + wire.enhanced(wire.LINKS[1](packet), 7, 0, ">")
    assert [found.arrival_ns for found in read(content)] == [NOW_NS, NOW_NS, 5_000_000_000, None, 7000]


@pytest.mark.parametrize("kind", ["pcap", "pcapng"])
def test_an_incomplete_last_packet_is_skipped(kind: str) -> None:
    make = wire.pcap if kind == "pcap" else wire.pcapng
    packets = [(NOW_NS, wire.ethernet(wire.udp(WORDS)))] * 2
    whole, one = make(packets), make(packets[:1])
    for end in range(4, len(whole)):
        assert len(read(whole[:end])) == (end >= len(one)), end


def test_damage_is_distinguished_from_an_early_end() -> None:
    absurd = wire.pcap([]) + struct.pack("<4I", 0, 0, 0x7FFFFFFF, 0)
    for content in (
        absurd,
        wire.section() + wire.block(6, bytes(20)),
        wire.section() + struct.pack("<2I", 6, 5) + bytes(20),
        wire.section()[:8] + bytes(20),
        wire.section() + struct.pack("<2I", 6, 0x7FFFFFFC) + bytes(20),
    ):
        with pytest.raises(RecordingError, match=r"^some\.pcap: is a damaged capture"):
            read(content)


def test_a_link_without_ip_is_named() -> None:
    with pytest.raises(RecordingError, match=r"link of type 105,"):
        read(wire.pcap([(NOW_NS, bytes(100))], link=105))
