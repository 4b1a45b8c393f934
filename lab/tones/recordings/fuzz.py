"""Fuzzes the readers of recordings and profiles with inputs from atheris: `make fuzz SECONDS=60`.

Each input must be read, or refused with one of our errors. ffmpeg is left out because it is another process and too
slow.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import atheris

with atheris.instrument_imports(include=["idtone"]):
    from idtone.core.errors import IdtoneError, ToneError
    from idtone.tones.profile import parse_profile
    from idtone.tones.recordings import ffmpeg_decoding
    from idtone.tones.recordings.captures import read_capture
    from idtone.tones.recordings.read_recording import read_recording

from lab.fuzzing import fuzz

from . import capture_files

_SUFFIXES: Final = (".wav", ".ulaw", ".alaw", ".sln16", ".gsm", ".g722", ".vox", ".pcap")
_CAPTURE, _PROFILE = len(_SUFFIXES), len(_SUFFIXES) + 1
"""First octet of an input that is a capture, and of one that is a profile. A smaller octet selects a suffix."""
_LONGEST_S: Final = 600.0
_PROFILES: Final = Path(__file__).parents[3] / "config" / "profiles"


def seeds() -> Iterator[bytes]:
    """Yield valid inputs of every kind, which atheris damages."""
    for container, subtype in capture_files.CONTAINERS:
        yield b"\x00" + capture_files.audio(container, subtype)
    for number in range(1, len(_SUFFIXES)):
        yield bytes([number]) + bytes(range(200)) * 4
    for payload_type in (0, 9, 18):
        talk = capture_files.talk(bytes(1600), payload_type=payload_type, sequence=0xFFFC, timestamp=0xFFFFFF00)
        for order in "<>":
            for content in (
                capture_files.pcap(capture_files.on_wire(talk), order=order),
                capture_files.pcapng(capture_files.on_wire(talk), order=order),
            ):
                yield bytes([_CAPTURE]) + content
    for link, wrap in capture_files.LINKS.items():
        packets = [
            (at_ns, wrap(capture_files.udp(data, ("::1", 4000), ("::2", 4002))))
            for at_ns, data in capture_files.talk(bytes(1600))
        ]
        yield bytes([_CAPTURE]) + capture_files.pcap(packets, link=link)
    for path in sorted(_PROFILES.glob("*.yaml")):
        yield bytes([_PROFILE]) + path.read_bytes()


def no_ffmpeg(purpose: str) -> Path:
    raise ToneError(f"{purpose} is left out")


def main() -> None:
    ffmpeg_decoding.program = no_ffmpeg
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"input{suffix}") for suffix in _SUFFIXES]

        def feed(data: bytes) -> None:
            if not data:
                return
            kind, content = data[0] % (len(_SUFFIXES) + 2), data[1:]
            try:
                if kind == _PROFILE:
                    parse_profile(content.decode("utf-8", "replace"), "input.yaml")
                    return
                path = paths[kind % len(paths)]
                path.write_bytes(content)
                if kind == _CAPTURE:
                    read_capture(path, longest_s=_LONGEST_S, notice=str)
                else:
                    read_recording(path, longest_s=_LONGEST_S, notice=str)
            except IdtoneError:
                return

        fuzz(__doc__, seeds(), feed)


if __name__ == "__main__":
    main()
