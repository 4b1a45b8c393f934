"""Codecs with lost packets of 20 ms, and the concealment of their decoders.

A recording made after such a decoder does not show the losses, because the decoder fills them.
"""

import ctypes
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import soxr

from lab import packages

from . import codecs
from .codecs import RATE_HZ, Pcm

Lost = npt.NDArray[np.bool_]
"""For each packet of 20 ms, True if it is lost."""
Line = Callable[[Pcm, Lost], Pcm]

FRAME: Final = RATE_HZ // 50
_WIDE: Final = 2 * FRAME
_library = functools.cache(packages.library)


def g711(samples: Pcm, lost: Lost) -> Pcm:
    """Pass samples through µ-law, with the concealment of ITU-T G.711 appendix I.

    The receiver repeats the last period.
    """
    return _repeated(codecs.g711_mu(samples), lost)


def g722(samples: Pcm, lost: Lost) -> Pcm:
    return _repeated(codecs.g722(samples), lost)


def gsm(samples: Pcm, lost: Lost) -> Pcm:
    return _repeated(codecs.gsm(samples), lost)


def amr(samples: Pcm, lost: Lost) -> Pcm:
    """Pass samples through 3GPP AMR at 12.2 kbit/s, by OpenCORE, with its decoder's concealment."""
    library = _library("libopencore-amrnb0", "libopencore-amrnb.so.0")
    frames, coded = _frames(samples, FRAME), (ctypes.c_ubyte * 64)()
    decoded = np.zeros_like(frames)
    with (
        _state(library.Encoder_Interface_init, library.Encoder_Interface_exit, 0) as encoder,
        _state(library.Decoder_Interface_init, library.Decoder_Interface_exit) as decoder,
    ):
        for frame, heard, gone in zip(frames, decoded, _of(lost, len(frames)), strict=True):
            library.Encoder_Interface_Encode(encoder, 7, _at(frame), coded, 0)
            library.Decoder_Interface_Decode(decoder, coded, _at(heard), int(gone))
    return _end(decoded, len(samples))


def amr_wb(samples: Pcm, lost: Lost, mode: int = 2) -> Pcm:
    """Pass samples through 3GPP AMR-WB (ITU-T G.722.2), by VisualOn and OpenCORE.

    Mode 2 has 12.65 kbit/s.
    """
    encoding = _library("libvo-amrwbenc0", "libvo-amrwbenc.so.0")
    decoding = _library("libopencore-amrwb0", "libopencore-amrwb.so.0")
    frames, coded = _frames(_resampled(samples, RATE_HZ, 16000), _WIDE), (ctypes.c_ubyte * 128)()
    decoded = np.zeros_like(frames)
    with (
        _state(encoding.E_IF_init, encoding.E_IF_exit) as encoder,
        _state(decoding.D_IF_init, decoding.D_IF_exit) as decoder,
    ):
        for frame, heard, gone in zip(frames, decoded, _of(lost, len(frames)), strict=True):
            encoding.E_IF_encode(encoder, mode, _at(frame), coded, 0)
            decoding.D_IF_decode(decoder, coded, _at(heard), int(gone))
    return _resampled(_end(decoded, 2 * len(samples)), 16000, RATE_HZ)


