"""Tokens that prove to another node of the fleet that a call already gets a sound.

    v1.TIME.NODE.CALL.MAC

The hook sends it in the header `Idtone-Chain` over a trunk to another node (`fleet.trunks`). It reads the header only
from a call that arrives over one of these trunks and has not been answered yet. TIME is the time of the hook's request
(Unix seconds). NODE and CALL name the call on the sending node (`dialplan.node_word`). MAC is computed with the fleet
key over these and the number that the call dials, so a token counts only for a call to or from that number.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final
from urllib.parse import unquote

from idtone import dialplan
from idtone.core.calls import RemoteCall
from idtone.core.numbers import Number, NumberKind

VALID: Final = timedelta(seconds=30)
"""Tolerance for a token's time, in both directions. The INVITE is sent immediately after the verdict. A proxy whose
first node does not answer takes some seconds to try the next one, and the nodes' clocks may differ.
"""
MAC_BYTES: Final = 9
"""Bytes of the MAC: 72 bits of HMAC-SHA-256, which are 12 characters and fit into a verdict (`EXTENSION_LIMIT`). Each
guess requires a call through a trunk. A million guesses per second for 100 years succeed with a probability of 1 in
1,500,000.
"""
TOKEN_LIMIT: Final = 250
"""Maximum number of characters that the hook reads from the header."""

_TOKEN: Final = re.compile(
    r"v1\.([0-9]{10})\.([A-Za-z0-9%_~-]{1,200})\.([!-+\--~]{1,200}-[0-9]{1,9})\.([A-Za-z0-9_-]{12})"
)
_PURPOSE: Final = "idtone chain v1"


class TokenResult(StrEnum):
    """Result of checking a chain token."""

    ACCEPTED = "accepted"
    MALFORMED = "malformed"
    FORGED = "forged"
    """It was not made with this key or not for a number of this call."""
    EXPIRED = "expired"
    REPEATED = "repeated"
    """A call with this token was already connected on this node, after which the sending node never uses the token
    again.
    """


@dataclass(frozen=True, slots=True)
class ChainToken:
    """Parts of a chain token, not yet verified."""

    time_s: int
    node: str
    call_id: str
    mac: str

    @classmethod
    def read(cls, text: str) -> ChainToken | None:
        """Parse a chain token; None for any other text."""
        match = _TOKEN.fullmatch(text)
        if not match or len(text) > TOKEN_LIMIT:
            return None
        node = unquote(match[2])
        return cls(int(match[1]), node, match[3], match[4]) if node.isprintable() else None

    @property
    def call(self) -> RemoteCall:
        """Reference to the call on the sending node."""
        return RemoteCall(self.node, self.call_id)


def mac_of(key: bytes, time_s: int, call: RemoteCall, dialled: Number) -> str:
    """Message authentication code of a token for a call to `dialled`: 12 characters of base64url."""
    signed = "\n".join((_PURPOSE, str(time_s), *call, dialled.e164))
    made = hmac.digest(key, signed.encode(errors="surrogateescape"), "sha256")
    return base64.urlsafe_b64encode(made[:MAC_BYTES]).decode()


def token_text(time_s: int, call: RemoteCall, mac: str) -> str:
    """Text of a chain token, in the form that the hook builds."""
    return f"v1.{time_s}.{dialplan.node_word(call.node)}.{call.call_id}.{mac}"


def judge(token: ChainToken, key: bytes, numbers: Iterable[Number], now: datetime) -> TokenResult:
    """Verify a token that arrived with a call to or from one of the numbers."""
    made = [mac_of(key, token.time_s, token.call, number) for number in numbers if can_bind(number)]
    if not any(hmac.compare_digest(each, token.mac) for each in made):
        return TokenResult.FORGED
    if abs(now - datetime.fromtimestamp(token.time_s, UTC)) > VALID:
        return TokenResult.EXPIRED
    return TokenResult.ACCEPTED


def can_bind(number: Number) -> bool:
    """True if a token can be made for a call to this number."""
    return number.known and number.kind is not NumberKind.EMERGENCY
