import random

import G722
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from idtone.tones.recordings.rtp_stream import (
    CODECS,
    RtpPacket,
    RtpStream,
    decode_timeline,
    parse_packet,
    place_packets,
)
from lab.tones.recordings import capture_files

FRAMES = 40
OCTETS = bytes(random.Random(5).randrange(256) for _ in range(FRAMES * capture_files.FRAME))
TALK = capture_files.talk(OCTETS)


def stream_of(packets):
    stream = RtpStream()
    for packet in packets:
        assert packet is not None
        stream.add(packet)
    return stream


def line_of(timed, payload_type=0):
    return place_packets(stream_of(parse_packet(data, at_ns) for at_ns, data in timed).packets_in_order(), payload_type)


def octets_of(line):
    octets = bytearray(b"\xff" * line.ticks)
    for start, payloads in line.runs:
        run = b"".join(payloads)
        octets[start : start + len(run)] = run
    return bytes(octets)


def check_whole(timed):
    line = line_of(timed)
    assert octets_of(line) == OCTETS
    assert line.lost == []


def test_what_is_a_packet_of_rtp():
    data = capture_files.rtp(7, 9, b"sound", payload_type=8, contributors=3, extension=bytes(8), padding=4)
    assert parse_packet(data, 5) == RtpPacket(7, 9, 0xC0FFEE, 8, b"sound", 5)
    for data in (
        b"",
        bytes(12),
        capture_files.rtp(1, 1, b"")[:11],
        capture_files.rtp(1, 1, b"", payload_type=72),
        capture_files.rtp(1, 1, b"", contributors=2)[:16],
        capture_files.rtp(1, 1, b"", extension=bytes(8))[:18],
        b"\xa0" + capture_files.rtp(1, 1, b"\xff")[1:],
    ):
        assert parse_packet(data, None) is None, data


@given(st.permutations(range(FRAMES)), st.sets(st.integers(0, FRAMES - 1)))
def test_order_and_duplicates_change_nothing(order, copies):
    # The first packet sets the place of a stream, so any order of the others is within the limits of RFC 3550.
    check_whole([(capture_files.START_NS, TALK[number][1]) for number in (*order, *copies)])


@given(st.sets(st.integers(1, FRAMES - 2), max_size=30), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF))
def test_every_missing_packet_is_lost_and_nothing_else(gone, sequence, timestamp):
    talk = capture_files.talk(OCTETS, sequence=sequence, timestamp=timestamp)
    line = line_of([each for number, each in enumerate(talk) if number not in gone])
    lost = np.zeros(FRAMES * capture_files.FRAME, bool)
    for start, end in line.lost:
        lost[start:end] = True
    assert np.array_equal(lost, np.repeat([number in gone for number in range(FRAMES)], capture_files.FRAME))
    heard, said = (np.frombuffer(octets, np.uint8) for octets in (octets_of(line), OCTETS))
    assert np.array_equal(heard[~lost], said[~lost])


def pause(behind, ticks):
    """The packets of the talk. From number `behind` on, they and their timestamps are `ticks` later."""
    later = []
    for at_ns, data in TALK[behind:]:
        timestamp = int.from_bytes(data[4:8], "big") + ticks
        later.append((at_ns + ticks * 125_000, data[:4] + (timestamp & 0xFFFFFFFF).to_bytes(4, "big") + data[8:]))
    return TALK[:behind] + later


def test_unsent_silence_is_not_a_loss():
    paused = pause(10, 8000)
    line = line_of(paused)
    assert (line.lost, line.ticks) == ([], len(OCTETS) + 8000)
    assert [start for start, _ in line.runs] == [0, 1600 + 8000]
    # A loss beside it makes the whole hole lost.
    assert line_of(paused[:9] + paused[10:]).lost == [(9 * 160, 1600 + 8000)]
    # The capture's clock confirms a long one; without a clock the timestamps count.
    hour = 3600 * 8000
    assert line_of(pause(10, hour)).ticks == len(OCTETS) + hour
    for arrival_ns in (None, 0):
        assert line_of([(arrival_ns, data) for _, data in pause(10, 80_000)]).ticks == len(OCTETS) + 80_000


