"""An Asterisk for other vendors' phones: over UDP, TCP, TLS and WebSocket, with SRTP, DTLS and ICE."""

import os
import re
from pathlib import Path
from textwrap import dedent
from typing import Final

from lab.asterisk import LAB_DIALPLAN, LOOPBACK, MODULES, Asterisk, free_ports
from lab.pjsip_conf import pjsip

CODECS: Final = "allow = ulaw,alaw,g722,gsm,opus"
SYMMETRIC: Final = "rtp_symmetric = yes\nforce_rport = yes\nrewrite_contact = yes"
DTLS: Final = (
    "media_encryption = dtls\ndtls_auto_generate_cert = yes\ndtls_verify = no\ndtls_setup = actpass\n"
    "media_use_received_transport = yes"
)
ENDPOINTS: Final = {
    "phone": CODECS,
    "phone-nat": f"{CODECS}\n{SYMMETRIC}",
    "phone-sdes": f"{CODECS}\nmedia_encryption = sdes",
    "phone-nat-sdes": f"{CODECS}\n{SYMMETRIC}\nmedia_encryption = sdes",
    "phone-dtls": f"{CODECS}\n{DTLS}",
    "phone-ice": f"{CODECS}\nice_support = yes",
    "phone-30": "allow = ulaw:30",
    "phone-40": "allow = ulaw:40",
    "webrtc": "allow = opus,ulaw\nwebrtc = yes\ndtls_auto_generate_cert = yes",
    "webrtc-ulaw": "allow = ulaw\nwebrtc = yes\ndtls_auto_generate_cert = yes",
}
"""Name of an endpoint → its own settings. A phone that calls names its endpoint as the user of its From."""
MEDIA: Final = "PHONES_INSIDE"
"""Environment variable with a non-loopback address for ICE, whose agents ignore loopback addresses."""
REGISTERED: Final = ("webrtc", "webrtc-ulaw")
"""Endpoints whose phones register, because Asterisk cannot open a WebSocket to them."""
ICE: Final = (*REGISTERED, "phone-ice")

DIALPLAN: Final = """
    ; A phone of others calls: the number is the name of the call, and begins with the number of its situation.
    [from-phones]
    exten = _X.,1,MSet(LAB_CALL=${EXTEN},LAB_DIAL=${PHONES_DIAL_${EXTEN:0:3}})
     same = n,Gosub(idtone-forward,s,1(${LAB_DIAL},0312345678,${PHONES_DIRECTION_${EXTEN:0:3}},,0312340000))
     same = n,Hangup(${IDTONE_CAUSE})
    exten = h,1,Set(LAB_ENDING=${IDTONE_STATUS}:${IDTONE_REASON}:${IDTONE_CALL_ID}:${IDTONE_CAUSE}:${DIALSTATUS})
     same = n,Set(DB(lab/${LAB_CALL})=${LAB_ENDING})
"""
ALSO: Final = (
    "res_pjsip_nat",
    "res_pjsip_transport_websocket",
    "codec_gsm",
    "res_http_websocket",
    "res_pjsip_endpoint_identifier_user",
)


class PhonesPbx(Asterisk):
    """A PBX, used like `Asterisk`. It also has `tcp_port` and `tls_port`. The WebSocket is at `http_port`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.tcp_port, self.tls_port = free_ports(2)

    def _files(self) -> dict[str, str]:
        files = super()._files()
        modules = [*MODULES, *(name for name in ALSO if name not in MODULES)]
        return files | {
            "modules.conf": "[modules]\nautoload = no\n" + "".join(f"load = {name}.so\n" for name in modules),
            # strictrtp is an operator's setting. Only the lab's own phones are faster without it.
            "rtp.conf": "[general]\nrtpstart = 10000\nrtpend = 19999\nstrictrtp = yes\nicesupport = yes\n",
            "extensions.conf": f"#include idtone.conf\n{dedent(LAB_DIALPLAN)}{dedent(DIALPLAN)}",
            "pjsip.conf": self._pjsip(),
        }

    def _write_files(self) -> None:
        super()._write_files()
        from lab.registry.trust.publication_server import write_certificate

        write_certificate(self.key_and_certificate)

    @property
    def key_and_certificate(self) -> Path:
        """File with the key and certificate for SIP over TLS, the same for the PBX and the phones."""
        return self.etc / "phones.pem"

    @property
    def websocket(self) -> str:
        """URL for SIP over a WebSocket (RFC 7118)."""
        return f"ws://{LOOPBACK}:{self.http_port}/ws"

    def _pjsip(self) -> str:
        host = LOOPBACK
        secret = self.key_and_certificate
        own = re.sub("header,ip,anonymous", "header,username,ip,anonymous", pjsip(self.sip_address))
        transports = (
            f"[tcp]\ntype = transport\nprotocol = tcp\nbind = {host}:{self.tcp_port}\n"
            f"[tls]\ntype = transport\nprotocol = tls\nbind = {host}:{self.tls_port}\n"
            f"cert_file = {secret}\npriv_key_file = {secret}\nmethod = tlsv1_2\n"
            f"[ws]\ntype = transport\nprotocol = ws\nbind = {host}\n"
        )
        endpoints = "".join(
            f"[{name}]\ntype = endpoint\ncontext = from-phones\ndisallow = all\n{settings}\ndirect_media = no\n"
            f"media_address = {os.environ.get(MEDIA, host) if name in ICE else host}\n"
            "bind_rtp_to_media_address = yes\n"
            + (f"aors = {name}\n[{name}]\ntype = aor\nmax_contacts = 1\nremove_existing = yes\n" * (name in REGISTERED))
            for name, settings in ENDPOINTS.items()
        )
        return own + transports + endpoints
