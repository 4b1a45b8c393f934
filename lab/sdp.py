"""Session descriptions (RFC 4566) with an audio stream and an optional video stream, without I/O.

Includes offer and answer (RFC 3264).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .codecs import CODECS, EVENTS, VIDEO
from .g711 import PCMA, PCMU
from .sip import Address, SipError

_NAMES: Final = {number: codec.name for number, codec in CODECS.items()} | {
    EVENTS: "telephone-event/8000",
    VIDEO: "H264/90000",
}
_FLIPPED: Final = {"sendonly": "recvonly", "recvonly": "sendonly"}
_AUDIO: Final = re.compile(r"m=audio (\d+)(?:/\d+)? RTP/S?AVP((?: \d+)+)\s*$", re.MULTILINE)
_VIDEO: Final = re.compile(r"m=video (\d+)", re.MULTILINE)
_HOST: Final = re.compile(r"^c=IN IP[46] (\S+)", re.MULTILINE)
_DIRECTION: Final = re.compile(r"^a=(sendrecv|sendonly|recvonly|inactive)\s*$", re.MULTILINE)
SUITE: Final = "AES_CM_128_HMAC_SHA1_80"
"""SRTP crypto suite (RFC 4568) that every phone supports."""
_KEY: Final = re.compile(rf"^a=crypto:\d+ {SUITE} inline:([^|\s]+)", re.MULTILINE)
_MAPPING: Final = re.compile(r"^a=rtpmap:(\d+) (\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Session:
    """The audio stream of a session description, and the port of its video stream."""

    address: Address
    formats: tuple[int, ...] = (PCMU, PCMA)
    """Payload types, preferred one first."""
    direction: str = "sendrecv"
    video: int | None = None
    """Port of the video stream, 0 if it is refused, or None if there is no video line."""
    version: int = 1
    key: str = ""
    """Key of the encryption (SDES), or an empty string without encryption."""

    @classmethod
    def parse(cls, body: bytes) -> Session:
        """The session that a body describes. Raises SipError if it has no audio in one of our codecs."""
        general, *media = re.split(r"^(?=m=)", body.decode(errors="replace"), flags=re.MULTILINE)
        audio = next((match for section in media if (match := _AUDIO.match(section))), None)
        # The lines of the media follow those of the session and override them.
        text = general + (audio.string if audio else "")
        hosts = _HOST.findall(text)
        if audio is None or not hosts:
            raise SipError("the session description has no audio over RTP/AVP")
        named = {int(number): name.lower() for number, name in _MAPPING.findall(text)}
        offered = tuple(map(int, audio[2].split()))
        # The mapping defines dynamic numbers. The others are fixed (RFC 3551).
        formats = tuple(
            number for number in offered if number < 96 or named.get(number) == _NAMES.get(number, "").lower()
        )
        if not CODECS.keys() & set(formats):
            raise SipError(f"the session description has no codec of ours among its formats {offered}")
        video = next((int(match[1]) for section in media if (match := _VIDEO.match(section))), None)
        version = re.search(r"^o=\S+ \S+ (\d+)", general, re.MULTILINE)
        return cls(
            (hosts[-1], int(audio[1])),
            formats,
            (_DIRECTION.findall(text) or ["sendrecv"])[-1],
            video,
            int(version[1]) if version else 1,
            next(iter(_KEY.findall(text)), ""),
        )

    @property
    def payload_type(self) -> int:
        """Payload type of the first format that is one of our codecs."""
        return next(number for number in self.formats if number in CODECS)

    def answer(
        self, address: Address, codecs: Sequence[int] = (PCMU, PCMA), video: int = 0, version: int = 1, key: str = ""
    ) -> Session:
        """The answer to this offer (RFC 3264). Raises SipError if no codec is in common.

        The answer has the offer's first format in `codecs`, telephone events if offered, and video at the port `video`
        if offered. Port 0 refuses the video.
        """
        common = next((number for number in self.formats if number in codecs), None)
        if common is None:
            raise SipError(f"no codec in common: offered were {self.formats}, spoken are {tuple(codecs)}")
        formats = (common, EVENTS) if EVENTS in self.formats else (common,)
        direction = _FLIPPED.get(self.direction, self.direction)
        return Session(address, formats, direction, None if self.video is None else video, version, key)

    def encode(self) -> bytes:
        host, port = self.address
        kind = "IP6" if ":" in host else "IP4"
        lines = [
            "v=0",
            f"o=lab {port} {self.version} IN {kind} {host}",
            "s=-",
            f"c=IN {kind} {host}",
            "t=0 0",
            f"m=audio {port} RTP/{'SAVP' if self.key else 'AVP'} {' '.join(map(str, self.formats))}",
            *([f"a=crypto:1 {SUITE} inline:{self.key}"] if self.key else []),
            *(f"a=rtpmap:{number} {name}" for number, name in _NAMES.items() if number in self.formats),
            "a=ptime:20",
            f"a={self.direction}",
        ]
        if self.video is not None:
            lines += [f"m=video {self.video} RTP/AVP {VIDEO}", f"a=rtpmap:{VIDEO} {_NAMES[VIDEO]}"]
        return "".join(f"{line}\r\n" for line in lines).encode()
