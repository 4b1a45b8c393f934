"""Session timers (RFC 4028): the side that refreshes the call, and the interval."""

from __future__ import annotations

from typing import Final, Literal

from .call import Call
from .sip import Header, Response

SHORTEST_S: Final = 90
"""Minimum interval of RFC 4028, 5, which Asterisk enforces."""

Refresher = Literal["uac", "uas"]


def offer_headers(expires_s: int = SHORTEST_S, refresher: Refresher = "uac") -> tuple[Header, ...]:
    """Headers of an INVITE or UPDATE with a session timer."""
    return (
        ("Supported", "timer"),
        ("Session-Expires", f"{expires_s};refresher={refresher}"),
        ("Min-SE", str(SHORTEST_S)),
    )


def answer_headers(expires_s: int = SHORTEST_S, refresher: Refresher = "uas") -> tuple[Header, ...]:
    """Headers of the response to a session timer."""
    return ("Require", "timer"), ("Session-Expires", f"{expires_s};refresher={refresher}")


async def refresh(call: Call, method: Literal["UPDATE", "INVITE"]) -> Response:
    """Refresh the session and return the other side's response."""
    return await (call.reinvite(headers=offer_headers()) if method == "INVITE" else call.ask("UPDATE", offer_headers()))


def refreshes(call: Call) -> int:
    """Number of refreshes of the session by the other side."""
    return sum(bool(asked.request.get("Session-Expires")) for asked in call.asked)
