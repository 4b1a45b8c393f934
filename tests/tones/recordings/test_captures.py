from __future__ import annotations

import struct
import time
from pathlib import Path

import numpy as np
import pytest

from idtone.errors import RecordingError
from idtone.tones.recordings import captures
from idtone.tones.recordings.captures import read_capture

from ...lab import g711, voices
from ...lab.rtp import HOST, Media, encode_frames
from . import wire

TALK = g711.encode(voices.CALLER, g711.PCMU)
ANSWER = g711.encode(voices.CALLED, g711.PCMA)
INVITE = b"INVITE sip:0312345678@10.0.0.2 SIP/2.0\r\nFrom: <sip:0901234567@10.0.0.1>\r\n\r\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "call.pcap"


def write(path: Path, *parts: list[wire.Timed]) -> None:
    path.write_bytes(wire.pcap(sorted((each for part in parts for each in part), key=lambda each: each[0])))


def test_both_directions_of_a_call(path: Path) -> None:
    write(
        path,
        [(wire.START_NS - 1, wire.ethernet(wire.udp(INVITE, ("10.0.0.1", 5060), ("10.0.0.2", 5060))))],
        wire.on_wire(wire.talk(TALK)),
        wire.on_wire(wire.talk(ANSWER, payload_type=8, from_ns=wire.START_NS + 1), wire.CALLED, wire.CALLER),
    )
    there, back = read_capture(path)
    assert there.name == "10.0.0.1:4000 → 10.0.0.2:4002 (PCMU)"
    assert back.name == "10.0.0.2:4002 → 10.0.0.1:4000 (PCMA)"
    for leg, octets, payload_type in ((there, TALK, 0), (back, ANSWER, 8)):
        assert (leg.sample_rate_hz, leg.lost) == (8000, ())
        assert np.array_equal(leg.samples * 32768, g711.decode(octets, payload_type))


def test_lost_spans_are_in_samples(path: Path) -> None:
    talk = wire.talk(bytes(160 * 20), payload_type=9)
    write(path, wire.on_wire(talk[:5] + talk[7:]))
    (leg,) = read_capture(path)
    assert leg.sample_rate_hz == 16_000
    assert leg.lost == ((1600, 2240),)
    assert len(leg.samples) == 20 * 320


def test_a_new_ssrc_is_a_leg_of_its_own(path: Path) -> None:
    write(path, wire.on_wire(wire.talk(TALK)), wire.on_wire(wire.talk(TALK, ssrc=2, from_ns=wire.START_NS + 10**9)))
    assert [leg.name.partition("(")[2] for leg in read_capture(path)] == [
        "PCMU, SSRC 00c0ffee)",
        "PCMU, SSRC 00000002)",
    ]


def test_undecodable_streams_are_left_out_and_reported(path: Path) -> None:
    encrypted = [(at_ns, data + bytes(10)) for at_ns, data in wire.talk(TALK, ssrc=3)]
    few = wire.talk(TALK, payload_type=8)[:3]
    later = wire.START_NS + 10**8
    write(
        path,
        wire.on_wire(few + wire.talk(TALK, sequence=1003, timestamp=50_480, from_ns=later)),
        wire.on_wire(wire.talk(TALK, payload_type=18), wire.CALLED),
        wire.on_wire(wire.talk(TALK, payload_type=111, ssrc=2), wire.CALLED),
        wire.on_wire(encrypted, wire.CALLED),
    )
    told: list[str] = []
    (leg,) = read_capture(path, notice=told.append)
    assert leg.name == "10.0.0.1:4000 → 10.0.0.2:4002 (PCMU)"
    way = f"{path}: 10.0.0.2:4002 → 10.0.0.2:4002"
    assert sorted(told) == [
        f"{path}: 10.0.0.1:4000 → 10.0.0.2:4002: PCMA has only 3 packets, which are left out",
        f"{way}: G729 is not decoded, 25 packets are left out",
        f"{way}: PCMU has packets whose length contradicts their time, as in SRTP (encrypted), 25 are left out",
        f"{way}: payload type 111 is not decoded, 25 packets are left out",
    ]


