from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from .g711 import PCMA, PCMU, decode, encode

LAWS = [(PCMU, "ULAW"), (PCMA, "ALAW")]


@pytest.mark.parametrize(("payload_type", "subtype"), LAWS)
def test_every_octet_decodes_as_in_libsndfile(payload_type: int, subtype: str) -> None:
    octets = bytes(range(256))
    theirs, _ = soundfile.read(
        io.BytesIO(octets), samplerate=8000, channels=1, format="RAW", subtype=subtype, dtype="int16"
    )
    assert np.array_equal(decode(octets, payload_type), theirs)


@pytest.mark.parametrize(("payload_type", "_subtype"), LAWS)
def test_every_sample_becomes_the_nearest_value(payload_type: int, _subtype: str) -> None:
    samples = np.arange(-32768, 32768).astype(np.int16)
    values = decode(bytes(range(256)), payload_type).astype(int)
    got = decode(encode(samples, payload_type), payload_type).astype(int)
    nearest = np.abs(values[None, :] - samples[::97, None].astype(int)).min(axis=1)
    assert np.array_equal(np.abs(got[::97] - samples[::97]), nearest)


@pytest.mark.parametrize(("payload_type", "_subtype"), LAWS)
def test_coding_again_changes_nothing(payload_type: int, _subtype: str) -> None:
    once = decode(bytes(range(256)), payload_type)
    assert np.array_equal(decode(encode(once, payload_type), payload_type), once)


def test_silence_is_the_octet_of_the_recommendation() -> None:
    assert encode(np.zeros(2, np.int16), PCMU) == b"\xff\xff"
    assert encode(np.array([8, -8], np.int16), PCMA) == b"\xd5\x55"