def test_counters_that_wrap_jump_or_start_again_stay_in_the_stream():
    check_whole(capture_files.talk(OCTETS, sequence=0xFFF0, timestamp=0xFFFFFFFF - 1000))
    at_ns, data = TALK[20]
    # The capture's clock contradicts this timestamp.
    check_whole([*TALK[:20], (at_ns, data[:4] + (123_456_789).to_bytes(4, "big") + data[8:]), *TALK[21:]])
    half, from_ns = len(OCTETS) // 2, capture_files.START_NS + FRAMES // 2 * capture_files.FRAME_NS
    for timestamp in (0, 0x7FFFFFFF, 0xFFFFFFF0):
        again = capture_files.talk(OCTETS[half:], sequence=40_000, timestamp=timestamp, from_ns=from_ns)
        check_whole(TALK[: FRAMES // 2] + again)
    stray = (TALK[5][0], capture_files.rtp(30_000, 1, b"\x00" * 160))
    check_whole([*TALK[:5], stray, *TALK[5:]])


def test_a_lost_minute_is_a_loss_not_a_restart():
    talk = capture_files.talk(bytes(10_000 * 160))
    line = line_of(talk[:100] + talk[5000:])
    assert (line.lost, line.ticks) == ([(16_000, 800_000)], 10_000 * 160)


def test_comfort_noise_and_telephone_events_are_silence():
    timed = list(TALK)
    events = ((10, 13, b"\x40"), (20, 101, b"\x05\x0a\x00\xa0"), (21, 101, b"\x05\x8a\x01\x40"))
    for number, payload_type, payload in events:
        # All packets of an event have the timestamp of its start.
        timestamp = 50_000 + min(number, 20) * 160
        timed[number] = (
            timed[number][0],
            capture_files.rtp(1000 + number, timestamp, payload, payload_type=payload_type),
        )
    line = line_of(timed)
    assert (line.lost, line.ticks) == ([], len(OCTETS))
    assert [start for start, _ in line.runs] == [0, 11 * 160, 22 * 160]


def test_encrypted_packets_do_not_fit_their_time_and_other_protocols_are_not_plausible():
    line = line_of([(at_ns, data + bytes(10)) for at_ns, data in TALK])
    assert line.misfits == line.pairs == FRAMES - 1
    dice = random.Random(1)
    noise = stream_of(RtpPacket(dice.getrandbits(16), dice.getrandbits(32), 1, 0, b"x", None) for _ in range(200))
    constant = stream_of([RtpPacket(5, 5, 1, 0, b"x", None)] * 200)
    whole = [parse_packet(data, at_ns) for at_ns, data in TALK]
    streams = noise, constant, stream_of(whole), stream_of([whole[0], *whole[1:38:2], *whole[38:]])
    assert [stream.is_plausible for stream in streams] == [False, False, True, True]


def test_g722_is_decoded_at_16_khz_and_recovers_after_a_hole():
    tone = (8000 * np.sin(2 * np.pi * 1000 * np.arange(FRAMES * 320) / 16_000)).astype(np.int16)
    talk = capture_files.talk(bytes(G722.G722(16_000, 64_000).encode(tone)), payload_type=9)
    line = line_of(talk[:10] + talk[12:], 9)
    whole, holed = (decode_timeline(each, CODECS[9]) for each in (line_of(talk, 9), line))
    assert len(whole) == len(holed) == len(tone)
    assert line.lost == [(1600, 1920)]
    assert not holed[3200:3840].any()
    assert np.sqrt(2) * np.std(whole[4000:8000]) * 32768 == pytest.approx(8000, rel=0.02)
    assert np.sqrt(np.mean((whole[4800:] - holed[4800:]) ** 2)) < 0.01 * np.std(whole)
