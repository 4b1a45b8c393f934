"""Finds the subjects that the brake counts a call for."""

from typing import Final

from idtone.core.calls import Direction, ForwardedCall

_OUTGOING: Final = Direction.OUTGOING

UNNAMED: Final = "-"
"""The endpoint for calls that name neither an endpoint nor a customer, as with the operator's own Dial() without
account codes. Many customers may share it.
"""

Names = tuple[str, str, str, tuple[str, ...]]
"""Number, endpoint, customer and trunks. A name is empty if the call does not count for it."""


def names_of(call: ForwardedCall, customer: str | None = None) -> Names:
    """Names of a call's subjects.

    Without a `customer` from the table of lines, the account code is the customer. An `incoming` call is not made by
    the customer, so it counts only for its trunks, including the one on which it arrived.
    """
    endpoint, trunks = call.endpoint, call.trunks
    if "@" in endpoint:  # a Local channel: a caller can choose the text before the context
        endpoint = endpoint.rpartition("@")[2]
    if call.direction is not _OUTGOING:
        return "", "", "", (*trunks, endpoint) if endpoint and endpoint not in trunks else trunks
    number = call.forwarding_number.e164
    if not number and call.perhaps:
        number = call.perhaps.e164
    customer = customer or call.account
    return number, endpoint or ("" if customer else UNNAMED), customer, trunks
