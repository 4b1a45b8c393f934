"""Encrypted RTP (RFC 3711). The keys are exchanged by SDES (RFC 4568), in the suite that every phone supports."""

import base64
import os
from typing import Final

from pylibsrtp import Error, Policy, Session

_KEY_OCTETS: Final = 30
"""Number of octets of the master key and its salt."""


class Srtp:
    """Encryption of one stream, with our key for sent packets and the other side's key for received ones."""

    def __init__(self) -> None:
        octets = os.urandom(_KEY_OCTETS)
        self.key = base64.b64encode(octets).decode()
        """Our key, as it appears in the session description."""
        self._ours = Session(Policy(octets, Policy.SSRC_ANY_OUTBOUND))
        self._theirs: Session | None = None
        self._their_key = ""

    def accept(self, key: str) -> None:
        """Decrypt with this key from the other side's SDP. An empty or unchanged key has no effect."""
        if key and key != self._their_key:
            self._their_key = key
            self._theirs = Session(Policy(base64.b64decode(key), Policy.SSRC_ANY_INBOUND))

    def protect(self, packet: bytes) -> bytes:
        return self._ours.protect(packet)

    def protect_report(self, report: bytes) -> bytes:
        return self._ours.protect_rtcp(report)

    def unprotect(self, data: bytes) -> bytes | None:
        """The decrypted packet, or None if it is not encrypted with the other side's key."""
        try:
            return self._theirs.unprotect(data) if self._theirs else None
        except Error:
            return None
