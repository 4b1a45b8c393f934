import time

import numpy as np
import pytest

from idtone.core.errors import RecordingError
from idtone.tones.recordings import captures
from idtone.tones.recordings.captures import read_capture
from lab import g711, voices
from lab.tones.error_text import error_text
from lab.tones.recordings import capture_files

TALK = g711.encode(voices.CALLER, g711.PCMU)
ANSWER = g711.encode(voices.CALLED, g711.PCMA)
INVITE = b"INVITE sip:0312345678@10.0.0.2 SIP/2.0\r\nFrom: <sip:0901234567@10.0.0.1>\r\n\r\n"


@pytest.fixture
def capture(tmp_path):
    """Function that writes a capture of these packets, in the order of their times."""

    def written(*parts):
        path = tmp_path / "call.pcap"
        path.write_bytes(
            capture_files.pcap(sorted((each for part in parts for each in part), key=lambda each: each[0]))
        )
        return path

    return written


def test_both_directions_of_a_call(capture):
    signalling = capture_files.ethernet(capture_files.udp(INVITE, ("10.0.0.1", 5060), ("10.0.0.2", 5060)))
    answer = capture_files.talk(ANSWER, payload_type=8, from_ns=capture_files.START_NS + 1)
    path = capture(
        [(capture_files.START_NS - 1, signalling)],
        capture_files.on_wire(capture_files.talk(TALK)),
        capture_files.on_wire(answer, capture_files.CALLED, capture_files.CALLER),
    )
    there, back = read_capture(path)
    assert there.name == "10.0.0.1:4000 → 10.0.0.2:4002 (PCMU)"
    assert back.name == "10.0.0.2:4002 → 10.0.0.1:4000 (PCMA)"
    for leg, octets, payload_type in ((there, TALK, 0), (back, ANSWER, 8)):
        assert (leg.sample_rate_hz, leg.lost) == (8000, ())
        assert np.array_equal(leg.samples * 32768, g711.decode(octets, payload_type))


def test_pcapng_gives_the_same_legs(capture):
    path = capture(capture_files.on_wire(capture_files.talk(TALK)))
    (one,) = read_capture(path)
    path.write_bytes(capture_files.pcapng(capture_files.on_wire(capture_files.talk(TALK))))
    (other,) = read_capture(path)
    assert np.array_equal(one.samples, other.samples)


def test_lost_spans_are_in_samples(capture):
    talk = capture_files.talk(bytes(160 * 20), payload_type=9)
    (leg,) = read_capture(capture(capture_files.on_wire(talk[:5] + talk[7:])))
    assert (leg.sample_rate_hz, leg.lost, len(leg.samples)) == (16_000, ((1600, 2240),), 20 * 320)


def test_a_new_ssrc_is_a_leg_of_its_own(capture):
    second = capture_files.talk(TALK, ssrc=2, from_ns=capture_files.START_NS + 10**9)
    legs = read_capture(capture(capture_files.on_wire(capture_files.talk(TALK)), capture_files.on_wire(second)))
    assert [leg.name.partition("(")[2] for leg in legs] == ["PCMU, SSRC 00c0ffee)", "PCMU, SSRC 00000002)"]


def test_undecodable_streams_are_left_out_and_reported(capture, caplog):
    encrypted = [(at_ns, data + bytes(10)) for at_ns, data in capture_files.talk(TALK, ssrc=3)]
    few = capture_files.talk(TALK, payload_type=8)[:3]
    later = capture_files.START_NS + 10**8
    path = capture(
        capture_files.on_wire(few + capture_files.talk(TALK, sequence=1003, timestamp=50_480, from_ns=later)),
        capture_files.on_wire(capture_files.talk(TALK, payload_type=18), capture_files.CALLED),
        capture_files.on_wire(capture_files.talk(TALK, payload_type=111, ssrc=2), capture_files.CALLED),
        capture_files.on_wire(encrypted, capture_files.CALLED),
    )
    told = []
    (leg,) = read_capture(path, notice=told.append)
    assert leg.name == "10.0.0.1:4000 → 10.0.0.2:4002 (PCMU)"
    way = f"{path}: 10.0.0.2:4002 → 10.0.0.2:4002"
    assert sorted(told) == [
        f"{path}: 10.0.0.1:4000 → 10.0.0.2:4002: PCMA has only 3 packets, which are left out",
        f"{way}: G729 is not decoded, 25 packets are left out",
        f"{way}: PCMU has packets whose length contradicts their time, as in SRTP (encrypted), 25 are left out",
        f"{way}: payload type 111 is not decoded, 25 packets are left out",
    ]
    read_capture(path)
    assert "G729 is not decoded" in caplog.text


def test_no_number_of_the_signalling_leaks(capture):
    signalling = [(at_ns, capture_files.ethernet(capture_files.udp(INVITE))) for at_ns in range(20)]
    said = error_text(
        RecordingError,
        read_capture,
        capture(signalling, capture_files.on_wire(capture_files.talk(TALK, payload_type=18))),
    )
    assert "G729 is not decoded, 25 packets are left out" in said
    assert "0312345678" not in said
    assert "0901234567" not in said


def hostile(step, ssrcs=1):
    """Packets with a long pause before every fourth one, also on the capture's clock."""
    ticks = [number // 4 * step + number % 4 * 160 for number in range(20)]
    return capture_files.on_wire(
        (tick * 125_000, capture_files.rtp(number, tick, b"\xff" * 160, ssrc=ssrc))
        for ssrc in range(ssrcs)
        for number, tick in enumerate(ticks)
    )


WHOLE = capture_files.on_wire(capture_files.talk(TALK))


@pytest.mark.parametrize(
    ("packets", "limits", "says"),
    [
        ([], {}, "holds no RTP that can be read"),
        (WHOLE[:7], {}, "holds no RTP that can be read"),
        (capture_files.on_wire([(0, bytes([0x80]) + bytes(40))] * 30), {}, "holds no RTP that can be read"),
        (WHOLE, {"_MOST_PACKETS": 24}, "more than 24 RTP packets"),
        (WHOLE, {"LARGEST_SAMPLES": len(TALK) - 1}, "more sound than is read at once"),
        (hostile(0x7FFFFFFF), {}, "has a leg longer than 14400 s"),
        # Only timestamps give the length of a silence, so a few packets can be a long recording.
        (hostile(400_000, 5), {"LARGEST_SAMPLES": 5 * 4 * 400_000}, "more sound than is read at once"),
    ],
)
def test_captures_without_a_stream_and_beyond_the_limits(capture, monkeypatch, packets, limits, says):
    for name, value in limits.items():
        monkeypatch.setattr(captures, name, value)
    began_s = time.process_time()
    assert says in error_text(RecordingError, read_capture, capture(packets))
    assert time.process_time() - began_s < 5


def test_an_audio_file_is_not_a_capture(capture):
    path = capture()
    path.write_bytes(b"RIFF....WAVE")
    assert "is not a capture" in error_text(RecordingError, read_capture, path)
