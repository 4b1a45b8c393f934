from __future__ import annotations

import socket
import struct
import time

import pytest

from lab.codecs import encode_frames
from lab.g711 import PCMA, PCMU
from lab.lab import until
from lab.rtp import FRAME_NS, HOST, Media, parse_packet
from lab.voices import CALLED, CALLER

PAYLOAD = bytes(range(160))


def datagram(first: int = 0x80, rest: bytes = b"", payload: bytes = PAYLOAD) -> bytes:
    return struct.pack("!BBHII", first, 0x80 | PCMU, 7, 160, 99) + rest + payload


@pytest.mark.parametrize(
    ("data", "payload"),
    [
        (datagram(), PAYLOAD),
        (datagram(0x82, bytes(8)), PAYLOAD),
        (datagram(0x90, b"\xbe\xde\x00\x01" + bytes(4)), PAYLOAD),
        (datagram(0xA0, payload=PAYLOAD + b"\0\0\x03"), PAYLOAD),
        (datagram(payload=b""), b""),
    ],
    ids=["plain", "two contributing sources", "extension", "padding", "empty"],
)
def test_the_payload_is_found_after_any_header(data: bytes, payload: bytes) -> None:
    packet = parse_packet(data, 5)
    assert packet is not None
    assert (packet.arrival_ns, packet.sequence, packet.timestamp, packet.ssrc) == (5, 7, 160, 99)
    assert (packet.payload_type, packet.payload) == (PCMU, payload)


@pytest.mark.parametrize("data", [b"", b"\x80" * 11, datagram(0x40), datagram(0x8F, payload=b"")])
def test_a_datagram_that_is_not_rtp_is_none(data: bytes) -> None:
    assert parse_packet(data, 0) is None


@pytest.mark.alone
async def test_two_streams_hear_each_other_on_schedule() -> None:
    with Media() as media:
        one, two = media.open(), media.open()
        assert one.port % 2 == two.port % 2 == 0
        one.speak((HOST, two.port), PCMU, CALLER)
        two.speak((HOST, one.port), PCMA, CALLED)
        await until(lambda: len(one.packets) >= 25 <= len(two.packets), "half a second of packets")
        one.close()
        two.close()
    heard = two.packets
    assert [packet.sequence - heard[0].sequence & 0xFFFF for packet in heard] == list(range(len(heard)))
    assert [packet.payload for packet in heard] == [encode_frames(CALLER, PCMU)[n % 25] for n in range(len(heard))]
    assert {packet.payload_type for packet in one.packets} == {PCMA}
    # However late single packets left, the schedule did not drift: the fastest of the last five is on time.
    started_ns = one.started_ns
    assert started_ns is not None
    delays_ns = [packet.arrival_ns - started_ns - n * FRAME_NS for n, packet in enumerate(heard)]
    assert min(delays_ns) >= 0
    assert min(delays_ns[-5:]) < 5_000_000


def test_arrival_is_the_kernels_time_not_ours() -> None:
    with Media() as media, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        stream = media.open()
        with media.lock:  # the thread cannot serve
            before_ns = time.time_ns()
            sender.sendto(datagram(), (HOST, stream.port))
            after_ns = time.time_ns()
            time.sleep(0.1)
        stream.close()
    (packet,) = stream.packets
    assert before_ns <= packet.arrival_ns <= after_ns + 1_000_000
