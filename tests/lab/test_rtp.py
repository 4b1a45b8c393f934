import socket
import struct
import time

import pytest

from lab.codecs import encode_frames
from lab.g711 import PCMA, PCMU
from lab.lab import wait_until
from lab.rtp import FRAME_NS, HOST, Media, Stream, parse_packet
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


def delays_ns(speaker: Stream, listener: Stream) -> list[int]:
    """Delay of each packet in ns, compared with the speaker's schedule."""
    started_ns = speaker.started_ns
    assert started_ns is not None
    return [packet.arrival_ns - started_ns - n * FRAME_NS for n, packet in enumerate(listener.packets)]


async def test_two_streams_hear_each_other_on_schedule() -> None:
    with Media() as media:
        one, two = media.open(), media.open()
        assert one.port % 2 == two.port % 2 == 0
        one.speak((HOST, two.port), PCMU, CALLER)
        two.speak((HOST, one.port), PCMA, CALLED)
        await wait_until(lambda: len(one.packets) >= 25 <= len(two.packets), "half a second of packets")
        # However late single packets left, the schedule did not drift: soon one is on time again.
        await wait_until(lambda: min(delays_ns(one, two)[-5:]) < 5_000_000, "a late packet that is on time")
        one.close()
        two.close()
    heard = two.packets
    assert [packet.sequence - heard[0].sequence & 0xFFFF for packet in heard] == list(range(len(heard)))
    assert [packet.payload for packet in heard] == [encode_frames(CALLER, PCMU)[n % 25] for n in range(len(heard))]
    assert {packet.payload_type for packet in one.packets} == {PCMA}
    assert min(delays_ns(one, two)) >= 0


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


def test_phones_that_read_too_late_are_no_witnesses() -> None:
    def flood() -> None:
        with Media() as media, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            stream = media.open()
            with media.lock:  # the thread cannot serve
                for _ in range(3000):
                    sender.sendto(datagram(), (HOST, stream.port))
            stream.close()

    with pytest.raises(OSError, match="the lab's phones read too late"):
        flood()