def test_a_left_out_stream_is_a_warning_in_the_log(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(path, wire.on_wire(wire.talk(TALK)), wire.on_wire(wire.talk(TALK, payload_type=3), wire.CALLED))
    read_capture(path)
    assert "GSM is not decoded" in caplog.text


def test_no_number_of_the_signalling_leaks(path: Path) -> None:
    signalling = [(at_ns, wire.ethernet(wire.udp(INVITE))) for at_ns in range(20)]
    write(path, signalling, wire.on_wire(wire.talk(TALK, payload_type=18)))
    with pytest.raises(RecordingError, match="G729 is not decoded, 25 packets are left out") as caught:
        read_capture(path)
    assert "0312345678" not in str(caught.value)
    assert "0901234567" not in str(caught.value)


@pytest.mark.parametrize(
    "parts", [[], [wire.on_wire(wire.talk(TALK)[:7])], [wire.on_wire([(0, bytes([0x80]) + bytes(40))] * 30)]]
)
def test_a_capture_without_a_stream(path: Path, parts: list[list[wire.Timed]]) -> None:
    write(path, *parts)
    with pytest.raises(RecordingError, match="holds no RTP that can be read"):
        read_capture(path)


def test_an_audio_file_is_not_a_capture(path: Path) -> None:
    path.write_bytes(b"RIFF....WAVE")
    with pytest.raises(RecordingError, match="is not a capture"):
        read_capture(path)


def hostile(path: Path, step: int, ssrcs: int = 1) -> None:
    """Every fourth packet comes long after the packet before, also by the capture's clock."""
    ticks = [number // 4 * step + number % 4 * 160 for number in range(20)]
    packets = [
        (tick * 125_000, wire.rtp(number, tick, b"\xff" * 160, ssrc=ssrc))
        for ssrc in range(ssrcs)
        for number, tick in enumerate(ticks)
    ]
    write(path, wire.on_wire(packets))


def test_a_hostile_clock_cannot_ask_for_gigabytes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile(path, 0x7FFFFFFF)
    with pytest.raises(RecordingError, match="has a leg longer than 14400 s"):
        read_capture(path)
    # Only timestamps give the length of a silence, so a few packets can be a long recording.
    hostile(path, 400_000, ssrcs=5)
    monkeypatch.setattr(captures, "LARGEST_SAMPLES", 5 * 4 * 400_000)
    started = time.monotonic()
    with pytest.raises(RecordingError, match="more sound than is read at once"):
        read_capture(path)
    assert time.monotonic() - started < 5


def test_too_many_packets(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captures, "_MOST_PACKETS", 24)
    write(path, wire.on_wire(wire.talk(TALK)))
    with pytest.raises(RecordingError, match="more than 24 RTP packets"):
        read_capture(path)


def test_more_sound_than_the_limit(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captures, "LARGEST_SAMPLES", len(TALK) - 1)
    write(path, wire.on_wire(wire.talk(TALK)))
    with pytest.raises(RecordingError, match="more sound than is read at once"):
        read_capture(path)


def test_a_capture_by_the_kernel(path: Path) -> None:
    with Media() as media:
        speaker, listener = media.open(), media.open()
        speaker.speak((HOST, listener.port), g711.PCMU, voices.CALLER)
        time.sleep(0.4)
        speaker.close()
        listener.close()
    packets = [
        (
            packet.arrival_ns,
            wire.rtp(
                packet.sequence,
                packet.timestamp,
                packet.payload,
                payload_type=packet.payload_type,
                ssrc=packet.ssrc,
            ),
        )
        for packet in listener.packets
    ]
    write(path, wire.on_wire(packets, (HOST, speaker.port), (HOST, listener.port)))
    (leg,) = read_capture(path)
    frames = encode_frames(voices.CALLER, g711.PCMU)
    said = b"".join(frames[number % len(frames)] for number in range(len(packets)))
    assert len(packets) >= 10
    assert leg.name == f"{HOST}:{speaker.port} → {HOST}:{listener.port} (PCMU)"
    assert np.array_equal(leg.samples * 32768, g711.decode(said, g711.PCMU))


def test_pcapng_gives_the_same_legs(path: Path) -> None:
    packets = wire.on_wire(wire.talk(TALK))
    path.write_bytes(wire.pcap(packets))
    (one,) = read_capture(path)
    path.write_bytes(wire.pcapng(packets))
    (other,) = read_capture(path)
    assert np.array_equal(one.samples, other.samples)
    assert struct.unpack("<I", path.read_bytes()[:4])[0] == 0x0A0D0D0A
