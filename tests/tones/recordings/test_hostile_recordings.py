"""Any file is read, or refused with a RecordingError, within limits of time and memory. `make fuzz` tries more."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from idtone.core.errors import RecordingError, ToneError
from idtone.tones.recordings import ffmpeg_decoding
from idtone.tones.recordings.audio_files import read_audio_file
from idtone.tones.recordings.captures import read_capture
from idtone.tones.recordings.read_recording import read_recording
from lab.tones.recordings import capture_files

LONGEST_S = 30.0
TALK = capture_files.on_wire(capture_files.talk(bytes(3200), sequence=0xFFFC, timestamp=0xFFFFFF00))
CAPTURES = [capture_files.pcap(TALK), capture_files.pcap(TALK, order=">"), capture_files.pcapng(TALK)]
FILES = [capture_files.audio(*each) for each in capture_files.CONTAINERS]


@st.composite
def damaged(draw, wholes):
    """A strategy for damaged files: valid ones with changed octets, and with pieces removed, doubled or inserted."""
    content = bytearray(draw(st.sampled_from(wholes)))
    for _ in range(draw(st.integers(1, 8))):
        # Damage has the most effect in headers.
        at = draw(st.integers(0, 80) | st.integers(0, len(content)))
        until = at + draw(st.integers(0, 8))
        content[at:until] = draw(st.binary(max_size=8) | st.sampled_from([b"\xff" * 4, b"\x7f" + bytes(3)]))
    return bytes(content[: draw(st.integers(0, len(content)))]) if draw(st.booleans()) else bytes(content)


@st.composite
def lawless(draw):
    """A strategy for the packets of a sender that first follows RFC 3550 and then violates it."""
    sequence, timestamp, at_ns = draw(st.integers(0, 0xFFFF)), draw(st.integers(0, 0xFFFFFFFF)), 10**12
    packets = capture_files.talk(
        bytes(1600),
        sequence=sequence - 10,
        timestamp=timestamp - 1600,
        from_ns=at_ns - 10 * capture_files.FRAME_NS,
    )
    for _ in range(draw(st.integers(0, 25))):
        payload = draw(st.sampled_from([bytes(160), b"", b"\x80", bytes(4), bytes(170)]))
        payload_type = draw(st.sampled_from([0, 0, 0, 0, 8, 9, 13, 18, 101, 111]))
        packets.append((at_ns, capture_files.rtp(sequence, timestamp, payload, payload_type=payload_type)))
        sequence += draw(st.sampled_from([1, 1, 1, 1, 0, -1, 2, -3, 500]) | st.integers(0, 0xFFFF))
        timestamp += draw(st.sampled_from([160, 160, 160, 0, -160, 320]) | st.integers(0, 0xFFFFFFFF))
        at_ns += draw(st.sampled_from([20, 20, 20, 0, -20, 40, 10_000]) | st.integers(0, 10_000_000)) * 1_000_000
    return capture_files.pcap(capture_files.on_wire((max(at_ns, 0), packet) for at_ns, packet in packets))


def check(reader, path, content):
    path.write_bytes(content)
    try:
        legs = reader(path, longest_s=LONGEST_S, notice=str)
    except RecordingError as error:
        (said,) = str(error).splitlines()
    else:
        said = f"{path}: "
        assert legs
        assert len({leg.name for leg in legs}) == len(legs)
        for leg in legs:
            assert (leg.samples.ndim, leg.samples.dtype) == (1, np.float32)
            assert np.isfinite(leg.samples).all()
            assert 0 < len(leg.samples) <= LONGEST_S * leg.sample_rate_hz
            ends = [edge for span in leg.lost for edge in span]
            assert ends == sorted(set(ends))
            assert not ends or (ends[0] >= 0 and ends[-1] <= len(leg.samples))
            assert not any(leg.samples[start:end].any() for start, end in leg.lost)
    assert said.startswith(f"{path}: ")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("hostile") / "a.wav"


@pytest.fixture
def without_ffmpeg(monkeypatch):
    """Leave ffmpeg out, because its start takes longer than everything else."""

    def refuse(purpose):
        raise ToneError(f"{purpose} is left out")

    monkeypatch.setattr(ffmpeg_decoding, "program", refuse)


BEGINNINGS = st.sampled_from([whole[:24] for whole in CAPTURES + FILES])
OCTETS = st.binary(max_size=400) | st.builds(bytes.__add__, BEGINNINGS, st.binary())


@pytest.mark.parametrize(
    ("reader", "suffix", "contents"),
    [
        (read_recording, ".wav", OCTETS), (read_audio_file, ".gsm", OCTETS), (read_audio_file, ".g722", OCTETS),
        (read_audio_file, ".wav", damaged(FILES)), (read_capture, ".pcap", damaged(CAPTURES) | lawless()),
    ],
)  # fmt: skip
@settings(max_examples=30, deadline=2000, suppress_health_check=[*HealthCheck])
@given(data=st.data())
def test_any_octets_damaged_files_and_senders_without_rules(path, without_ffmpeg, reader, suffix, contents, data):
    check(reader, path.with_suffix(suffix), data.draw(contents))