def g729(samples: Pcm, lost: Lost) -> Pcm:
    """Pass samples through ITU-T G.729 annex A, by bcg729, with two frames of 10 ms in a packet."""
    library = _library("libbcg729-0", "libbcg729.so.0")
    frames, coded, length = _frames(samples, FRAME // 2), (ctypes.c_ubyte * 16)(), ctypes.c_ubyte()
    decoded = np.zeros_like(frames)
    no = ctypes.c_ubyte(0)
    with (
        _state(library.initBcg729EncoderChannel, library.closeBcg729EncoderChannel, no) as encoder,
        _state(library.initBcg729DecoderChannel, library.closeBcg729DecoderChannel) as decoder,
    ):
        for index, (frame, heard) in enumerate(zip(frames, decoded, strict=True)):
            gone = ctypes.c_ubyte(bool(index // 2 < len(lost) and lost[index // 2]))
            library.bcg729Encoder(encoder, _at(frame), coded, ctypes.byref(length))
            library.bcg729Decoder(decoder, coded, length, gone, no, no, _at(heard))
    return _end(decoded, len(samples))


def opus(samples: Pcm, lost: Lost, *, bit_rate: int = 16000, dtx: bool = False) -> Pcm:
    """Pass samples through Opus for speech at 16 kHz, with its decoder's concealment.

    With `dtx`, Opus sends nothing in silence.
    """
    library = _library("libopus0", "libopus.so.0")
    library.opus_encode.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_int32]
    library.opus_decode.argtypes = [
        ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32, ctypes.c_void_p, ctypes.c_int, ctypes.c_int,
    ]  # fmt: skip
    frames, coded, error = (
        _frames(_resampled(samples, RATE_HZ, 16000), _WIDE),
        (ctypes.c_ubyte * 1500)(),
        ctypes.c_int(),
    )
    decoded = np.zeros_like(frames)
    voip, set_bit_rate, set_dtx = 2048, 4002, 4016
    making = functools.partial(library.opus_encoder_create, 16000, 1, voip, ctypes.byref(error))
    reading = functools.partial(library.opus_decoder_create, 16000, 1, ctypes.byref(error))
    library.opus_encoder_create.restype = library.opus_decoder_create.restype = ctypes.c_void_p
    with (
        _state(making, library.opus_encoder_destroy) as encoder,
        _state(reading, library.opus_decoder_destroy) as decoder,
    ):
        library.opus_encoder_ctl(encoder, set_bit_rate, bit_rate)
        library.opus_encoder_ctl(encoder, set_dtx, int(dtx))
        for frame, heard, gone in zip(frames, decoded, _of(lost, len(frames)), strict=True):
            count = library.opus_encode(encoder, _at(frame), _WIDE, coded, len(coded))
            # A packet of two octets or less is not sent.
            silent = gone or (dtx and count <= 2)
            library.opus_decode(decoder, None if silent else coded, 0 if silent else count, _at(heard), _WIDE, 0)
    return _resampled(_end(decoded, 2 * len(samples)), 16000, RATE_HZ)


def opus_dtx(samples: Pcm, lost: Lost) -> Pcm:
    return opus(samples, lost, dtx=True)


class _SpeexBits(ctypes.Structure):
    _fields_ = (
        ("chars", ctypes.c_void_p), ("nb_bits", ctypes.c_int), ("char_at", ctypes.c_int), ("bit_at", ctypes.c_int),
        ("owner", ctypes.c_int), ("overflow", ctypes.c_int), ("size", ctypes.c_int), ("reserved", ctypes.c_int * 2),
        ("reserved_at", ctypes.c_void_p),
    )  # fmt: skip


def speex(samples: Pcm, lost: Lost) -> Pcm:
    """Pass samples through Speex narrowband at its default quality, with its decoder's concealment."""
    library = _library("libspeex1", "libspeex.so.1")
    library.speex_lib_get_mode.restype = ctypes.c_void_p
    mode = ctypes.c_void_p(library.speex_lib_get_mode(0))
    frames, coded, bits = _frames(samples, FRAME), (ctypes.c_char * 200)(), _SpeexBits()
    decoded = np.zeros_like(frames)
    library.speex_bits_init(ctypes.byref(bits))
    with (
        _state(library.speex_encoder_init, library.speex_encoder_destroy, mode) as encoder,
        _state(library.speex_decoder_init, library.speex_decoder_destroy, mode) as decoder,
    ):
        for frame, heard, gone in zip(frames, decoded, _of(lost, len(frames)), strict=True):
            library.speex_bits_reset(ctypes.byref(bits))
            # The encoder works in place.
            library.speex_encode_int(encoder, _at(frame.copy()), ctypes.byref(bits))
            count = library.speex_bits_write(ctypes.byref(bits), coded, len(coded))
            library.speex_bits_read_from(ctypes.byref(bits), coded, count)
            library.speex_decode_int(decoder, None if gone else ctypes.byref(bits), _at(heard))
    library.speex_bits_destroy(ctypes.byref(bits))
    return _end(decoded, len(samples))


def plain(samples: Pcm, lost: Lost) -> Pcm:
    """Pass samples through µ-law, with silence for lost packets."""
    heard = codecs.g711_mu(samples).copy()
    for index in np.flatnonzero(lost):
        heard[index * FRAME : (index + 1) * FRAME] = 0
    return heard


def _repeated(samples: Pcm, lost: Lost) -> Pcm:
    """The samples with the last period in place of lost ones. It fades from 10 ms on, is silent from 60 ms on, and ends
    in a short cross-fade.
    """
    shortest, longest, window, fade = RATE_HZ // 200, RATE_HZ * 15 // 1000, RATE_HZ // 50, RATE_HZ // 250
    heard = samples.astype(np.float64)
    index = 0
    while index < min(len(lost), len(samples) // FRAME):
        if not lost[index]:
            index += 1
            continue
        end = index
        while end < len(lost) and lost[end]:
            end += 1
        first, last = index * FRAME, min(end * FRAME + fade, len(heard))
        index = end
        past = heard[max(first - longest - window, 0) : first]
        if len(past) < longest + window:
            heard[first : last - fade] = 0
            continue
        template = past[-window:]
        norms = [
            float(template @ past[-window - lag : -lag]) / (float(np.linalg.norm(past[-window - lag : -lag])) + 1e-9)
            for lag in range(shortest, longest + 1)
        ]
        period = past[-(shortest + int(np.argmax(norms))) :]
        count = last - first
        guess = np.resize(period, count)
        age_ms = np.arange(count) * 1000 / RATE_HZ
        guess *= np.clip(1 - (age_ms - 10) / 50, 0, 1)
        blend = np.zeros(count)
        tail = count - (end * FRAME - first)
        blend[count - tail :] = np.linspace(0, 1, tail) if tail > 0 else 0
        heard[first:last] = guess * (1 - blend) + heard[first:last] * blend
    return np.clip(np.rint(heard), -32768, 32767).astype(np.int16)


@contextmanager
def _state(make: Callable[..., Any], end: Callable[..., Any], *arguments: Any) -> Iterator[ctypes.c_void_p]:
    if hasattr(make, "restype"):
        make.restype = ctypes.c_void_p
    made = ctypes.c_void_p(make(*arguments))
    try:
        yield made
    finally:
        end(made)


def _at(samples: Pcm) -> ctypes.c_void_p:
    return ctypes.c_void_p(samples.ctypes.data)


def _frames(samples: Pcm, frame: int) -> Pcm:
    whole = np.zeros(-(-len(samples) // frame) * frame, np.int16)
    whole[: len(samples)] = samples
    return whole.reshape(-1, frame)


def _of(lost: Lost, count: int) -> Lost:
    return np.resize(np.append(lost, np.zeros(count, bool)), count)


def _end(frames: Pcm, length: int) -> Pcm:
    return frames.reshape(-1)[:length]


def _resampled(samples: Pcm, from_hz: int, to_hz: int) -> Pcm:
    resampled = soxr.resample(samples.astype(np.float64), from_hz, to_hz, "HQ")
    return np.asarray(np.clip(resampled, -32768, 32767), np.int16)
