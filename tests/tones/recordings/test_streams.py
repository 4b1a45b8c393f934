from __future__ import annotations

import random

import G722
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from idtone.tones.recordings.streams import CODECS, Packet, Stream, Timeline, decode, lay, parse

from ...lab import g711
from . import wire

FRAMES = 40
OCTETS = bytes(random.Random(5).randrange(256) for _ in range(FRAMES * wire.FRAME))
TALK = wire.talk(OCTETS)


def stream_of(timed: list[wire.Timed]) -> Stream:
    stream = Stream()
    for at_ns, data in timed:
        packet = parse(data, at_ns)
        assert packet is not None
        stream.add(packet)
    return stream


def line_of(timed: list[wire.Timed], payload_type: int = 0) -> Timeline:
    return lay(stream_of(timed).ordered(), payload_type)


def octets_of(line: Timeline, hole: int = 0xFF) -> bytes:
    octets = bytearray([hole] * line.ticks)
    for start, payloads in line.runs:
        run = b"".join(payloads)
        octets[start : start + len(run)] = run
    return bytes(octets)


def without(*numbers: int) -> list[wire.Timed]:
    return [each for number, each in enumerate(TALK) if number not in numbers]


def test_a_header_with_everything_in_it() -> None:
    data = wire.rtp(7, 9, b"sound", payload_type=8, contributors=3, extension=bytes(8), padding=4)
    assert parse(data, 5) == Packet(7, 9, 0xC0FFEE, 8, b"sound", 5)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(12),
        wire.rtp(1, 1, b"")[:11],
        wire.rtp(1, 1, b"", payload_type=72),
        wire.rtp(1, 1, b"", contributors=2)[:16],
        wire.rtp(1, 1, b"", extension=bytes(8))[:18],
        b"\xa0" + wire.rtp(1, 1, b"\xff")[1:],
    ],
)
def test_datagrams_that_are_not_rtp(data: bytes) -> None:
    assert parse(data, None) is None


@given(st.binary(max_size=64))
def test_any_octets_are_a_packet_or_none(data: bytes) -> None:
    packet = parse(data, None)
    assert packet is None or packet.payload in data


@pytest.mark.parametrize(("length", "silent"), [(0, True), (3, False), (4, True), (5, False), (1200, False)])
def test_undecodable_payloads_are_kept_only_as_far_as_needed(length: int, silent: bool) -> None:
    packet = parse(wire.rtp(7, 9, bytes(length), payload_type=101), None)
    assert packet
    assert packet.silent == silent
    assert len(packet.payload) <= 5


@pytest.mark.parametrize("payload_type", [0, 8])
def test_all_of_a_clean_stream(payload_type: int) -> None:
    line = line_of(wire.talk(OCTETS, payload_type=payload_type), payload_type)
    assert (line.ticks, line.lost, line.misfits) == (len(OCTETS), [], 0)
    decoded = decode(line, CODECS[payload_type])
    assert decoded.dtype == np.float32
    assert np.array_equal(decoded * 32768, g711.decode(OCTETS, payload_type))


@given(st.permutations(range(FRAMES)), st.sets(st.integers(0, FRAMES - 1)))
def test_order_and_duplicates_change_nothing(order: list[int], copies: set[int]) -> None:
    # The first packet sets the place of a stream, so any order of the others is within the limits of RFC 3550.
    timed = [TALK[number] for number in order] + [TALK[number] for number in copies]
    line = lay(stream_of([(wire.START_NS, data) for _, data in timed]).ordered(), 0)
    assert octets_of(line) == OCTETS
    assert line.lost == []


@given(st.sets(st.integers(1, FRAMES - 2), max_size=30), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF))
def test_every_missing_packet_is_lost_and_nothing_else(gone: set[int], sequence: int, timestamp: int) -> None:
    talk = wire.talk(OCTETS, sequence=sequence, timestamp=timestamp)
    line = line_of([each for number, each in enumerate(talk) if number not in gone])
    lost = np.zeros(FRAMES * wire.FRAME, bool)
    for start, end in line.lost:
        lost[start:end] = True
    expected = np.repeat([number in gone for number in range(FRAMES)], wire.FRAME)
    assert np.array_equal(lost, expected)
    heard = np.frombuffer(octets_of(line), np.uint8)
    assert np.array_equal(heard[~lost], np.frombuffer(OCTETS, np.uint8)[~expected])


def test_both_counters_wrap() -> None:
    line = line_of(wire.talk(OCTETS, sequence=0xFFF0, timestamp=0xFFFFFFFF - 1000))
    assert octets_of(line) == OCTETS
    assert line.lost == []


def pause(timed: list[wire.Timed], behind: int, ticks: int) -> list[wire.Timed]:
    """The packets from number `behind` on, later by `ticks`, in their timestamps too."""
    later = []
    for at_ns, data in timed[behind:]:
        timestamp = int.from_bytes(data[4:8], "big") + ticks
        later.append((at_ns + ticks * 125_000, data[:4] + (timestamp & 0xFFFFFFFF).to_bytes(4, "big") + data[8:]))
    return timed[:behind] + later


def test_unsent_silence_is_not_a_loss() -> None:
    line = line_of(pause(TALK, 10, 8000))
    assert line.lost == []
    assert line.ticks == len(OCTETS) + 8000
    assert [start for start, _ in line.runs] == [0, 1600 + 8000]


