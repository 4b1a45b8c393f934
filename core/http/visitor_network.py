"""The unit that rate limits apply to: a single IPv4 address or a customer's IPv6 network."""

import ipaddress
from typing import Final

CUSTOMER: Final = 56
"""Prefix length in bits of the networks that providers assign to customers. With /64, one customer would count as 256
visitors.
"""


def network_of(address: str) -> str:
    """Network of an address: the address itself for IPv4, the customer's network for IPv6.

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
