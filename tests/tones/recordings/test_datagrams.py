import io
import struct
from pathlib import Path

import pytest

from idtone.core.errors import RecordingError
from idtone.tones.recordings.datagrams import address_text, datagrams, is_capture
from lab.tones.error_text import error_text
from lab.tones.recordings import capture_files

NOW_NS = capture_files.START_NS + 123_000
WORDS = b"any words at all"


def read(content):
    return list(datagrams(Path("some.pcap"), io.BytesIO(content)))


@pytest.mark.parametrize("link", capture_files.LINKS)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("network", "shown"), [("192.0.2.", "192.0.2.2:4002"), ("2001:db8::", "[2001:db8::2]:4002")])
def test_every_link_byte_order_and_version_of_ip(link, order, network, shown):
    timed = [
        (
            NOW_NS,
            capture_files.LINKS[link](capture_files.udp(WORDS, (f"{network}1", 4000), (f"{network}2", 4002))),
        )
    ]
    for content in (
        capture_files.pcap(timed, link=link, order=order),
        capture_files.pcap(timed, link=link, order=order, nanoseconds=True),
        capture_files.pcapng(timed, link=link, order=order),
    ):
        assert is_capture(content[:16])
        (found,) = read(content)
        assert (found.payload, found.arrival_ns) == (WORDS, NOW_NS)
        assert (found.source_port, found.destination_port) == (4000, 4002)
        assert address_text(found.destination, 4002) == shown


def test_vlan_tags_and_the_padding_of_a_short_frame_are_not_payload():
    for frame, payload in (
        (capture_files.ethernet(capture_files.udp(WORDS), vlans=2), WORDS),
        (capture_files.ethernet(capture_files.udp(b"ab")), b"ab"),
    ):
        assert [found.payload for found in read(capture_files.pcap([(NOW_NS, frame)]))] == [payload]


def test_incomplete_datagrams_are_skipped():
    whole = capture_files.ethernet(capture_files.udp(WORDS))
    arp, tcp = bytes(12) + b"\x08\x06" + bytes(28), whole[:23] + b"\x06" + whole[24:]
    first, later = (capture_files.ethernet(capture_files.udp(WORDS, fragment=flags)) for flags in (0x2000, 0x0010))
    packets = [arp, tcp, first, later, whole[:-1], whole[:20], b"", whole]
    assert [found.payload for found in read(capture_files.pcap([(NOW_NS, packet) for packet in packets]))] == [WORDS]


def test_interfaces_have_their_own_link_and_clock():
    packet = capture_files.udp(WORDS)
    content = capture_files.section() + capture_files.interface(101)
    content += capture_files.interface(1, resolution=9) + capture_files.interface(113, resolution=0x8A)
    content += capture_files.enhanced(packet, NOW_NS // 1000, 0)
    content += capture_files.enhanced(capture_files.LINKS[1](packet), NOW_NS, 1)
    content += capture_files.enhanced(capture_files.LINKS[113](packet), 5 * 1024, 2)
    content += capture_files.block(0x0BAD, b"unknown blocks are passed over")
    content += capture_files.block(
        6, struct.pack("<5I", 0, 0, 0, 1000, 1000)
    )  # so is a packet that is longer than its block
    content += capture_files.block(3, struct.pack("<I", len(packet)) + packet)
    content += (
        capture_files.section(">")
        + capture_files.interface(1, ">")
        + capture_files.enhanced(capture_files.LINKS[1](packet), 7, 0, ">")
    )
    assert [found.arrival_ns for found in read(content)] == [NOW_NS, NOW_NS, 5_000_000_000, None, 7000]


@pytest.mark.parametrize("make", [capture_files.pcap, capture_files.pcapng])
def test_an_incomplete_last_packet_is_skipped(make):
    packets = [(NOW_NS, capture_files.ethernet(capture_files.udp(WORDS)))] * 2
    whole, one = make(packets), make(packets[:1])
    for end in range(4, len(whole)):
        assert len(read(whole[:end])) == (end >= len(one)), end


def test_damage_is_distinguished_from_an_early_end():
    for content in (
        capture_files.pcap([]) + struct.pack("<4I", 0, 0, 0x7FFFFFFF, 0),
        capture_files.section() + capture_files.block(6, bytes(20)),
        capture_files.section() + struct.pack("<2I", 6, 5) + bytes(20),
        capture_files.section()[:8] + bytes(20),
        capture_files.section() + struct.pack("<2I", 6, 0x7FFFFFFC) + bytes(20),
    ):
        assert error_text(RecordingError, read, content).startswith("some.pcap: is a damaged capture")
    assert "link of type 105," in error_text(RecordingError, read, capture_files.pcap([(NOW_NS, bytes(100))], link=105))
