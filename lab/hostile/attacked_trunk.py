"""A PBX whose trunk is under attack.

Hostile INVITEs come through separate endpoints, and honest calls through the lab's endpoints.
"""

from dataclasses import replace
from textwrap import dedent
from typing import Final

from lab.asterisk import LAB_DIALPLAN, LOOPBACK, Asterisk, free_ports
from lab.lab import CALLED_NUMBER
from lab.pjsip_conf import pjsip
from lab.rtp import Address

_DIALPLAN: Final = f"""
    ; The first letter of the dialled user chooses the way; the dialplan is careful, as the README says.
    [from-attacked-trunk]
    exten = _[a-z].,1,Set(DIALLED=${{FILTER(0-9+,${{CUT(EXTEN,\\;,1)}})}})
     same = n,Set(WAY=${{FILTER(a-z,${{EXTEN:0:1}})}})
     same = n,Set(PHONE=PJSIP/lab/sip:{CALLED_NUMBER}@127.0.0.1:${{ATTACKED_PORT}})
     same = n,Set(CALLER=${{FILTER(0-9+,${{CALLERID(num)}})}})
     same = n,Set(DIVERTED=${{FILTER(0-9+,${{REDIRECTING(from-num)}})}})
     same = n,ExecIf($["${{WAY}}" = "a"]?Set(IDTONE_INTERFACE=agi))
     same = n,GotoIf($["${{WAY}}" = "o"]?outgoing)
     same = n,GotoIf($["${{WAY}}" = "v"]?diverted)
     same = n,GotoIf($["${{WAY}}" = "d"]?own-dial)
     same = n,Gosub(idtone-forward,s,1(${{PHONE}},${{DIALLED}},incoming,20,{CALLED_NUMBER}))
     same = n,Hangup(${{IDTONE_CAUSE}})
     same = n(outgoing),Gosub(idtone-forward,s,1(${{PHONE}},${{CALLER}},outgoing,20,${{DIALLED}}))
     same = n,Hangup(${{IDTONE_CAUSE}})
     same = n(diverted),Gosub(idtone-forward,s,1(${{PHONE}},${{DIVERTED}},incoming,20,{CALLED_NUMBER}))
     same = n,Hangup(${{IDTONE_CAUSE}})
     same = n(own-dial),Dial(${{PHONE}},20,gU(idtone-called^${{DIALLED}}^incoming))
     same = n,Hangup(${{HANGUPCAUSE}})
"""


class AttackedTrunk(Asterisk):
    """Accepts calls over UDP and TCP from two trunks.

    `anonymous` trusts no identities, and `trusting` trusts asserted identities. The test must set the global variable
    `ATTACKED_PORT` to the called phone's port.
    """

    def __post_init__(self) -> None:
        self.site = replace(self.site, host=LOOPBACK, transport="udp", loss=0, trusted=False)
        super().__post_init__()
        (self.tcp_port,) = free_ports(1)
        self.dialplan_files = _files(self.sip_address, self.tcp_port)


def _files(address: Address, tcp_port: int) -> dict[str, str]:
    lab, of_anonymous = pjsip(address), "[anonymous]\ntype = endpoint\ncontext = from-lab\n"
    assert of_anonymous in lab
    anonymous, _, _ = lab[lab.index(of_anonymous) :].partition("\n[")
    attacked = anonymous.replace("context = from-lab", "context = from-attacked-trunk")
    return {
        "extensions.conf": f"#include idtone.conf\n{dedent(LAB_DIALPLAN)}{dedent(_DIALPLAN)}",
        "pjsip.conf": lab.replace(anonymous, attacked)
        + f"[tcp]\ntype = transport\nprotocol = tcp\nbind = {address[0]}:{tcp_port}\n"
        + attacked.replace("[anonymous]", "[trusting]")
        + "\ntrust_id_inbound = yes\n[by-trunk]\ntype = identify\nendpoint = trusting\n"
        "match_header = X-Lab-Trunk: trusting\n",
    }
