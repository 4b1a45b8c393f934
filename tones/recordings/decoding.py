"""What libsndfile does not know, decoded by the ffmpeg program.

The program gets no name and no way out: it reads the open file, as one of a few containers that cannot refer
to other files, and writes samples into a pipe of which a bounded part is read within a bounded time.
"""

from __future__ import annotations

import os
import selectors
import struct
import subprocess
import time
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from idtone.errors import RecordingError, ToneError

from ..ffmpeg import program

DEADLINE_S: Final = 300.0
CONTAINERS: Final = "aac,ac3,amr,ape,asf,avi,caf,flac,flv,matroska,mov,mp3,ogg,tta,voc,w64,wav,wv"
"""ffmpeg's names of what may be inside: no playlist (hls, dash, concat), image sequence or session description."""

_AU: Final = struct.Struct(">4s5I")
"""Sun's .au: magic, size of the header, size of the data, encoding, sample rate, channels."""
_GUARDS: Final = tuple("-nostdin -v error -threads 1 -max_alloc 67108864 -protocol_whitelist file,pipe".split())
"""A hostile header asks for more memory in one piece than these 64 MiB."""
_AS_AU: Final = tuple("-map 0:a:0 -map_metadata -1 -c:a pcm_f32be -f au pipe:1".split())

_SPEEX: Final = b"Speex   "
_SPEEX_PLACE: Final = (len(_SPEEX), 28)
"""Behind the header of the first page of an Ogg file."""
_COMPLAINTS: Final = 4096
"""Bytes of what ffmpeg complains about last."""


def decode(
    path: Path, file: BinaryIO, demuxer: tuple[str, ...], *, longest_s: float, largest: int
) -> tuple[NDArray[np.float32], int, str]:
    """The first sound track as frames × channels (big-endian float32), its sample rate in hertz, and the damage.

    The damage is ffmpeg's last complaint about what it skipped, empty where there was none.
    `demuxer` are ffmpeg's options for a headerless input, empty where the content tells. At most about `longest_s`
    seconds and `largest` samples are decoded. Raises RecordingError where ffmpeg is missing, refuses or takes too long.
    """
    purpose = f"reading {path.suffix}" if path.suffix else "reading what libsndfile does not know"
    try:
        ffmpeg = program(purpose)
    except ToneError as error:
        raise RecordingError(f"{path}: is no format that libsndfile knows, and {error}") from error
    allowed = demuxer[1] if demuxer else CONTAINERS
    source = f"file:/dev/fd/{file.fileno()}"
    # ffmpeg's own decoder makes wideband Speex twice as long (measured, 7.1.5).
    decoder = ["-c:a", "libspeex"] if os.pread(file.fileno(), *_SPEEX_PLACE) == _SPEEX else []
    command = [str(ffmpeg), *_GUARDS, "-format_whitelist", allowed, *demuxer, *decoder, "-i", source]
    # One second more than allowed, so that a longer file is known for one.
    command += ["-t", str(longest_s + 1), *_AS_AU]
    output, complaints, status = _run(path, command, file.fileno(), 4 * (largest + 1) + 4096)
    complaint = _last(complaints.decode("utf-8", "replace"))
    if status or len(output) < _AU.size:
        raise RecordingError(
            f"{path}: is no recording that libsndfile or ffmpeg can read ({complaint or 'no reason given'})"
        )
    _, header, _, _, sample_rate_hz, channels = _AU.unpack_from(output)
    count = (len(output) - header) // 4
    samples = np.frombuffer(output, ">f4", count, header)
    return samples[: count - count % channels].reshape(-1, channels), sample_rate_hz, complaint


def _run(path: Path, command: list[str], descriptor: int, limit: int) -> tuple[bytearray, bytes, int]:
    """Output up to `limit` bytes, the end of the complaints, and the exit status."""
    with subprocess.Popen(  # noqa: S603 – the program is ffmpeg, and no argument comes from the recording
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=(descriptor,)
    ) as process:
        try:
            output, complaints = _drain(path, process, limit)
        except BaseException:
            process.kill()
            raise
        return output, complaints, process.wait()


def _drain(path: Path, process: subprocess.Popen[bytes], limit: int) -> tuple[bytearray, bytes]:
    assert process.stdout
    assert process.stderr
    output, complaints = bytearray(), b""
    until = time.monotonic() + DEADLINE_S
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        selector.register(process.stderr, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(until - time.monotonic())
            if not ready or time.monotonic() > until:
                raise RecordingError(f"{path}: took ffmpeg longer than {DEADLINE_S:g} s to decode. Cut it first")
            for key, _ in ready:
                piece = os.read(key.fd, 1 << 16)
                if not piece:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stderr:
                    complaints = (complaints + piece)[-_COMPLAINTS:]
                else:
                    output += piece
            if len(output) > limit:
                raise RecordingError(f"{path}: holds more samples than are read at once (2 GiB). Cut it first")
    return output, complaints


def _last(complaints: str) -> str:
    """The last of ffmpeg's complaints, without whose it is and what it is about: that is our descriptor."""
    if "not on whitelist" in complaints:
        return "it is of a kind that is not read"
    return sentence(complaints.strip().rpartition("\n")[2].rpartition(": ")[2].rpartition("] ")[2])


def sentence(text: str) -> str:
    """A library's complaint as a part of ours: one line, short, without a full stop."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line[:160].rstrip(".")
