import io
import struct
from pathlib import Path

import pytest

from idtone.core.errors import RecordingError
from idtone.tones.recordings.datagrams import address, datagrams, is_capture
from lab.tones.recordings import wire
from lab.tones.refusal_message import refusal

NOW_NS = wire.START_NS + 123_000
WORDS = b"any words at all"


def read(content):
    return list(datagrams(Path("some.pcap"), io.BytesIO(content)))


@pytest.mark.parametrize("link", wire.LINKS)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("network", "shown"), [("192.0.2.", "192.0.2.2:4002"), ("2001:db8::", "[2001:db8::2]:4002")])
def test_every_link_byte_order_and_version_of_ip(link, order, network, shown):
    timed = [(NOW_NS, wire.LINKS[link](wire.udp(WORDS, (f"{network}1", 4000), (f"{network}2", 4002))))]
    for content in (
        wire.pcap(timed, link=link, order=order),
        wire.pcap(timed, link=link, order=order, nanoseconds=True),
        wire.pcapng(timed, link=link, order=order),
    ):
        assert is_capture(content[:16])
        (found,) = read(content)
        assert (found.payload, found.arrival_ns) == (WORDS, NOW_NS)
        assert (found.source_port, found.destination_port) == (4000, 4002)
        assert address(found.destination, 4002) == shown


def test_vlan_tags_and_the_padding_of_a_short_frame_are_not_payload():
    for frame, payload in (
        (wire.ethernet(wire.udp(WORDS), vlans=2), WORDS),
        (wire.ethernet(wire.udp(b"ab")), b"ab"),
    ):
        assert [found.payload for found in read(wire.pcap([(NOW_NS, frame)]))] == [payload]


def test_incomplete_datagrams_are_skipped():
    whole = wire.ethernet(wire.udp(WORDS))
    arp, tcp = bytes(12) + b"\x08\x06" + bytes(28), whole[:23] + b"\x06" + whole[24:]
    first, later = (wire.ethernet(wire.udp(WORDS, fragment=flags)) for flags in (0x2000, 0x0010))
    packets = [arp, tcp, first, later, whole[:-1], whole[:20], b"", whole]
    assert [found.payload for found in read(wire.pcap([(NOW_NS, packet) for packet in packets]))] == [WORDS]


def test_interfaces_have_their_own_link_and_clock():
    packet = wire.udp(WORDS)
    content = wire.section() + wire.interface(101)
    content += wire.interface(1, resolution=9) + wire.interface(113, resolution=0x8A)
    content += wire.enhanced(packet, NOW_NS // 1000, 0)
    content += wire.enhanced(wire.LINKS[1](packet), NOW_NS, 1)
    content += wire.enhanced(wire.LINKS[113](packet), 5 * 1024, 2)
    content += wire.block(0x0BAD, b"unknown blocks are passed over")
    content += wire.block(6, struct.pack("<5I", 0, 0, 0, 1000, 1000))  # so is a packet that is longer than its block
    content += wire.block(3, struct.pack("<I", len(packet)) + packet)
    content += wire.section(">") + wire.interface(1, ">") + wire.enhanced(wire.LINKS[1](packet), 7, 0, ">")
    assert [found.arrival_ns for found in read(content)] == [NOW_NS, NOW_NS, 5_000_000_000, None, 7000]


@pytest.mark.parametrize("make", [wire.pcap, wire.pcapng])
def test_an_incomplete_last_packet_is_skipped(make):
    packets = [(NOW_NS, wire.ethernet(wire.udp(WORDS)))] * 2
    whole, one = make(packets), make(packets[:1])
    for end in range(4, len(whole)):
        assert len(read(whole[:end])) == (end >= len(one)), end


def test_damage_is_distinguished_from_an_early_end():
    for content in (
        wire.pcap([]) + struct.pack("<4I", 0, 0, 0x7FFFFFFF, 0),
        wire.section() + wire.block(6, bytes(20)),
        wire.section() + struct.pack("<2I", 6, 5) + bytes(20),
        wire.section()[:8] + bytes(20),
        wire.section() + struct.pack("<2I", 6, 0x7FFFFFFC) + bytes(20),
    ):
        assert refusal(RecordingError, read, content).startswith("some.pcap: is a damaged capture")
    assert "link of type 105," in refusal(RecordingError, read, wire.pcap([(NOW_NS, bytes(100))], link=105))
