from __future__ import annotations

import socket
import struct
import sys
import time
from itertools import pairwise

import pytest

from .g711 import PCMA, PCMU, encode
from .rtp import FRAME, FRAME_NS, HOST, Media, encode_frames, parse_packet
from .voices import CALLED, CALLER

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
def test_the_payload_is_found_behind_any_header(data: bytes, payload: bytes) -> None:
    packet = parse_packet(data, 5)
    assert packet is not None
    assert (packet.arrival_ns, packet.sequence, packet.timestamp, packet.ssrc) == (5, 7, 160, 99)
    assert (packet.payload_type, packet.payload) == (PCMU, payload)


@pytest.mark.parametrize("data", [b"", b"\x80" * 11, datagram(0x40), datagram(0x8F, payload=b"")])
def test_what_is_not_rtp_is_none(data: bytes) -> None:
    assert parse_packet(data, 0) is None


def test_a_voice_has_whole_frames() -> None:
    assert b"".join(encode_frames(CALLER, PCMA)) == encode(CALLER, PCMA)
    for samples in (CALLER[:-1], CALLER[:0]):
        with pytest.raises(ValueError, match="whole frames"):
            encode_frames(samples, PCMU)


def test_two_streams_hear_each_other_on_schedule() -> None:
    with Media() as media:
        one, two = media.open(), media.open()
        assert one.port % 2 == two.port % 2 == 0
        one.speak((HOST, two.port), PCMU, CALLER)
        two.speak((HOST, one.port), PCMA, CALLED)
        time.sleep(0.5)
        one.close()
        two.close()
    heard = two.packets
    assert 24 <= len(heard) <= 26
    assert [packet.sequence - heard[0].sequence & 0xFFFF for packet in heard] == list(range(len(heard)))
    assert [packet.payload for packet in heard] == [encode_frames(CALLER, PCMU)[n % 25] for n in range(len(heard))]
    assert {packet.payload_type for packet in one.packets} == {PCMA}
    # However late single packets left, the schedule did not drift: the fastest of the last five is on time.
    started_ns = one.started_ns
    assert started_ns is not None
    delays_ns = [packet.arrival_ns - started_ns - n * FRAME_NS for n, packet in enumerate(heard)]
    assert min(delays_ns) >= 0
    assert min(delays_ns[-5:]) < 5_000_000


def test_another_voice_goes_on_with_the_same_numbers() -> None:
    with Media() as media:
        speaker, listener = media.open(), media.open()
        speaker.speak((HOST, listener.port), PCMU, CALLER)
        time.sleep(0.05)
        speaker.speak((HOST, listener.port), PCMU, CALLED)
        time.sleep(0.1)
    packets = listener.packets
    assert {packet.ssrc for packet in packets} == {packets[0].ssrc}
    assert {b.timestamp - a.timestamp & 0xFFFFFFFF for a, b in pairwise(packets)} == {FRAME}
    assert packets[0].payload == encode(CALLER[:FRAME], PCMU)
    assert packets[-1].payload in encode_frames(CALLED, PCMU)


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


def test_a_peer_that_is_gone_does_not_stop_the_stream() -> None:
    with Media() as media:
        speaker, listener = media.open(), media.open()
        speaker.speak((HOST, listener.port), PCMU, CALLER)
        time.sleep(0.05)
        listener.close()
        time.sleep(0.05)
        again = media.open()
        speaker.remote = (HOST, again.port)
        time.sleep(0.1)
    assert len(again.packets) >= 3


def test_the_interpreter_gets_its_switch_interval_back() -> None:
    before_s = sys.getswitchinterval()
    with Media():
        assert sys.getswitchinterval() < before_s
    assert sys.getswitchinterval() == pytest.approx(before_s)
