"""Runs the ffmpeg program for formats that libsndfile does not support."""

import functools
import mmap
import os
import re
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

from idtone.core.errors import ToneError
from idtone.core.translation import Message

_ANSWER_S: Final = 20
_REPRODUCIBLE: Final = ("-map_metadata", "-1", "-fflags", "+bitexact", "-flags:a", "+bitexact", "-threads", "1")
"""Options that keep version names and random numbers out of the file."""


def program(purpose: str) -> Path:
    """The path to ffmpeg. Raises ToneError if it is missing.

    The error begins with `purpose`, for example "writing .m4a".
    """
    found = shutil.which("ffmpeg")
    if found is None:
        raise ToneError(
            "{purpose} needs the program ffmpeg, which is not installed. Install the package ffmpeg", purpose=purpose
        )
    return Path(found)


def encoder_program(encoder: str, purpose: str) -> Path:
    """The path to an ffmpeg with this encoder. Raises ToneError if ffmpeg or the encoder is missing."""
    ffmpeg = program(purpose)
    if encoder not in _encoders(ffmpeg, ffmpeg.stat().st_mtime_ns):
        raise ToneError(
            "{purpose} needs ffmpeg's encoder {encoder}, which {ffmpeg} does not have. "
            "Install Debian's package ffmpeg, or a build of ffmpeg with this encoder",
            purpose=purpose,
            encoder=encoder,
            ffmpeg=ffmpeg,
        )
    return ffmpeg


def encode(
    pcm: mmap.mmap, sample_rate_hz: int, to: BinaryIO, *, muxer: str, encoder: str, arguments: tuple[str, ...]
) -> None:
    """Encode one channel of 16-bit little-endian samples into `to`.

    No other thread may create temporary files during this time, because the process's temporary folder is replaced by
    one that is deleted at the end. If ffmpeg fails, raises ToneError with the last line that it prints.
    """
    purpose = Message("encoding with {encoder}", encoder=encoder)
    segment = _pydub().AudioSegment(data=pcm, sample_width=2, frame_rate=sample_rate_hz, channels=1)
    segment.converter = str(encoder_program(encoder, purpose))
    try:
        with _scratch():
            segment.export(to, format=muxer, codec=encoder, parameters=[*arguments, *_REPRODUCIBLE])
    except _pydub().exceptions.CouldntEncodeError as error:
        words = str(error).strip().splitlines()
        raise ToneError(
            "{purpose} failed: {reason}",
            purpose=purpose,
            reason=words[-1] if words else Message("ffmpeg prints nothing"),
        ) from error


@functools.cache
def _encoders(ffmpeg: Path, changed_ns: int) -> frozenset[str]:
    """The audio encoders that this ffmpeg supports. Raises ToneError if it does not list them.

    `changed_ns` is part of the cache key, because an upgrade may replace the program.
    """
    try:
        listing = subprocess.run(  # noqa: S603  what PATH names as ffmpeg
            [ffmpeg, "-hide_banner", "-encoders"], capture_output=True, text=True, timeout=_ANSWER_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ToneError(
            "{ffmpeg} does not list its encoders: {error}. Reinstall the package ffmpeg", ffmpeg=ffmpeg, error=error
        ) from error
    return frozenset(re.findall(r"^ A\S+ +(\S+)", listing.stdout, re.MULTILINE))


@contextmanager
def _scratch() -> Iterator[None]:
    """Use a separate temporary folder while the block runs.

    pydub does not delete its files when ffmpeg fails.
    """
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="idtone.") as folder:
        tempfile.tempdir = folder
        try:
            yield
        finally:
            tempfile.tempdir = before


def _pydub() -> Any:
    """The module pydub, imported without warnings about Python's audioop, its own source and a missing ffmpeg.

    pydub also requires PATH to be set, which `program` does not.
    """
    os.environ.setdefault("PATH", os.defpath)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pydub
        import pydub.exceptions
    return pydub
