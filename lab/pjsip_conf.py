"""Endpoints of the lab's phones on its PBX: `pjsip.conf`."""

from pathlib import Path
from typing import Final

from .sip import Address, bracketed

ENDPOINTS: Final = {
    "anonymous": "allow = ulaw",
    "lab": "allow = ulaw",
    "wide": "allow = ulaw,alaw,g722,opus",
    "video": "allow = ulaw,h264\naccountcode = acme",
    "compressed": "allow = g729",
    "fax": "allow = ulaw\nt38_udptl = yes",
    "asserting": "allow = ulaw\ntrust_id_inbound = yes\nsend_pai = yes\nsend_rpid = yes\nsend_history_info = yes",
    "nat": "allow = ulaw\nrtp_symmetric = yes",
    "framed30": "allow = ulaw:30",
    "framed40": "allow = ulaw:40",
}
"""Name of an endpoint → its own settings.

A calling phone names its endpoint in X-Lab-Endpoint, and is `anonymous` otherwise. A called phone is `lab`, or has the
same endpoint as the caller.
"""


def pjsip(
    address: Address,
    transport: str = "udp",
    trusted: bool = False,
    tls: Path | None = None,
    srtp: bool = False,
) -> str:
    """The configuration of an Asterisk that listens at `address` over UDP, TCP or TLS.

    `tls` is the file with the key and certificate. If `trusted`, Asterisk trusts the identities that its peers send. If
    `srtp`, it encrypts all media (SDES).
    """
    more = "trust_id_inbound = yes\n" * trusted + f"transport = {transport}\n" * (transport != "udp")
    more += "media_encryption = sdes\n" * srtp
    secret = f"cert_file = {tls}\npriv_key_file = {tls}\nmethod = tlsv1_2\n" if tls else ""
    return (
        "[global]\ntype = global\nendpoint_identifier_order = header,ip,anonymous\n"
        # Otherwise Asterisk ignores requests while any of its queues is long. See docs/how-to/when-something-fails.md.
        "taskprocessor_overload_trigger = pjsip_only\n"
        f"[{transport}]\ntype = transport\nprotocol = {transport}\n"
        f"bind = {bracketed(address[0])}:{address[1]}\n{secret}"
        + "".join(_endpoint(name, own, address[0]) + more for name, own in ENDPOINTS.items())
        + "".join(_named(name) for name in ENDPOINTS if name != "anonymous")
    )


def line(name: str, host: str) -> str:
    """An additional endpoint that a calling phone can name."""
    return _endpoint(name, "allow = ulaw", host) + _named(name)


def _endpoint(name: str, own: str, host: str) -> str:
    return (
        f"[{name}]\ntype = endpoint\ncontext = from-lab\ndisallow = all\n{own}\ndirect_media = no\n"
        f"media_address = {host}\nbind_rtp_to_media_address = yes\n"
    )


def _named(name: str) -> str:
    return f"[named-{name}]\ntype = identify\nendpoint = {name}\nmatch_header = X-Lab-Endpoint: {name}\n"


def trunk(name: str, here: Address, there: Address) -> str:
    """An endpoint that leads from `here` to another PBX at `there`, and accepts calls from this IP address."""
    return (
        f"[trunk]\ntype = transport\nprotocol = udp\nbind = {here[0]}:{here[1]}\n"
        f"{_endpoint(name, 'allow = ulaw', here[0])}transport = trunk\naors = {name}\n"
        f"[{name}]\ntype = aor\ncontact = sip:{there[0]}:{there[1]}\n"
        f"[by-address-{name}]\ntype = identify\nendpoint = {name}\nmatch = {there[0]}\n"
        f"{_named(name)}"
    )