def test_loss_beside_silence_makes_the_whole_hole_lost() -> None:
    timed = pause(TALK, 10, 8000)
    del timed[9]
    line = line_of(timed)
    assert line.lost == [(9 * 160, 1600 + 8000)]


def test_a_long_silence_that_the_captures_clock_confirms() -> None:
    hour = 3600 * 8000
    assert line_of(pause(TALK, 10, hour)).ticks == len(OCTETS) + hour


def test_a_timestamp_that_the_captures_clock_contradicts() -> None:
    jumped = [
        (at_ns, data[:4] + (123_456_789).to_bytes(4, "big") + data[8:]) if number == 20 else (at_ns, data)
        for number, (at_ns, data) in enumerate(TALK)
    ]
    line = line_of(jumped)
    assert octets_of(line) == OCTETS
    assert line.lost == []


@pytest.mark.parametrize("timestamp", [0, 0x7FFFFFFF, 0xFFFFFFF0])
def test_a_sender_that_restarts_its_counters_stays_in_the_stream(timestamp: int) -> None:
    half = len(OCTETS) // 2
    from_ns = wire.START_NS + FRAMES // 2 * wire.FRAME_NS
    timed = wire.talk(OCTETS[:half]) + wire.talk(OCTETS[half:], sequence=40_000, timestamp=timestamp, from_ns=from_ns)
    line = line_of(timed)
    assert octets_of(line) == OCTETS
    assert line.lost == []


def test_a_lost_minute_is_a_loss_not_a_restart() -> None:
    frames = 10_000
    talk = wire.talk(bytes(frames * 160))
    line = line_of(talk[:100] + talk[5000:])
    assert line.lost == [(16_000, 800_000)]
    assert line.ticks == frames * 160


def test_a_stray_packet_is_dropped() -> None:
    stray = (TALK[5][0], wire.rtp(30_000, 1, b"\x00" * 160))
    line = line_of([*TALK[:5], stray, *TALK[5:]])
    assert octets_of(line) == OCTETS
    assert line.lost == []


def test_comfort_noise_and_telephone_events_are_silence() -> None:
    timed = list(TALK)
    for number, payload_type, payload in (
        (10, 13, b"\x40"),
        (20, 101, b"\x05\x0a\x00\xa0"),
        (21, 101, b"\x05\x8a\x01\x40"),
    ):
        at_ns = timed[number][0]
        # All packets of an event have the timestamp of its start.
        timestamp = 50_000 + min(number, 20) * 160
        timed[number] = (at_ns, wire.rtp(1000 + number, timestamp, payload, payload_type=payload_type))
    line = line_of(timed)
    assert line.lost == []
    assert [start for start, _ in line.runs] == [0, 11 * 160, 22 * 160]
    assert line.ticks == len(OCTETS)


def test_packets_of_another_codec_count_as_lost() -> None:
    timed = TALK[:10] + wire.talk(OCTETS, payload_type=8)[10:25] + TALK[25:]
    assert line_of(timed, 0).lost == [(1600, 4000)]
    assert line_of(timed, 8).lost == []
    assert line_of(timed, 8).ticks == 2400


@pytest.mark.parametrize("arrival_ns", [None, 0])
def test_without_arrival_times_the_timestamps_count(arrival_ns: int | None) -> None:
    packets = [parse(data, arrival_ns) for _, data in pause(TALK, 10, 80_000)]
    stream = Stream()
    for packet in packets:
        assert packet
        stream.add(packet)
    assert lay(stream.ordered(), 0).ticks == len(OCTETS) + 80_000


def test_encrypted_packets_do_not_fit_their_time() -> None:
    talk = wire.talk(OCTETS)
    line = line_of([(at_ns, data + bytes(10)) for at_ns, data in talk])
    assert line.misfits == line.pairs == FRAMES - 1


def test_other_protocols_are_not_plausible() -> None:
    rng = random.Random(1)
    noise = Stream()
    for _ in range(200):
        noise.add(Packet(rng.getrandbits(16), rng.getrandbits(32), 1, 0, b"x", None))
    assert not noise.plausible
    constant = Stream()
    for _ in range(200):
        constant.add(Packet(5, 5, 1, 0, b"x", None))
    assert not constant.plausible
    assert stream_of(TALK).plausible
    assert stream_of(without(*range(2, 38, 2))).plausible


def test_g722_is_decoded_at_16_khz_and_recovers_after_a_hole() -> None:
    tone = (8000 * np.sin(2 * np.pi * 1000 * np.arange(FRAMES * 320) / 16_000)).astype(np.int16)
    octets = bytes(G722.G722(16_000, 64_000).encode(tone))
    talk = wire.talk(octets, payload_type=9)
    whole = decode(line_of(talk, 9), CODECS[9])
    line = line_of(talk[:10] + talk[12:], 9)
    holed = decode(line, CODECS[9])
    assert len(whole) == len(holed) == len(tone)
    assert line.lost == [(1600, 1920)]
    assert not holed[3200:3840].any()
    level = np.sqrt(2) * np.std(whole[4000:8000]) * 32768
    assert level == pytest.approx(8000, rel=0.02)
    assert np.sqrt(np.mean((whole[4800:] - holed[4800:]) ** 2)) < 0.01 * np.std(whole)
