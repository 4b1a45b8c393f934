"""Writes a profile in a file format, block by block. The bytes depend only on the profile."""

import io
import mmap
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Final, TypeVar

import numpy as np
import soundfile

from idtone.core.errors import ToneError
from idtone.core.translation import Message

from .. import ffmpeg
from ..profile import Profile
from . import ogg
from .formats import FRAME_MS, FfmpegEncoding, LibsndfileEncoding, SoundFormat
from .synthesis import Pcm
from .waveform import pcm_blocks

_Result = TypeVar("_Result")
Advance = Callable[[int], object]
"""A function that receives the number of samples of each block, for a progress bar."""

_OGG_SERIAL: Final = 1
_LIBSNDFILE_BLOCK: Final = 65_536
"""Maximum number of samples in a block. With Vorbis, a longer block overflows libsndfile's stack."""


def encode(profile: Profile, sound_format: SoundFormat, advance: Advance | None = None) -> bytes:
    """The content of the file that `write` creates. Use this only for sounds that fit in memory."""
    file = io.BytesIO()
    write(profile, sound_format, file, advance)
    return file.getvalue()


def write(profile: Profile, sound_format: SoundFormat, file: BinaryIO, advance: Advance | None = None) -> None:
    """Write the sound and silence up to the end of a frame. `file` must be empty, readable and writable.

    Raises ToneError if this machine cannot write the format, and the errors of `pcm_blocks`.
    """
    require_encoder(sound_format)
    blocks = _framed(profile, sound_format, advance)
    encoding = sound_format.encoding
    if isinstance(encoding, FfmpegEncoding):
        _by_ffmpeg(blocks, sound_format.sample_rate_hz, encoding, file)
    elif encoding.container == "RAW" and sound_format.linear:
        for block in blocks:
            file.write(_little_endian(block))
    else:
        _by_libsndfile(blocks, sound_format.sample_rate_hz, encoding, file)


def require_encoder(sound_format: SoundFormat) -> None:
    """Raise ToneError if this machine cannot write the format. The error names what to install."""
    encoding = sound_format.encoding
    if isinstance(encoding, FfmpegEncoding):
        ffmpeg.encoder_program(encoding.encoder, Message("writing {extension}", extension=sound_format.extension))
    elif not soundfile.check_format(encoding.container, encoding.subtype):
        raise ToneError(
            "writing {extension} needs libsndfile with {subtype}, and the installed one was built without it. "
            "Install Debian's package libsndfile1, or a wheel of soundfile that contains libsndfile",
            extension=sound_format.extension,
            subtype=encoding.subtype,
        )


def _framed(profile: Profile, sound_format: SoundFormat, advance: Advance | None) -> Iterator[Pcm]:
    samples = 0
    for block in pcm_blocks(profile, sound_format.sample_rate_hz, dither=sound_format.linear):
        samples += len(block)
        yield block
        if advance:
            advance(len(block))
    frame = sound_format.sample_rate_hz * FRAME_MS // 1000
    silence = sound_format.lost_samples
    silence += -(samples + silence) % frame
    yield np.zeros(silence, np.int16)


def _little_endian(block: Pcm) -> memoryview:
    return np.ascontiguousarray(block, "<i2").data.cast("B")


def _by_libsndfile(blocks: Iterator[Pcm], sample_rate_hz: int, encoding: LibsndfileEncoding, file: BinaryIO) -> None:
    watched = _Watched(file)
    with (
        _signals_held() as deliver,
        soundfile.SoundFile(
            watched,
            "w",
            sample_rate_hz,
            channels=1,
            format=encoding.container,
            subtype=encoding.subtype,
            endian="LITTLE" if encoding.container == "RAW" else "FILE",
        ) as encoder,
    ):
        for block in blocks:
            for first in range(0, len(block), _LIBSNDFILE_BLOCK):
                encoder.write(block[first : first + _LIBSNDFILE_BLOCK])
                deliver()
            watched.check()
    watched.check()
    if encoding.container == "OGG":
        ogg.set_serial_number(file, _OGG_SERIAL)


@contextmanager
def _signals_held() -> Iterator[Callable[[], None]]:
    """Hold back SIGINT and SIGTERM until the yielded function is called or the context ends.

    libsndfile would lose an exception that a signal raises in its callback.
    """
    held: list[int] = []

    def deliver() -> None:
        while held:
            number = signal.Signals(held.pop())
            signal.signal(number, before[number])
            signal.raise_signal(number)

    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():  # only the main thread receives signals
        for stop in (signal.SIGINT, signal.SIGTERM):
            before[stop] = signal.signal(stop, lambda number, _: held.append(number)) or signal.SIG_DFL
    try:
        yield deliver
    finally:
        for stop, handler in before.items():
            signal.signal(stop, handler)
        deliver()


class _Watched:
    """A file that libsndfile calls from C, where an exception would only be printed.

    After the first error, all calls succeed without effect. `check` raises that error.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._error: OSError | None = None

    def check(self) -> None:
        if self._error:
            raise self._error

    def write(self, data: bytes) -> int:
        return self._try(self._file.write, data, instead=len(data))

    def read(self, size: int) -> bytes:
        return self._try(self._file.read, size, instead=b"")

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._try(self._file.seek, offset, whence, instead=0)

    def tell(self) -> int:
        return self._try(self._file.tell, instead=0)

    def _try(self, do: Callable[..., _Result], *arguments: object, instead: _Result) -> _Result:
        if self._error is None:
            try:
                return do(*arguments)
            except OSError as error:
                self._error = error
        return instead


def _by_ffmpeg(blocks: Iterator[Pcm], sample_rate_hz: int, encoding: FfmpegEncoding, file: BinaryIO) -> None:
    """Encode with ffmpeg. The samples are in a memory-mapped file, because pydub needs all of them at once."""
    with tempfile.TemporaryFile() as samples:
        for block in blocks:
            samples.write(_little_endian(block))
        samples.flush()
        with mmap.mmap(samples.fileno(), 0, access=mmap.ACCESS_READ) as pcm:
            ffmpeg.encode(
                pcm,
                sample_rate_hz,
                file,
                muxer=encoding.muxer,
                encoder=encoding.encoder,
                arguments=encoding.arguments,
            )
