"""Fax over UDPTL (T.38) in a call of a lab phone. It sends only session descriptions, never a page."""

from typing import Final

from .sip import Address

IMAGE: Final = b"m=image"
"""Start of the media line in a session description with T.38."""


def t38_session(address: Address, version: int) -> bytes:
    """The session description of T.38 at an address (T.38, annex D)."""
    host, port = address
    lines = (
        "v=0", f"o=lab {port} {version} IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0",
        f"m=image {port} udptl t38", "a=T38FaxVersion:0", "a=T38MaxBitRate:14400",
        "a=T38FaxRateManagement:transferredTCF", "a=T38FaxMaxBuffer:200", "a=T38FaxMaxDatagram:200",
        "a=T38FaxUdpEC:t38UDPRedundancy",
    )  # fmt: skip
    return "".join(f"{line}\r\n" for line in lines).encode()
