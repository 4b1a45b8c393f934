"""The unit to which rate limits apply: a single IPv4 address or a customer's IPv6 network."""

import ipaddress
from typing import Final

CUSTOMER: Final = 56
"""Prefix length in bits of the networks that providers give to customers. With /64, one customer would count as 256
visitors.
"""


def network_of(address: str) -> str:
    """Network of an address: an IPv4 address itself, or the customer network of an IPv6 address.

    Any other text is returned unchanged.
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, CUSTOMER), strict=False))
