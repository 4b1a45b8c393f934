from __future__ import annotations

import socket
import struct
import sys
import time
from itertools import pairwise

import pytest

from .codecs import EVENTS, FRAME, G722, OPUS, VIDEO, VIDEO_TICKS, encode_frames
from .g711 import PCMA, PCMU, encode
from .rtp import FRAME_NS, HOST, Inserted, Media, parse_packet
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
def test_the_payload_is_found_after_any_header(data: bytes, payload: bytes) -> None:
    packet = parse_packet(data, 5)
    assert packet is not None
    assert (packet.arrival_ns, packet.sequence, packet.timestamp, packet.ssrc) == (5, 7, 160, 99)
    assert (packet.payload_type, packet.payload) == (PCMU, payload)


@pytest.mark.parametrize("data", [b"", b"\x80" * 11, datagram(0x40), datagram(0x8F, payload=b"")])
def test_a_datagram_that_is_not_rtp_is_none(data: bytes) -> None:
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


def test_another_voice_continues_the_sequence_numbers() -> None:
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


@pytest.mark.parametrize(("payload_type", "ticks"), [(PCMU, 160), (G722, 160), (OPUS, 960)])
def test_the_clock_is_the_codecs(payload_type: int, ticks: int) -> None:
    with Media() as media:
        speaker, listener = media.open(), media.open()
        speaker.speak((HOST, listener.port), payload_type, CALLER)
        time.sleep(0.1)
    assert {b.timestamp - a.timestamp & 0xFFFFFFFF for a, b in pairwise(listener.packets)} == {ticks}
    assert [packet.payload for packet in listener.packets] == encode_frames(CALLER, payload_type)[
        : len(listener.packets)
    ]


def test_payloads_of_any_kind_are_sent_as_they_are() -> None:
    with Media() as media:
        speaker, listener = media.open(), media.open()
        speaker.transmit((HOST, listener.port), VIDEO, [b"one", b"two"], VIDEO_TICKS)
        time.sleep(0.07)
    first, second, third = listener.packets[:3]
    assert [packet.payload for packet in (first, second, third)] == [b"one", b"two", b"one"]
    assert second.timestamp - first.timestamp & 0xFFFFFFFF == VIDEO_TICKS
    assert {packet.payload_type for packet in listener.packets} == {VIDEO}


def test_inserted_packets_replace_the_voice_and_share_a_timestamp() -> None:
    with Media() as media:
        speaker, listener = media.open(), media.open()
        speaker.speak((HOST, listener.port), PCMU, CALLER)
        time.sleep(0.05)
        speaker.insert(Inserted(EVENTS, bytes([number]), number) for number in range(3))
        time.sleep(0.15)
    packets = listener.packets
    assert {b.sequence - a.sequence & 0xFFFF for a, b in pairwise(packets)} == {1}
    events = [packet for packet in packets if packet.payload_type == EVENTS]
    assert [packet.payload for packet in events] == [b"\0", b"\1", b"\2"]
    assert {packet.timestamp for packet in events} == {events[0].timestamp}
    before, after = packets[packets.index(events[0]) - 1], packets[packets.index(events[-1]) + 1]
    assert events[0].timestamp - before.timestamp & 0xFFFFFFFF == FRAME
    assert after.timestamp - before.timestamp & 0xFFFFFFFF == 4 * FRAME
    frames = encode_frames(CALLER, PCMU)
    assert frames.index(after.payload) - frames.index(before.payload) == 4


def test_a_quiet_stream_sends_nothing_and_its_timestamps_continue() -> None:
    with Media() as media:
        speaker, listener = media.open(), media.open()
        speaker.speak((HOST, listener.port), PCMU, CALLER)
        time.sleep(0.05)
        speaker.quiet = True
        time.sleep(0.03)
        before = len(listener.packets)
        time.sleep(0.1)
        assert len(listener.packets) == before
        speaker.quiet = False
        time.sleep(0.1)
    last, first = listener.packets[before - 1 : before + 1]
    assert first.sequence - last.sequence & 0xFFFF == 1
    assert 0.08 * 8000 <= first.timestamp - last.timestamp & 0xFFFFFFFF <= 0.2 * 8000
