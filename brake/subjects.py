"""Whose call it is: the subjects that the brake counts a call for. Pure."""

from __future__ import annotations

from typing import Final

from idtone.calls import Direction, ForwardedCall

_OUTGOING: Final = Direction.OUTGOING

Names = tuple[str, str, str, tuple[str, ...]]
"""Number, endpoint, customer and trunks; each is empty if the call does not say it."""


def names_of(call: ForwardedCall) -> Names:
    """The one place that says whose call it is.

    The customer is the account code. Under `incoming` the endpoint of the caller's channel is the trunk by which the
    call came, as anyone may call a number: it is among the trunks.
    """
    number, endpoint, trunks = call.forwarding_number.e164, call.endpoint, call.trunks
    if not number and call.perhaps:
        number = call.perhaps.e164
    if "@" in endpoint:  # a Local channel: a caller can choose what stands before the context
        endpoint = endpoint.rpartition("@")[2]
    if call.direction is _OUTGOING:
        return number, endpoint, call.account, trunks
    return number, "", call.account, (*trunks, endpoint) if endpoint and endpoint not in trunks else trunks
