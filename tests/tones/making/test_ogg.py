import io

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from idtone.tones.making.ogg import checksum, set_serial_number


def plainly(page):
    """Checksum by RFC 3533, section 6: the polynomial 0x04c11db7, bit by bit."""
    remainder = 0
    for byte in page:
        remainder ^= byte << 24
        for _ in range(8):
            remainder = (remainder << 1 ^ (0x04C11DB7 if remainder & 0x80000000 else 0)) & 0xFFFFFFFF
    return remainder


@given(st.binary(max_size=200))
def test_the_checksum_is_oggs(page):
    assert checksum(page) == plainly(page)


def test_a_numbered_file_is_read_as_before():
    file = io.BytesIO()
    noise = np.random.default_rng(1).integers(-9000, 9000, 80_000).astype(np.int16)
    soundfile.write(file, noise, 8000, format="OGG", subtype="VORBIS")
    before, _ = soundfile.read(io.BytesIO(file.getvalue()))
    set_serial_number(file, 7)
    content = file.getvalue()
    after, _ = soundfile.read(io.BytesIO(content))
    np.testing.assert_array_equal(before, after)
    starts = [at for at in range(len(content)) if content.startswith(b"OggS\0", at)]
    assert len(starts) > 3
    assert {content[at + 14 : at + 18] for at in starts} == {b"\7\0\0\0"}


def test_a_file_that_is_not_ogg_is_refused():
    file = io.BytesIO(bytes(100))
    with pytest.raises(ValueError, match="not an Ogg page"):
        set_serial_number(file, 7)
    assert file.getvalue() == bytes(100)
