"""Decodes formats that libsndfile does not support, using the ffmpeg program.

ffmpeg gets no file name and no access to other files. It reads the open file as one of a few containers that cannot
refer to other files, and writes samples into a pipe. The time and the number of samples are limited.
"""

import os
import selectors
import struct
import subprocess
import time
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from idtone.core.errors import RecordingError, ToneError
from idtone.core.translation import Message

from ..ffmpeg import program

DEADLINE_S: Final = 300.0
CONTAINERS: Final = "aac,ac3,amr,ape,asf,avi,caf,flac,flv,matroska,mov,mp3,ogg,tta,voc,w64,wav,wv"
"""Allowed containers, by ffmpeg's names: no playlist (hls, dash, concat), image sequence or session description."""

_AU: Final = struct.Struct(">4s5I")
"""Header of Sun's .au: magic, size of the header, size of the data, encoding, sample rate, channels."""
_GUARDS: Final = tuple("-nostdin -v error -threads 1 -max_alloc 67108864 -protocol_whitelist file,pipe".split())
"""Options that include a limit of 64 MiB per allocation, because a hostile header may ask for more."""
_AS_AU: Final = tuple("-map 0:a:0 -map_metadata -1 -c:a pcm_f32be -f au pipe:1".split())

_SPEEX: Final = b"Speex   "
_SPEEX_PLACE: Final = (len(_SPEEX), 28)
"""Length of `_SPEEX` and its offset in an Ogg file, after the header of the first page."""
_MESSAGES: Final = 4096
"""Maximum number of bytes of ffmpeg's messages that are kept, from the end."""


def decode_with_ffmpeg(
    path: Path, file: BinaryIO, demuxer: tuple[str, ...], *, longest_s: float, largest: int
) -> tuple[NDArray[np.float32], int, str]:
    """The first sound track (frames × channels, big-endian float32), its sample rate in Hz, and the damage.

    The damage is ffmpeg's last message about skipped data, or an empty string. `demuxer` contains ffmpeg's options for
    headerless input. If it is empty, the format is detected from the content. At most about `longest_s` seconds and
    `largest` samples are decoded. Raises RecordingError if ffmpeg is missing, rejects the file or takes too long.
    """
    purpose = (
        Message("reading {extension}", extension=path.suffix)
        if path.suffix
        else Message("reading a format that libsndfile does not know")
    )
    try:
        ffmpeg = program(purpose)
    except ToneError as error:
        raise RecordingError(
            "{path}: has a format that libsndfile does not know, and {error}", path=path, error=error
        ) from error
    allowed = demuxer[1] if demuxer else CONTAINERS
    source = f"file:/dev/fd/{file.fileno()}"
    # ffmpeg's own decoder doubles the duration of wideband Speex (measured with 7.1.5).
    decoder = ["-c:a", "libspeex"] if os.pread(file.fileno(), *_SPEEX_PLACE) == _SPEEX else []
    command = [str(ffmpeg), *_GUARDS, "-format_whitelist", allowed, *demuxer, *decoder, "-i", source]
    # One second more than allowed, so that a longer file is detected.
    command += ["-t", str(longest_s + 1), *_AS_AU]
    output, messages, status = _run(path, command, file.fileno(), 4 * (largest + 1) + 4096)
    message = _last(messages.decode("utf-8", "replace"))
    if status or len(output) < _AU.size:
        raise RecordingError(
            "{path}: cannot be read by libsndfile or ffmpeg ({reason})", path=path, reason=message or "no reason given"
        )
    _, header, _, _, sample_rate_hz, channels = _AU.unpack_from(output)
    count = (len(output) - header) // 4
    samples = np.frombuffer(output, ">f4", count, header)
    return samples[: count - count % channels].reshape(-1, channels), sample_rate_hz, message


def _run(path: Path, command: list[str], descriptor: int, limit: int) -> tuple[bytearray, bytes, int]:
    """The output, the end of the messages, and the exit status.

    Raises RecordingError if there are more than `limit` bytes of output, or after `DEADLINE_S`.
    """
    with subprocess.Popen(  # noqa: S603 – the program is ffmpeg, and no argument comes from the recording
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=(descriptor,)
    ) as process:
        try:
            output, messages = _drain(path, process, limit)
        except BaseException:
            process.kill()
            raise
        return output, messages, process.wait()


def _drain(path: Path, process: subprocess.Popen[bytes], limit: int) -> tuple[bytearray, bytes]:
    assert process.stdout
    assert process.stderr
    output, messages = bytearray(), b""
    until = time.monotonic() + DEADLINE_S
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        selector.register(process.stderr, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(until - time.monotonic())
            if not ready or time.monotonic() > until:
                raise RecordingError(
                    "{path}: took ffmpeg longer than {deadline_s:g} s to decode. Cut it first",
                    path=path,
                    deadline_s=DEADLINE_S,
                )
            for key, _ in ready:
                piece = os.read(key.fd, 1 << 16)
                if not piece:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stderr:
                    messages = (messages + piece)[-_MESSAGES:]
                else:
                    output += piece
            if len(output) > limit:
                raise RecordingError(
                    "{path}: holds more samples than are read at once (2 GiB). Cut it first", path=path
                )
    return output, messages


def _last(messages: str) -> str:
    """The last of ffmpeg's messages, without the prefix with its module and our file descriptor."""
    if "not on whitelist" in messages:
        return "its format is not allowed"
    return short_message(messages.strip().rpartition("\n")[2].rpartition(": ")[2].rpartition("] ")[2])


def short_message(text: str) -> str:
    """A library's message as one short line without a final period, for use inside our own messages."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line[:160].rstrip(".")
