"""Session descriptions (RFC 4566): the offer and the answer (RFC 3264) of one G.711 audio stream, without I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from .g711 import PCMA, PCMU
from .sip import Address, SipError

_NAMES: Final = {PCMU: "PCMU/8000", PCMA: "PCMA/8000"}
_FLIPPED: Final = {"sendonly": "recvonly", "recvonly": "sendonly"}


@dataclass(frozen=True, slots=True)
class Session:
    """One G.711 audio stream of a session description (RFC 4566)."""

    address: Address
    formats: tuple[int, ...] = (PCMU, PCMA)
    """Payload types, the preferred one first."""
    direction: str = "sendrecv"

    @classmethod
    def parse(cls, body: bytes) -> Session:
        """Raises SipError where there is no audio that we can hear."""
        text = body.decode(errors="replace")
        media = re.search(r"^m=audio (\d+)(?:/\d+)? RTP/AVP((?: \d+)+)\s*$", text, re.MULTILINE)
        hosts = re.findall(r"^c=IN IP4 (\S+)", text, re.MULTILINE)
        if media is None or not hosts:
            raise SipError("the session description has no audio over RTP/AVP and IPv4")
        formats = tuple(map(int, media[2].split()))
        if not _NAMES.keys() & set(formats):
            raise SipError(f"the session description has no G.711 among its formats {formats}")
        direction = re.findall(r"^a=(sendrecv|sendonly|recvonly|inactive)\s*$", text, re.MULTILINE)
        # The media's own lines stand after the session's and overrule them.
        return cls((hosts[-1], int(media[1])), formats, (direction or ["sendrecv"])[-1])

    @property
    def payload_type(self) -> int:
        """The first format that is G.711."""
        return next(number for number in self.formats if number in _NAMES)

    def answer(self, address: Address) -> Session:
        """The answer to this offer (RFC 3264): its first G.711 format."""
        return Session(address, (self.payload_type,), _FLIPPED.get(self.direction, self.direction))

    def encode(self) -> bytes:
        host, port = self.address
        lines = [
            "v=0",
            f"o=lab {port} 1 IN IP4 {host}",
            "s=-",
            f"c=IN IP4 {host}",
            "t=0 0",
            f"m=audio {port} RTP/AVP {' '.join(map(str, self.formats))}",
            *(f"a=rtpmap:{number} {name}" for number, name in _NAMES.items() if number in self.formats),
            "a=ptime:20",
            f"a={self.direction}",
        ]
        return "".join(f"{line}\r\n" for line in lines).encode()
