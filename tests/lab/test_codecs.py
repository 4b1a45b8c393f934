from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from . import ogg
from .codecs import CODECS, FRAME, G722, OPUS, encode_frames
from .g711 import PCMA, PCMU, Samples
from .voices import CALLER


def likeness(heard: Samples, spoken: Samples) -> float:
    """The correlation of two loops at their best place."""
    ours, theirs = spoken.astype(np.float64), heard.astype(np.float64)
    products = np.fft.irfft(np.conj(np.fft.rfft(ours)) * np.fft.rfft(theirs))
    return float(products.max() / np.sqrt((ours @ ours) * (theirs @ theirs)))


@pytest.mark.parametrize(("payload_type", "least"), [(PCMU, 0.9998), (PCMA, 0.9998), (G722, 0.998), (OPUS, 0.985)])
def test_a_voice_that_is_coded_and_heard_is_the_same_voice(payload_type: int, least: float) -> None:
    codec = CODECS[payload_type]
    frames = encode_frames(CALLER, payload_type)
    assert len(frames) * FRAME == len(CALLER)
    heard = codec.decode(frames * 3)
    assert len(heard) == 3 * len(CALLER) == sum(codec.length(frame) for frame in frames * 3)
    assert likeness(heard[len(CALLER) : 2 * len(CALLER)], CALLER) >= least


@pytest.mark.parametrize("payload_type", CODECS)
def test_a_voice_has_whole_frames(payload_type: int) -> None:
    for samples in (CALLER[:-1], CALLER[:0]):
        with pytest.raises(ValueError, match="whole frames"):
            encode_frames(samples, payload_type)


@pytest.mark.parametrize("length", [1, 254, 255, 256, 510, 700])
def test_packets_of_any_length_come_out_of_ogg_as_they_went_in(length: int) -> None:
    packets = [bytes([number]) * length for number in range(3)]
    assert ogg.demux(ogg.mux(packets)) == packets


def test_our_checksum_is_libsndfiles() -> None:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(4800), 48000, format="OGG", subtype="OPUS")
    (head, page) = file.getvalue().split(b"OggS")[1:3]
    page = b"OggS" + page
    assert head.startswith(b"\0\2")
    assert ogg.checksum(page[:22] + bytes(4) + page[26:]) == int.from_bytes(page[22:26], "little")


def test_a_file_that_is_not_ogg_is_refused() -> None:
    with pytest.raises(ValueError, match="no Ogg page"):
        ogg.demux(bytes(40))
