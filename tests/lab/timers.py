"""Session timers (RFC 4028): who says that the call is still there, and how often."""

from __future__ import annotations

from typing import Final, Literal

from .call import Call
from .sip import Header, Response

SHORTEST_S: Final = 90
"""Nobody may ask for less (RFC 4028, 5), and Asterisk holds to it."""

Refresher = Literal["uac", "uas"]


def offered(expires_s: int = SHORTEST_S, refresher: Refresher = "uac") -> tuple[Header, ...]:
    """What an INVITE or UPDATE with a session timer has."""
    return (
        ("Supported", "timer"),
        ("Session-Expires", f"{expires_s};refresher={refresher}"),
        ("Min-SE", str(SHORTEST_S)),
    )


def agreed(expires_s: int = SHORTEST_S, refresher: Refresher = "uas") -> tuple[Header, ...]:
    """What the answer to it has."""
    return ("Require", "timer"), ("Session-Expires", f"{expires_s};refresher={refresher}")


async def refresh(call: Call, method: Literal["UPDATE", "INVITE"]) -> Response:
    """Say that we are still there; the other side's answer."""
    return await (call.reinvite(headers=offered()) if method == "INVITE" else call.ask("UPDATE", offered()))


def refreshes(call: Call) -> int:
    """How often the other side said that it is still there."""
    return sum(bool(asked.request.get("Session-Expires")) for asked in call.asked)
